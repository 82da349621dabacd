"""``corpproxy exceptions``: who may have what in spite of rules, and until when."""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path

from corpproxy.cli.audit import Complaints
from corpproxy.cli.check import checked_shape
from corpproxy.cli.failed import WRONG_USAGE, CommandFailed
from corpproxy.cli.moments import FORMS, moment, span
from corpproxy.config.configuration import Configuration
from corpproxy.counted import counted
from corpproxy.policy.exception_state import ExceptionState, state_of
from corpproxy.policy.exceptions import ExceptionEntry
from corpproxy.policy.reasons import asked_in_words, clock
from corpproxy.policy.staged_text import past_in_words

DESCRIPTION = (
    "List the exceptions of the policy: those that end soon, run, are still to come, and ended. "
    "With --since, what each let through as the record has it."
)

SOON = "7d"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which options there are."""
    parser.description = DESCRIPTION
    parser.add_argument("--policy", type=Path, metavar="FILE", help="the policy of the site")
    parser.add_argument("--soon", default=SOON, metavar="TIME", help=f"what counts as soon (default: {SOON})")
    parser.add_argument("--at", default="now", metavar="TIME", help=f"as of when: {FORMS}")
    parser.add_argument("--since", metavar="WHEN", help="count the exchanges of the record since then")
    parser.add_argument("--owner", metavar="NAME", help="those of this owner")
    parser.add_argument("--json", action="store_true", help="print them as JSON")


@dataclass(frozen=True, slots=True)
class Row:
    """One exception, where it stands, and what it let through; None when nobody counted."""

    entry: ExceptionEntry
    state: ExceptionState
    exchanges: int | None


def run(options: argparse.Namespace) -> int:
    """Print the exceptions; gives the exit code."""
    configuration = _configuration(options.policy)
    try:
        at = moment(options.at, time.time(), configuration.time_zone)
        rows = _rows(options, configuration, at)
    except ValueError as error:
        raise CommandFailed(str(error), WRONG_USAGE) from error
    if options.json:
        print(json.dumps([_mapping(row, configuration.time_zone) for row in rows], indent=2))
    else:
        print("\n".join(_text(rows, at, configuration.time_zone)))
    return 0


def _configuration(path: Path) -> Configuration:
    loaded = checked_shape(path)
    if loaded.configuration is None:
        raise CommandFailed("\n".join(str(problem) for problem in loaded.errors))
    return loaded.configuration


def _rows(options: argparse.Namespace, configuration: Configuration, at: float) -> list[Row]:
    """The exceptions that are asked for, what ends next first."""
    soon = span(options.soon)
    counts = _counts(options, configuration, at)
    rows = [
        Row(entry, state_of(entry, at, soon), None if counts is None else counts.get(entry.name, 0))
        for entry in configuration.policy.exceptions.entries
        if options.owner in (None, entry.owner)
    ]
    states = list(ExceptionState)
    return sorted(rows, key=lambda row: (states.index(row.state), row.entry.period.end, row.entry.name))


def _counts(options: argparse.Namespace, configuration: Configuration, at: float) -> dict[str, int] | None:
    """The exchanges that each exception let through, where that is asked for."""
    if options.since is None:
        return None
    from corpproxy.backends.records.segments import RECORDS_FOLDER
    from corpproxy.backends.search.counts import counted

    complaints = Complaints()
    since = moment(options.since, at, configuration.time_zone)
    try:
        found = counted(configuration.state / RECORDS_FOLDER, since, complaints)
    except FileNotFoundError as error:
        raise CommandFailed(f"{error.filename}: there are no records; the service makes them") from error
    complaints.sum_up()
    return dict(found.reached.exceptions)


def _text(rows: Sequence[Row], at: float, time_zone: tzinfo) -> Iterator[str]:
    if not rows:
        yield "there are no exceptions"
    for state in ExceptionState:
        here = [row for row in rows if row.state is state]
        if here:
            yield f"{state} ({len(here)})"
        for row in here:
            yield from _lines(row, at, time_zone)


def _lines(row: Row, at: float, time_zone: tzinfo) -> Iterator[str]:
    entry = row.entry
    yield f"  {entry.name}: {_when(row, at, time_zone)}"
    asked = "; ".join(words for _, words in asked_in_words(entry))
    yield f"    {asked}, {past_in_words(entry)}"
    yield f"    {entry.owner}: {entry.reason}"
    if row.exchanges is not None:
        yield f"    let {counted(row.exchanges, 'exchange')} through"
    yield f"    {entry.place}"


def _when(row: Row, at: float, time_zone: tzinfo) -> str:
    period = row.entry.period
    end = "has no end" if period.end == math.inf else f"until {clock(period.end, time_zone)}"
    if row.state is ExceptionState.COMING:
        return f"from {clock(period.start, time_zone)}, {end}"
    if row.state is ExceptionState.ENDED:
        return f"ended {clock(period.end, time_zone)}"
    return end if period.end == math.inf else f"{end}, {_left(period.end - at)} left"


def _left(seconds: float) -> str:
    """A time that is left, in its largest unit."""
    for unit, length in (("day", 86_400), ("hour", 3_600)):
        number = int(seconds // length)
        if number:
            return counted(number, unit)
    return counted(int(seconds // 60), "minute")


def _mapping(row: Row, time_zone: tzinfo) -> dict[str, object]:
    entry = row.entry
    place = entry.place
    return {
        "name": entry.name,
        "state": row.state.value,
        "from": _moment(entry.period.start, time_zone),
        "until": _moment(entry.period.end, time_zone),
        "permanent": entry.permanent,
        "past": list(entry.past),
        "asks": dict(asked_in_words(entry)),
        "owner": entry.owner,
        "reason": entry.reason,
        "exchanges": row.exchanges,
        "file": place.file,
        "line": place.line,
        "column": place.column,
    }


def _moment(at: float, time_zone: tzinfo) -> str | None:
    return None if math.isinf(at) else datetime.fromtimestamp(at, time_zone).isoformat()
