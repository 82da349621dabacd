"""
What the roll-ups have of the last periods, added up for each period.

The roll-ups have a row for every hour, and are looked through once: all tables of a report and their trends
are made of what came of that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from corpproxy.backends.store.sql import Connection
from corpproxy.reports.figures import Counts
from corpproxy.reports.period import Period

# The terms of results that refuse stand in a temporary table of the connection.
_IS_REFUSED = "result IN (SELECT id FROM refused)"
# The counts of some rows of a roll-up.
COUNTS = f"SUM(exchanges), SUM(received + sent), SUM(CASE WHEN {_IS_REFUSED} THEN exchanges ELSE 0 END)"
# The rows of a span of time.
IN = "hour >= :begins AND hour < :ends"
# The roll-ups, and by what each is told.
_COLUMNS = {"person": ("user",), "place": ("host", "groups", "categories")}
# Columns of sets: who is in two counts in both.
_SETS = ("groups", "categories")


class Summed:
    """
    The last ``periods``, the earliest first, of the rows that are ``wanted`` (a condition in SQL).

    They are in temporary tables of the connection, in which a period is its place among these.
    """

    def __init__(self, connection: Connection, periods: Sequence[Period], wanted: str) -> None:
        self._connection = connection
        self._periods = periods
        for name, columns in _COLUMNS.items():
            self._sum(name, columns, wanted)

    def by(self, name: str, column: str, period: int) -> dict[str, Counts]:
        """The counts of one period by one thing; what is in two groups or categories counts in both."""
        query = (
            "SELECT text, exchanges, octets, refused FROM ("
            f"  SELECT {column} AS number, SUM(exchanges) AS exchanges, SUM(octets) AS octets,"
            f"  SUM(refused) AS refused FROM summed_{name} WHERE period = :period GROUP BY {column}"
            ") AS sums JOIN term ON term.id = number"
        )
        found: dict[str, Counts] = {}
        for text, *counts in self._rows(query, {"period": period}):
            for one in _names(column, text):
                found[one] = found[one] + Counts(*counts) if one in found else Counts(*counts)
        return found

    def by_period(self, name: str, column: str) -> Iterator[tuple[str, int, int]]:
        """The exchanges of each period by one thing, with the period; some for both of two groups."""
        query = (
            "SELECT text, period, exchanges FROM ("
            f"  SELECT {column} AS number, period, SUM(exchanges) AS exchanges FROM summed_{name}"
            "  GROUP BY 1, 2"
            ") AS sums JOIN term ON term.id = number"
        )
        for text, period, exchanges in self._rows(query):
            for one in _names(column, text):
                yield one, period, exchanges

    def totals(self) -> dict[int, Counts]:
        """All together, by period."""
        sums = "SUM(exchanges), SUM(octets), SUM(refused)"
        rows = self._rows(f"SELECT period, {sums} FROM summed_person GROUP BY period")
        return {period: Counts(*counts) for period, *counts in rows}

    def _sum(self, name: str, columns: Sequence[str], wanted: str) -> None:
        """Add up one roll-up, the only time that it is looked through."""
        execute, ends = self._connection.execute, [period.ends for period in self._periods]
        fields = ("period", *columns, "exchanges", "octets", "refused")
        made = ", ".join(f"{field} BIGINT" for field in fields)
        execute(f"CREATE TEMP TABLE IF NOT EXISTS summed_{name} ({made})")
        execute(f"DELETE FROM summed_{name}")
        cases = " ".join(f"WHEN hour < :ends_{place} THEN {place}" for place in range(len(ends)))
        kinds = ", ".join(str(number) for number in range(1, len(columns) + 2))
        execute(
            f"INSERT INTO summed_{name} SELECT CASE {cases} END, {', '.join(columns)}, {COUNTS} "
            f"FROM hourly_{name} WHERE {IN} AND {wanted} GROUP BY {kinds}",
            {"begins": self._periods[0].begins, "ends": ends[-1]}
            | {f"ends_{place}": end for place, end in enumerate(ends)},
        )

    def _rows(self, query: str, values: dict[str, int] | None = None) -> Iterator[Any]:
        yield from self._connection.execute(query, values or {})


def _names(column: str, text: str) -> list[str]:
    """The names that the text of a term stands for."""
    return msgspec.json.decode(text, type=list[str]) or [""] if column in _SETS else [text]
