"""The only attempt to connect that is made for a caller: compiled and in Python, on real sockets."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import Any, ClassVar

from twisted.internet import reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase

from corpproxy.net.engine import dialling
from corpproxy.net.engine.dialling import Dialler, DiallerInPython
from corpproxy.net.engine.loop import Engine
from corpproxy.net.engine.patience import TICK_SECONDS, Patience, PatienceInPython
from corpproxy.net.engine.sockets import make_socket
from corpproxy.net.engine.transport import Transport
from tests.support.rows import rows, tabular


class Server(Protocol):
    """What a caller connects: keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.came: Deferred[bytes] = Deferred()

    def connectionMade(self) -> None:
        self.told.append("made")

    def dataReceived(self, data: bytes) -> None:
        self.came.callback(data)

    def connectionLost(self, reason: Any = None) -> None:
        self.told.append("lost")


class Caller:
    """Wants a connection, and lets a test wait for it or for what is in the way."""

    def __init__(self) -> None:
        self.over: Deferred[Any] = Deferred()
        self.bug: Exception | None = None
        self.made: list[Server] = []

    def build(self) -> Server:
        if self.bug is not None:
            raise self.bug
        self.made.append(Server())
        return self.made[-1]

    def arrived(self, protocol: Server) -> None:
        protocol.told.append("arrived")
        self.over.callback(protocol)

    def failed(self, problem: Any) -> None:
        self.over.callback(problem.code)


class Refusing:
    """A socket whose calls the kernel refuses."""

    def __init__(self, number: int, raises: bool = False) -> None:
        self.number = number
        self.raises = raises
        self.closed = False

    def fileno(self) -> int:
        return 900

    def connect_ex(self, address: Any) -> int:
        if self.raises:
            raise OSError(self.number, "no")
        return self.number

    def close(self) -> None:
        self.closed = True


class InEngine:
    """Dials in an engine, with one of the twins."""

    twin: ClassVar[Callable[..., Any]]

    def setUp(self) -> None:
        self.engine = Engine(reactor)
        self.addCleanup(self.engine.stop)  # type: ignore[attr-defined]
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(self.listening.close)  # type: ignore[attr-defined]
        self.listening.settimeout(5)
        self.address = self.listening.getsockname()
        self.caller = Caller()

    def dial(self, make: Callable[..., Any] = make_socket, timeout: float = 10.0, bind: Any = None) -> Any:
        dialler = self.twin(self.engine, make)
        return dialler.dial_one(*self.address, self.caller, timeout, bind)

    def without_kernel(self) -> None:
        """Let the engine watch what is no descriptor."""
        self.engine._descriptor = -1
        self.engine._register = lambda *watched: None

    def accept(self) -> socket.socket:
        accepted, _ = self.listening.accept()
        accepted.settimeout(5)
        self.addCleanup(accepted.close)  # type: ignore[attr-defined]
        return accepted


@tabular
class _DialTests(InEngine):
    @inlineCallbacks
    def test_connects(self) -> Any:
        """The caller's protocol has the transport from the beginning, and small writes are not held back."""
        self.dial()
        self.assertFalse(self.caller.over.called, "the caller hears later than this returns")
        server = yield self.caller.over
        self.assertEqual(server.told, ["made", "arrived"])
        self.assertIs(type(server.transport), Transport)
        self.assertTrue(server.transport.getTcpNoDelay())
        peer = server.transport.getPeer()
        self.assertEqual((peer.host, peer.port), self.address)
        accepted = self.accept()
        yield deferLater(reactor, 0)  # between turns, where what is written leaves at once
        server.transport.write(b"hello")
        self.assertEqual(accepted.recv(10), b"hello")
        accepted.send(b"welcome")
        self.assertEqual((yield server.came), b"welcome")
        self.assertEqual(len(self.engine), 1)

    @inlineCallbacks
    def test_six(self) -> Any:
        """An IPv6 address is dialled as well."""
        self.listening = socket.create_server(("::1", 0), family=socket.AF_INET6)
        self.addCleanup(self.listening.close)
        self.address = self.listening.getsockname()[:2]
        self.dial()
        server = yield self.caller.over
        self.assertEqual(server.transport.getPeer().host, "::1")

    @inlineCallbacks
    def test_speaks_first(self) -> Any:
        """What a server sends at once is not lost."""
        self.dial()
        self.accept().send(b"220 ready")
        server = yield self.caller.over
        self.assertEqual((yield server.came), b"220 ready")

    @inlineCallbacks
    def test_from_an_address(self) -> Any:
        """A connection can leave from an address that was chosen."""
        self.dial(bind=("127.0.0.2", 0))
        yield self.caller.over
        self.assertEqual(self.accept().getpeername()[0], "127.0.0.2")

    @inlineCallbacks
    def test_from_no_address(self) -> Any:
        """An address that is none of this machine is told of."""
        self.dial(bind=("192.0.2.1", 0))
        self.assertEqual((yield self.caller.over), "no-route")

    @inlineCallbacks
    def test_refused(self) -> Any:
        """A server that refuses is told of, and nothing is left open."""
        self.listening.close()
        self.dial()
        self.assertEqual((yield self.caller.over), "connect-refused")
        self.assertEqual(len(self.engine), 0)

    @rows(
        no_route=(errno.ENETUNREACH, False, "no-route"),
        raised=(errno.EHOSTUNREACH, True, "no-route"),
        no_permission=(errno.EPERM, False, "connect-failed"),
    )
    @inlineCallbacks
    def test_kernel_refuses(self, number: int, raises: bool, code: str) -> Any:
        """What the kernel refuses is told later than this returns, and its socket is closed."""
        refusing = Refusing(number, raises)
        self.dial(lambda *kind: refusing)
        self.assertFalse(self.caller.over.called)
        self.assertEqual((yield self.caller.over), code)
        self.assertTrue(refusing.closed)
        self.assertEqual(len(self.engine), 0)

    @inlineCallbacks
    def test_no_descriptor(self) -> Any:
        """Without a descriptor nothing is begun, and the caller hears of it later than this returns."""

        def make(*kind: int) -> Any:
            raise OSError(errno.EMFILE, "too many open files")

        self.dial(make)
        self.assertFalse(self.caller.over.called)
        self.assertEqual((yield self.caller.over), "connect-failed")

    @inlineCallbacks
    def test_late(self) -> Any:
        """A server that does not answer in time is given up."""
        refusing = Refusing(errno.EINPROGRESS)
        self.without_kernel()
        self.dial(lambda *kind: refusing, timeout=0.01)
        self.assertEqual((yield self.caller.over), "connect-timeout")
        self.assertTrue(refusing.closed)

    @inlineCallbacks
    def test_given_up(self) -> Any:
        """Who gives up hears no more, and no descriptor is left."""
        dial = self.dial()
        dial.give_up()
        self.assertEqual(len(self.engine), 0)
        yield deferLater(reactor, 0.01)
        self.assertFalse(self.caller.over.called)

    @inlineCallbacks
    def test_given_up_in_the_same_turn(self) -> Any:
        """One that is given up in the turn that began it is never connected."""
        asked: list[Any] = []
        refusing = Refusing(0)
        self.patch(refusing, "connect_ex", lambda address: asked.append(address) or 0)
        self.engine.leaving = []
        self.dial(lambda *kind: refusing).give_up()
        self.engine.leaving = None
        yield deferLater(reactor, 0.01)
        self.assertEqual((asked, refusing.closed), ([], True))

    def test_number_of_one_that_is_given_up(self) -> None:
        """No other socket has its number before the turn is over, which may tell of that number still."""
        refusing = Refusing(errno.EINPROGRESS)
        self.without_kernel()
        dial = self.dial(lambda *kind: refusing)
        self.engine.leaving = []
        dial.give_up()
        self.assertFalse(refusing.closed)
        self.engine.leaving = None
        self.engine._run_soon()
        self.assertTrue(refusing.closed)

    def test_stopping(self) -> None:
        """A reactor that stops while it is connected to the server ends the attempt, and says so."""
        refusing = Refusing(errno.EINPROGRESS)
        self.without_kernel()
        self.dial(lambda *kind: refusing)
        self.engine.stop()
        self.assertTrue(refusing.closed)
        self.assertEqual(self.successResultOf(self.caller.over), "connect-failed")

    @inlineCallbacks
    def test_bug(self) -> Any:
        """A caller that cannot make its protocol ends that connection alone."""
        self.caller.bug = RuntimeError("a bug")
        self.dial()
        accepted = self.accept()
        self.assertEqual((yield self.caller.over), "connect-failed")
        self.assertEqual(accepted.recv(10), b"")
        self.assertEqual(len(self.engine), 0)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    @inlineCallbacks
    def test_bug_of_the_protocol(self) -> Any:
        """So does a protocol that raises when it is told of its transport."""
        self.patch(Server, "connectionMade", lambda server: 1 / 0)
        self.dial()
        accepted = self.accept()
        self.assertEqual((yield self.caller.over), "connect-failed")
        self.assertEqual(accepted.recv(10), b"")
        self.assertEqual(self.caller.made[0].told, ["lost"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    @inlineCallbacks
    def test_one_place(self) -> Any:
        """All connections to one place keep one text of it, whatever number of places there was before."""
        dialler = self.twin(self.engine)
        places = []
        for _ in range(2):
            self.caller = Caller()
            dialler.dial_one(*self.address, self.caller, 10.0, None)
            server = yield self.caller.over
            places.append(server.transport._peer)
        self.assertIs(*places)


class DialTests(_DialTests, TestCase):
    """The twin that runs."""

    twin = Dialler
    timeout = 20


class DialInPythonTests(_DialTests, TestCase):
    """The twin in Python."""

    twin = DiallerInPython
    timeout = 20


class PlacesTests(SynchronousTestCase):
    """What is remembered of places is bounded."""

    def test_bound(self) -> None:
        """One more than are remembered makes the others be forgotten."""
        engine = Engine(reactor)
        self.addCleanup(engine.stop)
        dialler = Dialler(engine, lambda *kind: Refusing(errno.EPERM))
        for port in range(1, dialling.MAX_PLACES + 2):
            dialler.dial_one("192.0.2.1", port, Caller(), 10.0, None)
        self.assertEqual(list(dialler._places), [("192.0.2.1", dialling.MAX_PLACES + 1)])


class Impatient:
    """Notes when it was told."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.told: list[float] = []
        self.then: Callable[[], None] = lambda: None

    def late(self) -> None:
        self.told.append(self.clock.seconds())
        self.then()


class _PatienceTests:
    twin: ClassVar[Callable[..., Any]]

    def setUp(self) -> None:
        self.clock = Clock()
        self.patience = self.twin(self.clock)
        self.one, self.other = Impatient(self.clock), Impatient(self.clock)

    def pass_by(self, seconds: float) -> None:
        self.clock.pump([TICK_SECONDS] * round(seconds / TICK_SECONDS))

    def test_late(self) -> None:
        """One that waits too long is told, once, up to a tick later; then nothing ticks any more."""
        self.patience.wait(self.one, 1.1)
        self.pass_by(5)
        self.assertEqual(self.one.told, [1.25])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_over(self) -> None:
        """One that is over is told nothing, however often that is said."""
        self.patience.wait(self.one, 1)
        self.patience.wait(self.other, 1)
        self.patience.over(self.one)
        self.patience.over(self.one)
        self.pass_by(5)
        self.assertEqual((self.one.told, self.other.told), ([], [1.0]))

    def test_ended_by_another(self) -> None:
        """What the end of one does to another counts."""
        self.one.then = lambda: self.patience.over(self.other)
        self.patience.wait(self.one, 1)
        self.patience.wait(self.other, 1)
        self.pass_by(5)
        self.assertEqual((self.one.told, self.other.told), ([1.0], []))

    def test_waits_again(self) -> None:
        """One that waits again when it is told ticks with the same timer."""
        self.one.then = lambda: self.patience.wait(self.other, 1)
        self.patience.wait(self.one, 1)
        self.pass_by(1)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.pass_by(5)
        self.assertEqual(self.other.told, [2.0])

    def test_stop(self) -> None:
        """When it stops nobody is told."""
        self.patience.wait(self.one, 1)
        self.patience.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.pass_by(5)
        self.assertEqual(self.one.told, [])


class PatienceTests(_PatienceTests, SynchronousTestCase):
    """The twin that runs."""

    twin = Patience


class PatienceInPythonTests(_PatienceTests, SynchronousTestCase):
    """The twin in Python."""

    twin = PatienceInPython
