"""Trends: the last periods of a report beside each other, read from the roll-ups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import msgspec

from corpproxy.backends.store.sql import Connection
from corpproxy.reports.figures import Counts, Row, Slot
from corpproxy.reports.period import Period

# How many periods a trend has, the one of the report among them.
PERIODS = 8
# Columns of sets: who is in two counts in both.
_SETS = ("groups", "categories")


class Trends:
    """
    What was asked for in the last periods.

    ``counts`` are the sums of a row in SQL, ``where`` what rows are wanted, as the report has both.
    """

    def __init__(self, connection: Connection, period: Period, counts: str, where: str) -> None:
        self._connection = connection
        self._counts = counts
        self._where = where
        self._periods = period.last(PERIODS)

    def periods(self) -> tuple[Slot, ...]:
        """All together, period by period; none where there is nothing but this one."""
        query = f"SELECT {self._place}, {self._counts} FROM hourly_person WHERE {self._where} GROUP BY 1"
        found = {place: Counts(*counts) for place, *counts in self._connection.execute(query, self._bounds())}
        if not found.keys() - {PERIODS - 1}:
            return ()
        names = [period.name for period in self._periods]
        return tuple(Slot(name, found.get(place, Counts()), Counts()) for place, name in enumerate(names))

    def along(self, table: str, column: str, rows: Sequence[Row]) -> tuple[Row, ...]:
        """Give rows with their trends; groups and categories count in each set that they are in."""
        found = {row.name: [0] * PERIODS for row in rows}
        for text, place, exchanges in self._by_period(table, column):
            for name in _names(column, text):
                if name in found:
                    found[name][place] += exchanges
        return tuple(replace(row, trend=tuple(found[row.name])) for row in rows)

    def new(self, now: dict[str, Counts], top: int) -> tuple[Row, ...]:
        """The hosts that were asked for in none of these periods but the last."""
        known: set[str] = set()
        for text, place, _ in self._by_period("hourly_place", "host"):
            if place < PERIODS - 1:
                known.add(text)
        if not known:
            # Nothing is known of before: all would be new.
            return ()
        return _most({name: counts for name, counts in now.items() if name and name not in known}, top)

    def _by_period(self, table: str, column: str) -> Iterator[tuple[str, int, int]]:
        sums = (
            f"SELECT {column} AS number, {self._place} AS place, SUM(exchanges) AS exchanges "
            f"FROM {table} WHERE {self._where} GROUP BY 1, 2"
        )
        query = f"SELECT text, place, exchanges FROM ({sums}) AS sums JOIN term ON term.id = number"
        yield from self._connection.execute(query, self._bounds())

    @property
    def _place(self) -> str:
        """Which of the periods an hour is in."""
        cases = " ".join(f"WHEN hour < :ends_{place} THEN {place}" for place in range(PERIODS - 1))
        return f"CASE {cases} ELSE {PERIODS - 1} END"

    def _bounds(self) -> dict[str, float]:
        ends = {f"ends_{place}": period.ends for place, period in enumerate(self._periods[:-1])}
        return {"begins": self._periods[0].begins, "ends": self._periods[-1].ends, **ends}


def _names(column: str, text: str) -> list[str]:
    """The names that the text of a term stands for."""
    return msgspec.json.decode(text, type=list[str]) or [""] if column in _SETS else [text]


def gone(now: dict[str, Counts], before: dict[str, Counts], top: int) -> tuple[Row, ...]:
    """What was asked for in the period before, and not in this one."""
    rows = _most({name: counts for name, counts in before.items() if name and name not in now}, top)
    return tuple(Row(row.name, Counts(), row.now) for row in rows)


def _most(found: dict[str, Counts], top: int) -> tuple[Row, ...]:
    ordered = sorted(found.items(), key=lambda one: (-one[1].exchanges, one[0]))
    return tuple(Row(name, counts) for name, counts in ordered[:top])
