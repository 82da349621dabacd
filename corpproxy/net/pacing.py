"""
Paces: connections that are read no faster than their limits let them be.

What a connection may move is asked of the buckets (`corpproxy.accounting.rates`) each time it is read: a read
is never longer than that, and where there is nothing left the connection is not read until it has been dealt
some.  One timer does that for all of them, four times a second, and wakes those who have been given something
in small groups, so that thousands do not begin in the same moment; the dealing itself is made in slices, for
the same reason.  A connection without limits has no
pace, and knows nothing of this.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.interfaces import IDelayedCall, IHalfCloseableProtocol, IProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from corpproxy.accounting.buckets import Bucket
from corpproxy.accounting.rates import PIECE_OCTETS, Claim, Rates
from corpproxy.accounting.sharing import BucketKey

if TYPE_CHECKING:
    from corpproxy.net.wire import Wire

log = Logger()

# The buckets that a claim stands below, each with the rate of its limit.
Buckets = Sequence[tuple[BucketKey, float]]

# How often what came in is dealt: a connection is woken up at most four times a second.
TURN_SECONDS = 0.25
# The next dealing is no sooner than this after the last slice of one that took long.
LEAST_SECONDS = 0.05
# Those who are woken in one moment, and how long until the next are: sooner where there are thousands, so
# that all have their turn within half of one.
AT_ONCE = 50
BETWEEN_SECONDS = 0.01
# How often buckets that nobody stands below are looked for.
FORGET_SECONDS = 30.0
# One read of a stock transport.
STOCK_OCTETS = 64 * 1024

# Why a connection is not read: see `corpproxy.net.wire`.
RATE = 4


class Pacer:
    """
    All paces of one process; ``clock`` keeps time (IReactorTime).

    ``turned`` is called before each dealing, with the time: its steps have what was taken told, or forgotten.
    ``looked`` is called before that: its steps look after what is lent to this process.  ``lacking`` is told
    which of it is not enough.  ``idle`` is called when nobody is held any more.
    """

    def __init__(self, clock: Any) -> None:
        self.rates = Rates()
        self.seconds: Callable[[], float] = clock.seconds
        self.turned: Callable[[float], Iterator[None]] = lambda now: self.rates.beginning_anew()
        self.looked: Callable[[float], Iterator[None]] = lambda now: iter(())
        self.lacking: Callable[[BucketKey], None] = lambda key: None
        self.idle: Callable[[], None] = lambda: None
        self._clock = clock
        self._call: IDelayedCall | None = None
        self._waking: IDelayedCall | None = None
        self._steps: Iterator[None] = iter(())
        self._began = 0.0
        self._woken: deque[Claim] = deque()
        # The most that waited to be woken since there was nobody.
        self._crowd = 0
        self._forget_at = 0.0

    def stop(self) -> None:
        """Deal no more."""
        for call in (self._call, self._waking):
            if call is not None and call.active():
                call.cancel()
        self._call = self._waking = None

    def join(self, person: str, buckets: Buckets, wake: Callable[[], None]) -> Claim:
        """Give a claim below these buckets."""
        self.run()
        return self.rates.join(person, buckets, self.seconds(), wake)

    def invite(self, buckets: Buckets) -> tuple[Bucket, ...]:
        """Give these buckets to somebody who takes of them without a claim."""
        if buckets:
            self.run()
        return self.rates.invite(buckets, self.seconds())

    def leave(self, claim: Claim) -> None:
        """A claim is over."""
        self.rates.leave(claim)
        claim.wake = _nobody

    def ask(self, claim: Claim) -> int:
        """What a claim may move now; where that is nothing, it waits and is woken when it has some."""
        if claim.allowance <= 0 and self.rates.draw(claim, self.seconds()) <= 0:
            self.wait(claim)
            return 0
        return claim.allowance

    def wait(self, claim: Claim) -> None:
        """A claim waits until it is given some."""
        self.rates.wait(claim)
        for bucket in claim.member.blocked:
            if bucket.is_lent:
                self.lacking(bucket.key)

    def hasten(self) -> None:
        """Deal soon: something has come that somebody waits for."""
        call, now = self._call, self.seconds()
        if call is not None and call.active():
            soon = max(self._began + LEAST_SECONDS - now, 0.0)
            if call.getTime() - now > soon:
                call.reset(soon)

    def waiting(self) -> dict[str, tuple[str, ...]]:
        """Who waits now for which limit, by the names of these."""
        found: dict[str, set[str]] = {}
        for member in self.rates.hungry:
            for bucket in member.blocked:
                found.setdefault(bucket.key.limit, set()).add(person_of(member.person))
        return {name: tuple(people) for name, people in found.items()}

    def run(self) -> None:
        """Deal from now on, for as long as there is anything to be dealt or lent."""
        if self._call is None:
            self._call = self._clock.callLater(TURN_SECONDS, self._turn)

    def _turn(self) -> None:
        self._began = self.seconds()
        self._steps = self._dealing(self._began)
        self._step()

    def _dealing(self, now: float) -> Iterator[None]:
        yield from self.looked(now)
        yield from self.turned(now)
        yield from self.rates.dealing(now, self._woken.append)
        if now >= self._forget_at:
            self._forget_at = now + FORGET_SECONDS
            yield from self.rates.forgetting(now)

    def _step(self) -> None:
        """Deal one slice; others have their turn before the next."""
        self._call = None
        try:
            is_over = next(self._steps, self) is self
        except Exception:
            log.failure("what limits let through could not be dealt")
            is_over = True
        if not is_over:
            self._call = self._clock.callLater(0, self._step)
        elif len(self.rates) or self.rates.buckets or self.rates.stocks or self.rates.is_wanted:
            seconds = self._began + TURN_SECONDS - self.seconds()
            self._call = self._clock.callLater(max(seconds, LEAST_SECONDS), self._turn)
        else:
            self.idle()
        if self._waking is None:
            self._wake_some()

    def _wake_some(self) -> None:
        self._waking = None
        self._crowd = max(self._crowd, len(self._woken))
        for _ in range(min(AT_ONCE, len(self._woken))):
            self._woken.popleft().wake()
        if self._woken:
            seconds = min(BETWEEN_SECONDS, TURN_SECONDS / 2 * AT_ONCE / self._crowd)
            self._waking = self._clock.callLater(seconds, self._wake_some)
        else:
            self._crowd = 0


def person_of(key: str) -> str:
    """The person behind the key that they have for one way."""
    return key.partition(" ")[2]


def _nobody() -> None:
    """Whoever it was is gone."""


class AnyPace(Protocol):
    """How fast a connection is read."""

    def ask(self) -> int:
        """How many octets may be read now; where that is none, it is read again when some may."""

    def took(self, octets: int, /) -> None:
        """Octets were read."""

    def let_go(self) -> None:
        """The connection is another one's, or nobody's: it is read as it comes."""


class Pace:
    """
    One way of one exchange, on the connection that it is read from.

    ``moved`` counts the octets that were taken off the buckets.  ``held_by`` are the keys of those that made
    it wait.
    """

    __slots__ = (
        "_is_slowed",
        "_pacer",
        "_seconds",
        "_since",
        "_turn",
        "_wire",
        "before_reading",
        "claim",
        "held_by",
        "moved",
    )

    def __init__(self, pacer: Pacer, person: str, buckets: Buckets, moved: int) -> None:
        self._pacer = pacer
        self._wire: Wire | None = None
        self._since = -1.0
        self._is_slowed = False
        self._turn: Callable[[], None] | None = None
        # What a transport wants to do before it is read again.
        self.before_reading: Callable[[], None] | None = None
        self.claim = pacer.join(person, buckets, self._go_on)
        self.moved = moved
        self.held_by: set[BucketKey] = set()
        self._seconds = 0.0

    def lead(self, wire: Wire) -> None:
        """Read this connection at this pace from now on."""
        if wire is not self._wire:
            self._wire = wire
            wire.paced_by(self)

    @property
    def is_leading(self) -> bool:
        """Whether a connection is read at this pace."""
        return self._wire is not None

    def waited(self) -> float:
        """How long it had to wait until now, in seconds."""
        is_slowed = self._is_slowed and self._since >= 0
        return self._seconds + (self._pacer.seconds() - self._since if is_slowed else 0.0)

    def wait_for_turn(self, turn: Callable[[], None]) -> None:
        """Call ``turn`` when something may be moved again."""
        self._turn = turn
        self._pacer.wait(self.claim)
        self._begins_to_wait()

    def wait_no_more(self) -> None:
        """Whoever waited for the turn does so no more."""
        self._turn = None

    def ask(self) -> int:
        """How many octets may be read now; where that is none, the connection is held for a while."""
        octets = self._pacer.ask(self.claim)
        if not octets and self._since < 0 and self._wire is not None:
            self._begins_to_wait()
            self._wire.hold(RATE)
        return octets

    def took(self, octets: int) -> None:
        """Octets were read."""
        self.claim.allowance -= octets
        self.moved += octets

    def charge(self, moved: int) -> None:
        """So many octets moved in all: what was not read at this pace is taken off the buckets as well."""
        if moved > self.moved:
            self.claim.member.take(moved - self.moved)
            self.moved = moved

    def settle(self, moved: int) -> None:
        """
        So many octets moved in all, and no more come.

        What was read and went nowhere (its client left, the framing of a chunk) counts for no quota: what was
        taken off its loan for that is there again.
        """
        self.charge(moved)
        if moved < self.moved:
            self.claim.member.put_back(self.moved - moved)
            self.moved = moved

    def let_go(self) -> None:
        """The connection is another one's, or nobody's: it is read as it comes."""
        wire, self._wire = self._wire, None
        if wire is not None:
            self.before_reading = None
            wire.paced_by(None)
            self._waited()
            wire.go_on(RATE)

    def leave(self) -> None:
        """The exchange is over, or stands below other buckets from now on."""
        self.let_go()
        self._pacer.leave(self.claim)

    def _go_on(self) -> None:
        self._waited()
        if self._wire is not None:
            if self.before_reading is not None:
                self.before_reading()
            self._wire.go_on(RATE)
        turn, self._turn = self._turn, None
        if turn is not None:
            turn()

    def _begins_to_wait(self) -> None:
        self._since = self._pacer.seconds()
        # Who waits for a loan is slowed by no limit: it comes in a moment, or there is nothing left.
        slowing = [bucket.key for bucket in self.claim.member.blocked if not bucket.is_lent]
        self.held_by.update(slowing)
        self._is_slowed = bool(slowing)

    def _waited(self) -> None:
        self._seconds, self._since = self.waited(), -1.0


@implementer(IProtocol, IHalfCloseableProtocol)
class PacedProtocol:
    """
    Between a stock transport and its protocol while there is a pace.

    A stock transport reads as much as ``bufferSize`` says: it is told before each read.
    """

    def __init__(self, wire: Wire, pace: Pace) -> None:
        self._wire = wire
        self._pace = pace
        wire.transport.protocol = self
        pace.before_reading = self._adjust
        self._adjust()

    def dataReceived(self, data: bytes) -> None:
        wire, pace = self._wire, self._pace
        pace.took(len(data))
        if pace.claim.allowance <= 0:
            pace.ask()
        self._adjust()
        wire.dataReceived(data)

    def readConnectionLost(self) -> None:
        self._wire.readConnectionLost()

    def writeConnectionLost(self) -> None:
        self._wire.writeConnectionLost()

    def connectionLost(self, reason: Failure) -> None:
        self._wire.connectionLost(reason)

    def makeConnection(self, transport: Any) -> None:
        """It is connected."""

    def connectionMade(self) -> None:
        """It was connected before."""

    def _adjust(self) -> None:
        octets = min(self._pace.claim.allowance, STOCK_OCTETS)
        # Who has nothing yet may find that there is nothing to read, and is given nothing beforehand.
        self._wire.transport.bufferSize = octets if octets > 0 else PIECE_OCTETS
