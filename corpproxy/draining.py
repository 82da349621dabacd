"""Draining: what runs when the service stops may end by itself for a while, and is ended then."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from corpproxy.net.proxy import Proxy

# How often it is looked whether the running exchanges have ended.
LOOK_SECONDS = 0.1
# Turns of the reactor in which connections that were cut off come to their ends.
LAST_TURNS = 10


class Draining:
    """Brings the exchanges of a proxy to their ends, so that each has its record."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._connections = proxy.admission.connections
        self._hurries = False

    def hurry(self) -> None:
        """Wait no longer."""
        self._hurries = True

    def drain(self, seconds: float) -> Deferred[None]:
        """Wait at most so long for exchanges to end; then end those that run still, and all tunnels."""
        return Deferred.fromCoroutine(self._drain(seconds))

    async def _drain(self, seconds: float) -> None:
        reactor = self._proxy.reactor
        for downstream in self._connections:
            if downstream.is_busy:
                # Its answer, if it has not begun, tells the client that the connection ends with it.
                downstream.exchange.keep = False
        until = reactor.seconds() + seconds
        while self._are_worth_waiting() and reactor.seconds() < until and not self._hurries:
            await deferLater(reactor, LOOK_SECONDS)
        for downstream in list(self._connections):
            downstream.stop_now()
        for _ in range(LAST_TURNS):
            await deferLater(reactor, 0)
            if not self._connections:
                return

    def _are_worth_waiting(self) -> bool:
        """
        Whether an exchange runs that has an end of its own; a tunnel has none.

        A connection becomes idle when its exchange ends: those are closed here, time and again.
        """
        for downstream in list(self._connections):
            if not downstream.closing:
                downstream.stop_if_idle()
        tunnels = self._proxy.admission.tunnels
        return any(one not in tunnels for one in self._connections)
