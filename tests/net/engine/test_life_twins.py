"""How a transport begins and ends, and what the engine does then, is the same in Python and compiled."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides, implementer

from corpproxy.net.engine.life import LifeInPython
from corpproxy.net.engine.loop import ENDING, READABLE, WRITABLE, Loop, LoopInPython
from corpproxy.net.engine.read_write import HELD_OCTETS, TransportInPython
from corpproxy.net.engine.transport import Transport


def _functions(*classes: type) -> dict[str, Any]:
    return {
        name: one for kind in classes for name, one in vars(kind).items() if isinstance(one, FunctionType)
    }


# A transport that is Python all through, whatever was compiled.
_PARTS = {**_functions(LifeInPython, Transport), "__slots__": ()}
PythonTransport: Any = type("PythonTransport", (TransportInPython,), _PARTS)


class Told:
    """Writes down what it is told, and raises where the test says so."""

    def __init__(self, journal: list[Any], fails: frozenset[str]) -> None:
        self.journal, self.fails = journal, fails

    def tell(self, *what: Any) -> None:
        self.journal.append(what)
        if what[0] in self.fails:
            raise ZeroDivisionError(what[0])


class Engine:
    """What only the whole engine knows, written down."""

    leaving: list[Any] | None

    def __init__(self, told: Told) -> None:
        super().__init__()
        self.told = told
        self.leaving = None
        self._running = False
        self._descriptor = -1
        self._most = 64
        self._register = lambda *words: told.tell("register", *words)
        self.happens: list[Callable[[], None]] = []

    def _turn(self) -> None:
        for call in self.happens:
            call()
        self.happens = []

    def _schedule(self) -> None:
        self.told.tell("schedule")

    def _due_failed(self, problem: Exception) -> None:
        self.told.tell("due failed", type(problem))

    def _failed(self, member: Any, problem: Exception) -> None:
        self.told.tell("failed", type(problem))


class PythonEngine(Engine, LoopInPython):
    """One that is Python all through."""


class PresentEngine(Engine, Loop):
    """One as it runs here."""


class Socket:
    """A socket of which nobody knows but the test; an OSError in ``comes`` is raised."""

    def __init__(self, told: Told) -> None:
        self.told = told
        self.comes: list[bytes | OSError] = []

    def fileno(self) -> int:
        return 7

    def recv(self, size: int, flags: int = 0) -> bytes:
        came = self.comes.pop(0) if self.comes else BlockingIOError(11, "nothing now")
        if isinstance(came, OSError):
            raise came
        return came

    def send(self, data: bytes) -> int:
        self.told.tell("send", bytes(data))
        if "refuse" in self.told.fails:
            raise BlockingIOError(11, "not now")
        return len(data)

    def shutdown(self, how: int) -> None:
        self.told.tell("shutdown", how)
        if "unconnected" in self.told.fails:
            raise OSError(107, "not connected")

    def setsockopt(self, *words: Any) -> None:
        self.told.tell("option", *words)

    def getsockopt(self, *words: Any) -> int:
        return 0

    def close(self) -> None:
        self.told.tell("close")


class Plain:
    """A protocol that hears of no half an end; it is its own producer."""

    def __init__(self, told: Told) -> None:
        self.told = told

    def makeConnection(self, transport: Any) -> None:
        self.told.tell("made", transport.getPeer())

    def dataReceived(self, data: bytes) -> None:
        self.told.tell("came", data)

    def connectionLost(self, reason: Any) -> None:
        self.told.tell("lost", type(reason.value), str(reason.value))

    def pauseProducing(self) -> None:
        self.told.tell("pause")

    def resumeProducing(self) -> None:
        self.told.tell("resume")

    def stopProducing(self) -> None:
        self.told.tell("stop")


@implementer(IHalfCloseableProtocol)
class Half(Plain):
    """A protocol that hears of it, and whose class alone can say so."""

    __slots__ = ("told",)

    def readConnectionLost(self) -> None:
        self.told.tell("half")

    def writeConnectionLost(self) -> None:
        self.told.tell("unread")


class OneOnly(Plain):
    """A protocol of which one object hears of it, and others do not."""

    readConnectionLost = Half.readConnectionLost


class Script:
    """A transport with its engine, and steps that it takes."""

    def __init__(self, is_python: bool, kind: str, fails: frozenset[str]) -> None:
        self.journal: list[Any] = []
        told = Told(self.journal, fails)
        self.engine: Any = (PythonEngine if is_python else PresentEngine)(told)
        self.socket = Socket(told)
        make = PythonTransport if is_python else Transport
        self.transport = make(self.engine, self.socket, ("192.0.2.1", 1234))
        self.protocol: Any = {"plain": Plain, "half": Half}.get(kind, OneOnly)(told)
        if kind == "one":
            directlyProvides(self.protocol, IHalfCloseableProtocol)
        self.take(lambda: self.transport.start(self.protocol))

    def take(self, call: Callable[[], Any]) -> None:
        """Do something, and write down what came of it."""
        try:
            self.journal.append(call())
        except Exception as problem:
            self.journal.append((type(problem), str(problem)))
        one = self.transport
        self.journal.append((one.connected, one.disconnecting, one._closing, one._writing_over, one._half))
        self.journal.append((one._paused, one._readable, one._held, one._producer is None, len(self.engine)))
        self.journal.append((self.engine.is_due(), self.engine.leaving is None))

    def step(self, is_turn: bool, name: str, *words: Any) -> None:
        """Call a method of the transport, in a turn or between turns."""
        call = getattr(self, name, None) or getattr(self.transport, name)
        if is_turn:
            self.engine.happens.append(lambda: self.take(lambda: call(*words)))
        else:
            self.take(lambda: call(*words))

    def comes(self, *pieces: bytes | OSError) -> None:
        self.socket.comes.extend(pieces)
        self.transport.ready(READABLE & ~ENDING | WRITABLE)

    def produce(self, *more: Any) -> None:
        self.transport.registerProducer(self.protocol, *more)

    def turn(self) -> None:
        self.engine.doRead()

    def run(self) -> None:
        self.engine._run_soon()


STEPS: list[tuple[Any, ...]] = [
    ("comes", b"octets"),
    ("comes", b""),
    ("comes", b"octets", b""),
    ("comes", OSError(104, "reset")),
    ("write", b"octets"),
    ("write", b"L" * (HELD_OCTETS + 1)),
    ("loseConnection",),
    ("loseConnection",),
    ("loseWriteConnection",),
    ("loseWriteConnection",),
    ("abortConnection",),
    ("failed",),
    ("engine_stopped",),
    ("produce", True),
    ("produce", False),
    ("produce",),
    ("unregisterProducer",),
    ("pauseProducing",),
    ("resumeProducing",),
    ("_read_on",),
    ("hurry_later",),
    ("setTcpNoDelay", True),
    ("getTcpNoDelay",),
]
FAILS = ["came", "half", "lost", "stop", "refuse", "unconnected", "made", "pause", "register"]


class LifeTests(SynchronousTestCase):
    """The twins, side by side."""

    maxDiff = None

    @settings(max_examples=200, deadline=None)
    @given(
        st.lists(st.tuples(st.booleans(), st.sampled_from(STEPS)), max_size=10),
        st.sampled_from(["plain", "half", "one", "other"]),
        st.frozensets(st.sampled_from(FAILS), max_size=2),
    )
    def test_agree(self, steps: list[Any], kind: str, fails: frozenset[str]) -> None:
        """Whatever happens, in a turn or between turns, both ask the kernel and tell others the same."""
        scripts = [Script(is_python, kind, fails) for is_python in (True, False)]
        for script in scripts:
            for is_turn, step in steps:
                script.step(is_turn, *step)
                script.take(script.turn)
            script.take(script.run)
        self.assertEqual(scripts[0].journal, scripts[1].journal)
        self.flushLoggedErrors(ZeroDivisionError)

    def test_half(self) -> None:
        """Who hears of half an end goes on; for others it is the end."""
        for is_python in (True, False):
            for kind, heard in (("plain", "lost"), ("half", "half"), ("one", "half"), ("other", "lost")):
                script = Script(is_python, kind, frozenset())
                script.comes(b"")
                told = [entry[0] for entry in script.journal if entry and isinstance(entry[0], str)]
                self.assertEqual(told[-1], heard, kind)


class LoopTests(SynchronousTestCase):
    """What is due, and who is told."""

    def engines(self) -> list[Any]:
        self.told = Told([], frozenset())
        return [PythonEngine(self.told), PresentEngine(self.told)]

    def test_members(self) -> None:
        """A member is told of its descriptor, however large, until it leaves or another takes its place."""
        for engine in self.engines():
            for descriptor in (3, 5_000):
                engine.put(descriptor, "one")
                engine.join(descriptor, "other", 1)
                self.assertEqual(engine.member(descriptor), "other")
            self.assertEqual((len(engine), engine._all_members()), (2, ["other", "other"]))
            for descriptor in (3, 3, 4, 6_000, -1):
                engine.leave(descriptor)
            self.assertEqual((len(engine), engine.member(3), engine.member(6_000)), (1, None, None))
            self.assertRaises(ValueError, engine.put, -1, "nobody")
            self.assertRaises(ValueError, engine.join, -1, "nobody")
        self.assertEqual(self.told.journal, 2 * [("register", 3, 1), ("register", 5_000, 1)])

    def test_due(self) -> None:
        """What is due is done in its order; what it adds waits, and what raises is no matter for the rest."""
        for engine in self.engines():
            done: list[str] = []

            def first(engine: Any = engine, done: list[str] = done) -> None:
                done.append("first")
                engine.soon(lambda: done.append("later"))
                engine.at_end(lambda: done.append("now"))

            engine.soon(first)
            engine.soon(lambda: 1 // 0)
            engine.soon(lambda done=done: done.append("last"))
            engine._run_soon()
            self.assertEqual((done, engine.is_due()), (["first", "now", "last"], True))
            engine.doRead()
            self.assertEqual((done[-1], engine.is_due()), ("later", False))
        self.assertEqual(self.told.journal.count(("due failed", ZeroDivisionError)), 2)

    def test_ended_by_what_is_no_exception(self) -> None:
        """What ends the program is let through, and the turn is over all the same."""

        def ends() -> None:
            raise KeyboardInterrupt

        for engine in self.engines():
            for happens in (engine.happens.append, engine.soon):
                happens(ends)
                self.assertRaises(KeyboardInterrupt, engine.doRead)
                self.assertEqual((engine.leaving, engine._running, engine.is_due()), (None, False, False))
                engine.happens.clear()
