"""
Exceptions: who may have what in spite of some rules, until when, and who answers for it.

An exception takes rules away, for the exchanges that it matches: those that it names, or all that refuse.
What is left of the rules decides; where nothing is left, the exception itself lets the exchange through.
What ``safety:`` refuses stays refused, and so does what a rule refuses that no exception may go past.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from corpproxy.errors import NOWHERE, Place
from corpproxy.policy.conditions import What, When, Who
from corpproxy.policy.model import Facts
from corpproxy.policy.networks import Networks
from corpproxy.policy.rules import Rule
from corpproxy.policy.staged import ALWAYS, Period, Periods
from corpproxy.policy.table import Table

# What stands in ``past:`` for every rule that refuses.
ALL_RULES = "all"


@dataclass(frozen=True, slots=True)
class ExceptionEntry:
    """
    One entry of the ``exceptions:`` table.

    ``past`` are names of rules, or `ALL_RULES`.  One that is ``permanent`` has no end.
    """

    name: str
    past: tuple[str, ...]
    who: Who = field(default_factory=Who)
    what: What = field(default_factory=What)
    when: tuple[When, ...] = ()
    owner: str = ""
    reason: str = ""
    period: Period = ALWAYS
    permanent: bool = False
    place: Place = NOWHERE

    @property
    def refuses(self) -> bool:
        """An exception gives something, so that what cannot be known counts as not holding."""
        return False

    def beginning(self, at: float) -> ExceptionEntry:
        """The same, beginning at a time where it does not say when it begins."""
        if not math.isinf(self.period.start):
            return self
        return replace(self, period=Period(at, self.period.end))

    def goes_past(self, rule: Rule) -> bool:
        """Whether it takes a rule away."""
        if not rule.refuses or not rule.exceptions:
            return False
        return ALL_RULES in self.past or rule.name in self.past


class Exceptions:
    """The exceptions of a policy, compiled."""

    def __init__(
        self,
        entries: Sequence[ExceptionEntry],
        rules: Sequence[Rule],
        networks: Networks,
        missing: frozenset[str],
    ) -> None:
        self.entries = tuple(entries)
        self.table = Table(self.entries, networks, missing)
        self._periods = Periods([entry.period for entry in self.entries])
        open_: dict[str, int] = defaultdict(int)
        for number, rule in enumerate(rules):
            if rule.refuses and rule.exceptions:
                open_[rule.name] |= 1 << number
        every = sum(open_.values())
        self._past = [
            every if ALL_RULES in entry.past else sum(open_.get(name, 0) for name in entry.past)
            for entry in self.entries
        ]

    @property
    def reads(self) -> frozenset[str]:
        """The attributes of `Facts` (dotted) that any exception looks at."""
        return self.table.reads | ({"at"} if self._periods.reads_time else frozenset())

    def in_force(self, at: float) -> int:
        """The exceptions that run at a time, as bits."""
        return self.table.in_force(at) & self._periods.in_force(at)

    def next_change(self, at: float) -> float:
        """The first instant after ``at`` at which another exception may run."""
        return min(self.table.next_change(at), self._periods.next_change(at))

    def matching(self, facts: Facts, in_force: int) -> int:
        """The exceptions that match, of those in force, as bits."""
        return self.table.matching(facts, in_force)

    def taken_away(self, matching: int) -> int:
        """The rules that any of these exceptions goes past, as bits."""
        found = 0
        for number, past in enumerate(self._past):
            if matching >> number & 1:
                found |= past
        return found

    def first_past(self, matching: int, rule: int) -> int:
        """The number of the first of these exceptions that goes past a rule (counted from 0)."""
        for number, past in enumerate(self._past):
            if matching >> number & past >> rule & 1:
                return number
        return -1
