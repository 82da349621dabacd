"""``corpproxy test``: the policy's own tests."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from corpproxy.cli.asked_policy import asked_policy
from corpproxy.cli.failed import FAILED
from corpproxy.counted import counted
from corpproxy.errors import Place
from corpproxy.policy.cases import Covered, Failure, run_cases
from corpproxy.policy.decide import Policy

DESCRIPTION = (
    "Run the tests that stand in the policy, and show those that fail. Exits with 1 when one does. "
    "With --coverage, name the rules and exceptions that no test reaches."
)


@dataclass(frozen=True, slots=True)
class Unreached:
    """A rule or an exception that decides no test."""

    kind: str
    name: str
    place: Place


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which options there are."""
    parser.description = DESCRIPTION
    parser.add_argument("--policy", type=Path, metavar="FILE", help="the policy of the site")
    parser.add_argument("--coverage", action="store_true", help="name the rules that no test reaches")
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def run(options: argparse.Namespace) -> int:
    """Run the tests and print those that fail; gives the exit code."""
    site = asked_policy(options.policy)
    cases = site.configuration.cases
    covered = Covered()
    failures = run_cases(
        site.policy, site.surroundings, cases, time.time(), covered, site.configuration.limits
    )
    unreached = list(_unreached(site.policy, covered)) if options.coverage else None
    if options.json:
        print(json.dumps(_mapping(len(cases), failures, unreached, site.policy), indent=2))
    else:
        print("\n".join(_text(len(cases), failures, unreached, site.policy)))
    return FAILED if failures else 0


def _unreached(policy: Policy, covered: Covered) -> Iterator[Unreached]:
    for rule in policy.rules:
        if rule.name not in covered.rules:
            yield Unreached("rule", rule.name, rule.place)
    for entry in policy.exceptions.entries:
        if entry.name not in covered.exceptions:
            yield Unreached("exception", entry.name, entry.place)


def _text(
    count: int, failures: Sequence[Failure], unreached: Sequence[Unreached] | None, policy: Policy
) -> Iterator[str]:
    yield from map(str, failures)
    for one in unreached or ():
        yield f"{one.place}: no test reaches {one.kind} '{one.name}'"
    yield _summary(count, len(failures))
    if unreached is not None:
        total = len(policy.rules) + len(policy.exceptions.entries)
        yield f"{total - len(unreached)} of {total} rules and exceptions are reached by a test"


def _mapping(
    count: int, failures: Sequence[Failure], unreached: Sequence[Unreached] | None, policy: Policy
) -> dict[str, object]:
    document: dict[str, object] = {
        "tests": count,
        "failures": [{**_placed(one.place), "message": one.message} for one in failures],
    }
    if unreached is not None:
        document["rules"] = len(policy.rules)
        document["exceptions"] = len(policy.exceptions.entries)
        document["unreached"] = [
            {**_placed(one.place), "kind": one.kind, "name": one.name} for one in unreached
        ]
    return document


def _placed(place: Place) -> dict[str, object]:
    return {"file": place.file, "line": place.line, "column": place.column}


def _summary(count: int, failed: int) -> str:
    if not count:
        return "the policy has no tests; write some under 'tests:'"
    tests = counted(count, "test")
    return f"{failed} of {tests} failed" if failed else f"{tests} passed"
