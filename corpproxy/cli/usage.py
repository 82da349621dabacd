"""``corpproxy usage``: who moved how much, as a table, CSV or JSON."""

from __future__ import annotations

import argparse
import csv
import io
import itertools
import time
from pathlib import Path

import msgspec

from corpproxy.accounting.ledger import OTHER_HOSTS
from corpproxy.accounting.report import By, UsageQuestion, UsageReport, UsageSum
from corpproxy.accounting.store_address import StoreAddress
from corpproxy.accounting.trend import TREND, last_over, last_spans, questions, trend
from corpproxy.audit.line import printable
from corpproxy.backends.store.interface import StoreError
from corpproxy.backends.store.opening import read_at
from corpproxy.backends.store.sql import Connection
from corpproxy.backends.store.usage import read_usage
from corpproxy.cli.audit import positive
from corpproxy.cli.failed import WRONG_USAGE, CommandFailed
from corpproxy.cli.moments import FORMS, end_moment, moment
from corpproxy.cli.options import add_json
from corpproxy.cli.site import Site, add_site_arguments, site_of
from corpproxy.cli.usage_trend import trend_csv, trend_json, trend_table
from corpproxy.counted import counted
from corpproxy.policy.amounts import octets_text
from corpproxy.policy.days import Days, Unit
from corpproxy.reports.aligned import aligned

DESCRIPTION = (
    "Show who moved how many octets through the proxy, and for how many active minutes; heads, refusals and "
    "open tunnels included."
)

_NAMELESS = {
    By.USER: "(not signed in)",
    By.GROUP: "(no group)",
    By.DEVICE: "(not told)",
    By.CATEGORY: "(no category)",
    By.HOST: "(no host)",
    By.RULE: "(no rule)",
}
# What a report may keep to.
_OF = {
    "user": "this person alone",
    "group": "people of this group alone",
    "device": "the device with this address alone",
    "category": "hosts of this category alone",
    "host": "this host alone, with all below it",
    "rule": "what this rule decided alone",
}
_OVERLAP = {
    By.GROUP: "A person in several groups counts in each of them; the total counts every octet once.",
    By.CATEGORY: "A host in several categories counts in each of them; the total counts every octet once.",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which options there are."""
    parser.description = DESCRIPTION
    add_site_arguments(parser)
    parser.add_argument("--store", type=Path, metavar="FILE", help="read this store, not that of the policy")
    parser.add_argument(
        "--by", choices=[str(by) for by in By], default="user", help="what to have a row for (default: user)"
    )
    over_time = parser.add_mutually_exclusive_group()
    over_time.add_argument(
        "--per", choices=[str(unit) for unit in Unit], help="rows for each hour, day, week or month"
    )
    over_time.add_argument(
        "--trend",
        choices=[str(unit) for unit in Unit],
        help=f"the last {TREND} hours, days, weeks or months beside each other (--until: up to that one)",
    )
    parser.add_argument("--since", metavar="WHEN", help=f"leave out what was before: {FORMS}")
    parser.add_argument("--until", metavar="WHEN", help="leave out what was after; a day includes that day")
    for name, said in _OF.items():
        parser.add_argument(f"--{name}", metavar="NAME", help=said)
    parser.add_argument(
        "--limit",
        type=positive,
        metavar="N",
        help="show the first N rows, with --per of each time; the total is of all",
    )
    parser.add_argument(
        "--format", choices=["table", "csv", "json"], default="table", help="table (default), csv or json"
    )
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Print the report; gives the exit status."""
    site = site_of(options, needed=options.store is None)
    now = time.time()
    try:
        question = _question(options, site, now)
    except ValueError as error:
        raise CommandFailed(str(error), WRONG_USAGE) from error
    try:
        address = StoreAddress(file=str(options.store)) if options.store else site.address
        text = read_at(address, lambda connection: _written(connection, question, options, now))
    except StoreError as error:
        raise CommandFailed(error.message) from error
    print(text, end="")
    return 0


def _written(connection: Connection, question: UsageQuestion, options: argparse.Namespace, now: float) -> str:
    if not options.trend:
        return _WRITERS[options.format](read_usage(connection, question), options.limit)
    unit, days = Unit(options.trend), Days(question.zone, question.day_begins)
    spans = last_over(unit, now, days)
    if question.until is not None:
        # The end of a day is the beginning of the next one.
        spans = last_spans(unit, question.until - 1, days)
    asked, whole = (read_usage(connection, one) for one in questions(question, unit, spans))
    found = trend(asked, whole, spans, unit, now)
    if options.format == "table":
        return trend_table(found, options.limit, lambda name: _shown_name(name, question.by))
    return (trend_csv if options.format == "csv" else trend_json)(found, options.limit)


def _question(options: argparse.Namespace, site: Site, now: float) -> UsageQuestion:
    zone, by = site.zone, By(options.by)
    if by.is_time and (options.per or options.trend):
        option = "--per" if options.per else "--trend"
        raise ValueError(f"--by {by} has a row for each {by} already; leave out {option}, or write --by user")
    if options.trend and options.since:
        raise ValueError(
            f"a trend is of {TREND} {options.trend}s, the last of which --until chooses; leave out --since"
        )
    return UsageQuestion(
        by=by,
        zone=zone,
        since=moment(options.since, now, zone, day_begins=site.day_begins) if options.since else None,
        until=end_moment(options.until, now, zone, day_begins=site.day_begins) if options.until else None,
        per=Unit(options.per) if options.per else None,
        day_begins=site.day_begins,
        **{name: getattr(options, name) for name in _OF},
    )


def _shown(answer: UsageReport, limit: int | None) -> list[UsageSum]:
    """The first rows; the first of each time where there are rows for each."""
    spans = itertools.groupby(answer.rows, lambda row: row.span)
    return [row for _, rows in spans for row in itertools.islice(rows, limit)]


def _table(answer: UsageReport, limit: int | None) -> str:
    by, per = answer.question.by, answer.question.per
    shown = _shown(answer, limit)
    titles = ("from clients", "to clients", "together", "exchanges", "minutes")
    lines: list[tuple[str, ...]] = [(by.value, *titles)]
    lines += [_cells(_shown_name(row.name, by), row) for row in shown]
    lines.append(_cells("total", answer.total))
    if per is not None:
        lines = [(span, *line) for span, line in zip(_spans(per, shown), lines, strict=True)]
    names = 1 if per is None else 2
    text = aligned(lines, [True] * names + [False] * len(titles))
    if left_out := len(answer.rows) - len(shown):
        text += f"{counted(left_out, 'more row is', 'more rows are')} not shown.\n"
    return text + (f"{_OVERLAP[by]}\n" if by.may_overlap else "")


def _spans(per: Unit, shown: list[UsageSum]) -> list[str]:
    """The first column where there are rows for each time: each is written once."""
    spans = [row.span for row in shown]
    before = ["", *spans]
    told = (span if span != last else "" for span, last in zip(spans, before, strict=False))
    return [per.value, *told, ""]


def _cells(name: str, row: UsageSum) -> tuple[str, ...]:
    return (
        name,
        octets_text(row.received),
        octets_text(row.sent),
        octets_text(row.octets),
        str(row.exchanges),
        str(row.minutes),
    )


def _shown_name(name: str, by: By) -> str:
    if by is By.HOST and name == OTHER_HOSTS:
        return "(other hosts)"
    return printable(name) or _NAMELESS.get(by, "-")


def _csv(answer: UsageReport, limit: int | None) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    by, per = answer.question.by.value, answer.question.per
    spans = [per.value] if per is not None else []
    writer.writerow([*spans, by, "received_octets", "sent_octets", "exchanges", "active_minutes"])
    for row in _shown(answer, limit):
        told = [row.span] if per is not None else []
        writer.writerow([*told, row.name, row.received, row.sent, row.exchanges, row.minutes])
    return text.getvalue()


def _json(answer: UsageReport, limit: int | None) -> str:
    by, per = answer.question.by, answer.question.per
    document = {
        "by": by.value,
        **({"per": per.value} if per is not None else {}),
        "rows": [
            {**({per.value: row.span} if per is not None else {}), by.value: row.name, **_counts(row)}
            for row in _shown(answer, limit)
        ],
        "total": _counts(answer.total),
        "rows_overlap": by.may_overlap,
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def _counts(row: UsageSum) -> dict[str, int]:
    return {
        "received_octets": row.received,
        "sent_octets": row.sent,
        "exchanges": row.exchanges,
        "active_minutes": row.minutes,
    }


_WRITERS = {"table": _table, "csv": _csv, "json": _json}
