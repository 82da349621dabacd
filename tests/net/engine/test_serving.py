"""Who waits at a listening socket is given a transport and a protocol: the same in Python and compiled."""

from __future__ import annotations

from collections.abc import Callable
from errno import EBADF, EMFILE
from types import SimpleNamespace
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.net.engine.listening import MAX_ACCEPTS, PAUSE_SECONDS, EnginePort
from tests.support.rows import rows, tabular

PEER = ("192.0.2.1", 1234)


class Connection:
    """A socket that is taken."""

    closed = False

    def __init__(self, number: int) -> None:
        self.number = number

    def fileno(self) -> int:
        return self.number

    def close(self) -> None:
        self.closed = True


class Members:
    """An engine that only knows who joined."""

    def __init__(self) -> None:
        self.reactor = Clock()
        self.joined: list[int] = []
        self.paused = False

    def join(self, descriptor: int, member: Any, events: int = 0) -> None:
        self.joined.append(descriptor)

    def leave(self, descriptor: int) -> None:
        pass

    def pause(self, descriptor: int) -> None:
        self.paused = True


class Factory:
    """Makes protocols that know their transports; what it makes first is a matter of the test."""

    def __init__(self) -> None:
        self.first: Callable[[], Any] = self.make
        self.made: list[Any] = []

    def make(self) -> Any:
        return SimpleNamespace(makeConnection=self.made.append)

    def buildProtocol(self, peer: Any) -> Any:
        assert peer == PEER
        make, self.first = self.first, self.make
        return make()

    def doStart(self) -> None:
        pass

    doStop = doStart


@tabular
class ServingTests(SynchronousTestCase):
    """The port is told by the engine that clients wait."""

    def port(self, waiting: int) -> Any:
        self.engine, self.factory = Members(), Factory()
        self.waiting: list[Any] = [Connection(number) for number in range(100, 100 + waiting)]
        listening: Any = SimpleNamespace(fileno=lambda: 5, close=lambda: None)
        return EnginePort(self.engine, listening, self.factory, self.take)  # type: ignore[arg-type]

    def take(self, listening: Any) -> Any:
        if not self.waiting:
            return None
        first = self.waiting.pop(0)
        if isinstance(first, Exception):
            raise first
        return first, PEER

    @rows(python=(EnginePort._serve,), present=(lambda port: port.ready(1),))
    def test_all(self, ready: Any) -> None:
        """Each is given its own, as many as a turn is for."""
        port = self.port(MAX_ACCEPTS + 2)
        ready(port)
        self.assertEqual([one.fileno() for one in self.factory.made], list(range(100, 100 + MAX_ACCEPTS)))
        self.assertEqual(self.engine.joined, [5, *range(100, 100 + MAX_ACCEPTS)])
        self.assertEqual(tuple(self.factory.made[0].getPeer()), ("TCP", *PEER))
        ready(port)
        self.assertEqual((len(self.factory.made), self.waiting), (MAX_ACCEPTS + 2, []))

    @rows(python=(EnginePort._serve,), present=(lambda port: port.ready(1),))
    def test_nothing_made(self, ready: Any) -> None:
        """A client for whom nothing is made is closed; the next one is served."""
        port = self.port(2)
        first = self.waiting[0]
        self.factory.first = lambda: None
        ready(port)
        self.assertTrue(first.closed)
        self.assertEqual([one.fileno() for one in self.factory.made], [101])

    @rows(python=(EnginePort._serve,), present=(lambda port: port.ready(1),))
    def test_fault(self, ready: Any) -> None:
        """A fault is its client's; who waits behind it is served in the next turn."""
        port = self.port(2)
        self.factory.first = lambda: 1 // 0
        self.assertRaises(ZeroDivisionError, ready, port)
        ready(port)
        self.assertEqual([one.fileno() for one in self.factory.made], [101])

    @rows(python=(EnginePort._serve,), present=(lambda port: port.ready(1),))
    def test_stopped_meanwhile(self, ready: Any) -> None:
        """A port that is stopped by what it serves takes nobody more."""
        port = self.port(2)

        def stop() -> Any:
            port.stopListening()
            return self.factory.make()

        self.factory.first = stop
        ready(port)
        self.assertEqual((len(self.factory.made), len(self.waiting)), (1, 1))

    @rows(python=(EnginePort._serve,), present=(lambda port: port.ready(1),))
    def test_no_descriptors(self, ready: Any) -> None:
        """Without descriptors it rests, and looks again."""
        port = self.port(1)
        self.waiting.insert(0, OSError(EMFILE, "too many open files"))
        ready(port)
        self.assertTrue(self.engine.paused)
        self.assertEqual(self.engine.joined, [5])
        self.engine.reactor.advance(PAUSE_SECONDS)
        self.assertEqual(self.engine.joined, [5, 5])
        self.flushLoggedErrors()

    @rows(python=(EnginePort._serve,), present=(lambda port: port.ready(1),))
    def test_other_problem(self, ready: Any) -> None:
        """Another problem is logged, and does not end the port."""
        port = self.port(1)
        self.waiting.insert(0, OSError(EBADF, "bad file descriptor"))
        ready(port)
        self.assertFalse(self.engine.paused)
        ready(port)
        self.assertEqual(len(self.factory.made), 1)
