"""What is written in a turn of the engine leaves when the turn is over: all of it, and in order."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet import error, reactor
from twisted.internet.defer import inlineCallbacks
from twisted.internet.task import deferLater

from corpproxy.net.engine.connecting import EngineReactor
from corpproxy.net.engine.read_write import HELD_OCTETS
from tests.net.engine.test_engine import ClientPeers, InEngine, Peer
from tests.support.rows import rows, tabular

LARGE = b"L" * (HELD_OCTETS + 1)
MUCH = b"M" * 4_000_000


def _ends_writing(transport: Any) -> None:
    transport.write(b"one")
    transport.loseWriteConnection()


def _closes(transport: Any) -> None:
    transport.write(b"one")
    transport.loseConnection()


def _aborts(transport: Any) -> None:
    transport.write(b"one")
    transport.abortConnection()


def _two(transport: Any) -> None:
    transport.write(b"one")
    transport.write(b"two")
    transport.loseConnection()


def _large_behind(transport: Any) -> None:
    transport.write(b"one")
    transport.write(LARGE)
    transport.write(b"two")
    transport.loseConnection()


def _much_before(transport: Any) -> None:
    transport.write(MUCH)
    transport.write(b"one")
    transport.loseWriteConnection()


def _changed_later(transport: Any) -> None:
    octets = bytearray(b"one")
    transport.write(octets)
    octets[:] = b"two"
    transport.loseConnection()


def _parts_of_others(transport: Any) -> None:
    transport.write(b"one")
    transport.write(memoryview(b"two"))
    transport.writeSequence([b"three", b"four"])
    transport.loseConnection()


@tabular
class LeavingTests(InEngine):
    """A protocol acts while octets are given to it, which is in a turn."""

    @inlineCallbacks
    def acting(self, act: Callable[[Any], None]) -> Any:
        """Have the peer of a client act in a turn; gives both."""
        peer, client = yield self.connected()
        peer.dataReceived = lambda data: act(peer.transport)
        client.settimeout(0)
        client.send(b"now")
        return peer, client

    @inlineCallbacks
    def all_of(self, client: socket.socket, octets: int) -> Any:
        """So many octets of a client, or as many as come in good time."""
        got = bytearray()
        for _ in range(2_000):
            yield deferLater(reactor, 0.001)
            try:
                got += client.recv(1 << 20)
            except BlockingIOError:
                continue
            except ConnectionResetError:
                break
            if len(got) >= octets:
                break
        return bytes(got)

    @rows(
        end_of_stream=(_ends_writing, b"one"),
        close=(_closes, b"one"),
        abort=(_aborts, b"one"),
        second=(_two, b"onetwo"),
        large=(_large_behind, b"one" + LARGE + b"two"),
        more_than_the_kernel_takes=(_much_before, MUCH + b"one"),
        buffer_that_changes=(_changed_later, b"one"),
        views_and_sequences=(_parts_of_others, b"onetwothreefour"),
    )
    @inlineCallbacks
    def test_all_in_order(self, act: Callable[[Any], None], expected: bytes) -> Any:
        """Nothing is lost, and nothing overtakes anything, however the connection ends."""
        _, client = yield self.acting(act)
        got = yield self.all_of(client, len(expected))
        self.assertEqual(len(got), len(expected))
        self.assertEqual(got, expected)

    @inlineCallbacks
    def test_at_the_end(self) -> Any:
        """Nothing leaves while others are still told what came; then all leaves at one go."""
        seen: list[bytes] = []

        def look(transport: Any) -> None:
            transport.write(b"one")
            try:
                seen.append(client.recv(10))
            except BlockingIOError:
                seen.append(b"")

        peer, client = yield self.connected()
        peer.dataReceived = lambda data: look(peer.transport)
        client.settimeout(0)
        client.send(b"now")
        got = yield self.all_of(client, 3)
        self.assertEqual((seen, got), ([b""], b"one"))

    @inlineCallbacks
    def test_gone_meanwhile(self) -> Any:
        """A client that resets the connection in the same turn costs nobody else anything."""
        peer, client = yield self.connected()
        other, other_client = yield self.connected()
        other_client.settimeout(0)

        def act(data: bytes) -> None:
            peer.transport.write(b"one")
            peer.transport.failed()
            other.transport.write(b"two")

        peer.dataReceived = act
        client.send(b"now")
        got = yield self.all_of(other_client, 3)
        self.assertEqual(got, b"two")
        self.assertIn("lost", peer.told)

    @inlineCallbacks
    def test_producer_that_raises(self) -> Any:
        """One that cannot pause ends its own connection, and no other."""
        peer, client = yield self.connected()
        other, other_client = yield self.connected()
        other_client.settimeout(0)
        peer.transport.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)

        def pause() -> None:
            raise RuntimeError("cannot pause")

        peer.pauseProducing = pause
        peer.transport.registerProducer(peer, True)

        def act(data: bytes) -> None:
            for _ in range(3_000):
                peer.transport.write(b"x" * HELD_OCTETS)
            other.transport.write(b"two")

        peer.dataReceived = act
        client.send(b"now")
        yield peer.lost
        other.transport.write(b"three")
        got = yield self.all_of(other_client, 5)
        self.assertIn(b"three", got)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class DialInTurnTests(InEngine):
    """Connections that are asked for in a turn are begun at its end."""

    @inlineCallbacks
    def in_turn(self, act: Callable[[EngineReactor, ClientPeers], Any]) -> Any:
        """Dial ourselves in a turn; gives the factory, and what the deed gave."""
        peer, client = yield self.connected()
        factory, given = ClientPeers(), []
        dialler = EngineReactor(self.engine)
        peer.dataReceived = lambda data: given.append(act(dialler, factory))
        waiting = factory.next
        client.send(b"now")
        while not given:
            yield deferLater(reactor, 0.001)
        return factory, waiting

    @inlineCallbacks
    def test_connects(self) -> Any:
        """It comes about as ever."""
        _, waiting = yield self.in_turn(lambda dialler, factory: dialler.connectTCP(*self.address, factory))
        peer = yield waiting
        self.assertIsInstance(peer, Peer)

    @inlineCallbacks
    def test_given_up(self) -> Any:
        """One that is given up in the same turn is never begun, and is told as given up."""
        before = len(self.engine)
        factory, _ = yield self.in_turn(
            lambda dialler, factory: dialler.connectTCP(*self.address, factory).disconnect() or True
        )
        [reason] = yield factory.failed
        self.assertTrue(reason.check(error.UserError))
        self.assertLessEqual(len(self.engine), before + 1)

    @inlineCallbacks
    def test_stopped(self) -> Any:
        """The engine stops in that very turn: what was asked for fails, and no descriptor is left."""

        def act(dialler: EngineReactor, factory: ClientPeers) -> Any:
            connector = dialler.connectTCP(*self.address, factory)
            self.engine.stop()
            return connector

        factory, _ = yield self.in_turn(act)
        [reason] = yield factory.failed
        self.assertTrue(reason.check(error.UserError))
        self.assertEqual(len(self.engine), 0)
