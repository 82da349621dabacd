"""Problems as ``corpproxy check`` shows them: lines with rulers, JSON, and SARIF for editors and CI."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from corpproxy import __version__
from corpproxy.config.advice import ADVICE
from corpproxy.config.codes import CODES
from corpproxy.config.excerpt import Excerpts, below
from corpproxy.config.load import Loaded
from corpproxy.errors import Problem

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"

# What SARIF calls our severities.
_LEVELS = {"error": "error", "warning": "warning", "hint": "note"}


def text(problems: Iterable[Problem], excerpts: Excerpts) -> Iterator[str]:
    """Problems for people, each with the line that it is in and a ruler under the place."""
    for problem in problems:
        yield problem.line
        yield from below(excerpts, problem.place)


def mapping(problem: Problem, excerpts: Excerpts) -> dict[str, Any]:
    """
    A problem as values that JSON has.

    ``end`` is the column behind what is wrong, on the same line, 0 where this is not known; ``hint`` says
    what to do about such a problem.
    """
    place = problem.place
    return {
        "file": place.file,
        "line": place.line,
        "column": place.column,
        "end": excerpts.end(place),
        "severity": problem.severity,
        "code": problem.code,
        "message": problem.message,
        "hint": ADVICE.get(problem.code, ""),
    }


def sarif(problems: Sequence[Problem], excerpts: Excerpts) -> str:
    """Problems as SARIF 2.1.0, which code hosts and editors show at their places."""
    codes = sorted({problem.code for problem in problems})
    driver = {
        "name": "corpproxy check",
        "version": __version__,
        "rules": [_described(code) for code in codes],
    }
    results = [_result(problem, excerpts) for problem in problems]
    log = {
        "$schema": SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": results, "columnKind": "unicodeCodePoints"}],
    }
    return json.dumps(log, indent=2)


def _described(code: str) -> dict[str, Any]:
    texts = {"shortDescription": {"text": CODES.get(code, code)}, "help": {"text": ADVICE.get(code, code)}}
    return {"id": code, **texts}


def _result(problem: Problem, excerpts: Excerpts) -> dict[str, Any]:
    place, end = problem.place, excerpts.end(problem.place)
    location: dict[str, Any] = {"artifactLocation": {"uri": Path(place.file).as_posix()}}
    if place.line:
        location["region"] = {"startLine": place.line}
        location["region"] |= {"startColumn": place.column} if place.column else {}
        location["region"] |= {"endColumn": end} if end else {}
    return {
        "ruleId": problem.code,
        "level": _LEVELS[problem.severity],
        "message": {"text": problem.message},
        "locations": [{"physicalLocation": location}],
    }


def excerpts_of(loaded: Loaded, policy: Path) -> Excerpts:
    """What is needed to show the places in a policy."""
    return Excerpts(loaded.texts, policy.parent)
