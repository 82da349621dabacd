"""
Checks of credentials on their way: each in its turn, after its delay, so many at a time.

Most wait for nothing but the hash.  A step is a call, no coroutine: a school that signs in within a minute
costs the sum of such steps.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from corpproxy.backends.people.directory import Directory, DirectoryBusy, failing
from corpproxy.identity.attempts import Attempts, site_of
from corpproxy.identity.basic import Credentials

# Checks that sit out a delay: each holds a connection, so all together are few and one address has fewer.
MAX_DELAYED = 256
MAX_DELAYED_PER_ADDRESS = 32
# Different passwords for one name from one address are checked one after the other.  A browser has one
# password; whoever sends more at once is refused without a check.
MAX_IN_TURN = 2
# Checks that wait for a thread at one time for one address, whatever the names.  A class behind one address
# stays below; who sends hundreds of made-up names must leave places in the queue for everybody else.
MAX_CHECKS_PER_ADDRESS = 64


_Judged = TypeVar("_Judged")


class Check(Generic[_Judged]):
    """
    One check that is under way, for all who are ``waiting`` for it.

    ``digest`` is that of the field value; ``over`` is called with what came of it, before anybody is told.
    """

    __slots__ = ("address", "credentials", "digest", "has_turn", "over", "site", "waiting")

    def __init__(
        self,
        digest: bytes,
        credentials: Credentials,
        address: str,
        first: Deferred[_Judged],
        over: Callable[[Check[_Judged], _Judged | Failure], None],
    ) -> None:
        self.digest = digest
        self.credentials = credentials
        self.address = address
        self.waiting = [first]
        self.over = over
        # What it has to give back: its turn among those for one name, its place among those of its site.
        self.has_turn = False
        self.site = ""

    def tell(self, outcome: _Judged | Failure) -> None:
        """Tell all who wait for it, but those who are gone."""
        self.over(self, outcome)
        for waiting in self.waiting:
            # One that was cancelled was called back already.
            if waiting.called:
                continue
            if isinstance(outcome, Failure):
                waiting.errback(outcome)
            else:
                waiting.callback(outcome)


class Checks(Generic[_Judged]):
    """
    Brings checks to a directory; ``judge`` says what follows from its answer.

    ``too_many`` judges a check that is refused without having been made.  ``clock`` gives POSIX seconds.
    Whatever goes wrong ends the check that it happened to, and no other.
    """

    def __init__(
        self,
        attempts: Attempts,
        clock: Callable[[], float],
        reactor: IReactorTime,
        directory: Directory,
        judge: Callable[[Check[_Judged], bool | Failure], _Judged | Failure],
        too_many: Callable[[Check[_Judged]], _Judged],
    ) -> None:
        self._attempts = attempts
        self._clock = clock
        self._reactor = reactor
        self._directory = directory
        self._judge = judge
        self._too_many = too_many
        # Those that wait for their turn behind one of the same name and address, if any does.
        self._turns: dict[tuple[str, str], deque[Check[_Judged]] | None] = {}
        self._delayed: Counter[str] = Counter()
        self._checking: Counter[str] = Counter()

    def at_once(self, check: Check[_Judged]) -> None:
        """Check this one, whatever else is under way."""
        self._take(self._begin, check)

    def in_turn(self, check: Check[_Judged]) -> None:
        """Check this one behind those of the same name and address, and when its delay is over."""
        key = (check.credentials.name, check.address)
        if key not in self._turns:
            self._turns[key] = None
            check.has_turn = True
            self._take(self._sit_out, check)
            return
        behind = self._turns[key]
        if behind is None:
            behind = self._turns[key] = deque()
        if len(behind) >= MAX_IN_TURN:
            check.tell(self._too_many(check))
        else:
            behind.append(check)

    def _take(self, step: Callable[[Check[_Judged]], None], check: Check[_Judged]) -> None:
        """Take a step; a bug in it ends the check, or all who bring these credentials would wait for ever."""
        try:
            step(check)
        except Exception:
            self._end(check, Failure())  # type: ignore[no-untyped-call]

    def _sit_out(self, check: Check[_Judged]) -> None:
        """Wait as long as those who failed before must; refused when too many wait already."""
        delay = self._attempts.delay_seconds(check.credentials.name, check.address, self._clock())
        if delay <= 0:
            self._find_place(check)
            return
        site = site_of(check.address)
        if self._delayed.total() >= MAX_DELAYED or self._delayed[site] >= MAX_DELAYED_PER_ADDRESS:
            self._end(check, self._too_many(check))
            return
        self._delayed[site] += 1
        self._reactor.callLater(delay, self._sat_out, check, site)

    def _sat_out(self, check: Check[_Judged], site: str) -> None:
        _count_down(self._delayed, site)
        self._take(self._find_place, check)

    def _find_place(self, check: Check[_Judged]) -> None:
        """Check what was never right before, if its address has not too many such checks under way."""
        site = site_of(check.address)
        if self._checking[site] >= MAX_CHECKS_PER_ADDRESS:
            said = f"{self._checking[site]} checks wait for {site} already"
            self._end(check, failing(DirectoryBusy("directory-busy", said)))
            return
        self._checking[site] += 1
        check.site = site
        self._begin(check)

    def _begin(self, check: Check[_Judged]) -> None:
        credentials = check.credentials
        self._directory.check(credentials.name, credentials.password, partial(self._checked, check))

    def _checked(self, check: Check[_Judged], right: bool | Failure) -> None:
        outcome: _Judged | Failure
        try:
            outcome = self._judge(check, right)
        except Exception:
            outcome = Failure()  # type: ignore[no-untyped-call]
        self._end(check, outcome)

    def _end(self, check: Check[_Judged], outcome: _Judged | Failure) -> None:
        """Give back what the check had, let the next one of its name begin, and tell all who wait."""
        if check.site:
            _count_down(self._checking, check.site)
            check.site = ""
        if check.has_turn:
            check.has_turn = False
            self._go_on((check.credentials.name, check.address))
        check.tell(outcome)

    def _go_on(self, key: tuple[str, str]) -> None:
        behind = self._turns[key]
        if not behind:
            del self._turns[key]
            return
        following = behind.popleft()
        following.has_turn = True
        self._take(self._sit_out, following)


def _count_down(counted: Counter[str], site: str) -> None:
    counted[site] -= 1
    if not counted[site]:
        del counted[site]
