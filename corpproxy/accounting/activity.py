"""
Active minutes: told from the sums of the ledger as they go into the store.

A minute is active in which a person moves more than a page that nobody looks at asks for, over all devices
and all workers together.  It goes to one sum alone: to that for which most had moved when it became active.
So minutes can be added up like octets, by whatever there is a sum for, and each counts once.

Of a person whose minute is in the store only that is kept: a class of thirty has moved thousands of sums in
two minutes, each with a host of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from corpproxy.accounting.ledger import MINUTE_SECONDS, Usage
from corpproxy.accounting.quotas import ACTIVE_OCTETS

# How long a minute is remembered after something came for it: the batches of all workers come within seconds,
# and those that a store refused for an hour come one after the other.
REMEMBERED_SECONDS = 120.0

# User, groups, categories, host, device, rule.
_Part = tuple[str, tuple[str, ...], tuple[str, ...], str, str, str]

# What one person moved in one minute, in its parts; None once the minute counts.
_Parts = dict[_Part, int]


@dataclass(slots=True)
class _Minute:
    """
    One minute: what everybody moved in it.

    ``told`` are those whose minute became active with a batch that the store has not taken yet.
    """

    touched: float = 0.0
    people: dict[str, _Parts | None] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)


class Activity:
    """
    Tells active minutes; ``began``, POSIX seconds, is when the service did.

    The minute in which it began is not told: an earlier life may have told it already.
    """

    def __init__(self, began: float) -> None:
        self._first = _minute_of(began)
        self._minutes: dict[int, _Minute] = {}
        # Texts come anew with each batch: what parts have in common is kept once.
        self._common: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._looked = began

    def judge(self, batch: Iterable[Usage], now: float) -> list[Usage]:
        """
        Give further sums, of no octets, for the minutes that became active with a batch.

        Tell then what became of it: `settle` or `undo`.
        """
        self._forget(now)
        found = []
        for row, whom, octets in _moved(batch):
            if row.minute == self._first:
                continue
            minute = self._minutes.get(row.minute)
            if minute is None:
                minute = self._minutes[row.minute] = _Minute()
            minute.touched = now
            parts = minute.people.setdefault(whom, {})
            if parts is None:
                continue
            self._add(parts, row, octets)
            if whom not in minute.told and sum(parts.values()) > ACTIVE_OCTETS:
                minute.told.add(whom)
                found.append(_sum(row.minute, max(parts, key=parts.__getitem__)))
        return found

    def settle(self, judged: Iterable[Usage]) -> None:
        """The store has taken a batch and what was told of it: these minutes count."""
        for whom, minute in self._told(judged):
            minute.told.discard(whom)
            if whom in minute.people:
                minute.people[whom] = None

    def undo(self, batch: Iterable[Usage], judged: Iterable[Usage]) -> None:
        """The store did not take a batch, nor what was told of it; it comes again."""
        for row, whom, octets in _moved(batch):
            minute = self._minutes.get(row.minute)
            parts = minute.people.get(whom) if minute is not None else None
            if parts and (part := _part(row)) in parts:
                parts[part] -= octets
        for whom, minute in self._told(judged):
            minute.told.discard(whom)

    def _told(self, judged: Iterable[Usage]) -> Iterator[tuple[str, _Minute]]:
        for row in judged:
            minute = self._minutes.get(row.minute)
            if minute is not None:
                yield row.user or row.device, minute

    def _add(self, parts: _Parts, row: Usage, octets: int) -> None:
        part = _part(row)
        before = parts.get(part)
        if before is None:
            part = self._shared(part)
        parts[part] = (before or 0) + octets

    def _shared(self, part: _Part) -> _Part:
        user, groups, categories, host, device, rule = part
        common, text = self._common.setdefault, sys.intern
        groups, categories = common(groups, groups), common(categories, categories)
        return text(user), groups, categories, text(host), text(device), text(rule)

    def _forget(self, now: float) -> None:
        # A clock that was set back must not make it remember for ever.
        if abs(now - self._looked) < MINUTE_SECONDS:
            return
        self._looked = now
        self._common.clear()
        self._minutes = {
            at: minute
            for at, minute in self._minutes.items()
            if abs(now - minute.touched) <= REMEMBERED_SECONDS
        }


def _moved(batch: Iterable[Usage]) -> Iterator[tuple[Usage, str, int]]:
    """The sums of somebody: a person, or the device of one who has not signed in; whom, and the octets."""
    for row in batch:
        octets = row.received + row.sent
        whom = row.user or row.device
        if octets and whom:
            yield row, whom, octets


def _part(row: Usage) -> _Part:
    return row.user, row.groups, row.categories, row.host, row.device, row.rule


def _sum(minute: int, part: _Part) -> Usage:
    user, groups, categories, host, device, rule = part
    return Usage(minute, user, groups, categories, host, 0, 0, 0, device, rule, 1)


def _minute_of(at: float) -> int:
    return int(at) // MINUTE_SECONDS * MINUTE_SECONDS
