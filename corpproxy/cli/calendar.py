"""``corpproxy calendar``: when the calendars of a policy hold."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from datetime import date, datetime, tzinfo
from pathlib import Path
from typing import Any

from corpproxy.backends.policies.files import DISK
from corpproxy.cli.failed import WRONG_USAGE, CommandFailed
from corpproxy.cli.moments import FORMS, moment
from corpproxy.config.configuration import Configuration
from corpproxy.config.load import load_policy
from corpproxy.config.nearest import did_you_mean
from corpproxy.policy.calendar import Calendar
from corpproxy.policy.calendar_week import Day, monday_of, week_of
from corpproxy.policy.reasons import clock

DESCRIPTION = (
    "Show which calendars of the policy hold now and when each changes next; with a name or --week, when "
    "they hold in a week. Times are those of the clock on the wall."
)

# How often a calendar is asked for its next change before it is said that none is near: two years.
_MAX_LOOKS = 46


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which options there are."""
    parser.description = DESCRIPTION
    parser.add_argument("name", nargs="?", metavar="NAME", help="a calendar; all of them when left out")
    parser.add_argument("--week", metavar="DATE", help="the week with this date (default: that of --at)")
    parser.add_argument("--at", default="now", metavar="TIME", help=f"when: {FORMS}")
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.add_argument("--policy", type=Path, metavar="FILE", help="the policy of the site")


def run(options: argparse.Namespace) -> int:
    """Print the calendars; gives the exit code."""
    configuration = _configuration(options.policy)
    zone = configuration.time_zone
    try:
        at = moment(options.at, time.time(), zone)
        monday = monday_of(_date(options.week) if options.week else datetime.fromtimestamp(at, zone).date())
    except ValueError as wrong:
        raise CommandFailed(str(wrong), WRONG_USAGE) from wrong
    calendars = _chosen(configuration, options.name)
    if options.name is None and options.week is None:
        rows = [_now(name, calendar, at, zone) for name, calendar in calendars.items()]
        print(json.dumps(rows, indent=2) if options.json else "\n".join(_lines(rows, at, zone)))
        return 0
    if options.json:
        told = {
            name: [_day_mapping(day, calendar, zone) for day in week_of(calendar, monday, zone)]
            for name, calendar in calendars.items()
        }
        print(json.dumps(told, indent=2))
    else:
        print("\n\n".join("\n".join(_week(name, monday, one, zone)) for name, one in calendars.items()))
    return 0


def _configuration(path: Path) -> Configuration:
    loaded = load_policy(path, DISK)
    if loaded.configuration is None:
        raise CommandFailed("\n".join(str(problem) for problem in loaded.errors))
    return loaded.configuration


def _chosen(configuration: Configuration, name: str | None) -> dict[str, Calendar]:
    calendars = dict(configuration.calendars)
    if not calendars:
        raise CommandFailed("the policy has no calendars; write some below 'calendars:'")
    if name is None:
        return calendars
    if name not in calendars:
        there_are = did_you_mean(name, calendars) or f"; there are {', '.join(calendars)}"
        raise CommandFailed(f"there is no calendar '{name}'{there_are}", WRONG_USAGE)
    return {name: calendars[name]}


def _date(written: str) -> date:
    try:
        return date.fromisoformat(written)
    except ValueError:
        raise ValueError(f"'{written}' is no date; write it as 2026-06-08") from None


def _now(name: str, calendar: Calendar, at: float, zone: tzinfo) -> dict[str, Any]:
    change = _next_change(calendar, at)
    return {
        "calendar": name,
        "holds": calendar.contains(at),
        "during": list(calendar.names_at(at)),
        "changes": None if change is None else datetime.fromtimestamp(change, zone).isoformat(),
        "words": "no change in the next two years" if change is None else clock(change, zone),
    }


def _next_change(calendar: Calendar, at: float) -> float | None:
    """The next instant at which the answer changes; None when that is far away."""
    now = calendar.contains(at)
    for _ in range(_MAX_LOOKS):
        at = calendar.next_change(at)
        if calendar.contains(at) != now:
            return at
    return None


def _lines(rows: list[dict[str, Any]], at: float, zone: tzinfo) -> Iterator[str]:
    yield f"at {clock(at, zone)} ({zone})"
    width = max(len(row["calendar"]) for row in rows)
    for row in rows:
        holds = "holds" if row["holds"] else "-"
        word = "" if row["changes"] is None else "until " if row["holds"] else "from "
        until = word + row["words"]
        during = f"  ({', '.join(row['during'])})" if row["during"] else ""
        yield f"{row['calendar']:{width}}  {holds:5}  {until}{during}"


def _week(name: str, monday: date, calendar: Calendar, zone: tzinfo) -> Iterator[str]:
    yield f"{name}, week of {monday} ({zone})"
    yield f"{'':10}  0     3     6     9     12    15    18    21    24"
    for day in week_of(calendar, monday, zone):
        said = ", ".join(_span(span, zone) for span in day.spans) or "-"
        yield f"{day.date:%a %d %b}  |{day.halves}|  {said}{_notes(day, calendar, zone)}"


def _span(span: tuple[float, float], zone: tzinfo) -> str:
    first, last = (datetime.fromtimestamp(edge, zone) for edge in span)
    ends = "24:00" if last.date() > first.date() else f"{last:%H:%M}"
    return f"{first:%H:%M}-{ends}"


def _notes(day: Day, calendar: Calendar, zone: tzinfo) -> str:
    notes = list(dict.fromkeys(name for first, _ in day.spans for name in calendar.names_at(first)))
    if day.changed is not None:
        before, after = (datetime.fromtimestamp(day.changed + by, zone) for by in (-1, 0))
        notes.append(f"the clock goes from {before:%H:%M}:59 to {after:%H:%M}")
    return f"  ({'; '.join(notes)})" if notes else ""


def _day_mapping(day: Day, calendar: Calendar, zone: tzinfo) -> dict[str, Any]:
    def text(at: float) -> str:
        return datetime.fromtimestamp(at, zone).isoformat()

    return {
        "date": str(day.date),
        "spans": [
            {"from": text(first), "to": text(last), "during": list(calendar.names_at(first))}
            for first, last in day.spans
        ],
        "clock_changes": None if day.changed is None else text(day.changed),
    }
