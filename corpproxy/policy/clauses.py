"""
Parts inside parts, compiled: ``any``, ``all`` and ``not`` over the rows of a table.

The square of ``columns.py`` knows only rows whose keys must all hold.  So each part that stands inside
another becomes a row of its own, below those of the table, and a row that holds parts gets a *clause*: which
of these rows must have matched, which must not, and of which one is enough.  All rows are asked at once as
before; a clause is then two operations on the bits, and it is looked at only where the row's own keys hold.

What cannot be known counts for what refuses and against what allows.  Below ``not`` that turns round, so a
row there leans the other way than the one above it: ``refuses`` of a row says which way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from corpproxy.policy.conditions import Conditions, Part, conditions_of


@dataclass(frozen=True, slots=True)
class Clause:
    """
    A row and the parts inside it.

    ``asked`` are its conditions, of which the row with ``number`` has the plain keys.  Of ``every`` all must
    hold, of each of ``either`` one, of ``none`` no one.
    """

    asked: Conditions
    number: int
    every: tuple[Clause, ...] = ()
    either: tuple[tuple[Clause, ...], ...] = ()
    none: tuple[Clause, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing inside it."""
        return not (self.every or self.either or self.none)

    def holds(self, matching: int) -> bool:
        """Whether it holds, given the rows whose plain keys do; for explanations, which take their time."""
        return (
            bool(matching >> self.number & 1)
            and all(one.holds(matching) for one in self.every)
            and all(any(one.holds(matching) for one in some) for some in self.either)
            and not any(one.holds(matching) for one in self.none)
        )


class Layout:
    """The rows of a table and those of the parts inside them, in the order of their bits."""

    def __init__(self, rows: Sequence[Conditions]) -> None:
        self.rows: list[Conditions] = list(rows)
        self.clauses = tuple(self._clause(row, number) for number, row in enumerate(rows))

    def _clause(self, row: Conditions, number: int) -> Clause:
        parts: tuple[Part, Part] = (row.who, row.what)
        refuses = row.refuses
        return Clause(
            row,
            number,
            tuple(self._below(one, refuses) for part in parts for one in part.all_),
            tuple(tuple(self._below(one, refuses) for one in part.any_) for part in parts if part.any_),
            tuple(self._below(part.not_, not refuses) for part in parts if part.not_ is not None),
        )

    def _below(self, part: Part, refuses: bool) -> Clause:
        row = conditions_of(part, refuses=refuses)
        self.rows.append(row)
        return self._clause(row, len(self.rows) - 1)


class Check:
    """
    A clause as it is asked of each exchange.

    Of the rows in ``_care`` exactly those in ``_want`` must have matched; what has parts inside it again is
    asked in its turn.
    """

    __slots__ = ("_care", "_either", "_every", "_none", "_want")

    def __init__(self, clause: Clause) -> None:
        self._want = 1 << clause.number | _plain(clause.every)
        self._care = self._want | _plain(clause.none)
        self._every = _nested(clause.every)
        self._either = tuple((_plain(some), _nested(some)) for some in clause.either)
        self._none = _nested(clause.none)

    def holds(self, matching: int) -> bool:
        """Whether the clause holds, given the rows whose plain keys do."""
        if matching & self._care != self._want:
            return False
        for plain, nested in self._either:
            if not matching & plain and not any(one.holds(matching) for one in nested):
                return False
        return all(one.holds(matching) for one in self._every) and not any(
            one.holds(matching) for one in self._none
        )


def checks(clauses: Sequence[Clause]) -> dict[int, Check]:
    """What is to be asked beside the rows' own keys, by the bits of the rows that need it."""
    return {1 << one.number: Check(one) for one in clauses if not one.is_plain}


def _plain(clauses: Iterable[Clause]) -> int:
    """The bits of the rows that stand for themselves."""
    bits = 0
    for one in clauses:
        if one.is_plain:
            bits |= 1 << one.number
    return bits


def _nested(clauses: Iterable[Clause]) -> tuple[Check, ...]:
    return tuple(Check(one) for one in clauses if not one.is_plain)
