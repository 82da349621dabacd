"""
Dividing: what buckets hold among members who want more, in shares that are fair.

Thousands may want more at once, so it is done in slices: others have their turn between these.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from heapq import heappop, heappush
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from corpproxy.accounting.buckets import Bucket
    from corpproxy.accounting.rates import Member

_Outcome = TypeVar("_Outcome")
_Thing = TypeVar("_Thing")

# So many members or buckets are looked at in one slice: one takes a millisecond at most.
SLICE = 300


class Pauses:
    """Says where a slice ends: after so many things were looked at, whatever was looked for."""

    __slots__ = ("_count",)

    def __init__(self) -> None:
        self._count = 0

    def is_due(self, more: int = 1) -> bool:
        """Whether others have their turn, now that so many more were looked at."""
        self._count += more
        if self._count < SLICE:
            return False
        self._count = 0
        return True


def finished(steps: Generator[None, None, _Outcome]) -> _Outcome:
    """Take all steps at once."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            outcome: _Outcome = end.value
            return outcome


def drained(things: list[_Outcome]) -> Iterator[_Outcome]:
    """Give things and forget them: to forget a hundred thousand at once would keep others waiting."""
    while things:
        yield things.pop()


def forgetting(things: dict[_Thing, _Outcome] | list[_Outcome], pauses: Pauses) -> Iterator[None]:
    """Forget things that were kept for a while, for the same reason a slice at each step."""
    forget = things.popitem if isinstance(things, dict) else things.pop
    while things:
        forget()
        if pauses.is_due():
            yield


def dividing(members: Sequence[Member], pauses: Pauses) -> Generator[None, None, list[int]]:
    """
    Divide what the buckets hold among members: the largest shares that are fair, in the order of the members.

    The level of all rises together, each member's share being the level times its weight, until a member has
    what it wants or one of its buckets is empty; the others go on.  (Bertsekas and Gallager, Data Networks,
    section 6.5.2, "max-min fair".)
    """
    division = _Division(members)
    yield from division.opening(pauses)
    yield from division.rising(pauses)
    yield from division.closing(pauses)
    return [int(share) for share in division.shares]


class _Division:
    """
    A division that is under way.

    Only the member that has all it wants at the lowest level matters at any moment, and the bucket that runs
    dry there, so a heap of them is kept.  The level of a bucket in it may be too low by now, for those who
    stopped early left some, and is then worked out again.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        self._members = members
        self._buckets: dict[Bucket, _Open] = {}
        # Of a member its number stands here, of a bucket one that no other has.
        self._heap: list[tuple[float, int, _Open | None]] = []
        self._rising = len(members)
        # Less than nothing as long as a share rises.
        self.shares = [-1.0] * len(members)

    def opening(self, pauses: Pauses) -> Iterator[None]:
        """Look who wants how much, and of what."""
        for number, member in enumerate(self._members):
            for bucket in member.buckets:
                self._open(bucket).join(number, member.weight)
            heappush(self._heap, (member.want / member.weight, number, None))
            if pauses.is_due():
                yield
        for place, one in enumerate(self._buckets.values()):
            heappush(self._heap, (one.level, -1 - place, one))
            if pauses.is_due():
                yield

    def rising(self, pauses: Pauses) -> Iterator[None]:
        """Let the level rise until all have stopped."""
        while self._rising:
            level, stopping = self._next()
            if pauses.is_due():
                yield
            for number in stopping:
                if self.shares[number] < 0:
                    self._stop(number, level)
                if pauses.is_due():
                    yield

    def closing(self, pauses: Pauses) -> Iterator[None]:
        """Forget what was kept for it."""
        yield from forgetting(self._buckets, pauses)
        yield from forgetting(self._heap, pauses)

    def _open(self, bucket: Bucket) -> _Open:
        one = self._buckets.get(bucket)
        if one is None:
            one = self._buckets[bucket] = _Open(bucket)
        return one

    def _next(self) -> tuple[float, Sequence[int]]:
        """The next level at which something may happen, and the members that stop there unless they have."""
        level, number, one = heappop(self._heap)
        if one is None:
            return level, (number,)
        if one.weight <= _NOTHING:
            return level, ()
        if one.level > level:
            heappush(self._heap, (one.level, number, one))
            return level, ()
        one.bucket.held = True
        return level, one.members

    def _stop(self, number: int, level: float) -> None:
        """A member has all it gets."""
        member = self._members[number]
        share = self.shares[number] = level * member.weight
        self._rising -= 1
        for bucket in member.buckets:
            self._buckets[bucket].stop(share, member.weight)


# Sums of weights are sums of fractions.
_NOTHING = 1e-9


class _Open:
    """A bucket while it is divided: what is left of it, and how much weight still rises."""

    __slots__ = ("bucket", "left", "members", "weight")

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self.left = max(bucket.tokens, 0.0)
        self.weight = 0.0
        self.members: list[int] = []

    @property
    def level(self) -> float:
        """The level at which it is empty."""
        return max(self.left, 0.0) / self.weight

    def join(self, number: int, weight: float) -> None:
        """A member rises that stands below it."""
        self.weight += weight
        self.members.append(number)

    def stop(self, share: float, weight: float) -> None:
        """A member rises no more."""
        self.left -= share
        self.weight -= weight
