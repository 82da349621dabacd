"""
Sharing: one bucket of octets in several processes.

Each process tells four times a second what its people took of a bucket without waiting, how many they were,
and who had to wait.  Its part of the rate is then what keeps the division fair over all of them: everybody
may have the same, those who want less leave the rest to the others, and a person who waits in two processes
is one person.  The parts of all add up to the rate, always.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Hashable, Iterator, Mapping
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
        self._wanted: dict[_Process, Mapping[BucketKey, Wanted]] = {}

    @property
    def processes(self) -> tuple[_Process, ...]:
        """Those that told something and are not over."""
        return tuple(self._wanted)

    def take(self, process: _Process, wanted: Mapping[BucketKey, Wanted]) -> None:
        """A process says what it took, of every bucket that it has."""
        self._wanted[process] = wanted

    def forget(self, process: _Process) -> None:
        """A process is over."""
        self._wanted.pop(process, None)

    def dealing(self) -> Generator[None, None, dict[_Process, dict[BucketKey, float]]]:
        """Give each process the parts that are others than it has, a slice at each step."""
        pauses = Pauses()
        by_bucket: dict[BucketKey, dict[_Process, Wanted]] = {}
        for process, buckets in list(self._wanted.items()):
            for key, wanted in buckets.items():
                by_bucket.setdefault(key, {})[process] = wanted
                if pauses.is_due():
                    yield
        changed: dict[_Process, dict[BucketKey, float]] = {}
        while by_bucket:
            key, asking = by_bucket.popitem()
            parts = yield from sharing(asking, pauses)
            for process, part in parts.items():
                if abs(asking[process].has - part) > LEAST * part:
                    changed.setdefault(process, {})[key] = part
            if pauses.is_due():
                yield
        return changed

    def spreading(self) -> Generator[None, None, dict[str, int]]:
        """The people who wait in several processes, with the number of these, a slice at each step."""
        pauses = Pauses()
        counted: Counter[str] = Counter()
        for buckets in list(self._wanted.values()):
            people: set[str] = set()
            for wanted in buckets.values():
                for some in _slices(wanted.eager):
                    people.update(some)
                    if pauses.is_due(len(some)):
                        yield
                if pauses.is_due():
                    yield
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
        for buckets in self._wanted.values():
            for key, wanted in buckets.items():
                if wanted.eager:
                    found.setdefault(key.limit, set()).update(wanted.eager)
        return {name: tuple(people) for name, people in found.items()}


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
