"""A table of the policy, compiled: its rows are asked in order, all at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from operator import and_
from types import MappingProxyType

from corpproxy.policy.calendar import Calendar
from corpproxy.policy.clauses import Layout, checks
from corpproxy.policy.column import Column, Mask
from corpproxy.policy.columns import columns
from corpproxy.policy.columns_host import endings
from corpproxy.policy.conditions import Conditions
from corpproxy.policy.mismatch import Held
from corpproxy.policy.model import Facts
from corpproxy.policy.networks import Networks
from corpproxy.policy.together import TOGETHER, Together

NO_NETWORKS: Networks = MappingProxyType({})

# The rows that ask a key, as bits, and what the key says.
_Dear = tuple[int, Mask]


class Table:
    """
    Rows of conditions, compiled; which of them match an exchange, and which first.

    It holds nothing that changes.  Which rows are in force at a time (`in_force`) stays the same until
    `next_change`, so that who asks often keeps it and hands it in.
    """

    def __init__(
        self,
        rows: Sequence[Conditions],
        networks: Networks = NO_NETWORKS,
        missing: frozenset[str] = frozenset(),
    ) -> None:
        self.rows = tuple(rows)
        self._networks, self._missing = networks, missing
        layout = Layout(self.rows)
        self.clauses = layout.clauses
        self.columns: tuple[Column, ...] = columns(layout.rows, networks, missing)
        self._quick, self._dear = _asked(self.columns, endings(layout.rows))
        self._settle = layout.settle
        self._checks = checks(layout.asked_apart)
        self._checked = sum(self._checks)
        self._parts = layout.parts
        self._asked_hours = _rows_by_hours(self.rows)
        self._always = sum(1 << number for number, row in enumerate(self.rows) if not row.when)

    @property
    def reads(self) -> frozenset[str]:
        """The attributes of `Facts` (dotted) that any row looks at."""
        read = {name for column in self.columns for name in column.reads}
        return frozenset(read | {"at"} if self._asked_hours else read)

    def in_force(self, at: float) -> int:
        """The rows whose hours hold at a time, as bits: row 0 in the lowest."""
        found = self._always
        for hours, asking in self._asked_hours.items():
            if hours.contains(at):
                found |= asking
        return found

    def next_change(self, at: float) -> float:
        """The first instant after ``at`` when other rows may be in force; infinity without hours."""
        return min((hours.next_change(at) for hours in self._asked_hours), default=math.inf)

    def matching(self, facts: Facts, in_force: int) -> int:
        """All rows that match, of those in force, as bits."""
        found = self._plain(facts, in_force)
        matching = self._settle(found) if self._parts else found
        asked = matching & self._checked
        while asked:
            row = asked & -asked
            if not self._checks[row].holds(found):
                matching ^= row
            asked ^= row
        return matching

    def first(self, facts: Facts, in_force: int | None = None) -> int:
        """The number of the first row that matches, or -1."""
        found = self._plain(facts, self.in_force(facts.at) if in_force is None else in_force)
        matching = self._settle(found) if self._parts else found
        row = matching & -matching
        while row & self._checked:
            if self._checks[row].holds(found):
                break
            matching ^= row
            row = matching & -matching
        return row.bit_length() - 1

    def held(self, facts: Facts) -> Held:
        """What each key says of each row, and of the parts inside it: for explanations."""
        columns = {column.key: column.mask(facts) for column in self.columns}
        columns["when"] = self.in_force(facts.at) | self._parts
        matching = reduce(and_, columns.values())
        return Held(facts, columns, matching, self._networks, self._missing)

    def _plain(self, facts: Facts, in_force: int) -> int:
        """The rows, and the parts inside them, whose own keys hold."""
        found = in_force | self._parts
        for mask in self._quick:
            found &= mask(facts)
        if not found:
            return 0
        for asking, mask in self._dear:
            if found & asking:
                found &= mask(facts)
        return found


def _asked(columns: Sequence[Column], named: Mask | None) -> tuple[tuple[Mask, ...], tuple[_Dear, ...]]:
    """
    What is asked of every exchange, and what only where rows are left that ask it, together with these rows.

    ``named`` gives the rows that may accept the name of the host.
    """
    groups = [[column for column in columns if column.key in keys] for keys in TOGETHER]
    quick = [Together(group).rows for group in groups if group]
    alone = [column for column in columns if not any(column.key in keys for keys in TOGETHER)]
    dear = tuple((~column.free, column.mask) for column in alone)
    return (*quick, *([named] if named is not None else [])), dear


def _rows_by_hours(rows: Sequence[Conditions]) -> dict[Calendar, int]:
    """The different hours that rows ask, each with the rows that accept it."""
    asking: dict[Calendar, int] = {}
    for number, row in enumerate(rows):
        for when in row.when:
            asking[when.hours] = asking.get(when.hours, 0) | 1 << number
    return asking
