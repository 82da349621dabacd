"""What a client sent ahead: octets that wait until somebody takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corpproxy.net.wire import UNTAKEN

if TYPE_CHECKING:
    from corpproxy.net.downstream import Downstream

# Pipelined requests, content before anybody takes it, the first octets of a tunnel: past this the
# client is not read until some of it is taken.
HELD_OCTETS = 64 * 1024


class Held:
    """The sink of a client connection while its exchange takes nothing from it."""

    __slots__ = ("_downstream", "octets_held")

    def __init__(self, downstream: Downstream) -> None:
        self._downstream = downstream
        self.octets_held = b""

    def octets(self, data: bytes) -> None:
        """Keep octets for later."""
        self.octets_held = self.octets_held + data if self.octets_held else data
        if len(self.octets_held) >= HELD_OCTETS:
            self._downstream.hold(UNTAKEN)

    def half_closed(self) -> None:
        """A client that closes its side while it waits for an answer has left (as with Squid and nginx)."""
        self._downstream.client_gone()

    def lost(self, clean: bool) -> None:
        """The connection is gone."""
        self._downstream.client_gone()

    def take(self) -> bytes:
        """Give all that is held, and read on."""
        octets, self.octets_held = self.octets_held, b""
        if self._downstream.on_hold:
            self._downstream.go_on(UNTAKEN)
        return octets
