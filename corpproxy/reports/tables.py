"""A report as tables: for spreadsheets, for programs, and for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from corpproxy.audit.cells import csv_line
from corpproxy.audit.line import printable
from corpproxy.audit.times import utc_text
from corpproxy.policy.amounts import octets_text
from corpproxy.reports import words
from corpproxy.reports.aligned import aligned
from corpproxy.reports.figures import NO_REST, Figures, Rest, Row, Slot

# A trend is a cell of its own: numbers of exchanges, the earliest period first.
Cell = str | int | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """
    A table: its name for programs, its title for people, the names of its columns, its rows.

    ``rest`` is what it does not name.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    rest: Rest = NO_REST


# So many rows of a table are shown on a terminal.
_ROWS = 10
_COUNTED = ("exchanges", "before", "octets", "refused")
# The same where there is nothing to compare with.
_ALONE = ("exchanges", "octets", "refused")


def tables(figures: Figures) -> tuple[Table, ...]:
    """All tables of a report, in the order in which they are read."""
    return (
        _total(figures),
        *_over_time(figures),
        *_refused(figures),
        _counted("people", "People", "person", figures.top_people, figures),
        _counted("groups", "Groups", "group", figures.top_groups, figures),
        _counted("hosts", "Hosts", "host", figures.top_hosts, figures),
        _counted("categories", "Categories", "category", figures.top_categories, figures),
        *_changed_hosts(figures),
        Table(
            "limits",
            "At their limits",
            ("person", "rule", "times"),
            tuple((one.name, one.rule, one.times) for one in figures.limited),
        ),
    )


def _total(figures: Figures) -> Table:
    now, before = figures.total, figures.total_before
    rows = (
        ("exchanges", now.exchanges, before.exchanges),
        ("people", figures.people, figures.people_before),
        ("hosts", figures.hosts, figures.hosts_before),
        ("octets", now.octets, before.octets),
        ("refused", now.refused, before.refused),
    )
    return Table("total", "All together", ("what", "now", "before"), rows)


def _over_time(figures: Figures) -> tuple[Table, Table]:
    slots = tuple(
        (slot.name, slot.now.exchanges, slot.before.exchanges, slot.now.octets, slot.now.refused)
        for slot in figures.slots
    )
    periods = tuple((one.name, *_counts(one)) for one in figures.trend)
    return (
        Table("time", "Over time", ("time", *_COUNTED), slots),
        Table("trend", "Period by period", ("period", *_ALONE), periods),
    )


def _refused(figures: Figures) -> tuple[Table, Table]:
    harms = tuple(
        (one.host, one.rule, one.people, one.times, one.retried, one.asked, one.let_through)
        for one in figures.harms
    )
    most = tuple((one.host, one.rule, one.times, one.people) for one in figures.refusals)
    columns = ("host", "rule", "people", "times", "tried_again", "asked", "let_through")
    return (
        Table("overblocking", "Blocked by mistake?", columns, harms),
        Table("refused", "Refused most", ("host", "rule", "times", "people"), most),
    )


def _changed_hosts(figures: Figures) -> tuple[Table, Table]:
    new = tuple((one.name, *_counts(one)) for one in figures.new_hosts)
    gone = tuple((one.name, one.before.exchanges) for one in figures.gone_hosts)
    return (
        Table("new_hosts", "New hosts", ("host", *_ALONE), new),
        Table("gone_hosts", "Hosts that nobody asked for any more", ("host", "before"), gone),
    )


def _counts(one: Row | Slot) -> tuple[int, int, int]:
    return one.now.exchanges, one.now.octets, one.now.refused


def _counted(name: str, title: str, what: str, rows: Sequence[Row], figures: Figures) -> Table:
    return Table(
        name,
        title,
        (what, *_COUNTED, "trend"),
        tuple(
            (row.name, row.now.exchanges, row.before.exchanges, row.now.octets, row.now.refused, row.trend)
            for row in rows
        ),
        figures.rests.get(name, NO_REST),
    )


def as_csv(figures: Figures) -> str:
    """One file for a spreadsheet: a table behind the other, each with its name and its columns before it."""
    return "\n".join(_csv_lines(figures)) + "\n"


def _csv_lines(figures: Figures) -> Iterator[str]:
    for number, table in enumerate(tables(figures)):
        if number:
            yield ""
        yield csv_line([table.title, figures.period.name])
        yield csv_line(table.columns)
        for row in table.rows:
            yield csv_line(map(_csv_cell, row))
        if table.rest.names:
            rest = table.rest
            counts = rest.now.exchanges, rest.before.exchanges, rest.now.octets, rest.now.refused
            yield csv_line([words.others(rest.names), *counts, ""])


def _csv_cell(cell: Cell) -> str | int:
    if isinstance(cell, tuple):
        return " ".join(map(str, cell))
    return printable(cell) if isinstance(cell, str) else cell


def as_json(figures: Figures) -> str:
    """All of it for programs."""
    document = {
        "site": figures.site,
        "every": figures.period.every.value,
        "period": figures.period.name,
        "begins": utc_text(figures.period.begins),
        "ends": utc_text(figures.period.ends),
        "made_at": utc_text(figures.made_at),
        "group": figures.group,
        "user": figures.user,
        "tables": {
            table.name: [dict(zip(table.columns, row, strict=True)) for row in table.rows]
            for table in tables(figures)
        },
        "others": {
            table.name: {
                "names": table.rest.names,
                "exchanges": table.rest.now.exchanges,
                "before": table.rest.before.exchanges,
                "octets": table.rest.now.octets,
                "refused": table.rest.now.refused,
            }
            for table in tables(figures)
            if table.rest.names
        },
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def as_text(figures: Figures) -> str:
    """What fits on a terminal: each table with its first ten rows."""
    whom = f" of group {printable(figures.group)}" if figures.group else ""
    whom = f" of {printable(figures.user)}" if figures.user else whom
    parts = [f"{printable(figures.site)}{whom}: {figures.period.words}\n"]
    for table in tables(figures):
        if table.rows and table.name != "time":
            parts.append(f"{table.title}\n{_aligned(table)}")
    return "\n".join(parts)


def _aligned(table: Table) -> str:
    lines = [tuple(column.replace("_", " ") for column in table.columns)]
    lines += [tuple(_cell(table, row, column) for column in range(len(row))) for row in table.rows[:_ROWS]]
    more = len(table.rows[_ROWS:]) + table.rest.names
    if more:
        lines.append((words.others(more), *_others(table)))
    return aligned(lines, [not isinstance(cell, int) for cell in table.rows[0]], "  ")


def _others(table: Table) -> list[str]:
    """The other columns of the last line: what all those have together that are not shown."""
    rest = table.rest
    sums = {
        "exchanges": rest.now.exchanges,
        "before": rest.before.exchanges,
        "octets": rest.now.octets,
        "refused": rest.now.refused,
    }
    told = []
    for column, name in enumerate(table.columns[1:], 1):
        hidden = [row[column] for row in table.rows[_ROWS:]]
        if name in sums and table.columns[-1] == "trend":
            whole = sums[name] + sum(cell for cell in hidden if isinstance(cell, int))
            told.append(octets_text(whole) if name == "octets" else words.number(whole))
        else:
            told.append("")
    return told


def _cell(table: Table, row: tuple[Cell, ...], column: int) -> str:
    cell = row[column]
    if isinstance(cell, str):
        return words.shown(cell, "-")
    if isinstance(cell, tuple):
        return words.spark(cell)
    # All together is told line by line, one of which is that of octets.
    is_octets = table.columns[column] == "octets" or (table.name == "total" and row[0] == "octets")
    return octets_text(cell) if is_octets else words.number(cell)
