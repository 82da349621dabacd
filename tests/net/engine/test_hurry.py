"""Small writes to a server are never held back; the kernel is asked for that where it makes a difference."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import inlineCallbacks
from twisted.internet.task import deferLater

from tests.net.engine.test_engine import InEngine


def asked(transport: Any) -> bool:
    """Whether the kernel was asked to hold nothing back."""
    return bool(transport.getHandle().getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))


class HurryTests(InEngine):
    """A connection whose small writes are to be sent at once, as `Dial` makes them."""

    @inlineCallbacks
    def test_second_write(self) -> Any:
        """The first is sent at once as it is; the kernel is asked before the second."""
        peer, client = yield self.connected()
        transport = peer.transport
        transport.hurry_later()
        self.assertTrue(transport.getTcpNoDelay())
        transport.write(b"one")
        self.assertFalse(asked(transport))
        self.assertEqual(client.recv(3), b"one")
        transport.write(b"two")
        self.assertTrue(asked(transport))
        self.assertEqual(client.recv(3), b"two")

    @inlineCallbacks
    def test_rest(self) -> Any:
        """What the kernel did not take of the first is sent as what comes behind it."""
        peer, client = yield self.connected()
        transport = peer.transport
        transport.hurry_later()
        transport.write(b"M" * 8_000_000)
        self.assertFalse(asked(transport))
        taken = 0
        client.setblocking(False)
        while not asked(transport):
            try:
                taken += len(client.recv(1 << 20))
            except BlockingIOError:
                yield deferLater(reactor, 0.001)
        self.assertGreater(taken, 0)

    @inlineCallbacks
    def test_pump(self) -> Any:
        """A pump writes without the transport, so that the kernel is asked before it begins."""
        peer, _ = yield self.connected()
        other, _ = yield self.connected()
        peer.transport.hurry_later()
        other.transport.pump_to(peer.transport, lambda octets: None, lambda octets: None)
        self.assertTrue(asked(peer.transport))

    @inlineCallbacks
    def test_said_otherwise(self) -> Any:
        """Who asks for something else later is obeyed."""
        peer, _ = yield self.connected()
        transport = peer.transport
        transport.hurry_later()
        transport.setTcpNoDelay(False)
        self.assertFalse(transport.getTcpNoDelay())
        transport.write(b"one")
        transport.write(b"two")
        self.assertFalse(asked(transport))
