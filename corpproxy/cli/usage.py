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
from corpproxy.audit.line import printable
from corpproxy.backends.store.interface import StoreError
from corpproxy.backends.store.opening import read_at
from corpproxy.backends.store.usage import read_usage
from corpproxy.cli.audit import positive
from corpproxy.cli.failed import WRONG_USAGE, CommandFailed
from corpproxy.cli.moments import FORMS, moment
from corpproxy.cli.octets import human
from corpproxy.cli.options import add_json
from corpproxy.cli.site import Site, add_site_arguments, site_of
from corpproxy.policy.days import Unit

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
    parser.add_argument(
        "--per", choices=[str(unit) for unit in Unit], help="rows for each hour, day, week or month"
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
    try:
        question = _question(options, site)
    except ValueError as error:
        raise CommandFailed(str(error), WRONG_USAGE) from error
    try:
        address = StoreAddress(file=str(options.store)) if options.store else site.address
        answer = read_at(address, lambda connection: read_usage(connection, question))
    except StoreError as error:
        raise CommandFailed(error.message) from error
    print(_WRITERS[options.format](answer, options.limit), end="")
    return 0


def _question(options: argparse.Namespace, site: Site) -> UsageQuestion:
    now, zone, by = time.time(), site.zone, By(options.by)
    if options.per and by.is_time:
        raise ValueError(f"--by {by} has a row for each {by} already; leave out --per, or write --by user")
    return UsageQuestion(
        by=by,
        zone=zone,
        since=moment(options.since, now, zone, day_begins=site.day_begins) if options.since else None,
        until=moment(options.until, now, zone, is_end=True, day_begins=site.day_begins)
        if options.until
        else None,
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
    text = _aligned(lines, 1 if per is None else 2)
    if left_out := len(answer.rows) - len(shown):
        text += f"{left_out} more rows are not shown.\n"
    return text + (f"{_OVERLAP[by]}\n" if by.may_overlap else "")


def _spans(per: Unit, shown: list[UsageSum]) -> list[str]:
    """The first column where there are rows for each time: each is written once."""
    spans = [row.span for row in shown]
    before = ["", *spans]
    told = (span if span != last else "" for span, last in zip(spans, before, strict=False))
    return [per.value, *told, ""]


def _aligned(lines: list[tuple[str, ...]], names: int) -> str:
    """Columns of names, which begin below each other, and of numbers, which end so."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = ""
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line[:names], widths, strict=False)]
        cells += [cell.rjust(width) for cell, width in zip(line[names:], widths[names:], strict=True)]
        text += "  ".join(cells) + "\n"
    return text


def _cells(name: str, row: UsageSum) -> tuple[str, ...]:
    return name, human(row.received), human(row.sent), human(row.octets), str(row.exchanges), str(row.minutes)


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
