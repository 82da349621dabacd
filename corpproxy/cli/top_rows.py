"""What ``corpproxy top`` shows, as lines of a width: what the service answered goes in, text comes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from corpproxy.accounting.present import Sort, View
from corpproxy.audit.line import printable
from corpproxy.counted import counted
from corpproxy.policy.amounts import octets_text
from corpproxy.reports.aligned import GAP, fitted

Row = Mapping[str, Any]

# From so much of a quota on a row is marked.
NEARLY_USED = 0.8
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


@dataclass(frozen=True, slots=True)
class Column:
    """
    One column.

    ``width`` is how many cells it has at least; one that may have up to ``most`` shares what the others
    leave.  Where there is no room for all, those with a high ``rank`` are left out first.
    """

    title: str
    width: int
    text: Callable[[Row, float], str]
    sort: Sort | None = None
    rank: int = 0
    most: int = 0
    right: bool = True


def per_second(rate: float) -> str:
    """Write a rate so that a quiet line is quiet to the eye."""
    return "-" if rate < 1 else f"{octets_text(round(rate))}/s"


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


def target(row: Row) -> str:
    """Where an exchange goes; a port that goes without saying is not said."""
    host = f"[{row['host']}]" if ":" in row["host"] else row["host"]
    return f"{host}:{row['port']}" if host and row["port"] not in (0, 80, 443) else host


def share(row: Row) -> str:
    """How much of the quota of which least is left is used."""
    quota = row.get("quota")
    return f"{int(100 * quota['share'])}%" if quota else ""


def _listed(name: str) -> Callable[[Row, float], str]:
    return lambda row, now: ", ".join(row[name])


def _count(name: str) -> Callable[[Row, float], str]:
    return lambda row, now: str(row[name] or "-")


_DOWN = Column("DOWN", 10, lambda row, now: per_second(row["sent_rate"]), Sort.DOWN)
_UP = Column("UP", 10, lambda row, now: per_second(row["received_rate"]), Sort.UP, 1)
_MOVED = Column("MOVED", 8, lambda row, now: octets_text(row["received"] + row["sent"]), Sort.MOVED)
_SLOWED = Column("SLOWED BY", 10, _listed("slowed"), Sort.SLOWED, 2, 24, right=False)
_GROUP = Column("GROUPS", 10, _listed("groups"), Sort.GROUP, 5, 24, right=False)

COLUMNS: Mapping[View, tuple[Column, ...]] = {
    View.PEOPLE: (
        Column("WHO", 14, lambda row, now: row["who"], Sort.WHO, 0, 30, right=False),
        _DOWN,
        _UP,
        _MOVED,
        Column("OPEN", 5, _count("connections"), Sort.OPEN, 3),
        Column("TUNNELS", 8, _count("tunnels"), Sort.TUNNELS, 2),
        Column("ENDED", 6, _count("ended"), Sort.ENDED, 7),
        Column("REFUSED", 8, _count("refused"), Sort.REFUSED, 4),
        Column("QUOTA", 6, lambda row, now: share(row), Sort.QUOTA, 1),
        _SLOWED,
        _GROUP,
        Column("ADDRESSES", 15, _listed("addresses"), Sort.ADDRESS, 6, 40, right=False),
    ),
    View.RUNNING: (
        Column("WHO", 10, lambda row, now: row["who"], Sort.WHO, 0, 20, right=False),
        Column("HOST", 16, lambda row, now: target(row), Sort.HOST, 0, 44, right=False),
        _DOWN,
        _UP,
        Column("SENT", 8, lambda row, now: octets_text(row["sent"]), None, 4),
        Column("RECEIVED", 8, lambda row, now: octets_text(row["received"]), None, 4),
        _MOVED,
        Column("AGE", 7, lambda row, now: age(now - row["started"]), Sort.AGE),
        Column("METHOD", 8, lambda row, now: row["method"], Sort.METHOD, 3, right=False),
        Column("RULE", 12, lambda row, now: row["rule"], Sort.RULE, 2, 30, right=False),
        Column("CATEGORIES", 12, _listed("categories"), Sort.CATEGORY, 3, 30, right=False),
        _SLOWED,
        Column("ADDRESS", 15, lambda row, now: row["client"], Sort.ADDRESS, 6, right=False),
        _GROUP,
    ),
}


def heading(view: View, sort: Sort, width: int, *, backwards: bool = False) -> str:
    """The line above the rows; the column that they are in the order of has a mark."""
    mark = "^" if backwards else "*"
    return _line(
        [column.title + (mark if column.sort is sort else "") for column, _ in _shown(view, width)],
        view,
        width,
    )


def row_line(view: View, row: Row, now: float, width: int) -> str:
    """One row; what came from the wire cannot speak to the terminal."""
    return _line([printable(column.text(row, now)) for column, _ in _shown(view, width)], view, width)


def summary(answer: Mapping[str, Any], width: int) -> list[str]:
    """Two lines on all of it."""
    down, up = per_second(answer["sent_rate"]), per_second(answer["received_rate"])
    ended = counted(round(answer["ended"]), "exchange")
    rates = f"down {down}   up {up}   {ended}/s   {answer['refused']:.0f} refused/s"
    counts = [
        counted(answer["connections"], "connection"),
        counted(answer["tunnels"], "tunnel"),
        f"{answer['exchanges']} running",
        counted(answer["workers"], "worker"),
    ]
    if answer["active"]:
        counts.append(f"{answer['active']} active")
    return [fitted(line, width).rstrip() for line in (rates, "   ".join(counts))]


def detail(view: View, row: Row, now: float) -> str:
    """All that is known of the row that is chosen, where columns had no room."""
    parts = _of_person(row) if view is View.PEOPLE else _of_running(row)
    if row["slowed"]:
        parts.append(f"slowed by {', '.join(row['slowed'])}")
    return printable("; ".join(filter(None, parts)))


def is_marked(row: Row) -> bool:
    """Whether a row is to be seen at once: something waits, or a quota is nearly used up."""
    quota = row.get("quota")
    return bool(row["slowed"]) or bool(quota and quota["share"] >= NEARLY_USED)


def _of_person(row: Row) -> list[str]:
    quota = row.get("quota")
    return [
        row["who"],
        ", ".join(row["groups"]),
        ", ".join(row["addresses"]),
        f"{octets_text(row['sent'])} down, {octets_text(row['received'])} up so far",
        f"{share(row)} of {quota['limit']}" if quota else "",
    ]


def _of_running(row: Row) -> list[str]:
    return [
        row["reference"],
        f"{row['who']} from {row['client']}" if row["client"] and row["client"] != row["who"] else row["who"],
        f"{row['method']} {target(row)}",
        ", ".join(row["categories"]),
        f"by rule {row['rule']}" if row["rule"] else "",
        f"{octets_text(row['sent'])} down, {octets_text(row['received'])} up",
    ]


@lru_cache(maxsize=64)
def _shown(view: View, width: int) -> Sequence[tuple[Column, int]]:
    """The columns for which there is room, each with how many cells it has."""
    columns = COLUMNS[view]
    left_out = sorted(columns, key=lambda column: -column.rank)
    kept = list(columns)
    for column in left_out:
        if _needed(kept) <= width or not column.rank:
            break
        kept.remove(column)
    return _shared_out(kept, width - _needed(kept))


def _shared_out(columns: Sequence[Column], spare: int) -> Sequence[tuple[Column, int]]:
    widths = [column.width for column in columns]
    growing = [number for number, column in enumerate(columns) if column.most]
    while spare > 0 and growing:
        for number in growing[:spare]:
            widths[number] += 1
            spare -= 1
        growing = [number for number in growing if widths[number] < columns[number].most]
    return list(zip(columns, widths, strict=True))


def _needed(columns: Sequence[Column]) -> int:
    return sum(column.width for column in columns) + GAP * (len(columns) - 1)


def _line(texts: Sequence[str], view: View, width: int) -> str:
    cells = [
        fitted(text, cells, right=column.right)
        for text, (column, cells) in zip(texts, _shown(view, width), strict=True)
    ]
    return fitted((" " * GAP).join(cells), max(0, width)).rstrip()
