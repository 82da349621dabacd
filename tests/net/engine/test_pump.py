"""Octets that the kernel moves arrive whole, are counted, and stop where they should."""

from __future__ import annotations

import os
import socket
import struct
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from corpproxy.net.engine import pump as pumps
from corpproxy.net.engine.listening import EnginePort
from corpproxy.net.engine.loop import Engine
from tests.net.engine.test_engine import Peers


class PumpTests(TestCase):
    """Two connections in one engine, joined by pumps; plain blocking sockets at the far ends."""

    timeout = 30
    if not pumps.CAN_SPLICE:
        skip = "this system has no splice"

    def setUp(self) -> None:
        self.engine = Engine(reactor)
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        listening.listen(16)
        listening.setblocking(False)
        self.address = listening.getsockname()
        self.peers = Peers()
        EnginePort(self.engine, listening, self.peers)
        self.addCleanup(self.engine.stop)
        self.took = self.gave = 0

    @inlineCallbacks
    def joined(self, **more: Any) -> Any:
        """Two far ends with a pump from the first to the second."""
        ends = []
        for _ in range(2):
            waiting = self.peers.next
            client = socket.create_connection(self.address)
            self.addCleanup(client.close)
            ends.append(((yield waiting), client))
        (source, sender), (target, receiver) = ends
        target.transport.registerProducer(target, True)
        pump = source.transport.pump_to(target.transport, self.count_taken, self.count_given, **more)
        return pump, source, sender, target, receiver

    def count_taken(self, octets: int) -> None:
        self.took += octets

    def count_given(self, octets: int) -> None:
        self.gave += octets

    def receive(self, receiver: socket.socket, octets: int) -> Deferred[bytes]:
        """Read so many octets in a thread."""

        def read() -> bytes:
            got = bytearray()
            while len(got) < octets:
                data = receiver.recv(1 << 20)
                if not data:
                    break
                got += data
            return bytes(got)

        return deferToThread(read)

    @inlineCallbacks
    def test_whole(self) -> Any:
        """All octets arrive as they were sent, and are counted on both sides."""
        _, _, sender, _, receiver = yield self.joined()
        octets = os.urandom(20_000_000)
        sending = deferToThread(sender.sendall, octets)
        got = yield self.receive(receiver, len(octets))
        yield sending
        self.assertEqual(got, octets)
        yield deferLater(reactor, 0.05)
        self.assertEqual((self.took, self.gave), (len(octets), len(octets)))

    @inlineCallbacks
    def test_what_was_written_before_goes_first(self) -> Any:
        """Octets that our side wrote before the pump began leave before those it moves."""
        _, _, sender, target, receiver = yield self.joined()
        target.transport.write(b"a" * 3_000_000)
        sender.sendall(b"b" * 1000)
        got = yield self.receive(receiver, 3_001_000)
        self.assertEqual(got, b"a" * 3_000_000 + b"b" * 1000)

    @inlineCallbacks
    def test_limit(self) -> Any:
        """A pump with a limit ends exactly there; what follows goes to the protocol."""
        done: Deferred[None] = Deferred()
        _, source, sender, _, receiver = yield self.joined(limit=1_000_000, done=lambda: done.callback(None))
        octets = os.urandom(1_000_000)
        sending = deferToThread(sender.sendall, octets + b"the next answer")
        got = yield self.receive(receiver, 1_000_000)
        yield sending
        yield done
        yield source.until(15)
        self.assertEqual(got, octets)
        self.assertEqual(bytes(source.received), b"the next answer")

    @inlineCallbacks
    def test_slow_reader(self) -> Any:
        """A target that takes nothing pauses its producer; memory of ours does not grow."""
        _, _, sender, target, receiver = yield self.joined()
        sender.setblocking(False)
        sent = 0
        for _ in range(200):
            yield deferLater(reactor, 0.002)
            try:
                sent += sender.send(b"x" * 1_000_000)
            except BlockingIOError:
                continue
        self.assertIn("paused", target.told)
        self.assertLessEqual(self.took - self.gave, pumps.PIPE_OCTETS)
        got = yield self.receive(receiver, sent)
        self.assertEqual(len(got), sent)
        yield deferLater(reactor, 0.05)
        self.assertEqual(target.told[-1], "resumed")

    @inlineCallbacks
    def test_end_after_the_last_octet(self) -> Any:
        """The end of the source is told when all before it has been given."""
        _, source, sender, target, receiver = yield self.joined()
        octets = os.urandom(2_000_000)

        def send() -> None:
            sender.sendall(octets)
            sender.shutdown(socket.SHUT_WR)

        sending = deferToThread(send)
        receiving = self.receive(receiver, len(octets))
        yield source.ended
        self.assertEqual(self.gave, len(octets))
        target.transport.loseWriteConnection()
        self.assertEqual((yield receiving), octets)
        yield sending
        self.assertEqual(receiver.recv(1), b"")

    @inlineCallbacks
    def test_held_source(self) -> Any:
        """A source that is paused gives nothing until it is resumed."""
        _, source, sender, _, receiver = yield self.joined()
        source.transport.pauseProducing()
        sender.sendall(b"wait")
        yield deferLater(reactor, 0.05)
        self.assertEqual(self.took, 0)
        source.transport.resumeProducing()
        self.assertEqual((yield self.receive(receiver, 4)), b"wait")

    @inlineCallbacks
    def test_target_resets(self) -> Any:
        """A target that breaks is told to its protocol; the pump stops and its pipe is not used again."""
        pump, _, sender, target, receiver = yield self.joined()
        sender.setblocking(False)
        for _ in range(50):
            yield deferLater(reactor, 0.001)
            try:
                sender.send(b"x" * 1_000_000)
            except BlockingIOError:
                break
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        receiver.close()
        yield target.lost
        self.assertIsNone(pump._pipe)
        for ends in pumps.PIPES._kept:
            with self.assertRaises(BlockingIOError):
                os.read(ends[0], 1)

    @inlineCallbacks
    def test_idle_holds_no_pipe(self) -> Any:
        """A pump on which nothing moves holds no pipe."""
        pump, _, sender, _, receiver = yield self.joined()
        sender.sendall(b"one")
        yield self.receive(receiver, 3)
        yield deferLater(reactor, 0.05)
        self.assertIsNone(pump._pipe)
