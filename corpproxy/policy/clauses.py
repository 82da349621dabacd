"""
Parts inside parts, compiled: ``any``, ``all`` and ``not`` over the rows of a table.

The square of ``columns.py`` knows only rows whose keys must all hold.  So each part that stands inside
another becomes a row of its own, below those of the table, and a row that holds parts gets a *clause*: which
of these rows must have matched, which must not, and of which one is enough.  All rows are asked at once as
before; what the clauses leave is then told for all rows at once, by a few operations on the bits.

What cannot be known counts for what refuses and against what allows.  Below ``not`` that turns round, so a
row there leans the other way than the one above it: ``refuses`` of a row says which way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from corpproxy.policy.conditions import Conditions, Part, What, conditions_of


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
    """
    The rows of a table and those of the parts inside them, in the order of their bits.

    Most rows hold only a part or two, without others inside.  Those parts lie in *blocks*, each as long as
    the table: the part of row 7 is the seventh of its block, so that one shift puts the whole block beside
    its rows.  What is not so simple gets rows behind the blocks, and is asked row by row (`checks`).
    ``own`` and ``parts`` are the bits of rows and of parts; a place in a block that nothing needs has none.
    """

    def __init__(self, rows: Sequence[Conditions]) -> None:
        self.count = len(rows)
        simple = [_is_simple(row) for row in rows]
        self._blocks = _blocks([row for row, is_simple in zip(rows, simple, strict=True) if is_simple])
        filler = conditions_of(What())
        self.rows: list[Conditions] = [*rows, *[filler] * (len(self._blocks) * self.count)]
        self.own = (1 << self.count) - 1
        self.parts = 0
        self.clauses = tuple(
            self._simple(row, number) if is_simple else self._clause(row, number)
            for number, (row, is_simple) in enumerate(zip(rows, simple, strict=True))
        )
        self.asked_apart = tuple(
            clause for clause, is_simple in zip(self.clauses, simple, strict=True) if not is_simple
        )
        self.settle = Settling(self, [n for n, is_simple in enumerate(simple) if is_simple])

    def shift(self, block: str) -> int:
        """How far a block lies behind the rows; 0 where there is no such block."""
        return (self._blocks.index(block) + 1) * self.count if block in self._blocks else 0

    def blocks(self, kind: str) -> list[int]:
        """How far all blocks of a kind lie behind the rows."""
        return [self.shift(block) for block in self._blocks if block.startswith(kind)]

    def _simple(self, row: Conditions, number: int) -> Clause:
        every, either, none = _parts_of(row)
        refuses = row.refuses
        return Clause(
            row,
            number,
            tuple(self._placed(one, refuses, f"all{n}", number) for n, one in enumerate(every)),
            tuple(
                tuple(self._placed(one, refuses, f"any{n}", number) for n, one in enumerate(some))
                for some in either
            ),
            tuple(self._placed(one, not refuses, f"not{n}", number) for n, one in enumerate(none)),
        )

    def _placed(self, part: Part, refuses: bool, block: str, number: int) -> Clause:
        place = self.shift(block) + number
        row = self.rows[place] = conditions_of(part, refuses=refuses)
        self.parts |= 1 << place
        return Clause(row, place)

    def _clause(self, row: Conditions, number: int) -> Clause:
        every, either, none = _parts_of(row)
        refuses = row.refuses
        return Clause(
            row,
            number,
            tuple(self._below(one, refuses) for one in every),
            tuple(tuple(self._below(one, refuses) for one in some) for some in either),
            tuple(self._below(one, not refuses) for one in none),
        )

    def _below(self, part: Part, refuses: bool) -> Clause:
        row = conditions_of(part, refuses=refuses)
        self.rows.append(row)
        number = len(self.rows) - 1
        self.parts |= 1 << number
        return self._clause(row, number)


class Settling:
    """What the parts in blocks leave of the rows whose own keys hold, all rows at once."""

    __slots__ = ("_every", "_none", "_own", "_some", "_some_free")

    def __init__(self, layout: Layout, simple: Sequence[int]) -> None:
        self._own = layout.own
        self._none = tuple(layout.blocks("not"))
        self._some = tuple(layout.blocks("any"))
        clauses = layout.clauses
        self._some_free = layout.own & ~_bits(n for n in simple if clauses[n].either)
        self._every = tuple(
            (shift, layout.own & ~_bits(n for n in simple if len(clauses[n].every) > number))
            for number, shift in enumerate(layout.blocks("all"))
        )

    def __call__(self, found: int) -> int:
        """The rows that match, as far as their parts lie in blocks, given all rows whose keys hold."""
        matching = found & self._own
        for shift in self._none:
            matching &= ~(found >> shift)
        if self._some:
            some = self._some_free
            for shift in self._some:
                some |= found >> shift
            matching &= some
        for shift, free in self._every:
            matching &= found >> shift | free
        return matching


# A row with more parts than these is asked apart; a block for each would be longer than it is worth.
MAX_PARTS = 4

_Parts = tuple[tuple[Part, ...], tuple[tuple[Part, ...], ...], tuple[Part, ...]]


def _parts_of(row: Conditions) -> _Parts:
    """The parts of a row: those of which all must hold, lists of which one must, and those that must not."""
    who, what = row.who, row.what
    sides: tuple[Part, Part] = (who, what)
    return (
        tuple(one for part in sides for one in part.all_),
        tuple(part.any_ for part in sides if part.any_),
        tuple(part.not_ for part in sides if part.not_ is not None),
    )


def _is_simple(row: Conditions) -> bool:
    every, either, none = _parts_of(row)
    parts = (*every, *none, *(one for some in either for one in some))
    return (
        len(every) <= MAX_PARTS
        and len(either) <= 1
        and all(len(some) <= MAX_PARTS for some in either)
        and not any(one.all_ or one.any_ or one.not_ is not None for one in parts)
    )


def _blocks(rows: Sequence[Conditions]) -> list[str]:
    """The blocks that simple rows need: as many of each kind as the row with the most parts of it."""
    shapes = [_parts_of(row) for row in rows]
    every = max((len(shape[0]) for shape in shapes), default=0)
    some = max((len(one) for shape in shapes for one in shape[1]), default=0)
    none = max((len(shape[2]) for shape in shapes), default=0)
    counts = (("all", every), ("any", some), ("not", none))
    return [f"{kind}{number}" for kind, count in counts for number in range(count)]


def _bits(numbers: Iterable[int]) -> int:
    bits = 0
    for number in numbers:
        bits |= 1 << number
    return bits


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
    """What is to be asked of single rows beside their own keys, by the bits of the rows that need it."""
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
