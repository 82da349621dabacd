"""``corpproxy test``: the policy's own tests."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from corpproxy.cli.asked_policy import asked_policy
from corpproxy.cli.failed import FAILED
from corpproxy.policy.cases import Failure, run_cases

DESCRIPTION = "Run the tests that stand in the policy, and show those that fail. Exits with 1 when one does."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which options there are."""
    parser.description = DESCRIPTION
    parser.add_argument("--policy", type=Path, metavar="FILE", help="the policy of the site")
    parser.add_argument("--json", action="store_true", help="print the failures as JSON")


def run(options: argparse.Namespace) -> int:
    """Run the tests and print those that fail; gives the exit code."""
    site = asked_policy(options.policy)
    cases = site.configuration.cases
    failures = run_cases(site.policy, site.surroundings, cases, time.time())
    if options.json:
        print(json.dumps([_mapping(failure) for failure in failures], indent=2))
    else:
        for failure in failures:
            print(failure)
        print(_summary(len(cases), len(failures)))
    return FAILED if failures else 0


def _mapping(failure: Failure) -> dict[str, object]:
    place = failure.place
    return {"file": place.file, "line": place.line, "column": place.column, "message": failure.message}


def _summary(count: int, failed: int) -> str:
    if not count:
        return "the policy has no tests; write some under 'tests:'"
    tests = f"{count} test" if count == 1 else f"{count} tests"
    return f"{failed} of {tests} failed" if failed else f"{tests} passed"
