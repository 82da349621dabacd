"""The first of several addresses that answers is connected to (RFC 8305)."""

from __future__ import annotations

import errno
import socket

from twisted.internet import error, reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from corpproxy.errors import UpstreamError
from corpproxy.net.dial import dial
from tests.support.rows import rows, tabular

REFUSED = error.ConnectionRefusedError(errno.ECONNREFUSED, "refused")
NO_NETWORK = error.NoRouteError(errno.ENETUNREACH, "unreachable")
NO_HOST = error.ConnectError(errno.EHOSTUNREACH, "unreachable")
ODD = error.ConnectBindError(errno.EMFILE, "too many open files")
TIMED_OUT = error.TimeoutError()


class Wire(StringTransport):
    """A connection in memory, which knows whether it waits for more before it sends."""

    no_delay = False
    protocol: object = None

    def setTcpNoDelay(self, enabled):
        self.no_delay = bool(enabled)


class Attempt:
    """One connectTCP: the test decides what comes of it."""

    def __init__(self, address, port, factory, timeout, bind):
        self.address, self.port, self.factory = address, port, factory
        self.timeout, self.bind = timeout, bind
        self.given_up = False

    def disconnect(self):
        self.given_up = True
        self.factory.clientConnectionFailed(self, Failure(error.UserError()))

    def connect(self):
        """The server answers."""
        wire = Wire(peerAddress=IPv4Address("TCP", self.address, self.port))
        wire.protocol = self.factory.buildProtocol(wire.getPeer())
        wire.protocol.makeConnection(wire)
        return wire

    def fail(self, problem):
        self.factory.clientConnectionFailed(self, Failure(problem))


class Network:
    """Stands for the reactor: keeps the attempts."""

    def __init__(self):
        self.attempts = []

    def connectTCP(self, address, port, factory, timeout=30, bindAddress=None):
        self.attempts.append(Attempt(address, port, factory, timeout, bindAddress))
        return self.attempts[-1]

    @property
    def dialled(self):
        return [attempt.address for attempt in self.attempts]


class Client(Protocol):
    """What the test connects."""

    connections = 0

    def connectionMade(self):
        self.connections += 1


@tabular
class RaceTests(SynchronousTestCase):
    """When which address is dialled, and who wins."""

    def setUp(self):
        self.clock = Clock()
        self.network = Network()
        self.made = []

    def client(self):
        self.made.append(Client())
        return self.made[-1]

    def dial(self, *addresses, **more):
        return dial(self.network, addresses, 443, self.client, clock=self.clock, **more)

    def failure(self, waiting):
        return self.failureResultOf(waiting, UpstreamError).value

    def test_one_address(self):
        """One address is dialled with the whole time, and no timer of ours runs."""
        waiting = self.dial("192.0.2.1", timeout=7.0)
        (attempt,) = self.network.attempts
        self.assertEqual(
            (attempt.address, attempt.port, attempt.timeout, attempt.bind), ("192.0.2.1", 443, 7.0, None)
        )
        self.assertEqual(self.clock.getDelayedCalls(), [])
        wire = attempt.connect()
        client = self.successResultOf(waiting)
        self.assertEqual((client.connections, client.transport), (1, wire))
        self.assertEqual(client.transport.getPeer().host, "192.0.2.1")

    def test_no_stand_in(self):
        """Nothing stands between protocol and transport, and small writes are not held back."""
        waiting = self.dial("192.0.2.1")
        wire = self.network.attempts[0].connect()
        self.assertIs(wire.protocol, self.successResultOf(waiting))
        self.assertTrue(wire.no_delay)

    def test_stagger(self):
        """The next address is dialled a quarter of a second after the one before."""
        self.dial("2001:db8::1", "192.0.2.1", "192.0.2.2").addErrback(lambda _: None)
        self.assertEqual(self.network.dialled, ["2001:db8::1"])
        self.clock.advance(0.24)
        self.assertEqual(len(self.network.attempts), 1)
        self.clock.advance(0.02)
        self.assertEqual(self.network.dialled, ["2001:db8::1", "192.0.2.1"])
        self.clock.advance(0.25)
        self.assertEqual(self.network.dialled, ["2001:db8::1", "192.0.2.1", "192.0.2.2"])

    def test_next_at_once(self):
        """After a failure the next address is dialled at once, and has its own quarter of a second."""
        self.dial("2001:db8::1", "192.0.2.1", "192.0.2.2").addErrback(lambda _: None)
        self.clock.advance(0.2)
        self.network.attempts[0].fail(NO_NETWORK)
        self.assertEqual(self.network.dialled, ["2001:db8::1", "192.0.2.1"])
        self.clock.advance(0.2)
        self.assertEqual(len(self.network.attempts), 2)
        self.clock.advance(0.06)
        self.assertEqual(len(self.network.attempts), 3)

    def test_first_wins(self):
        """The first connection wins; the other attempts are given up, and one protocol is made."""
        waiting = self.dial("2001:db8::1", "192.0.2.1", "192.0.2.2")
        self.clock.advance(0.25)
        first, second = self.network.attempts
        second.connect()
        self.assertIs(self.successResultOf(waiting), self.made[0])
        self.assertEqual((first.given_up, second.given_up, len(self.made)), (True, False, 1))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_connected_too_late(self):
        """A connection that stands after another won is dropped."""
        waiting = self.dial("2001:db8::1", "192.0.2.1")
        self.clock.advance(0.25)
        first, second = self.network.attempts
        second.connect()
        self.successResultOf(waiting)
        self.assertIsNone(first.factory.buildProtocol(None))

    def test_time_left(self):
        """Later addresses have the time that is left of the whole."""
        self.dial("2001:db8::1", "192.0.2.1", timeout=10.0).addErrback(lambda _: None)
        self.clock.advance(0.25)
        self.assertEqual([attempt.timeout for attempt in self.network.attempts], [10.0, 9.75])

    def test_timed_out(self):
        """When the time is over, the addresses that were silent are named, and no other is tried."""
        waiting = self.dial("2001:db8::1", "192.0.2.1", "192.0.2.2", "192.0.2.3", stagger=4.0)
        self.clock.advance(4)
        self.clock.advance(4)
        for attempt in self.network.attempts:
            attempt.fail(TIMED_OUT)
        problem = self.failure(waiting)
        self.assertEqual((problem.code, problem.phase, problem.status), ("connect-timeout", "connect", 504))
        self.assertIn("2001:db8::1, 192.0.2.1, 192.0.2.2", problem.message)
        self.assertEqual(len(self.network.attempts), 3)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    @rows(
        refused=([REFUSED, REFUSED], "connect-refused", False),
        no_network=([NO_NETWORK, NO_NETWORK], "no-route", False),
        no_host=([NO_HOST, NO_HOST], "no-route", False),
        odd=([ODD, ODD], "connect-failed", False),
        kernel_timed_out=([error.TCPTimedOutError(errno.ETIMEDOUT, "x"), REFUSED], "connect-timeout", True),
        no_ipv6_and_refused=([NO_NETWORK, REFUSED], "connect-refused", False),
        refused_and_silent=([REFUSED, TIMED_OUT], "connect-timeout", True),
    )
    def test_failures(self, problems, code, timed_out):
        """What all attempts failed of becomes one failure, which names each address."""
        waiting = self.dial("192.0.2.1", "192.0.2.2")
        for number, problem in enumerate(problems):
            self.network.attempts[number].fail(problem)
        verdict = self.failure(waiting)
        self.assertEqual((verdict.code, verdict.timed_out, verdict.phase), (code, timed_out, "connect"))
        for text in ("192.0.2.1", "192.0.2.2", "443"):
            self.assertIn(text, verdict.message)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_cancelled(self):
        """When the client leaves, all attempts are given up and none is begun."""
        waiting = self.dial("192.0.2.1", "192.0.2.2", "192.0.2.3")
        self.clock.advance(0.25)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertEqual([attempt.given_up for attempt in self.network.attempts], [True, True])
        self.clock.advance(1)
        self.assertEqual(len(self.network.attempts), 2)

    def test_cancelled_single(self):
        """The attempt for a single address is given up when the client leaves."""
        waiting = self.dial("192.0.2.1")
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertTrue(self.network.attempts[0].given_up)

    def test_no_address(self):
        """Without an address there is no way to the server."""
        self.assertEqual(self.failure(self.dial()).code, "no-route")

    @rows(
        name=("www.example",),
        short=("127.1",),
        number=("2130706433",),
        empty=("",),
        brackets=("[::1]",),
    )
    def test_names_are_not_dialled(self, address):
        """What is no IP address is never dialled: nothing here looks names up."""
        self.assertRaises(ValueError, self.dial, "192.0.2.1", address)
        self.assertEqual(self.network.attempts, [])

    def test_from(self):
        """A connection can leave from a given local address."""
        self.dial("192.0.2.1", bind=("10.0.0.1", 0)).addErrback(lambda _: None)
        self.assertEqual(self.network.attempts[0].bind, ("10.0.0.1", 0))


class LoopbackTests(TestCase):
    """The same over real sockets."""

    def setUp(self):
        self.gone = Deferred()
        gone = self.gone

        class Server(Protocol):
            def dataReceived(self, data):
                self.transport.write(data.upper())

            def connectionLost(self, reason):
                gone.callback(None)

        self.port = reactor.listenTCP(0, Factory.forProtocol(Server), interface="127.0.0.1")
        self.number = self.port.getHost().port
        self.addCleanup(self.port.stopListening)

    async def test_connects(self):
        """Octets go both ways, and the peer is the address that was dialled."""
        received = Deferred()

        class Echo(Protocol):
            def connectionMade(self):
                self.transport.write(b"hello")

            def dataReceived(self, data):
                received.callback(data)

        client = await dial(reactor, ["127.0.0.1"], self.number, Echo)
        self.assertEqual(client.transport.getPeer().host, "127.0.0.1")
        self.assertTrue(client.transport.getTcpNoDelay())
        self.assertEqual(await received, b"HELLO")
        client.transport.loseConnection()
        await self.gone

    async def test_second_address(self):
        """An address where nobody listens is followed by the next at once."""
        client = await dial(reactor, ["127.0.0.2", "127.0.0.1"], self.number, Protocol)
        self.assertEqual(client.transport.getPeer().host, "127.0.0.1")
        client.transport.loseConnection()
        await self.gone

    async def test_refused(self):
        """A port where nobody listens is refused."""
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            failure = None
            try:
                await dial(reactor, ["127.0.0.1"], unused.getsockname()[1], Protocol)
            except UpstreamError as problem:
                failure = problem.code
        self.assertEqual(failure, "connect-refused")
        self.gone.callback(None)

    async def test_protocol_cannot_be_made(self):
        """A fault while the protocol is made ends the attempt as a failure, and is in the log."""

        def broken():
            raise RuntimeError("no protocol")

        try:
            await dial(reactor, ["127.0.0.1"], self.number, broken)
        except UpstreamError as problem:
            self.assertEqual(problem.code, "connect-failed")
        else:
            self.fail("there is no protocol")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        await self.gone
