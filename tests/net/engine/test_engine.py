"""The engine's transports keep the promises of stock ones, on real sockets."""

from __future__ import annotations

import os
import socket
import struct
from typing import Any

from twisted.internet import error, reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import ClientFactory, Factory, Protocol
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from corpproxy.net.engine.connecting import EngineReactor
from corpproxy.net.engine.listening import EnginePort
from corpproxy.net.engine.loop import Engine
from corpproxy.net.engine.read_write import HIGH_WATER_OCTETS, TURN_OCTETS


@implementer(IHalfCloseableProtocol)
class Peer(Protocol):
    """Remembers all that its transport tells it, and lets a test wait for it."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.told: list[str] = []
        self.largest = 0
        self.reason: Any = None
        self.lost: Deferred[Peer] = Deferred()
        self._waiting: list[tuple[int, Deferred[bytes]]] = []
        self.ended: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        self.told.append("made")
        self.factory.made(self)  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        self.largest = max(self.largest, len(data))
        for waiting in [one for one in self._waiting if len(self.received) >= one[0]]:
            self._waiting.remove(waiting)
            waiting[1].callback(bytes(self.received))

    def readConnectionLost(self) -> None:
        self.told.append("read lost")
        self.ended.callback(None)

    def writeConnectionLost(self) -> None:
        self.told.append("write lost")

    def connectionLost(self, reason: Any = None) -> None:
        self.told.append("lost")
        self.reason = reason
        self.lost.callback(self)

    def until(self, octets: int) -> Deferred[bytes]:
        """Wait until so many octets have come."""
        if len(self.received) >= octets:
            done: Deferred[bytes] = Deferred()
            done.callback(bytes(self.received))
            return done
        waiting: Deferred[bytes] = Deferred()
        self._waiting.append((octets, waiting))
        return waiting

    # As a push producer, for the tests of back-pressure.

    def pauseProducing(self) -> None:
        self.told.append("paused")

    def resumeProducing(self) -> None:
        self.told.append("resumed")

    def stopProducing(self) -> None:
        self.told.append("stopped")


class Peers(Factory):
    """Makes peers, and gives the next one to whoever waits."""

    protocol = Peer
    noisy = False

    def __init__(self) -> None:
        self.next: Deferred[Peer] = Deferred()

    def buildProtocol(self, addr: Any) -> Peer:
        peer = Peer()
        peer.factory = self
        return peer

    def made(self, peer: Peer) -> None:
        waiting, self.next = self.next, Deferred()
        # Between turns of the engine, where what is written leaves at once.
        reactor.callLater(0, waiting.callback, peer)


class ClientPeers(Peers, ClientFactory):
    """The same for connections that we make."""

    def __init__(self) -> None:
        super().__init__()
        self.failed: Deferred[Any] = Deferred()

    def clientConnectionFailed(self, connector: Any, reason: Any) -> None:
        self.failed.callback([reason])


class InEngine(TestCase):
    """One engine, a listening socket in it, plain blocking sockets on the other side."""

    timeout = 20

    def setUp(self) -> None:
        self.engine = Engine(reactor)
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        listening.listen(16)
        listening.setblocking(False)
        self.address = listening.getsockname()
        self.peers = Peers()
        self.port = EnginePort(self.engine, listening, self.peers)
        self.addCleanup(self.engine.stop)

    @inlineCallbacks
    def connected(self) -> Any:
        """A peer in the engine and the blocking socket of its client."""
        waiting = self.peers.next
        client = socket.create_connection(self.address)
        self.addCleanup(client.close)
        peer = yield waiting
        return peer, client


class EngineTests(InEngine):
    """The transports of clients."""

    @inlineCallbacks
    def test_both_ways(self) -> Any:
        """Octets travel both ways; what is written between turns leaves at once."""
        peer, client = yield self.connected()
        client.sendall(b"ping")
        yield peer.until(4)
        yield deferLater(reactor, 0)
        peer.transport.write(b"pong")
        self.assertEqual(client.recv(10), b"pong")
        self.assertEqual(peer.transport.getPeer().port, client.getsockname()[1])
        self.assertEqual(tuple(peer.transport.getPeer())[1:], client.getsockname())
        self.assertEqual(peer.transport.getHost().port, self.address[1])

    @inlineCallbacks
    def test_bulk_from_a_slow_reader(self) -> Any:
        """A writer whose client does not read is paused, resumed when all is written, and nothing is lost."""
        peer, client = yield self.connected()
        peer.transport.registerProducer(peer, True)
        octets = os.urandom(8 * 1024 * 1024)
        peer.transport.write(octets)
        self.assertIn("paused", peer.told)
        self.assertNotIn("resumed", peer.told)
        got = bytearray()
        client.setblocking(False)
        while len(got) < len(octets):
            yield deferLater(reactor, 0.001)
            try:
                got += client.recv(1 << 20)
            except BlockingIOError:
                continue
        self.assertEqual(bytes(got), octets)
        yield deferLater(reactor, 0.01)
        self.assertEqual(peer.told[-1], "resumed")

    @inlineCallbacks
    def test_pieces_in_order(self) -> Any:
        """Writes while others wait go out in their order."""
        peer, client = yield self.connected()
        pieces = [bytes([n % 251]) * 10_000 for n in range(1000)]
        for piece in pieces:
            peer.transport.write(piece)
        peer.transport.loseConnection()
        got = bytearray()
        client.setblocking(False)
        while True:
            yield deferLater(reactor, 0.001)
            try:
                data = client.recv(1 << 20)
            except BlockingIOError:
                continue
            if not data:
                break
            got += data
        self.assertEqual(bytes(got), b"".join(pieces))

    @inlineCallbacks
    def test_held_reader(self) -> Any:
        """A paused reader gets nothing, and all of it when it is resumed."""
        peer, client = yield self.connected()
        peer.transport.pauseProducing()
        client.sendall(b"x" * 100_000)
        yield deferLater(reactor, 0.05)
        self.assertEqual(peer.received, b"")
        peer.transport.resumeProducing()
        yield peer.until(100_000)

    @inlineCallbacks
    def test_fair(self) -> Any:
        """One client that sends without end does not keep the others from being served in between."""
        _, client = yield self.connected()
        other, quiet = yield self.connected()
        client.setblocking(False)
        sent = 0
        while sent < 3 * TURN_OCTETS:
            try:
                sent += client.send(b"x" * 65536)
            except BlockingIOError:
                break
        quiet.sendall(b"me too")
        yield other.until(6)
        self.assertTrue(other.received)

    @inlineCallbacks
    def test_half_close_from_peer(self) -> Any:
        """A peer that ends its stream may still read the answer."""
        peer, client = yield self.connected()
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)
        yield peer.ended
        self.assertEqual(bytes(peer.received), b"question")
        peer.transport.write(b"answer")
        peer.transport.loseConnection()
        yield peer.lost
        self.assertEqual(client.recv(100), b"answer")
        self.assertEqual(client.recv(100), b"")
        self.assertTrue(peer.reason.check(error.ConnectionDone))

    @inlineCallbacks
    def test_half_close_to_peer(self) -> Any:
        """We may end our stream and go on reading."""
        peer, client = yield self.connected()
        peer.transport.write(b"that is all")
        peer.transport.loseWriteConnection()
        self.assertEqual(client.recv(100), b"that is all")
        self.assertEqual(client.recv(100), b"")
        client.sendall(b"but I say more")
        yield peer.until(14)

    @inlineCallbacks
    def test_reset_from_peer(self) -> Any:
        """A reset is told as a connection that broke."""
        peer, client = yield self.connected()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        yield peer.lost
        self.assertTrue(peer.reason.check(error.ConnectionLost))

    @inlineCallbacks
    def test_abort(self) -> Any:
        """An abort reaches the peer as a reset, whatever still waits to be written."""
        peer, client = yield self.connected()
        peer.transport.write(b"x" * (8 * 1024 * 1024))
        peer.transport.abortConnection()
        self.assertEqual(peer.told[-1:], ["made"])
        yield peer.lost
        self.assertTrue(peer.reason.check(error.ConnectionAborted))
        with self.assertRaises(ConnectionResetError):
            while client.recv(1 << 20):
                pass

    @inlineCallbacks
    def test_end_with_data(self) -> Any:
        """Octets and the end that come together are both told, once each."""
        peer, client = yield self.connected()
        peer.transport.pauseProducing()
        client.sendall(b"last words")
        client.close()
        yield deferLater(reactor, 0.05)
        peer.transport.resumeProducing()
        yield peer.ended
        self.assertEqual(bytes(peer.received), b"last words")
        self.assertEqual(peer.told.count("read lost"), 1)

    @inlineCallbacks
    def test_write_after_reset(self) -> Any:
        """A write that finds the connection broken ends it, but not within the write."""
        peer, client = yield self.connected()
        peer.transport.pauseProducing()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        peer.transport.write(b"x")
        peer.transport.write(b"x")
        self.assertNotIn("lost", peer.told)
        yield peer.lost
        peer.transport.write(b"nobody hears") if peer.transport else None
        self.assertEqual(peer.told.count("lost"), 1)

    @inlineCallbacks
    def test_stop(self) -> Any:
        """When the engine stops, every protocol is told and every socket closed."""
        peer, client = yield self.connected()
        self.engine.stop()
        yield peer.lost
        self.assertEqual(client.recv(1), b"")
        self.assertEqual(len(self.engine), 0)

    @inlineCallbacks
    def test_stop_listening(self) -> Any:
        """A closed port takes nobody any more, and those who are in stay."""
        peer, client = yield self.connected()
        yield self.port.stopListening()
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(self.address)
        client.sendall(b"still here")
        yield peer.until(10)

    @inlineCallbacks
    def test_fault_in_protocol(self) -> Any:
        """A protocol that raises loses its connection; the others are served."""
        peer, client = yield self.connected()
        other, quiet = yield self.connected()

        def fault(data: bytes) -> None:
            raise ZeroDivisionError("a bug")

        peer.dataReceived = fault
        client.sendall(b"boom")
        yield peer.lost
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        quiet.sendall(b"fine")
        yield other.until(4)


class ConnectTests(TestCase):
    """Connections that the engine makes."""

    timeout = 20

    def setUp(self) -> None:
        self.engine = Engine(reactor)
        self.dialler = EngineReactor(self.engine)
        self.addCleanup(self.engine.stop)
        self.server = socket.socket()
        self.server.bind(("127.0.0.1", 0))
        self.server.listen(4)
        self.addCleanup(self.server.close)
        self.factory = ClientPeers()

    @inlineCallbacks
    def test_connect(self) -> Any:
        """An attempt that succeeds gives a protocol of the factory, connected."""
        waiting = self.factory.next
        host, port = self.server.getsockname()
        self.dialler.connectTCP(host, port, self.factory, timeout=5)
        peer = yield waiting
        accepted, _ = self.server.accept()
        self.addCleanup(accepted.close)
        peer.transport.write(b"hello")
        self.assertEqual(accepted.recv(10), b"hello")
        accepted.sendall(b"welcome")
        yield peer.until(7)
        self.assertEqual(peer.transport.getPeer().port, port)

    @inlineCallbacks
    def test_refused(self) -> Any:
        """A refusal is told to the factory, not raised."""
        host, port = self.server.getsockname()
        self.server.close()
        self.dialler.connectTCP(host, port, self.factory, timeout=5)
        [reason] = yield self.factory.failed
        self.assertTrue(reason.check(error.ConnectionRefusedError))

    @inlineCallbacks
    def test_given_up(self) -> Any:
        """An attempt that is given up is told as such, and leaves nothing open."""
        connector = self.dialler.connectTCP("127.0.0.1", self.server.getsockname()[1], self.factory)
        connector.disconnect()
        [reason] = yield self.factory.failed
        self.assertTrue(reason.check(error.UserError))
        self.assertEqual(len(self.engine), 0)

    @inlineCallbacks
    def test_late(self) -> Any:
        """A server that does not answer is given up after the time-out."""
        full = socket.socket()
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        self.addCleanup(full.close)
        # The queue of a socket that nobody accepts from fills up, and then the kernel answers no more.
        fillers = []
        for _ in range(8):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
            self.addCleanup(filler.close)
            fillers.append(filler)
        self.dialler.connectTCP(*full.getsockname(), self.factory, timeout=0.2)
        [reason] = yield self.factory.failed
        self.assertTrue(reason.check(error.TimeoutError))


class HighWaterTests(TestCase):
    """What a transport may hold is bounded by pausing its producer."""

    def test_bound(self) -> None:
        """A pause comes before much more than the mark is held."""
        self.assertLessEqual(HIGH_WATER_OCTETS, 256 * 1024)
