"""``corpproxy usage``: who moved how much, as a table, CSV or JSON."""

from __future__ import annotations

import argparse
import csv
import io
import time
from datetime import tzinfo
from pathlib import Path

import msgspec

from corpproxy.accounting.ledger import OTHER_HOSTS
from corpproxy.accounting.report import By, UsageQuestion, UsageReport, UsageSum
from corpproxy.audit.line import printable
from corpproxy.backends.store.interface import STORE_FILE, StoreError
from corpproxy.backends.store.sqlite import report_from
from corpproxy.cli.failed import WRONG_USAGE, CommandFailed
from corpproxy.cli.moments import FORMS, moment
from corpproxy.cli.octets import human
from corpproxy.cli.options import add_json
from corpproxy.cli.site import add_site_arguments, site_of

DESCRIPTION = "Show who moved how many octets through the proxy, heads, refusals and open tunnels included."

_NAMELESS = {
    By.USER: "(not signed in)",
    By.GROUP: "(no group)",
    By.CATEGORY: "(no category)",
    By.HOST: "(no host)",
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
    parser.add_argument("--since", metavar="WHEN", help=f"leave out what was before: {FORMS}")
    parser.add_argument("--until", metavar="WHEN", help="leave out what was after; a day includes that day")
    parser.add_argument("--user", metavar="NAME", help="this person alone")
    parser.add_argument("--limit", type=int, metavar="N", help="show the first N rows; the total is of all")
    parser.add_argument(
        "--format", choices=["table", "csv", "json"], default="table", help="table (default), csv or json"
    )
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Print the report; gives the exit status."""
    site = site_of(options, needed=options.store is None)
    try:
        question = _question(options, site.zone)
    except ValueError as error:
        raise CommandFailed(str(error), WRONG_USAGE) from error
    try:
        answer = report_from(options.store or site.state / STORE_FILE, question)
    except StoreError as error:
        raise CommandFailed(error.message) from error
    print(_WRITERS[options.format](answer, options.limit), end="")
    return 0


def _question(options: argparse.Namespace, zone: tzinfo) -> UsageQuestion:
    now = time.time()
    return UsageQuestion(
        by=By(options.by),
        zone=zone,
        since=moment(options.since, now, zone) if options.since else None,
        until=moment(options.until, now, zone, is_end=True) if options.until else None,
        user=options.user,
    )


def _table(answer: UsageReport, limit: int | None) -> str:
    by = answer.question.by
    shown = answer.rows[:limit]
    lines: list[tuple[str, ...]] = [(by.value, "from clients", "to clients", "together", "exchanges")]
    lines += [_cells(_shown_name(row.name, by), row) for row in shown]
    lines.append(_cells("total", answer.total))
    text = _aligned(lines)
    if left_out := len(answer.rows) - len(shown):
        text += f"{left_out} more rows are not shown.\n"
    return text + (f"{_OVERLAP[by]}\n" if by.may_overlap else "")


def _aligned(lines: list[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = ""
    for name, *numbers in lines:
        cells = (number.rjust(width) for number, width in zip(numbers, widths[1:], strict=True))
        text += "  ".join([name.ljust(widths[0]), *cells]) + "\n"
    return text


def _cells(name: str, row: UsageSum) -> tuple[str, ...]:
    return name, human(row.received), human(row.sent), human(row.octets), str(row.exchanges)


def _shown_name(name: str, by: By) -> str:
    if by is By.HOST and name == OTHER_HOSTS:
        return "(other hosts)"
    return printable(name) or _NAMELESS.get(by, "-")


def _csv(answer: UsageReport, limit: int | None) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([answer.question.by.value, "received_octets", "sent_octets", "exchanges"])
    for row in answer.rows[:limit]:
        writer.writerow([row.name, row.received, row.sent, row.exchanges])
    return text.getvalue()


def _json(answer: UsageReport, limit: int | None) -> str:
    by = answer.question.by
    document = {
        "by": by.value,
        "rows": [{by.value: row.name, **_counts(row)} for row in answer.rows[:limit]],
        "total": _counts(answer.total),
        "rows_overlap": by.may_overlap,
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def _counts(row: UsageSum) -> dict[str, int]:
    return {"received_octets": row.received, "sent_octets": row.sent, "exchanges": row.exchanges}


_WRITERS = {"table": _table, "csv": _csv, "json": _json}
