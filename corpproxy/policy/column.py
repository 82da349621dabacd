"""One key of the grammar over all rows of a table, as bits: what `columns.py` makes its columns of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from corpproxy.policy.conditions import Conditions
from corpproxy.policy.model import Facts

# How an identity is known that rests on the address of a network of the policy.
BY_NETWORK = "network"

_Value = TypeVar("_Value")
Mask = Callable[[Facts], int]


@dataclass(frozen=True, slots=True)
class Column:
    """
    One key of the grammar over all rows of a table.

    ``key`` is its name in the policy, ``reads`` the attributes of `Facts` that it looks at (dotted), and
    ``mask`` gives the rows that accept an exchange, row 0 in the lowest bit.  Rows in ``free`` accept every
    exchange: they do not ask the key.
    """

    key: str
    reads: tuple[str, ...]
    mask: Mask
    free: int


class Bits(Generic[_Value]):
    """The rows of one key: those that do not ask it, and for each value those that accept it."""

    def __init__(self, asked: Sequence[Iterable[_Value] | None]) -> None:
        self.free = 0
        self.rows: dict[_Value, int] = defaultdict(int)
        for number, values in enumerate(asked):
            if values is None:
                self.free |= 1 << number
            for value in values or ():
                self.rows[value] |= 1 << number

    def or_free(self) -> dict[_Value, int]:
        """The rows of each value together with those that ask for none."""
        return {value: rows | self.free for value, rows in self.rows.items()}


def one_of(
    key: str, reads: str, values: Sequence[Sequence[_Value]], value: Callable[[Facts], _Value]
) -> Column | None:
    """A key for which an exchange has one value."""
    asked = asked_values(values)
    if asked is None:
        return None
    bits = Bits(asked)
    by_value, free = bits.or_free(), bits.free
    return Column(key, (reads,), lambda facts: by_value.get(value(facts), free), free)


def any_of(
    key: str,
    reads: tuple[str, ...],
    values: Sequence[Sequence[_Value]],
    values_of: Callable[[Facts], Iterable[_Value]],
    always: Callable[[dict[_Value, int]], int] = lambda _: 0,
) -> Column | None:
    """
    A key for which an exchange has several values, of which one is enough.

    ``always`` gives, of the rows that ask for each value, those that accept every exchange all the same.
    """
    asked = asked_values(values)
    if asked is None:
        return None
    bits = Bits(asked)
    by_value = dict(bits.rows)
    free = bits.free | always(by_value)

    def mask(facts: Facts) -> int:
        found = free
        for one in values_of(facts):
            found |= by_value.get(one, 0)
        return found

    return Column(key, reads, mask, free)


def asked_values(values: Sequence[Sequence[_Value]]) -> list[Sequence[_Value] | None] | None:
    """For each row its values, or None where it has none; None altogether where no row asks."""
    return [row or None for row in values] if any(values) else None


def refusing(rows: Sequence[Conditions], asking: int) -> int:
    """Of the rows in ``asking`` those that take something away."""
    return sum(1 << number for number, row in enumerate(rows) if row.refuses and asking >> number & 1)
