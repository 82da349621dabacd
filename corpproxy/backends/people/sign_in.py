"""
Sign-in, as the road of an exchange sees it: recalled at once, or checked while the exchange waits.

The order is: remembered as right, remembered as wrong, readable, delayed, checked.  Connections that
bring the same credentials at the same time, as browsers open them, share one check.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from corpproxy.backends.bounded_threads import Threads
from corpproxy.backends.people.checks import Check, Checks
from corpproxy.backends.people.directory import DirectoryDown
from corpproxy.backends.people.htpasswd import Htpasswd
from corpproxy.backends.people.htpasswd_edit import change_password
from corpproxy.errors import Place, Problem
from corpproxy.identity.attempts import Attempts
from corpproxy.identity.basic import BadCredentials, Credentials, parse_basic
from corpproxy.identity.memory import SignInMemory
from corpproxy.identity.model import Identity
from corpproxy.identity.people import People


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


class Learned(msgspec.Struct, frozen=True):
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

    __slots__ = (
        "_attempts",
        "_changing",
        "_checks",
        "_clock",
        "_known",
        "_memory",
        "_reactor",
        "_right",
        "_threads",
        "_under_way",
        "counts",
        "htpasswd",
        "people",
        "tell",
        "tell_change",
        "when_changed",
    )

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
        self._under_way: dict[tuple[bytes, str], Check[Judged]] = {}
        self._checks: Checks[Judged] = Checks(attempts, clock, reactor, htpasswd, self._judge, self._too_many)
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
        now, digest = self._clock(), self._memory.digest(value)
        known = self.again(digest, now)
        if known is not None:
            return succeed(known)
        if self._memory.is_wrong(digest, now):
            return succeed(Refused("wrong-password"))
        try:
            credentials = parse_basic(value)
        except BadCredentials as bad:
            self.counts.failed += 1
            return succeed(Refused(bad.code))
        return self._share(digest, credentials, address)

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

    def _share(self, digest: bytes, credentials: Credentials, address: str) -> Deferred[Judged]:
        """Wait for the check of these credentials that is under way from this address, or begin one."""
        key = (digest, address)
        waiting: Deferred[Judged] = Deferred()
        check = self._under_way.get(key)
        if check is not None:
            check.waiting.append(waiting)
            return waiting
        check = self._under_way[key] = Check(digest, credentials, address, waiting, self._over)
        self.counts.waiting += 1
        # What was right this morning is no guess: it waits for no turn and no delay.
        if digest in self._right:
            self._checks.at_once(check)
        else:
            self._checks.in_turn(check)
        return waiting

    def _over(self, check: Check[Judged], outcome: Judged | Failure) -> None:
        self.counts.waiting -= 1
        del self._under_way[check.digest, check.address]
        if isinstance(outcome, Failure) and outcome.check(DirectoryDown):  # type: ignore[no-untyped-call]
            self.counts.down += 1

    def _judge(self, check: Check[Judged], right: bool | Failure) -> Judged | Failure:
        """Learn what came of it; nothing comes between: a line that changes now is forgotten after it."""
        if isinstance(right, Failure):
            return right
        now, name, address = self._clock(), check.credentials.name, check.address
        self._learn(Learned(check.digest, name, address, self._line(name), now, right))
        if right:
            self.counts.ok += 1
            return self.people.identity(name)
        self.counts.failed += 1
        return Refused("wrong-password", self._attempts.delay_seconds(name, address, now))

    def _too_many(self, check: Check[Judged]) -> Judged:
        self.counts.failed += 1
        wait = self._attempts.delay_seconds(check.credentials.name, check.address, self._clock())
        return Refused("too-many-attempts", max(1.0, wait))


def _not_written(failure: Failure, path: Path) -> Problem | Failure:
    if not isinstance(failure.value, OSError):
        return failure
    said = f"the password file cannot be written ({failure.value})"
    return Problem(Place(str(path)), "password-not-written", said)
