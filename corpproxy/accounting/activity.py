"""
Active minutes: told from the sums of the ledger as they go into the store.

A minute is active in which a person moves more than a page that nobody looks at asks for, over all devices
and all workers together.  It goes to one sum alone: to that for which most had moved when it became active.
So minutes can be added up like octets, by whatever there is a sum for, and each counts once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from corpproxy.accounting.ledger import MINUTE_SECONDS, Usage
from corpproxy.accounting.quotas import ACTIVE_OCTETS

# How long a minute is remembered after something came for it: the batches of all workers come within seconds,
# and those that a store refused for an hour come one after the other.
REMEMBERED_SECONDS = 120.0

# User, groups, categories, host, device, rule.
_Part = tuple[str, tuple[str, ...], tuple[str, ...], str, str, str]


@dataclass(slots=True)
class _Minute:
    """What one person moved in one minute, in all and in its parts."""

    touched: float
    octets: int = 0
    is_counted: bool = False
    parts: dict[_Part, int] = field(default_factory=dict)


class Activity:
    """
    Tells active minutes; ``began``, POSIX seconds, is when the service did.

    The minute in which it began is not told: an earlier life may have told it already.
    """

    def __init__(self, began: float) -> None:
        self._first = _minute_of(began)
        self._minutes: dict[tuple[int, str], _Minute] = {}
        self._looked = began

    def judge(self, batch: Iterable[Usage], now: float) -> list[Usage]:
        """Give further sums, of no octets, for the minutes that became active with a batch."""
        self._forget(now)
        found = []
        for key, row, octets in _moved(batch):
            if key[0] == self._first:
                continue
            minute = self._minutes.get(key)
            if minute is None:
                minute = self._minutes[key] = _Minute(now)
            minute.touched = now
            minute.octets += octets
            part = _part(row)
            minute.parts[part] = minute.parts.get(part, 0) + octets
            if minute.octets > ACTIVE_OCTETS and not minute.is_counted:
                minute.is_counted = True
                found.append(_sum(key[0], max(minute.parts, key=minute.parts.__getitem__)))
        return found

    def undo(self, batch: Iterable[Usage], judged: Sequence[Usage]) -> None:
        """The store did not take a batch, nor what was told of it; it comes again."""
        for key, row, octets in _moved(batch):
            minute = self._minutes.get(key)
            if minute is not None:
                minute.octets -= octets
                minute.parts[_part(row)] -= octets
        for row in judged:
            minute = self._minutes.get((row.minute, row.user or row.device))
            if minute is not None:
                minute.is_counted = False

    def _forget(self, now: float) -> None:
        # A clock that was set back must not make it remember for ever.
        if abs(now - self._looked) < MINUTE_SECONDS:
            return
        self._looked = now
        self._minutes = {
            key: minute
            for key, minute in self._minutes.items()
            if abs(now - minute.touched) <= REMEMBERED_SECONDS
        }


def _moved(batch: Iterable[Usage]) -> Iterator[tuple[tuple[int, str], Usage, int]]:
    """The sums of somebody: a person, or the device of one who has not signed in."""
    for row in batch:
        octets = row.received + row.sent
        whom = row.user or row.device
        if octets and whom:
            yield (row.minute, whom), row, octets


def _part(row: Usage) -> _Part:
    return row.user, row.groups, row.categories, row.host, row.device, row.rule


def _sum(minute: int, part: _Part) -> Usage:
    user, groups, categories, host, device, rule = part
    return Usage(minute, user, groups, categories, host, 0, 0, 0, device, rule, 1)


def _minute_of(at: float) -> int:
    return int(at) // MINUTE_SECONDS * MINUTE_SECONDS
