"""Trends: the last periods of a report beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from corpproxy.backends.reports.summed import Summed
from corpproxy.reports.figures import Counts, Row, Slot
from corpproxy.reports.period import Period

# How many periods a trend has, the one of the report among them.
PERIODS = 8
# The places of the period of the report and of the one before it.
NOW, BEFORE = PERIODS - 1, PERIODS - 2


class Trends:
    """What was asked for in the last periods."""

    def __init__(self, summed: Summed, periods: Sequence[Period]) -> None:
        self._summed = summed
        self._periods = periods

    def periods(self) -> tuple[Slot, ...]:
        """All together, period by period; none where there is nothing but this one."""
        found = self._summed.totals()
        if not found.keys() - {NOW}:
            return ()
        names = [period.name for period in self._periods]
        return tuple(Slot(name, found.get(place, Counts()), Counts()) for place, name in enumerate(names))

    def along(self, table: str, column: str, rows: Sequence[Row]) -> tuple[Row, ...]:
        """Give rows with their trends; groups and categories count in each set that they are in."""
        found = {row.name: [0] * PERIODS for row in rows}
        for name, place, exchanges in self._summed.by_period(table, column):
            if name in found:
                found[name][place] += exchanges
        return tuple(replace(row, trend=tuple(found[row.name])) for row in rows)

    def new(self, now: dict[str, Counts], top: int) -> tuple[Row, ...]:
        """The hosts that were asked for in none of these periods but the last."""
        known = {name for name, place, _ in self._summed.by_period("place", "host") if place < NOW}
        if not known:
            # Nothing is known of before: all would be new.
            return ()
        return _most({name: counts for name, counts in now.items() if name and name not in known}, top)


def gone(now: dict[str, Counts], before: dict[str, Counts], top: int) -> tuple[Row, ...]:
    """What was asked for in the period before, and not in this one."""
    rows = _most({name: counts for name, counts in before.items() if name and name not in now}, top)
    return tuple(Row(row.name, Counts(), row.now) for row in rows)


def _most(found: dict[str, Counts], top: int) -> tuple[Row, ...]:
    ordered = sorted(found.items(), key=lambda one: (-one[1].exchanges, one[0]))
    return tuple(Row(name, counts) for name, counts in ordered[:top])
