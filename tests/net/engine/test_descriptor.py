"""The descriptor of a connection: closed once, by whoever has it, and never that of another."""

from __future__ import annotations

import gc
import os
import socket
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import inlineCallbacks
from twisted.internet.task import deferLater

from corpproxy.net.engine import sockets
from corpproxy.net.engine.listening import EnginePort
from tests.net.engine.test_engine import InEngine, Peers


def is_open(descriptor: int) -> bool:
    """Whether the number is that of an open file."""
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _sockets() -> int:
    """How many compiled sockets there are; none where nothing is compiled."""
    kind = getattr(sockets, "Socket", None)
    return sum(type(one) is kind for one in gc.get_objects())


class FreshPeers(Peers):
    """The same for whoever comes, as the factory of clients is."""

    def fresh(self) -> Any:
        return self.buildProtocol(None)


class DescriptorTests(InEngine):
    """A connection and the socket below it."""

    def setUp(self) -> None:
        super().setUp()
        self.port.stopListening()
        listening = socket.create_server(("127.0.0.1", 0))
        listening.setblocking(False)
        self.address = listening.getsockname()
        self.peers = FreshPeers()
        self.port = EnginePort(self.engine, listening, self.peers)

    @inlineCallbacks
    def test_closed(self) -> Any:
        """It is closed with its connection, and the client sees the end."""
        peer, client = yield self.connected()
        descriptor = peer.transport.fileno()
        self.assertTrue(is_open(descriptor))
        peer.transport.loseConnection()
        yield deferLater(reactor, 0.01)
        self.assertFalse(is_open(descriptor))
        self.assertEqual(client.recv(1), b"")

    @inlineCallbacks
    def test_asked(self) -> Any:
        """A socket that was asked for has the same one, each time, and ends with the connection."""
        peer, client = yield self.connected()
        transport = peer.transport
        handle = transport.getHandle()
        self.assertEqual(handle.fileno(), transport.fileno())
        self.assertEqual(handle.getpeername()[:2], client.getsockname()[:2])
        self.assertIs(transport.getHandle(), handle)
        transport.loseConnection()
        yield deferLater(reactor, 0.01)
        self.assertEqual(handle.fileno(), -1)
        self.assertEqual(client.recv(1), b"")

    @inlineCallbacks
    def test_number_is_taken_again(self) -> Any:
        """Who has the number next keeps it when what is left of the connection goes."""
        peer, _ = yield self.connected()
        transport, descriptor = peer.transport, peer.transport.fileno()
        transport.loseConnection()
        yield deferLater(reactor, 0.01)
        nothing = os.open(os.devnull, os.O_RDONLY)
        next_one = nothing if nothing == descriptor else os.dup2(nothing, descriptor)
        self.addCleanup(os.close, next_one)
        self.assertEqual(transport.getHandle().fileno(), -1)
        transport.abortConnection()
        del transport, peer
        gc.collect()
        yield deferLater(reactor, 0.01)
        self.assertTrue(is_open(next_one))

    @inlineCallbacks
    def test_nothing_more(self) -> Any:
        """An idle connection keeps no compiled socket besides: there may be thousands."""
        gc.collect()
        before = _sockets()
        kept = []
        for _ in range(3):
            kept.append((yield self.connected()))
        self.assertEqual(_sockets(), before)
