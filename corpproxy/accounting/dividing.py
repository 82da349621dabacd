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
    section 6.5.2, "max-min fair".)  Only the bucket that runs dry at the lowest level matters at any moment,
    so a heap of them is kept; a level in it may be too low by now, for those who stopped early left some, and
    is then worked out again.
    """
    open_buckets: dict[Bucket, _Open] = {}
    heap: list[tuple[float, int, _Open | None]] = []
    for number, member in enumerate(members):
        for bucket in member.buckets:
            one = open_buckets.get(bucket)
            if one is None:
                one = open_buckets[bucket] = _Open(bucket)
            one.weight += member.weight
            one.members.append(number)
        heappush(heap, (member.want / member.weight, number, None))
        if pauses.is_due():
            yield
    for place, one in enumerate(open_buckets.values()):
        heappush(heap, (one.level, -1 - place, one))
        if pauses.is_due():
            yield
    shares = [-1.0] * len(members)
    left = len(members)
    while left:
        level, number, one = heappop(heap)
        if pauses.is_due():
            yield
        if one is None:
            stopping: Sequence[int] = (number,)
        elif one.weight <= _NOTHING:
            continue
        elif one.level > level:
            heappush(heap, (one.level, number, one))
            continue
        else:
            one.bucket.held = True
            stopping = one.members
        for number in stopping:
            if shares[number] < 0:
                left -= 1
                member = members[number]
                shares[number] = level * member.weight
                for bucket in member.buckets:
                    open_buckets[bucket].stop(shares[number], member.weight)
            if pauses.is_due():
                yield
    while open_buckets:
        open_buckets.popitem()
        if pauses.is_due():
            yield
    for _ in drained(heap):
        if pauses.is_due():
            yield
    return [int(share) for share in shares]


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

    def stop(self, share: float, weight: float) -> None:
        """A member rises no more."""
        self.left -= share
        self.weight -= weight
