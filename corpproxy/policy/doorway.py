"""
Whether somebody of whom no name is known must be asked to sign in: only where the rules depend on it.

The rules are read with everything left out that asks who somebody is: what is left holds whenever the rule
may hold for anybody.  The first that holds so decides.  If it was written without names, it decides for
everybody, and nobody is asked; else it depends, and they are.  An exception that may go past it counts alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from corpproxy.policy.conditions import Who, asks_nothing
from corpproxy.policy.exceptions import ExceptionEntry, Exceptions
from corpproxy.policy.model import Facts
from corpproxy.policy.networks import Networks
from corpproxy.policy.rules import Rule
from corpproxy.policy.table import Table


class Doorway:
    """
    The rules as they look to somebody without a name.

    ``asks`` is called with the facts of such an exchange and with what is in force then (`Policy.in_force`).
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        exceptions: Exceptions,
        networks: Networks,
        missing: frozenset[str],
    ) -> None:
        self._possible, self._personal, rows = _read(rules)
        self._personal |= sum(1 << number for number, rule in enumerate(rules) if rule.stage.is_canary)
        self._possible &= ~sum(1 << number for number, rule in enumerate(rules) if rule.stage.is_shadow)
        self._table = Table(rows, networks, missing)
        self._exceptions = exceptions
        self._may_except, self._personally, entries = _read_exceptions(exceptions.entries)
        self._excepting = Table(entries, networks, missing)

    def asks(self, facts: Facts, in_force: tuple[int, int]) -> bool:
        """Whether what is decided on this exchange depends on who it is."""
        rules, exceptions = in_force
        matching = self._table.matching(facts, rules & self._possible)
        if exceptions:
            excepting = self._excepting.matching(facts, exceptions & self._may_except)
            matching &= ~self._exceptions.taken_away(excepting & ~self._personally)
            perhaps = self._exceptions.taken_away(excepting & self._personally)
        else:
            perhaps = 0
        first = matching & -matching
        return bool(first & (self._personal | perhaps))


def loosened(who: Who, *, may: bool = True) -> Who | None:
    """
    Give the condition that is left when nothing is known of the person; None for one that never holds.

    With ``may`` it holds whenever ``who`` may hold for somebody, without it only when ``who`` holds for all.
    """
    if not may and (who.user or who.group or who.anonymous is not None):
        return None
    every = [loosened(one, may=may) for one in who.all_]
    either = [found for one in who.any_ if (found := loosened(one, may=may)) is not None]
    none = loosened(who.not_, may=not may) if who.not_ is not None else None
    if None in every or (who.any_ and not either) or (none is not None and asks_nothing(none)):
        return None
    return replace(
        who,
        user=(),
        group=(),
        anonymous=None,
        all_=tuple(one for one in every if one is not None),
        any_=() if any(asks_nothing(one) for one in either) else tuple(either),
        not_=none,
    )


def names_people(who: Who) -> bool:
    """Whether a condition asks who somebody is, in whatever part of it."""
    inner = (*who.all_, *who.any_, *((who.not_,) if who.not_ is not None else ()))
    return bool(who.user or who.group or who.anonymous is not None) or any(names_people(one) for one in inner)


def _read(rules: Sequence[Rule]) -> tuple[int, int, list[Rule]]:
    """The rules that may hold and those that ask who somebody is, as bits, and all of them loosened."""
    made = [loosened(rule.who) for rule in rules]
    rows = [replace(rule, who=who or Who()) for rule, who in zip(rules, made, strict=True)]
    return _bits([who is not None for who in made]), _bits([names_people(rule.who) for rule in rules]), rows


def _read_exceptions(entries: Sequence[ExceptionEntry]) -> tuple[int, int, list[ExceptionEntry]]:
    made = [loosened(entry.who) for entry in entries]
    rows = [replace(entry, who=who or Who()) for entry, who in zip(entries, made, strict=True)]
    return _bits([who is not None for who in made]), _bits([names_people(one.who) for one in entries]), rows


def _bits(are_set: Sequence[bool]) -> int:
    return sum(1 << number for number, is_set in enumerate(are_set) if is_set)
