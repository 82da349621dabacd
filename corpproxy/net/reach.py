"""Reaching a server: its addresses, those of them that may be dialled, a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, fail

from corpproxy.destination.addresses import address_class
from corpproxy.destination.model import AddressClass, Host
from corpproxy.exchange.refusal import AddressRefused
from corpproxy.net.dial import dial
from corpproxy.net.upstream import Server, Upstream

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


class Reach:
    """One attempt to connect for an exchange; it measures how long each part took."""

    def __init__(self, proxy: Proxy, exchange: Exchange, allowed: frozenset[AddressClass]) -> None:
        self._proxy = proxy
        self._exchange = exchange
        self._allowed = allowed
        self._seconds = proxy.reactor.seconds
        self._began = 0.0

    def connect(self, server: Server, host: Host) -> Deferred[Upstream]:
        """
        Connect to a server that the pool let us dial.

        Fails with UpstreamError or AddressRefused; the pool is told either way.
        """
        self._began = self._seconds()
        addresses = self._proxy.names.addresses(host.name) if host.address is None else (host.name,)
        if isinstance(addresses, Deferred):
            connected = addresses.addCallback(self._dial, server)
        else:
            try:
                connected = self._dial(addresses, server)
            except Exception:
                # Whatever it is, the pool must hear of it: a dial that it counts for ever is a place less.
                connected = fail()
        connected.addCallbacks(self._arrived, self._failed, errbackArgs=(server,))
        return connected

    def _dial(self, addresses: tuple[str, ...], server: Server) -> Deferred[Upstream]:
        proxy, exchange = self._proxy, self._exchange
        now = self._seconds()
        exchange.resolve_seconds = now - self._began
        self._began = now
        fit = may_dial(addresses, self._allowed)
        in_force = exchange.in_force
        return dial(
            proxy.connector,
            fit,
            server.port,
            lambda: Upstream(server, proxy.pool, proxy.deadlines, in_force.timeouts, in_force.limits),
            timeout=in_force.timeouts.connect,
        )

    def _arrived(self, upstream: Upstream) -> Upstream:
        self._exchange.connect_seconds = self._seconds() - self._began
        self._proxy.pool.opened_one(upstream)
        return upstream

    def _failed(self, failure: object, server: Server) -> object:
        self._proxy.pool.dialled_in_vain(server)
        return failure
