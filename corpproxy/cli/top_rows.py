"""What ``corpproxy top`` shows, as lines of a width: what the service answered goes in, text comes out."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from corpproxy.accounting.present import Sort, View
from corpproxy.audit.line import printable
from corpproxy.cli.octets import human

Row = Mapping[str, Any]

# From so much of a quota on a row is marked.
NEARLY_USED = 0.8

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


@dataclass(frozen=True, slots=True)
class Column:
    """
    One column.

    ``width`` is how many cells it has; one of 0 shares what the others leave with its like.  ``from_width``
    is the width of a screen from which on it is shown.
    """

    title: str
    width: int
    text: Callable[[Row, float], str]
    right: bool = True
    from_width: int = 0


def per_second(rate: float) -> str:
    """Write a rate so that a quiet line is quiet to the eye."""
    return "-" if rate < 1 else f"{human(round(rate))}/s"


def age(seconds: float) -> str:
    """Write how long something has been running in at most six signs."""
    whole = max(0, int(seconds))
    if whole < _MINUTE:
        return f"{whole}s"
    if whole < _HOUR:
        return f"{whole // _MINUTE}m{whole % _MINUTE:02}s"
    if whole < _DAY:
        return f"{whole // _HOUR}h{whole % _HOUR // _MINUTE:02}m"
    return f"{whole // _DAY}d{whole % _DAY // _HOUR:02}h"


def _share(row: Row, now: float) -> str:
    quota = row.get("quota")
    return f"{int(100 * quota['share'])}%" if quota else ""


def _notes(row: Row, now: float) -> str:
    slowed = f"slowed by {', '.join(row['slowed'])}" if row["slowed"] else ""
    return "; ".join(filter(None, (slowed, ", ".join(row["groups"]))))


def _target(row: Row, now: float) -> str:
    host = f"[{row['host']}]" if ":" in row["host"] else row["host"]
    return f"{host}:{row['port']}" if row["port"] not in (0, 80, 443) else host


def _because(row: Row, now: float) -> str:
    slowed = f"slowed by {', '.join(row['slowed'])}" if row["slowed"] else ""
    return "; ".join(filter(None, (slowed, row["rule"], ", ".join(row["categories"]))))


_DOWN = Column("DOWN", 12, lambda row, now: per_second(row["sent_rate"]))
_UP = Column("UP", 12, lambda row, now: per_second(row["received_rate"]))
_MOVED = Column("MOVED", 10, lambda row, now: human(row["received"] + row["sent"]))

COLUMNS: Mapping[View, tuple[Column, ...]] = {
    View.PEOPLE: (
        Column("WHO", 0, lambda row, now: row["who"], right=False),
        _DOWN,
        _UP,
        _MOVED,
        Column("OPEN", 5, lambda row, now: str(row["connections"]), from_width=100),
        Column("TUNNELS", 7, lambda row, now: str(row["tunnels"])),
        Column("ENDED", 6, lambda row, now: str(row["ended"]), from_width=100),
        Column("REFUSED", 7, lambda row, now: str(row["refused"] or ""), from_width=100),
        Column("QUOTA", 5, _share),
        Column("ADDRESSES", 24, lambda row, now: ", ".join(row["addresses"]), right=False, from_width=140),
        Column("NOTES", 0, _notes, right=False),
    ),
    View.RUNNING: (
        Column("WHO", 14, lambda row, now: row["who"], right=False),
        Column("HOST", 0, _target, right=False),
        _DOWN,
        _UP,
        _MOVED,
        Column("AGE", 6, lambda row, now: age(now - row["started"])),
        Column("METHOD", 7, lambda row, now: row["method"], right=False, from_width=100),
        Column("ADDRESS", 15, lambda row, now: row["client"], right=False, from_width=140),
        Column("RULE, CATEGORIES", 0, _because, right=False, from_width=100),
    ),
}

# Which column an order is by.
_SORTED = {
    Sort.DOWN: "DOWN",
    Sort.UP: "UP",
    Sort.MOVED: "MOVED",
    Sort.AGE: "AGE",
    Sort.TUNNELS: "TUNNELS",
    Sort.WHO: "WHO",
    Sort.HOST: "HOST",
}


def heading(view: View, sort: Sort, width: int) -> str:
    """The line above the rows; the column that they are in the order of has a mark."""
    texts = [
        (column, column.title + ("*" if _SORTED.get(sort) == column.title else ""))
        for column in _shown(view, width)
    ]
    return _line(texts, width)


def row_line(view: View, row: Row, now: float, width: int) -> str:
    """One row; what came from the wire cannot speak to the terminal."""
    return _line([(column, printable(column.text(row, now))) for column in _shown(view, width)], width)


def summary(answer: Mapping[str, Any], width: int) -> list[str]:
    """Two lines on all of it."""
    down, up = per_second(answer["sent_rate"]), per_second(answer["received_rate"])
    rates = f"down {down}   up {up}   {answer['ended']:.0f} exchanges/s   {answer['refused']:.0f} refused/s"
    counts = (
        f"{answer['connections']} connections   {answer['tunnels']} tunnels   {answer['exchanges']} running"
    )
    return [fitted(rates, width).rstrip(), fitted(counts, width).rstrip()]


def is_marked(row: Row) -> bool:
    """Whether a row is to be seen at once: something waits, or a quota is nearly used up."""
    quota = row.get("quota")
    return bool(row["slowed"]) or bool(quota and quota["share"] >= NEARLY_USED)


def fitted(text: str, width: int, *, right: bool = False) -> str:
    """Give a text so many cells of a terminal, cut or filled up."""
    cells = sum(map(_cells, text))
    if cells > width:
        kept, cells = "", 0
        for sign in text:
            if cells + _cells(sign) > width - 1:
                break
            kept, cells = kept + sign, cells + _cells(sign)
        text, cells = (kept + "~", cells + 1) if width else ("", 0)
    space = " " * (width - cells)
    return space + text if right else text + space


def _cells(sign: str) -> int:
    if unicodedata.combining(sign):
        return 0
    return 2 if unicodedata.east_asian_width(sign) in "WF" else 1


def _shown(view: View, width: int) -> list[Column]:
    return [column for column in COLUMNS[view] if width >= column.from_width]


def _line(texts: Sequence[tuple[Column, str]], width: int) -> str:
    fixed = sum(column.width for column, _ in texts) + 2 * (len(texts) - 1)
    shared = [column for column, _ in texts if not column.width]
    each = max(0, width - fixed) // max(1, len(shared))
    cells = [fitted(text, column.width or each, right=column.right) for column, text in texts]
    return "  ".join(cells)[: max(0, width)].rstrip()
