"""Whom the engine tells: the method that stands in a class now, compiled or not."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from corpproxy import twins
from corpproxy.net.engine import loop
from corpproxy.net.engine.loop import Engine
from corpproxy.net.engine.transport import Transport
from corpproxy.net.wire import Wire


class Sink:
    """Keeps what comes."""

    def __init__(self) -> None:
        self.came: list[Any] = []

    def octets(self, data: bytes) -> None:
        self.came.append(data)

    def lost(self, clean: bool) -> None:
        """The engine stops at the end of a test."""


class Side(Wire):
    """One side of an exchange, which has what the compiled method is for."""

    __slots__ = ()

    def connectionMade(self) -> None:
        pass


class TellingTests(SynchronousTestCase):
    """Octets come on a socket in the engine."""

    def setUp(self) -> None:
        nothing: Any = lambda *_: None  # noqa: E731
        reactor = SimpleNamespace(
            addReader=nothing, removeReader=nothing, callLater=nothing, seconds=lambda: 0.0
        )
        self.engine = Engine(reactor)
        self.addCleanup(self.engine.stop)
        self.failed: list[Any] = []
        self.patch(loop, "_failed", lambda member, problem: self.failed.append(problem))

    def served(self, kind: Any = Transport, side: Any = Side) -> tuple[Any, Any, socket.socket]:
        """A transport of a class, what comes on it, and the socket on the other side."""
        here, there = socket.socketpair()
        here.setblocking(False)
        self.addCleanup(here.close)
        self.addCleanup(there.close)
        protocol = side(SimpleNamespace(now=0.0, watch=lambda one: None, drop=lambda *_: None))
        protocol.sink = sink = Sink()
        transport = kind(self.engine, here, ("192.0.2.1", 1))
        transport.start(protocol)
        self.engine.doRead()
        return transport, sink, there

    def comes(self, there: socket.socket, octets: bytes = b"one") -> None:
        there.sendall(octets)
        self.engine.doRead()

    def test_usual(self) -> None:
        """Octets reach the sink of the protocol, which knows its transport."""
        transport, sink, there = self.served()
        self.comes(there)
        self.assertEqual((sink.came, self.failed), ([b"one"], []))
        self.assertIs(transport.protocol.transport, transport)

    def test_class_is_changed(self) -> None:
        """A method that is put into the class later is the one that is called, as long as it stands there."""
        _, sink, there = self.served()
        self.comes(there)
        with mock.patch.object(Transport, "ready") as ready:
            self.comes(there, b"two")
        self.assertEqual((ready.call_count, sink.came), (1, [b"one"]))
        self.comes(there, b"three")
        self.assertEqual(sink.came, [b"one", b"twothree"])

    def test_protocol_is_changed(self) -> None:
        """The same holds for a protocol."""
        _, sink, there = self.served()
        self.comes(there)
        with mock.patch.object(Side, "dataReceived") as received:
            self.comes(there, b"two")
        received.assert_called_once_with(b"two")
        self.comes(there, b"three")
        self.assertEqual(sink.came, [b"one", b"three"])

    def test_class_below(self) -> None:
        """A class that has a method of its own is told by it."""
        told: list[Any] = []

        class Other(Transport):
            def ready(self, events: int) -> None:
                told.append(events)

        class Another(Side):
            def dataReceived(self, data: bytes) -> None:
                told.append(data)

        _, sink, there = self.served(Other)
        self.comes(there)
        self.assertTrue(told and isinstance(told[-1], int))
        told.clear()
        _, sink, there = self.served(side=Another)
        self.comes(there)
        self.assertEqual((told, sink.came), ([b"one"], []))

    def test_one_for_itself(self) -> None:
        """What one object has for itself comes before what its class has."""

        class Open(Side):
            pass  # which has a dictionary

        transport, sink, there = self.served(side=Open)
        transport.protocol.dataReceived = (mine := mock.Mock())
        self.comes(there)
        mine.assert_called_once_with(b"one")
        self.assertEqual(sink.came, [])

    def test_fault(self) -> None:
        """What a member raises is its own affair: the others are told all the same."""
        first, _, broken = self.served()
        _, sink, there = self.served()
        first.protocol.sink.octets = mock.Mock(side_effect=ZeroDivisionError)
        broken.sendall(b"x")
        self.comes(there)
        self.assertEqual([type(one) for one in self.failed], [ZeroDivisionError])
        self.assertEqual(sink.came, [b"one"])

    def test_borrowed(self) -> None:
        """A class that borrows the method of transports is told that this is not for it."""
        borrowed = Transport if twins.wire is None else twins.wire.Transport

        class Borrower:
            __slots__ = ()
            ready = borrowed.ready

        here, there = socket.socketpair()
        self.addCleanup(here.close)
        self.addCleanup(there.close)
        self.engine.join(here.fileno(), Borrower())  # type: ignore[arg-type]
        self.comes(there)
        kind = AttributeError if twins.wire is None else TypeError
        self.assertEqual({type(one) for one in self.failed}, {kind})
        self.engine.leave(here.fileno())
