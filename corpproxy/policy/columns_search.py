"""
The keys that are regular expressions: looked for in the target URI, and in the User-Agent.

All expressions of a key are searched for at once, by one program of RE2 that tells which of them were found.
Most of them hold some plain text; where none of that is there, RE2 is not asked at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import re2

from corpproxy.policy.column import Bits, Column, asked_values
from corpproxy.policy.conditions import Conditions, compile_expression
from corpproxy.policy.literals import literals_of
from corpproxy.policy.model import Facts
from corpproxy.policy.target import target_uri

# Found in every text: where not even this is, RE2 gave up, which it says in no other way.
_EVERYWHERE = b""

# More pieces of plain text than these take as long to look for as RE2 takes.
MAX_LITERALS = 12

_Search = Callable[[bytes], int]


def expression(rows: Sequence[Conditions]) -> Column | None:
    """What is found anywhere in the target URI."""
    reads = ("host.name", "port", "scheme", "path")
    return _searched("expression", reads, [row.what.expression for row in rows], target_uri)


def agent(rows: Sequence[Conditions]) -> Column | None:
    """What is found in the User-Agent."""
    return _searched("agent", ("agent",), [row.who.agent for row in rows], lambda facts: facts.agent)


def _searched(
    key: str, reads: tuple[str, ...], values: Sequence[Sequence[str]], text: Callable[[Facts], str]
) -> Column | None:
    asked = asked_values(values)
    if asked is None:
        return None
    bits = Bits(asked)
    free, searches = bits.free, _all_searches(list(bits.rows.items()))

    def mask(facts: Facts) -> int:
        octets = text(facts).encode("utf-8", "replace")
        found = free
        for search in searches:
            found |= search(octets)
        return found

    return Column(key, reads, mask, free)


def _all_searches(asked: Sequence[tuple[str, int]]) -> list[_Search]:
    """Give searches for all of some expressions; where plain text is in them, it is looked for first."""
    holding = {written: literals_of(written) for written, _ in asked}
    literals = tuple(sorted({literal for some in holding.values() for literal in some}))
    if not 0 < len(literals) <= MAX_LITERALS:
        return _searches(asked)
    others = [(written, rows) for written, rows in asked if not holding[written]]
    searches = _searches([(written, rows) for written, rows in asked if holding[written]])
    return [*(_if_any_there(literals, search) for search in searches), *(_searches(others) if others else [])]


def _if_any_there(literals: tuple[bytes, ...], search: _Search) -> _Search:
    def search_if_there(octets: bytes) -> int:
        for literal in literals:
            if literal in octets:
                return search(octets)
        return 0

    return search_if_there


def _searches(asked: Sequence[tuple[str, int]]) -> list[_Search]:
    """Give one search for all of some expressions; several where they are too large for one program."""
    each = [(compile_expression(written), rows) for written, rows in asked]

    def one_by_one(octets: bytes) -> int:
        found = 0
        for expression, rows in each:
            if expression.search(octets):
                found |= rows
        return found

    try:
        together = _set_of([written for written, _ in asked])
    except re2.error:
        half = len(asked) // 2
        return [*_searches(asked[:half]), *_searches(asked[half:])] if half else [one_by_one]
    match, rows_of = together.Match, [0, *(rows for _, rows in asked)]

    def all_at_once(octets: bytes) -> int:
        numbers = match(octets)
        if numbers is None:
            return one_by_one(octets)
        found = 0
        for number in numbers:
            found |= rows_of[number]
        return found

    return [all_at_once]


def _set_of(written: Sequence[str]) -> re2.Set:
    """Compile expressions to one program, numbered from 1: number 0 is found everywhere."""
    options = re2.Options()
    options.log_errors = False
    made = re2.Set.SearchSet(options)
    for one in (_EVERYWHERE, *(one.encode("utf-8") for one in written)):
        made.Add(one)
    made.Compile()
    return made
