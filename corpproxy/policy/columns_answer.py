"""
The keys that only the answer tells: media type and size.

Before the head of the answer is there they are *not known yet*, and that counts the other way than what
cannot be known at all: a rule that refuses by them waits, and one that allows by them lets the request go to
the server, for the exchange is decided again with the answer.  In a tunnel, and where an answer has no
content, there is nothing that they could hold for.
"""

from __future__ import annotations

from collections.abc import Sequence

from corpproxy.policy.column import Bits, Column, asked_values, refusing
from corpproxy.policy.conditions import Conditions
from corpproxy.policy.model import Facts


def media_type(rows: Sequence[Conditions]) -> Column | None:
    """The kind of the content; one that the answer does not state is not known."""
    asked = asked_values([row.what.media_type for row in rows])
    if asked is None:
        return None
    bits = Bits(asked)
    by_type, free = dict(bits.rows), bits.free
    waiting, unknown = free | _letting(rows, ~free), free | refusing(rows, ~free)

    def mask(facts: Facts) -> int:
        answer = facts.answer
        if answer is None:
            return free if facts.is_tunnel else waiting
        if not answer.is_there:
            return free
        stated = answer.media_type
        if not stated:
            return unknown
        return free | by_type.get(stated, 0) | by_type.get(f"{stated.partition('/')[0]}/*", 0)

    return Column("media_type", ("answer", "method"), mask, free)


def size(rows: Sequence[Conditions]) -> Column | None:
    """The octets of the content; until it is known how many come, rules wait for it."""
    asked = asked_values([row.what.size for row in rows])
    if asked is None:
        return None
    bits = Bits(asked)
    by_range, free = dict(bits.rows), bits.free
    waiting = free | _letting(rows, ~free)

    def mask(facts: Facts) -> int:
        answer = facts.answer
        if answer is None:
            return free if facts.is_tunnel else waiting
        if not answer.is_there:
            return free
        if answer.size is None:
            return waiting
        found = free
        for one, accepting in by_range.items():
            if one.contains(answer.size):
                found |= accepting
        return found

    return Column("size", ("answer", "method"), mask, free)


def _letting(rows: Sequence[Conditions], asking: int) -> int:
    """Of the rows in ``asking`` those that let something through."""
    return sum(1 << number for number, row in enumerate(rows) if not row.refuses and asking >> number & 1)
