"""
Sharing: one bucket of octets in several processes.

Each process tells four times a second what its people took of a bucket without waiting, how many they were,
and who had to wait, where that is something else than it told before.  Its part of the rate is then what
keeps the division fair over all of them: everybody may have the same, those who want less leave the rest to
the others, and a person who waits in two processes is one person.  The parts of all add up to the rate,
always.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Hashable, Iterable, Iterator, Mapping
from typing import Generic, NamedTuple, TypeVar

from corpproxy.accounting.dividing import SLICE, Pauses, finished

# What a process that asks for nothing has of a rate, so that somebody who comes there need not wait for long.
RESERVE = 1 / 64
# What is less of a change is not worth telling.
LEAST = 0.002


# The ways of a bucket: toward clients, from them, and both for what is lent of a quota.
DOWN, UP = 0, 1
LENT = 2


class BucketKey(NamedTuple):
    """A bucket: the name of its limit, the member whose octets it counts, and the way."""

    limit: str
    whom: str
    way: int


class Wanted(NamedTuple):
    """
    What one process took of a bucket since it told the last time.

    ``whole`` is the rate of the limit in octets a second, ``has`` the part that it has of it.  ``drawn`` is
    what was taken without waiting, in octets a second, by so many people (``content``); ``eager`` are those
    who had to wait for this bucket.
    """

    whole: float
    has: float
    drawn: float
    content: int
    eager: tuple[str, ...]


_Process = TypeVar("_Process", bound=Hashable)


class Sharing(Generic[_Process]):
    """The parts of all processes; each is known by something of its own."""

    def __init__(self) -> None:
        # What each told of its buckets the last time; and who waits, for those that somebody waits for.
        self._told: dict[_Process, dict[BucketKey, Wanted]] = {}
        self._waited: dict[_Process, dict[BucketKey, tuple[str, ...]]] = {}
        # The buckets whose parts may be others by now.
        self._changed: dict[BucketKey, None] = {}

    @property
    def processes(self) -> tuple[_Process, ...]:
        """Those that told something and are not over."""
        return tuple(self._told)

    def take(
        self, process: _Process, wanted: Mapping[BucketKey, Wanted], gone: Iterable[BucketKey] = ()
    ) -> None:
        """A process says what it took otherwise than it told before, and which buckets it has no more."""
        told, waited = self._told.setdefault(process, {}), self._waited.setdefault(process, {})
        for key in gone:
            self._changed[key] = None
            told.pop(key, None)
            waited.pop(key, None)
        for key, one in wanted.items():
            self._changed[key] = None
            told[key] = one
            if one.eager:
                waited[key] = one.eager
            else:
                waited.pop(key, None)

    def forget(self, process: _Process) -> None:
        """A process is over."""
        self._changed |= dict.fromkeys(self._told.pop(process, ()))
        self._waited.pop(process, None)

    def dealing(self) -> Generator[None, None, dict[_Process, dict[BucketKey, float]]]:
        """Give each process the parts that are others than it has, a slice at each step."""
        pauses = Pauses()
        parts_of: dict[_Process, dict[BucketKey, float]] = {}
        changed, self._changed = self._changed, {}
        while changed:
            key, _ = changed.popitem()
            asking = {process: told[key] for process, told in self._told.items() if key in told}
            parts = (yield from sharing(asking, pauses)) if asking else {}
            for process, part in parts.items():
                if abs(asking[process].has - part) > LEAST * part:
                    parts_of.setdefault(process, {})[key] = part
            if pauses.is_due():
                yield
        return parts_of

    def spreading(self) -> Generator[None, None, dict[str, int]]:
        """The people who wait in several processes, with the number of these, a slice at each step."""
        pauses = Pauses()
        counted: Counter[str] = Counter()
        for waited in list(self._waited.values()):
            people = yield from _together(list(waited.values()), pauses)
            for one in people:
                counted[one] += 1
                if pauses.is_due():
                    yield
        spread = {}
        while counted:
            person, count = counted.popitem()
            if count > 1:
                spread[person] = count
            if pauses.is_due():
                yield
        return spread

    def waiting(self) -> dict[str, tuple[str, ...]]:
        """Who had to wait for which limit lately, by the names of these."""
        found: dict[str, set[str]] = {}
        for waited in self._waited.values():
            for key, eager in waited.items():
                found.setdefault(key.limit, set()).update(eager)
        return {name: tuple(people) for name, people in found.items()}


def _together(eager: Iterable[tuple[str, ...]], pauses: Pauses) -> Generator[None, None, set[str]]:
    """Those who wait for any of some buckets."""
    people: set[str] = set()
    for one in eager:
        for some in _slices(one):
            people.update(some)
            if pauses.is_due(len(some)):
                yield
        if pauses.is_due():
            yield
    return people


def sharing(
    asking: Mapping[_Process, Wanted], pauses: Pauses
) -> Generator[None, None, dict[_Process, float]]:
    """Give each process its part of one bucket; for which thousands may wait, so it is done in slices."""
    whole = min(wanted.whole for wanted in asking.values())
    if len(asking) == 1:
        return dict.fromkeys(asking, whole)
    counted: Counter[str] = Counter()
    for wanted in asking.values():
        for some in _slices(wanted.eager):
            counted.update(some)
            if pauses.is_due(len(some)):
                yield
    eager = dict.fromkeys(asking, 0.0)
    for process, wanted in asking.items():
        for some in _slices(wanted.eager):
            eager[process] += sum(1 / counted[person] for person in some)
            if pauses.is_due(len(some)):
                yield
    reserve = whole * RESERVE
    drawn = {process: wanted.drawn for process, wanted in asking.items()}
    level = _level(whole - reserve * len(asking), asking, eager)
    parts = {
        process: reserve + level * eager[process] + min(drawn[process], level * wanted.content)
        for process, wanted in asking.items()
    }
    spare = (whole - sum(parts.values())) / len(parts)
    return {process: part + spare for process, part in parts.items()}


def share(asking: Mapping[_Process, Wanted]) -> dict[_Process, float]:
    """Give each process its part of one bucket, at once."""
    return finished(sharing(asking, Pauses()))


def _slices(people: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for at in range(0, len(people), SLICE):
        yield people[at : at + SLICE]


def _level(rate: float, asking: Mapping[_Process, Wanted], eager: Mapping[_Process, float]) -> float:
    """The most that one person may have, where nobody has more and all together have the rate."""
    content = set(asking)
    while True:
        left = rate - sum(asking[process].drawn for process in content)
        people = sum(eager.values()) + sum(asking[one].content for one in asking if one not in content)
        # Where more was taken than there is and nobody waits yet, who took is dealt to as if they waited.
        level = max(left, 0.0) / people if people else rate if left >= 0 else 0.0
        above = {one for one in content if asking[one].drawn > level * asking[one].content}
        if not above:
            return level
        content -= above
