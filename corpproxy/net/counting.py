"""Counting: what moves below quotas, told a few times a second while it moves, and at its end."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from corpproxy.accounting.dividing import SLICE, Pauses, finished
from corpproxy.net.pacing import TURN_SECONDS
from corpproxy.policy.quota import Member
from corpproxy.slices import Slices

if TYPE_CHECKING:
    from corpproxy.accounting.accounts import Account

log = Logger()

Counts = Mapping[Member, int]


class Counter:
    """
    Adds up what exchanges move, by the members of quotas.

    ``send`` is given the octets since the last time, of some at a time; the clock runs only while anything
    is counted.
    """

    def __init__(self, clock: Any) -> None:
        self.send: Callable[[Counts], None] = lambda counts: None
        self._clock = clock
        self._counted: dict[Account, tuple[tuple[Member, ...], int]] = {}
        self._counts: dict[Member, int] = {}
        self._call: IDelayedCall | None = None
        self._work = Slices(clock)

    def __len__(self) -> int:
        return len(self._counted)

    def begin(self, account: Account, members: tuple[Member, ...], moved: int) -> None:
        """Count an exchange for these members from now on; so much of it is counted already."""
        self._counted[account] = members, moved
        if self._call is None and not self._work:
            self._call = self._clock.callLater(TURN_SECONDS, self._turn)

    def end(self, account: Account) -> None:
        """An exchange is over, or counts for others."""
        counted = self._counted.pop(account, None)
        if counted is not None:
            self._add(account, *counted)

    def add(self, members: tuple[Member, ...], octets: int) -> None:
        """Count octets that moved for these members; they are told with the next that are."""
        counts = self._counts
        for member in members:
            counts[member] = counts.get(member, 0) + octets

    def telling(self) -> Generator[None]:
        """Tell what was counted until now, of so many members at each step."""
        counts, self._counts = self._counts, {}
        while len(counts) > SLICE:
            self.send(dict(counts.popitem() for _ in range(SLICE)))
            yield
        if counts:
            self.send(counts)

    def stop(self) -> None:
        """Tell what was counted, and run no more."""
        self._work.finish()
        call, self._call = self._call, None
        if call is not None:
            call.cancel()
        finished(self.telling())

    def _turn(self) -> None:
        self._call = None
        self._work.add(self._turning())

    def _turning(self) -> Iterator[None]:
        """Add up what all moved, and tell it, a slice at each step."""
        try:
            pauses = Pauses()
            for account in list(self._counted):
                counted = self._counted.get(account)
                # While others had their turn it may have ended.
                if counted is not None:
                    members, moved = counted
                    now = self._add(account, members, moved)
                    if now != moved:
                        self._counted[account] = members, now
                if pauses.is_due():
                    yield
            yield from self.telling()
        except Exception:
            log.failure("what moves below quotas could not be told")
        if self._call is None and (self._counted or self._counts):
            self._call = self._clock.callLater(TURN_SECONDS, self._turn)

    def _add(self, account: Account, members: tuple[Member, ...], moved: int) -> int:
        now = account.received + account.sent
        if now != moved:
            self.add(members, now - moved)
        return now
