"""Reaching a server: its addresses, those of them that may be dialled, a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from corpproxy import twins
from corpproxy.destination.addresses import address_class, remembered
from corpproxy.destination.model import AddressClass, Host
from corpproxy.exchange.refusal import AddressRefused
from corpproxy.net.dial import Dialling, begin
from corpproxy.net.pool import Pool
from corpproxy.net.upstream import Server, Upstream, new_upstream, written
from corpproxy.net.wire import GONE

if TYPE_CHECKING:
    from corpproxy.exchange.exchange import Exchange
    from corpproxy.net.proxy import Proxy


def may_dial(addresses: tuple[str, ...], allowed: frozenset[AddressClass]) -> tuple[str, ...]:
    """Give those addresses that are of an allowed class; `AddressRefused` when none is."""
    if len(addresses) == 1 and address_class(addresses[0]) in allowed:
        return addresses
    classes = [address_class(address) for address in addresses]
    fit = tuple(address for address, one in zip(addresses, classes, strict=True) if one in allowed)
    if not fit:
        raise AddressRefused(addresses[0], classes[0].value, classes)
    return fit


class Seeker(Protocol):
    """Wants to reach a server."""

    def reached(self, upstream: Upstream) -> None:
        """Here is the connection."""

    def not_reached(self, problem: BaseException | Failure) -> None:
        """This was in the way: UpstreamError or AddressRefused, or a bug."""


# What an attempt for an exchange knows.
_MEMBERS = ("_allowed", "_began", "_exchange", "_pending", "_pooled", "_proxy", "_server", "_wanted")


class _Reaching:
    """
    One attempt to connect for an exchange; it measures how long each part took.

    The pool is told how it ends, if the connection will be its: a dial that it counts for ever is a place
    less.  Classes below this one say who hears of it, and nothing else.
    """

    __slots__ = twins.BELOW

    _allowed: frozenset[AddressClass]
    _began: float
    _exchange: Exchange
    _pending: Deferred[Any] | Dialling | None
    _pooled: bool
    _proxy: Proxy
    _server: Server
    _wanted: bool

    def __init__(
        self, proxy: Proxy, exchange: Exchange, allowed: frozenset[AddressClass], pooled: bool
    ) -> None:
        self._proxy = proxy
        self._exchange = exchange
        self._allowed = allowed
        self._pooled = pooled
        self._wanted = True
        self._pending = None

    def connect(self, server: Server, host: Host) -> None:
        """Connect to a server that the pool let us dial; what becomes of it may be told at once."""
        self._server = server
        self._began = self._proxy.reactor.seconds()
        addresses = self._proxy.names.addresses(host.name) if host.address is None else (host.name,)
        if isinstance(addresses, tuple):
            self._exchange.resolve_seconds = 0.0
            self._dial(addresses)
        else:
            self._look_up(addresses)

    def give_up(self) -> None:
        """Nobody waits for the connection any more; nobody is told of its end but the pool."""
        pending, self._pending = self._pending, None
        self._wanted = False
        if isinstance(pending, Deferred):
            pending.cancel()  # it fails with that, and the pool hears of it
        elif pending is not None:
            pending.give_up()
            self._in_vain()

    def reached(self, upstream: Upstream) -> None:
        """Here is the connection."""
        raise AssertionError("an attempt knows who waits for it")

    def not_reached(self, problem: BaseException | Failure) -> None:
        """This was in the way."""
        raise AssertionError("an attempt knows who waits for it")

    def _look_up(self, addresses: Deferred[tuple[str, ...]]) -> None:
        """Wait for the addresses of the host."""
        self._pending = addresses
        addresses.addCallbacks(self._resolved, self.failed)

    def _resolved(self, addresses: tuple[str, ...]) -> None:
        now = self._proxy.reactor.seconds()
        self._exchange.resolve_seconds = now - self._began
        self._began = now
        self._pending = None
        self._dial(addresses)

    def _dial(self, addresses: tuple[str, ...]) -> None:
        proxy, exchange = self._proxy, self._exchange
        try:
            fit = may_dial(addresses, self._allowed)
            timeout = exchange.in_force.timeouts.connect
            dialling = begin(proxy.connector, fit, self._server.port, self, timeout=timeout)
        except Exception as problem:
            self.failed(problem)
            return
        if self._began >= 0:
            self._pending = dialling

    # The caller of a dial.

    def build(self) -> Upstream:
        """Make the protocol of the connection: nobody keeps that of a tunnel."""
        proxy, in_force = self._proxy, self._exchange.in_force
        keeper = proxy.pool if self._pooled else None
        return new_upstream(self._server, keeper, proxy.deadlines, in_force.timeouts, in_force.limits)

    def arrived(self, upstream: Upstream) -> None:
        """The connection is there."""
        proxy = self._proxy
        self._exchange.connect_ms = int((proxy.reactor.seconds() - self._began) * 1000 + 0.5)
        self._end()
        try:
            if self._pooled:
                proxy.pool.opened_one(upstream)
            else:
                proxy.pool.opened_tunnel()
            if self._wanted:
                self.reached(upstream)
        except Exception as bug:
            if self._wanted:
                self.not_reached(bug)

    def failed(self, problem: BaseException | Failure) -> None:
        """There is no connection."""
        self._end()
        self._in_vain()
        if self._wanted:
            self.not_reached(problem)

    def _in_vain(self) -> None:
        if self._pooled:
            self._proxy.pool.dialled_in_vain(self._server)

    def _end(self) -> None:
        self._pending = None
        self._began = -1.0


class ReachingInPython(_Reaching):
    """One without the compiled part."""

    __slots__ = _MEMBERS


if twins.wire is None or TYPE_CHECKING:
    Reaching = ReachingInPython
else:

    class Reaching(twins.wire.Reaching, _Reaching):
        """The compiled twin, which leaves what has to wait for a name to the one in Python."""

        __slots__ = _MEMBERS

    twins.wire.set_reaching(
        {"reaching": Reaching, "host": Host, "upstream": Upstream, "pool": Pool},
        new_upstream,
        remembered,
        written,
        GONE,
    )


class Reach(Reaching):
    """An attempt for somebody who is told how it went."""

    __slots__ = ("_seeker",)

    def __init__(
        self,
        proxy: Proxy,
        exchange: Exchange,
        allowed: frozenset[AddressClass],
        seeker: Seeker,
        pooled: bool = True,
    ) -> None:
        super().__init__(proxy, exchange, allowed, pooled)
        self._seeker = seeker

    def cancel(self) -> None:
        """As with a Deferred."""
        self.give_up()

    def reached(self, upstream: Upstream) -> None:
        """Here is the connection."""
        self._seeker.reached(upstream)

    def not_reached(self, problem: BaseException | Failure) -> None:
        """This was in the way."""
        self._seeker.not_reached(problem)
