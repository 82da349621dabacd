"""
Connecting to the first of several addresses that answers: Happy Eyeballs (RFC 8305, section 5).

Only addresses are dialled, never names, so that the address that was checked is the one that is connected
to. Reactors wrap the protocol of an endpoint to learn that it is connected, and every octet then passes
through the wrapper; here a stand-in hands the transport over to the real protocol, and is gone.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from twisted.internet import error
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IAddress, IConnector, IDelayedCall, IProtocol, IReactorTime
from twisted.internet.protocol import ClientFactory, Protocol
from twisted.python.failure import Failure

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


def dial(
    reactor: Any,
    addresses: Sequence[str],
    port: int,
    factory: Callable[[], P],
    *,
    timeout: float = CONNECT_SECONDS,
    stagger: float = STAGGER_SECONDS,
    bind: tuple[str, int] | None = None,
    clock: IReactorTime | None = None,
) -> Deferred[P]:
    """
    Connect to ``port`` at the first of ``addresses`` (IP addresses, in the order to try them) that answers.

    ``factory`` makes the protocol, once, when a connection stands; the Deferred gives it, connected, after
    its ``connectionMade``. The address that was dialled is ``transport.getPeer().host``. ``timeout`` and
    ``stagger`` are seconds; ``bind`` is the local address and port to connect from. Cancelling ends all
    attempts.

    The Deferred fails with an UpstreamError of phase ``connect``: ``connect-timeout``, ``connect-refused``,
    ``no-route`` or ``connect-failed``.  A name among the addresses is a ValueError at once.
    """
    for address in addresses:
        if not (isIPAddress(address) or isIPv6Address(address)):
            raise ValueError(f"only IP addresses are dialled, not {address!r}")
    if not addresses:
        return fail(UpstreamError("no-route", "there is no address to connect to", phase="connect"))
    return _Race(reactor, clock or reactor, addresses, port, factory, timeout, stagger, bind).start()


class _Race(Generic[P]):
    """The attempts to reach one server: the first to connect wins, and the others are given up."""

    def __init__(
        self,
        reactor: Any,
        clock: IReactorTime,
        addresses: Sequence[str],
        port: int,
        build: Callable[[], P],
        timeout: float,
        stagger: float,
        bind: tuple[str, int] | None,
    ) -> None:
        self._reactor = reactor
        self._clock = clock
        self._addresses = addresses
        self._port = port
        self.build = build
        self._timeout = timeout
        self._stagger = stagger
        self._bind = bind
        self._deadline = clock.seconds() + timeout if len(addresses) > 1 else 0.0
        self._tried = 0
        self._running: set[_Attempt[P]] = set()
        self._failures: list[tuple[str, str]] = []
        self._next: IDelayedCall | None = None
        self._done: Deferred[P] = Deferred(self._cancelled)
        self.over = False

    def start(self) -> Deferred[P]:
        self._try_next()
        return self._done

    def _try_next(self) -> None:
        """Dial the next address, and see to it that the one after that gets its turn."""
        self._next = None
        index = self._tried
        self._tried = index + 1
        seconds = self._timeout
        if index:
            seconds = max(self._deadline - self._clock.seconds(), 0.001)
        attempt = _Attempt(self, self._addresses[index])
        self._running.add(attempt)
        attempt.connector = self._reactor.connectTCP(
            attempt.address, self._port, attempt, timeout=seconds, bindAddress=self._bind
        )
        if self._tried < len(self._addresses) and not self.over:
            self._next = self._clock.callLater(self._stagger, self._try_next)

    def won(self, attempt: _Attempt[P]) -> None:
        """An address answered: the others are given up before its protocol is made."""
        self._running.discard(attempt)
        self._end()

    def arrived(self, protocol: P) -> None:
        self._done.callback(protocol)

    def lost(self, attempt: _Attempt[P], reason: Failure) -> None:
        """An address failed: the next is tried at once; without a next the race may be lost."""
        self._running.discard(attempt)
        if self.over:
            return
        self._failures.append((_code(reason), attempt.address))
        too_late = isinstance(reason.value, error.TimeoutError)
        if self._tried < len(self._addresses) and not too_late:
            if self._next is not None:
                self._next.cancel()
            self._try_next()
        elif not self._running and (self._next is None or too_late):
            self._end()
            self._done.errback(self._verdict())

    def broke(self, attempt: _Attempt[P], reason: Failure) -> None:
        """A connection ended; that matters here only when its protocol could not be made."""
        if not self._done.called:
            self._failures.append((_code(reason), attempt.address))
            self._done.errback(self._verdict())

    def _end(self) -> None:
        """Give up whatever still runs."""
        self.over = True
        if self._next is not None:
            self._next.cancel()
            self._next = None
        running, self._running = self._running, set()
        for attempt in running:
            if attempt.connector is not None:
                attempt.connector.disconnect()

    def _cancelled(self, _: Deferred[P]) -> None:
        self._end()

    def _verdict(self) -> UpstreamError:
        """One failure out of those of all addresses, which it names."""
        codes = [code for code, _ in self._failures]
        worst = next(code for code in _WORST_FIRST if code in codes)
        parts = [
            f"{_SENTENCES[code]} {', '.join(address for had, address in self._failures if had == code)}"
            for code in _WORST_FIRST
            if code in codes
        ]
        message = f"{'; '.join(parts)} (port {self._port})"
        return UpstreamError(worst, message, phase="connect", timed_out=worst == "connect-timeout")


class _Attempt(ClientFactory, Generic[P]):
    """One address being dialled."""

    noisy = False

    def __init__(self, race: _Race[P], address: str) -> None:
        self._race = race
        self.address = address
        self.connector: IConnector | None = None

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        if self._race.over:
            return None
        self._race.won(self)
        return _Arrival(self._race)

    def clientConnectionFailed(self, connector: IConnector, reason: Failure) -> None:
        self._race.lost(self, reason)

    def clientConnectionLost(self, connector: IConnector, reason: Failure) -> None:
        self._race.broke(self, reason)


class _Arrival(Protocol, Generic[P]):
    """Takes the transport of a new connection and hands it to the protocol that stays."""

    def __init__(self, race: _Race[P]) -> None:
        self._race = race

    def makeConnection(self, transport: Any) -> None:
        transport.setTcpNoDelay(True)
        protocol = self._race.build()
        transport.protocol = protocol
        protocol.makeConnection(transport)
        self._race.arrived(protocol)


def _code(reason: Failure) -> str:
    """The symbolic name of a failure to connect."""
    if isinstance(reason.value, error.ConnectionRefusedError):
        return "connect-refused"
    if isinstance(reason.value, error.TimeoutError | error.TCPTimedOutError):
        return "connect-timeout"
    if getattr(reason.value, "osError", None) in _NO_ROUTE or isinstance(reason.value, error.NoRouteError):
        return "no-route"
    return "connect-failed"
