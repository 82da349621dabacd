"""``corpproxy check``: every problem of a policy at once, and its tests."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from corpproxy.backends.policies.files import DISK
from corpproxy.cli.failed import FAILED
from corpproxy.cli.options import add_json
from corpproxy.cli.problems import excerpts_of, mapping, sarif, text
from corpproxy.config.configuration import Configuration
from corpproxy.config.excerpt import Excerpts
from corpproxy.config.load import Loaded, load_policy
from corpproxy.counted import counted
from corpproxy.destination.index import CategoryIndex
from corpproxy.errors import SEVERITIES, Problem

if TYPE_CHECKING:
    from corpproxy.cli.check_record import Evidence

DESCRIPTION = (
    "Find every problem in a policy, and run its tests. Exits with 1 when there is an error. "
    "With --since, look into the record for rules that nothing meets."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which options there are."""
    parser.description = DESCRIPTION
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="the policy to check")
    parser.add_argument("--policy", type=Path, metavar="FILE", help="the same, as other commands have it")
    parser.add_argument(
        "--format",
        choices=list(_PRINTERS),
        default="text",
        help="for people (default), a line for each problem, JSON, or SARIF for editors and CI",
    )
    parser.add_argument(
        "--since", metavar="WHEN", help="name the rules that no exchange of the record since then reached"
    )
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Print what is found; gives the exit code."""
    path = options.file or options.policy
    loaded, problems = checked(path)
    found = _evidence(options.since, loaded, path)
    if found is not None:
        problems = worst_first(problems + found.problems)
    _PRINTERS[options.format](Checked(loaded, problems, excerpts_of(loaded, path), found))
    return FAILED if any(problem.is_error for problem in problems) else 0


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found in a policy, and in the record where that was asked for."""

    loaded: Loaded
    problems: tuple[Problem, ...]
    excerpts: Excerpts
    evidence: Evidence | None


def _evidence(since: str | None, loaded: Loaded, path: Path) -> Evidence | None:
    if since is None or loaded.configuration is None:
        return None
    from corpproxy.cli.check_record import evidence

    return evidence(loaded.configuration, since, str(path))


def checked(path: Path) -> tuple[Loaded, tuple[Problem, ...]]:
    """Load a policy and run its tests, with the index of its lists where there is one."""
    from corpproxy.objections import objections

    opened: list[CategoryIndex] = []
    loaded = load_policy(path, DISK, known_categories=lambda state: _categories(state, opened))
    problems = loaded.problems
    if loaded.configuration is not None:
        problems += tuple(objections(loaded.configuration, opened[0] if opened else None, time.time()))
    return loaded, worst_first(problems)


def worst_first(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Problems as they are shown: errors, warnings and hints apart, each as they stand in the files."""
    return tuple(sorted(problems, key=lambda one: SEVERITIES.index(one.severity)))


def checked_shape(path: Path) -> Loaded:
    """Load a policy with the index of its lists where there is one, and run no tests."""
    return load_policy(path, DISK, known_categories=lambda state: _categories(state, []), forgiving=True)


def _categories(state: Path, opened: list[CategoryIndex]) -> frozenset[str] | None:
    """The categories of the index in a state folder; the index itself goes into ``opened``."""
    from corpproxy.backends.lists.files import open_index

    index = open_index(state)
    if index is None:
        return None
    opened.append(index)
    return index.known_categories


def summary(configuration: Configuration | None, problems: Sequence[Problem]) -> str:
    """The last line: what was found, or what there is when nothing was."""
    counts = {severity: sum(one.severity == severity for one in problems) for severity in SEVERITIES}
    found = ", ".join(counted(count, severity) for severity, count in counts.items() if count)
    if configuration is None or counts["error"]:
        return f"not loaded: {found}"
    parts = [
        counted(len(configuration.policy.rules), "rule"),
        counted(len(configuration.lists), "list"),
        counted(len(configuration.cases), "test"),
        counted(len(configuration.listeners), "listener"),
    ]
    return f"ok: {', '.join(parts)}, version {configuration.version}" + (f" ({found})" if found else "")


def _print_text(found: Checked) -> None:
    for shown in text(found.problems, found.excerpts):
        print(shown)
    _print_summary(found)


def _print_lines(found: Checked) -> None:
    for problem in found.problems:
        print(problem.line)
    _print_summary(found)


def _print_summary(found: Checked) -> None:
    configuration = found.loaded.configuration
    if found.evidence is not None and configuration is not None:
        from corpproxy.cli import check_record

        print(check_record.summary(found.evidence, configuration.time_zone))
    print(summary(configuration, found.problems))


def _print_json(found: Checked) -> None:
    document: dict[str, object] = {
        "ok": not any(problem.is_error for problem in found.problems),
        "version": found.loaded.version,
        "problems": [mapping(problem, found.excerpts) for problem in found.problems],
    }
    if found.evidence is not None and found.loaded.configuration is not None:
        from corpproxy.cli import check_record

        document["record"] = check_record.mapping(found.evidence, found.loaded.configuration)
    print(json.dumps(document, indent=2))


def _print_sarif(found: Checked) -> None:
    print(sarif(found.problems, found.excerpts))


_PRINTERS = {"text": _print_text, "lines": _print_lines, "json": _print_json, "sarif": _print_sarif}
