"""
Connecting to the first of several addresses that answers: Happy Eyeballs (RFC 8305, section 5).

Only addresses are dialled, never names, so that the address that was checked is the one that is connected
to.  Reactors wrap the protocol of an endpoint to learn that it is connected, and every octet then passes
through the wrapper; here a stand-in hands the transport over to the real protocol, and is gone.

Most servers have one address.  Nothing races there: one attempt is made, and no timer of ours.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from twisted.internet import error
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IConnector, IDelayedCall, IProtocol, IReactorTime
from twisted.python.failure import Failure

from corpproxy.destination.addresses import address_class
from corpproxy.errors import UpstreamError

# How long to wait for a connection in all; what browsers' users put up with (DESIGN.md, section 8).
CONNECT_SECONDS = 10.0

# How long one address has the field alone before the next is tried too (RFC 8305, section 8).
STAGGER_SECONDS = 0.25

_NO_ROUTE = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})

# What the failures of several addresses come to: the first of these that any of them had.
_WORST_FIRST = ("connect-timeout", "connect-refused", "connect-failed", "no-route")

_SENTENCES = {
    "connect-timeout": "no answer in time from",
    "connect-refused": "connection refused by",
    "connect-failed": "cannot connect to",
    "no-route": "no route to",
}

P = TypeVar("P", bound=IProtocol)


class Caller(Protocol[P]):
    """Wants a connection."""

    def build(self) -> P:
        """Make the protocol, once, when a connection stands."""

    def arrived(self, protocol: P) -> None:
        """It is connected: its ``connectionMade`` was called."""

    def failed(self, error: UpstreamError) -> None:
        """
        There is no connection.

        The failure is of phase ``connect``: ``connect-timeout``, ``connect-refused``, ``no-route`` or
        ``connect-failed``.
        """


class Dialling(Protocol):
    """What is under way for a caller."""

    def give_up(self) -> None:
        """End it; the caller hears no more."""


def begin(
    reactor: Any,
    addresses: Sequence[str],
    port: int,
    caller: Caller[P],
    *,
    timeout: float = CONNECT_SECONDS,
    stagger: float = STAGGER_SECONDS,
    bind: tuple[str, int] | None = None,
    clock: IReactorTime | None = None,
) -> Dialling:
    """
    Connect to ``port`` at the first of ``addresses`` (IP addresses, in the order to try them) that answers.

    ``caller`` is told, perhaps before this returns.  ``timeout`` and ``stagger`` are seconds; ``bind`` is the
    local address and port to connect from.  A name among the addresses is a ValueError at once.
    """
    for address in addresses:
        address_class(address)  # only IP addresses have one
    if len(addresses) == 1:
        dial_one = getattr(reactor, "dial_one", None)
        if dial_one is not None:
            dialling: Dialling = dial_one(addresses[0], port, caller, timeout, bind)
            return dialling
        return _Attempt(caller, addresses[0], port).start(reactor, timeout, bind)
    return _Race(reactor, clock or reactor, addresses, port, caller, timeout, stagger, bind).start()


def dial(
    reactor: Any, addresses: Sequence[str], port: int, factory: Callable[[], P], **more: Any
) -> Deferred[P]:
    """
    Give the protocol that ``factory`` makes, connected; see :func:`begin`.

    Cancelling ends all attempts.
    """
    promise = _Promise(factory)
    promise.dialling = begin(reactor, addresses, port, promise, **more)
    return promise.done


class _Promise(Generic[P]):
    """A caller that waits with a Deferred."""

    def __init__(self, build: Callable[[], P]) -> None:
        self.build = build
        self.dialling: Dialling | None = None
        self.done: Deferred[P] = Deferred(self._cancelled)

    def arrived(self, protocol: P) -> None:
        self.done.callback(protocol)

    def failed(self, error: UpstreamError) -> None:
        self.done.errback(error)

    def _cancelled(self, _: Deferred[P]) -> None:
        assert self.dialling is not None
        self.dialling.give_up()


class _Attempt(Generic[P]):
    """
    One address being dialled: the factory of its connection, and the stand-in that its transport meets first.

    ``over`` says that whatever still comes of it is of no interest.
    """

    __slots__ = ("_caller", "_connector", "_port", "address", "over")
    noisy = False

    def __init__(self, caller: Caller[P], address: str, port: int) -> None:
        self._caller = caller
        self._port = port
        self._connector: IConnector | None = None
        self.address = address
        self.over = False

    def start(self, reactor: Any, timeout: float, bind: tuple[str, int] | None) -> _Attempt[P]:
        connector = reactor.connectTCP(self.address, self._port, self, timeout=timeout, bindAddress=bind)
        if not self.over:
            self._connector = connector
        return self

    def give_up(self) -> None:
        connector, self._connector = self._connector, None
        self.over = True
        if connector is not None:
            connector.disconnect()

    # What a factory is for its connector.

    def doStart(self) -> None:
        pass

    doStop = doStart

    def startedConnecting(self, connector: IConnector) -> None:
        pass

    def buildProtocol(self, addr: IAddress | None) -> _Attempt[P] | None:
        return None if self.over else self

    def clientConnectionFailed(self, connector: IConnector, reason: Failure) -> None:
        if not self.over:
            self._end()
            self.lost(reason)

    def clientConnectionLost(self, connector: IConnector, reason: Failure) -> None:
        """A connection ended; that matters here only when its protocol could not be made."""
        self.clientConnectionFailed(connector, reason)

    # What a protocol is for its transport.

    def makeConnection(self, transport: Any) -> None:
        transport.setTcpNoDelay(True)
        caller = self._caller
        protocol = caller.build()
        transport.protocol = protocol
        protocol.makeConnection(transport)
        self._end()
        caller.arrived(protocol)

    def dataReceived(self, data: bytes) -> None:
        """Nothing comes for a stand-in."""

    def connectionLost(self, reason: Failure) -> None:
        """The protocol could not be made, and the connection is dropped."""

    def _end(self) -> None:
        self.over = True
        self._connector = None

    def lost(self, reason: Failure) -> None:
        self._caller.failed(failure_of(reason.value, self.address, self._port))


class _Racer(_Attempt[P]):
    """One of several addresses."""

    __slots__ = ("_race",)

    def __init__(self, race: _Race[P], caller: Caller[P], address: str, port: int) -> None:
        super().__init__(caller, address, port)
        self._race = race

    def buildProtocol(self, addr: IAddress | None) -> _Attempt[P] | None:
        if not self.over:
            self._race.won(self)
        return super().buildProtocol(addr)

    def lost(self, reason: Failure) -> None:
        self._race.lost(self, reason)


class _Race(Generic[P]):
    """The attempts to reach one server: the first to connect wins, and the others are given up."""

    def __init__(
        self,
        reactor: Any,
        clock: IReactorTime,
        addresses: Sequence[str],
        port: int,
        caller: Caller[P],
        timeout: float,
        stagger: float,
        bind: tuple[str, int] | None,
    ) -> None:
        self._reactor = reactor
        self._clock = clock
        self._addresses = addresses
        self._port = port
        self._caller = caller
        self._timeout = timeout
        self._stagger = stagger
        self._bind = bind
        self._deadline = clock.seconds() + timeout
        self._tried = 0
        self._running: set[_Racer[P]] = set()
        self._failures: list[tuple[str, str]] = []
        self._next: IDelayedCall | None = None
        self._over = False

    def start(self) -> _Race[P]:
        if self._addresses:
            self._try_next()
        else:
            self._caller.failed(
                UpstreamError("no-route", "there is no address to connect to", phase="connect")
            )
        return self

    def _try_next(self) -> None:
        """Dial the next address, and see to it that the one after that gets its turn."""
        self._next = None
        index = self._tried
        self._tried = index + 1
        seconds = self._timeout
        if index:
            seconds = max(self._deadline - self._clock.seconds(), 0.001)
        attempt = _Racer(self, self._caller, self._addresses[index], self._port)
        self._running.add(attempt)
        attempt.start(self._reactor, seconds, self._bind)
        if self._tried < len(self._addresses) and not self._over and self._next is None:
            self._next = self._clock.callLater(self._stagger, self._try_next)

    def won(self, attempt: _Racer[P]) -> None:
        """An address answered: the others are given up before its protocol is made."""
        self._running.discard(attempt)
        self.give_up()

    def lost(self, attempt: _Racer[P], reason: Failure) -> None:
        """An address failed: the next is tried at once; without a next the race may be lost."""
        self._running.discard(attempt)
        self._failures.append((_code(reason.value), attempt.address))
        too_late = isinstance(reason.value, error.TimeoutError)
        if self._over:
            # It had won, and its protocol could not be made.
            self._caller.failed(_verdict(self._failures, self._port))
        elif self._tried < len(self._addresses) and not too_late:
            if self._next is not None:
                self._next.cancel()
            self._try_next()
        elif not self._running and (self._next is None or too_late):
            self.give_up()
            self._caller.failed(_verdict(self._failures, self._port))

    def give_up(self) -> None:
        """Give up whatever still runs."""
        self._over = True
        if self._next is not None:
            self._next.cancel()
            self._next = None
        running, self._running = self._running, set()
        for attempt in running:
            attempt.give_up()


def _verdict(failures: Sequence[tuple[str, str]], port: int) -> UpstreamError:
    """One failure out of those of all addresses, which it names."""
    codes = [code for code, _ in failures]
    worst = next(code for code in _WORST_FIRST if code in codes)
    parts = [
        f"{_SENTENCES[code]} {', '.join(address for had, address in failures if had == code)}"
        for code in _WORST_FIRST
        if code in codes
    ]
    message = f"{'; '.join(parts)} (port {port})"
    return UpstreamError(worst, message, phase="connect", timed_out=worst == "connect-timeout")


def failure_of(problem: BaseException | None, address: str, port: int) -> UpstreamError:
    """Say of one address what was in the way."""
    return _verdict([(_code(problem), address)], port)


def _code(problem: BaseException | None) -> str:
    """The symbolic name of a failure to connect."""
    if isinstance(problem, error.ConnectionRefusedError):
        return "connect-refused"
    if isinstance(problem, error.TimeoutError | error.TCPTimedOutError):
        return "connect-timeout"
    if getattr(problem, "osError", None) in _NO_ROUTE or isinstance(problem, error.NoRouteError):
        return "no-route"
    return "connect-failed"
