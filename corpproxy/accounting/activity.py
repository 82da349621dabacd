"""
Active minutes: told from the sums of the ledger as they go into the store.

A minute is active in which a person moves more than a page that nobody looks at asks for, over all devices
and all workers together.  It goes to one sum alone: to that for which most had moved when it became active.
So minutes can be added up like octets, by whatever there is a sum for, and each counts once.

Of a person whose minute is in the store only that is kept: a class of thirty has moved thousands of sums in
two minutes, each with a host of its own.  Sums of the others stand packed, with numbers of what they are for:
most people in a minute have some, and all have the same rules and groups.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from corpproxy.accounting.ledger import MINUTE_SECONDS, Usage
from corpproxy.accounting.quotas import ACTIVE_OCTETS

# How long a minute is remembered after something came for it: the batches of all workers come within seconds,
# and those that a store refused for an hour come one after the other.
REMEMBERED_SECONDS = 120.0

# Whether it is a user's (else a device's), groups, categories, host, device, rule.
_Part = tuple[bool, tuple[str, ...], tuple[str, ...], str, str, str]

# What one moved in all, and behind it each sum as it came: the number of its part, and its octets; they are
# added up when the minute becomes active, or have become many.
_ALL, _SUM = struct.Struct("<q"), struct.Struct("<Iq")
_NOTHING = _ALL.pack(0)
_MANY = _ALL.size + 300 * _SUM.size


@dataclass(slots=True)
class _Minute:
    """
    One minute: what everybody moved in it, in parts, packed; None once the minute of that one counts.

    ``told`` are those whose minute became active with a batch that the store has not taken yet.
    """

    touched: float = 0.0
    people: dict[str, bytes | None] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    numbers: dict[_Part, int] = field(default_factory=dict)
    parts: list[_Part] = field(default_factory=list)

    def number(self, part: _Part) -> int:
        """The number of a part; texts come anew with each batch, and those of the first are kept."""
        number = self.numbers.get(part)
        if number is None:
            number = self.numbers[part] = len(self.parts)
            self.parts.append(part)
        return number

    def judged(self, at: int, whom: str, number: int) -> Usage:
        """The sum that has somebody's minute."""
        is_user, groups, categories, host, device, rule = self.parts[number]
        return Usage(at, whom if is_user else "", groups, categories, host, 0, 0, 0, device, rule, 1)


class Activity:
    """
    Tells active minutes; ``began``, POSIX seconds, is when the service did.

    The minute in which it began is not told: an earlier life may have told it already.
    """

    def __init__(self, began: float) -> None:
        self._first = _minute_of(began)
        self._minutes: dict[int, _Minute] = {}
        self._looked = began

    def judge(self, batch: Iterable[Usage], now: float) -> list[Usage]:
        """
        Give further sums, of no octets, for the minutes that became active with a batch.

        Tell then what became of it: `settle` or `undo`.
        """
        self._forget(now)
        found = []
        for at, whom, part, octets in _moved(batch):
            if at == self._first:
                continue
            minute = self._minutes.get(at)
            if minute is None:
                minute = self._minutes[at] = _Minute()
            minute.touched = now
            packed = minute.people.get(whom, _NOTHING)
            if packed is None:
                continue
            minute.people[whom] = packed = _with(packed, minute.number(part), octets)
            if _ALL.unpack_from(packed)[0] > ACTIVE_OCTETS and whom not in minute.told:
                minute.told.add(whom)
                sums = _sums(packed)
                found.append(minute.judged(at, whom, max(sums, key=sums.__getitem__)))
        return found

    def settle(self, judged: Iterable[Usage]) -> None:
        """The store has taken a batch and what was told of it: these minutes count."""
        for whom, minute in self._told(judged):
            minute.told.discard(whom)
            if whom in minute.people:
                minute.people[whom] = None

    def undo(self, batch: Iterable[Usage], judged: Iterable[Usage]) -> None:
        """The store did not take a batch, nor what was told of it; it comes again."""
        for at, whom, part, octets in _moved(batch):
            minute = self._minutes.get(at)
            packed = minute.people.get(whom) if minute is not None else None
            if minute is not None and packed:
                minute.people[whom] = _with(packed, minute.number(part), -octets)
        for whom, minute in self._told(judged):
            minute.told.discard(whom)

    def _told(self, judged: Iterable[Usage]) -> Iterator[tuple[str, _Minute]]:
        for row in judged:
            minute = self._minutes.get(row.minute)
            if minute is not None:
                yield row.user or row.device, minute

    def _forget(self, now: float) -> None:
        # A clock that was set back must not make it remember for ever.
        if abs(now - self._looked) < MINUTE_SECONDS:
            return
        self._looked = now
        self._minutes = {
            at: minute
            for at, minute in self._minutes.items()
            if abs(now - minute.touched) <= REMEMBERED_SECONDS
        }


def _moved(batch: Iterable[Usage]) -> Iterator[tuple[int, str, _Part, int]]:
    """The sums of somebody, a person or the device of one who has not signed in: whom, for what, octets."""
    for at, user, groups, categories, host, received, sent, _, device, rule, _ in batch:
        octets, whom = received + sent, user or device
        if octets and whom:
            yield at, whom, (bool(user), groups, categories, host, device, rule), octets


def _with(packed: bytes, number: int, octets: int) -> bytes:
    """Add a sum, or take it off, to what one moved."""
    if len(packed) > _MANY:
        packed = packed[: _ALL.size] + b"".join(itertools.starmap(_SUM.pack, _sums(packed).items()))
    (moved,) = _ALL.unpack_from(packed)
    return b"".join((_ALL.pack(moved + octets), packed[_ALL.size :], _SUM.pack(number, octets)))


def _sums(packed: bytes) -> dict[int, int]:
    sums: dict[int, int] = {}
    for number, octets in _SUM.iter_unpack(packed[_ALL.size :]):
        sums[number] = sums.get(number, 0) + octets
    return sums


def _minute_of(at: float) -> int:
    return int(at) // MINUTE_SECONDS * MINUTE_SECONDS
