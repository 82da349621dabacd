"""
Columns asked together: what they say of who asks, or of what kind of thing, is remembered.

A person who opens a page asks for thirty hosts that nobody saw before, and every time from the same address,
with the same browser, in the same groups.  So what all keys of ``who`` say of this person is worked out once,
and so is what the keys say that have few values: categories, method, scheme, port and the like.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import and_

from corpproxy.policy.column import Column
from corpproxy.policy.conditions import KEYS
from corpproxy.policy.model import Facts
from corpproxy.policy.reader import reader

# The keys that are remembered together.
TOGETHER = (
    frozenset(KEYS["who"]),
    frozenset("category uncategorised method scheme port".split()),
)

# What is remembered of so many people and browsers, and of so many combinations of categories and the rest,
# by each table; then from the start.  One costs 0.4 KiB.
MAX_REMEMBERED = 8_192


class Together:
    """
    Some columns, asked together.

    ``rows`` gives the rows that all of them accept; ``remembered`` what was asked before, by what they read.
    """

    __slots__ = ("_key_of", "_masks", "remembered")

    def __init__(self, columns: Sequence[Column]) -> None:
        self._masks = [column.mask for column in columns]
        self._key_of = reader(name for column in columns for name in column.reads)
        self.remembered: dict[object, int] = {}

    def rows(self, facts: Facts) -> int:
        """The rows that accept an exchange, as bits."""
        key = self._key_of(facts)
        found = self.remembered.get(key)
        if found is None:
            if len(self.remembered) >= MAX_REMEMBERED:
                self.remembered.clear()
            found = self.remembered[key] = reduce(and_, [mask(facts) for mask in self._masks])
        return found
