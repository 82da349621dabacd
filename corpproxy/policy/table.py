"""A table of the policy, compiled: its rows are asked in order, all at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import MappingProxyType

from corpproxy.policy.calendar import Hours
from corpproxy.policy.columns import Column, columns
from corpproxy.policy.conditions import Conditions
from corpproxy.policy.model import Facts
from corpproxy.policy.networks import Networks

NO_NETWORKS: Networks = MappingProxyType({})


class Table:
    """
    Rows of conditions, compiled; which of them match an exchange, and which first.

    What the hours say is worked out once and holds from the earliest time asked to the next change of any of
    them; `turn` says when that time is over, so that whoever remembers an answer forgets it then.
    """

    def __init__(
        self,
        rows: Sequence[Conditions],
        networks: Networks = NO_NETWORKS,
        missing: frozenset[str] = frozenset(),
    ) -> None:
        self.rows = tuple(rows)
        self.columns: tuple[Column, ...] = columns(self.rows, networks, missing)
        self._masks = tuple(column.mask for column in self.columns)
        self._asked_hours = _rows_by_hours(self.rows)
        self._always = sum(1 << number for number, row in enumerate(self.rows) if not row.when)
        self._in_force = self._always
        # Nothing is known yet, unless no row asks for hours: then it is known for ever.
        self._since, self._until = (math.inf, -math.inf) if self._asked_hours else (-math.inf, math.inf)

    @property
    def reads(self) -> frozenset[str]:
        """The attributes of `Facts` (dotted) that any row looks at."""
        read = {name for column in self.columns for name in column.reads}
        return frozenset(read | {"at"} if self._asked_hours else read)

    def is_due(self, at: float) -> bool:
        """Whether ``at`` is outside the time for which the hours are known."""
        return not self._since <= at < self._until

    def turn(self, at: float) -> bool:
        """
        Work out which rows are in force at a time; whether they are others than before.

        Called when `is_due`.  A clock that is set back only makes the known time begin earlier.
        """
        in_force = self.in_force(at)
        until = min((hours.next_change(at) for hours in self._asked_hours), default=math.inf)
        if in_force == self._in_force and until == self._until:
            self._since = min(self._since, at)
            return False
        changed = in_force != self._in_force
        self._in_force, self._since, self._until = in_force, at, until
        return changed

    def in_force(self, at: float) -> int:
        """The rows whose hours hold at a time, as bits."""
        found = self._always
        for hours, asking in self._asked_hours.items():
            if hours.contains(at):
                found |= asking
        return found

    def next_change(self, at: float) -> float:
        """The first instant after ``at`` when other hours may hold; infinity where no row asks for hours."""
        return min((hours.next_change(at) for hours in self._asked_hours), default=math.inf)

    def matching(self, facts: Facts) -> int:
        """All rows that match, as bits: row 0 in the lowest."""
        if not self._since <= facts.at < self._until:
            self.turn(facts.at)
        found = self._in_force
        for mask in self._masks:
            found &= mask(facts)
            if not found:
                return 0
        return found

    def first(self, facts: Facts) -> int:
        """The number of the first row that matches, or -1."""
        found = self.matching(facts)
        return (found & -found).bit_length() - 1


def _rows_by_hours(rows: Sequence[Conditions]) -> dict[Hours, int]:
    """The different hours that rows ask, each with the rows that accept it."""
    asking: dict[Hours, int] = {}
    for number, row in enumerate(rows):
        for when in row.when:
            asking[when.hours] = asking.get(when.hours, 0) | 1 << number
    return asking
