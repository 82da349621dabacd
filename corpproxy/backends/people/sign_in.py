"""
Sign-in, as the road of an exchange sees it: recalled at once, or checked while the exchange waits.

The order is: remembered as right, remembered as wrong, readable, delayed, checked.  Connections that
bring the same credentials at the same time, as browsers open them, share one check.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from twisted.internet.defer import Deferred, DeferredLock, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from corpproxy.backends.bounded_threads import Threads
from corpproxy.backends.people.directory import DirectoryBusy, DirectoryDown
from corpproxy.backends.people.htpasswd import Htpasswd
from corpproxy.backends.people.htpasswd_edit import change_password
from corpproxy.errors import Place, Problem
from corpproxy.identity.attempts import Attempts, site_of
from corpproxy.identity.basic import BadCredentials, Credentials, parse_basic
from corpproxy.identity.memory import SignInMemory
from corpproxy.identity.model import Identity
from corpproxy.identity.people import People

# Checks that sit out a delay: each holds a connection, so all together are few and one address has fewer.
MAX_DELAYED = 256
MAX_DELAYED_PER_ADDRESS = 32
# Different passwords for one name from one address are checked one after the other.  A browser has one
# password; whoever sends more at once is refused without a check.
MAX_IN_TURN = 2
# Checks that wait for a thread at one time for one address, whatever the names.  A class behind one address
# stays below; who sends hundreds of made-up names must leave places in the queue for everybody else.
MAX_CHECKS_PER_ADDRESS = 64


@dataclass(frozen=True, slots=True)
class Refused:
    """
    Why credentials let nobody in; the answer is a challenge.

    ``reason`` is a symbolic code: ``wrong-password`` (or name), ``too-many-attempts``, or a code of
    `BadCredentials`.  ``wait_seconds`` is how long the next try would wait.
    """

    reason: str
    wait_seconds: float = 0.0


@dataclass(slots=True)
class SignInCounts:
    """How sign-ins went since the start; ``waiting`` is how many are checked just now."""

    ok: int = 0
    failed: int = 0
    remembered: int = 0
    down: int = 0
    waiting: int = 0


Judged = Identity | Refused
_Outcome = TypeVar("_Outcome")


@dataclass(frozen=True, slots=True)
class Learned:
    """
    What a check of credentials taught, as other processes with the same key may know it too.

    ``digest`` is the keyed digest of the field value, ``line`` that of the line of the password file by which
    it was judged.  ``is_kept`` is not set where only the attempt counts (a form, not a field).
    """

    digest: bytes
    name: str
    address: str
    line: bytes
    at: float
    is_right: bool
    is_kept: bool = True


def _nobody(_: Learned) -> None:
    """There are no other processes."""


class SignIn:
    """
    Turns the value of a Proxy-Authorization field into an identity.

    ``people`` may be replaced when a policy is reloaded.  ``clock`` gives POSIX seconds.
    """

    def __init__(
        self,
        people: People,
        htpasswd: Htpasswd,
        memory: SignInMemory,
        attempts: Attempts,
        *,
        clock: Callable[[], float],
        reactor: IReactorTime,
        threads: Threads,
    ) -> None:
        self.people = people
        self.htpasswd = htpasswd
        self.counts = SignInCounts()
        self._memory = memory
        self._known = memory.known
        self._right = memory.right
        self._attempts = attempts
        self._clock = clock
        self._reactor = reactor
        self._threads = threads
        self._under_way: dict[tuple[bytes, str], list[Deferred[Judged]]] = {}
        self._turns: dict[tuple[str, str], DeferredLock] = {}
        self._delayed: Counter[str] = Counter()
        self._checking: Counter[str] = Counter()
        self._changing: set[str] = set()
        self.tell: Callable[[Learned], None] = _nobody
        self.tell_change: Callable[[], None] = lambda: None
        self.when_changed: Callable[[frozenset[str]], None] = lambda names: None
        htpasswd.changed = self._forget

    def recall(self, value: bytes, now: float) -> Identity | None:
        """Give the identity behind credentials that were checked before.  On the road of every exchange."""
        name = self._known(value, now)
        if name is None:
            return None
        self.counts.remembered += 1
        return self.people.identity(name)

    def again(self, digest: bytes, now: float) -> Identity | None:
        """Give the identity behind credentials that were checked before, by their digest."""
        entry = self._right.get(digest)
        if entry is None or not entry[1] <= now < entry[2]:
            return None
        self.counts.remembered += 1
        return self.people.identity(entry[0])

    def check(self, value: bytes, address: str) -> Deferred[Judged]:
        """
        Fire with the identity behind ``value``, or with why there is none; fail with `DirectoryDown`.

        Cancelling it, when the client is gone, leaves the check to those who share it.
        """
        now = self._clock()
        known = self.recall(value, now)
        if known is not None:
            return succeed(known)
        if self._memory.known_wrong(value, now):
            return succeed(Refused("wrong-password"))
        try:
            credentials = parse_basic(value)
        except BadCredentials as bad:
            self.counts.failed += 1
            return succeed(Refused(bad.code))
        return self._share(value, credentials, address)

    def hear(self, learned: Learned) -> None:
        """
        Know what another process learned.

        One that judged by another line of the password file than stands there now is not believed: either
        side may have looked before the file changed.
        """
        if learned.line != self._line(learned.name):
            return
        self._take(learned)

    def _line(self, name: str) -> bytes:
        return self._memory.digest(self.htpasswd.line_of(name).encode())

    def _learn(self, learned: Learned) -> None:
        self._take(learned)
        self.tell(learned)

    def _take(self, learned: Learned) -> None:
        if learned.is_right:
            self._memory.keep(learned.digest, learned.name, learned.at)
            self._attempts.succeeded(learned.name, learned.address)
            return
        if learned.is_kept:
            self._memory.keep_wrong(learned.digest, learned.name, learned.at)
        self._attempts.failed(learned.name, learned.address, learned.digest, learned.at)

    def _forget(self, names: frozenset[str]) -> None:
        self._memory.forget_names(names)
        self.when_changed(names)
        self.tell_change()

    def change_password(self, name: str, address: str, old: str, new: str) -> Deferred[Problem | None]:
        """
        Let a person change the own password; fires with what is wrong, or None when it is done.

        Wrong old passwords count as attempts of this person from this address, so a second change is refused
        before the end of the first.  Cancelling it, when the client is gone, does not end what was begun.
        Fails with `DirectoryDown`.
        """
        wait = self._attempts.delay_seconds(name, address, self._clock())
        if wait > 0:
            said = f"too many wrong passwords; try again after {math.ceil(wait)} s"
            return succeed(Problem(Place(str(self.htpasswd.path)), "too-many-attempts", said))
        if name in self._changing:
            said = "this password is just being changed; try again in a moment"
            return succeed(Problem(Place(str(self.htpasswd.path)), "too-many-attempts", said))
        self._changing.add(name)
        done = self._threads.run(partial(change_password, self.htpasswd.path, name, old, new))
        done.addBoth(self._no_longer_changing, name)
        done.addErrback(_not_written, self.htpasswd.path)
        done.addCallback(self._changed, name, address, old)
        told: Deferred[Problem | None] = Deferred()
        done.chainDeferred(told)
        return told

    def _no_longer_changing(self, outcome: _Outcome, name: str) -> _Outcome:
        self._changing.discard(name)
        return outcome

    def _changed(
        self, problem: Problem | None, name: str, address: str, old: str
    ) -> Problem | Deferred[Problem | None] | None:
        if problem is None:
            return self.htpasswd.look(at_once=True).addCallback(lambda ignored: None)
        if problem.code == "password-wrong":
            digest, line = self._memory.digest(old.encode()), self._line(name)
            self._learn(Learned(digest, name, address, line, self._clock(), is_right=False, is_kept=False))
        return problem

    def _share(self, value: bytes, credentials: Credentials, address: str) -> Deferred[Judged]:
        """Wait for the check of this value that is under way from this address, or begin one."""
        key = (self._memory.digest(value), address)
        waiting = self._under_way.get(key)
        mine: Deferred[Judged] = Deferred()
        if waiting is not None:
            waiting.append(mine)
            return mine
        self._under_way[key] = [mine]
        self.counts.waiting += 1
        judging = Deferred.fromCoroutine(self._judge(value, credentials, address))
        judging.addBoth(self._tell_all, key)
        return mine

    def _tell_all(self, outcome: Judged | Failure, key: tuple[bytes, str]) -> None:
        self.counts.waiting -= 1
        for waiting in self._under_way.pop(key):
            # One that was cancelled was called back already.
            if waiting.called:
                continue
            if isinstance(outcome, Failure):
                waiting.errback(outcome)
            else:
                waiting.callback(outcome)

    async def _judge(self, value: bytes, credentials: Credentials, address: str) -> Judged:
        # What was right this morning is no guess: it waits for no turn and no delay.
        if self._memory.once_known(value):
            return await self._verify(value, credentials, address)
        key = (credentials.name, address)
        turn = self._turns.setdefault(key, DeferredLock())
        if len(turn.waiting) >= MAX_IN_TURN:
            return self._too_many(credentials, address)
        await turn.acquire()
        try:
            refused = await self._sit_out(credentials, address)
            return refused or await self._verify_in_turn(value, credentials, address)
        finally:
            turn.release()
            if not turn.locked:
                self._turns.pop(key, None)

    async def _sit_out(self, credentials: Credentials, address: str) -> Refused | None:
        """Wait as long as those who failed before must; refused when too many wait already."""
        delay = self._attempts.delay_seconds(credentials.name, address, self._clock())
        if delay <= 0:
            return None
        site = site_of(address)
        if self._delayed.total() >= MAX_DELAYED or self._delayed[site] >= MAX_DELAYED_PER_ADDRESS:
            return self._too_many(credentials, address)
        self._delayed[site] += 1
        try:
            await deferLater(self._reactor, delay, lambda: None)
        finally:
            self._delayed[site] -= 1
            if not self._delayed[site]:
                del self._delayed[site]
        return None

    async def _verify_in_turn(self, value: bytes, credentials: Credentials, address: str) -> Judged:
        """Check what was never right before, if its address has not too many such checks under way."""
        site = site_of(address)
        if self._checking[site] >= MAX_CHECKS_PER_ADDRESS:
            self.counts.down += 1
            raise DirectoryBusy("directory-busy", f"{self._checking[site]} checks wait for {site} already")
        self._checking[site] += 1
        try:
            return await self._verify(value, credentials, address)
        finally:
            self._checking[site] -= 1
            if not self._checking[site]:
                del self._checking[site]

    async def _verify(self, value: bytes, credentials: Credentials, address: str) -> Judged:
        try:
            right = await self.htpasswd.check(credentials.name, credentials.password)
        except DirectoryDown:
            self.counts.down += 1
            raise
        # Nothing is awaited between the answer and the memory: a line that changes now is forgotten after it.
        now, name = self._clock(), credentials.name
        self._learn(Learned(self._memory.digest(value), name, address, self._line(name), now, right))
        if right:
            self.counts.ok += 1
            return self.people.identity(name)
        self.counts.failed += 1
        return Refused("wrong-password", self._attempts.delay_seconds(name, address, now))

    def _too_many(self, credentials: Credentials, address: str) -> Refused:
        self.counts.failed += 1
        wait = self._attempts.delay_seconds(credentials.name, address, self._clock())
        return Refused("too-many-attempts", max(1.0, wait))


def _not_written(failure: Failure, path: Path) -> Problem | Failure:
    if not isinstance(failure.value, OSError):
        return failure
    said = f"the password file cannot be written ({failure.value})"
    return Problem(Place(str(path)), "password-not-written", said)
