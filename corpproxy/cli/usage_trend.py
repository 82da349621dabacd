"""How ``corpproxy usage --trend`` writes: a table, CSV, JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

import msgspec

from corpproxy.accounting.trend import TrendRow, UsageTrend
from corpproxy.audit.times import utc_text
from corpproxy.counted import counted
from corpproxy.policy.amounts import octets_text
from corpproxy.reports.aligned import aligned
from corpproxy.reports.words import change, spark

# How a row without a name is called, and one that is no name.
Naming = Callable[[str], str]


def trend_table(found: UsageTrend, limit: int | None, named: Naming) -> str:
    """The last span beside the one before, and all of them as signs as high as their numbers."""
    now, before = found.spans[-1].name, found.spans[-2].name
    lines: list[tuple[str, ...]] = [(found.by.value, before, now, "change", "trend")]
    lines += [_line(found, named(row.name), row) for row in found.rows[:limit]]
    lines.append(_line(found, "total", found.total))
    text = aligned(lines, (True, False, False, False, True))
    if left_out := len(found.rows) - len(found.rows[:limit]):
        text += f"{counted(left_out, 'more row is', 'more rows are')} not shown.\n"
    if found.is_over and not any(found.total.octets):
        text += f"Nothing moved until the end of {now}; '--until today' has what is not over yet.\n"
    if not found.is_over:
        text += f"{now} is not over: what it has beside the one before says nothing yet.\n"
    return text


def _line(found: UsageTrend, name: str, row: TrendRow) -> tuple[str, ...]:
    told = change(row.now, row.before) if found.is_over else "–"
    return name, octets_text(row.before), octets_text(row.now), told, spark(row.octets)


def trend_csv(found: UsageTrend, limit: int | None) -> str:
    """A column of octets for each span."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([found.by.value, *(span.name for span in found.spans)])
    for row in found.rows[:limit]:
        writer.writerow([row.name, *row.octets])
    return text.getvalue()


def trend_json(found: UsageTrend, limit: int | None) -> str:
    """The spans, and the octets of each row in each of them."""
    document = {
        "by": found.by.value,
        "trend": found.unit.value,
        "is_over": found.is_over,
        "spans": [
            {"name": span.name, "begins": utc_text(span.begins), "ends": utc_text(span.ends)}
            for span in found.spans
        ],
        "rows": [{found.by.value: row.name, "octets": list(row.octets)} for row in found.rows[:limit]],
        "total": list(found.total.octets),
        "rows_overlap": found.by.may_overlap,
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"
