"""
Connections in memory: a proxy whose clients and servers are moved by hand, on a clock that stands still.

The transports behave as those of TCP do: what is written waits until the peer reads it, a producer is paused
past the high-water mark and resumed when all is read, either side can be ended alone, and the end of a
connection is told in a turn of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost, ConnectionRefusedError
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from corpproxy.accounting.accounts import Accounts
from corpproxy.accounting.ledger import Ledger
from corpproxy.audit.record import Record
from corpproxy.audit.reference import References
from corpproxy.audit.results import Kind
from corpproxy.backends.books import Books
from corpproxy.errors import UpstreamError
from corpproxy.exchange.exchange import Exchange, Mode
from corpproxy.exchange.in_force import InForce
from corpproxy.net.deadlines import Deadlines
from corpproxy.net.downstream import Downstream
from corpproxy.net.pool import Pool
from corpproxy.net.proxy import Proxy
from corpproxy.policy.rules import Rule
from tests.support.builders import CLIENT, MONDAY, in_force

HIGH_WATER = 64 * 1024
PUBLIC = "93.184.216.34"


class Address:
    """Where a peer is."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port


class Transport:
    """Our end of a connection, and the peer at its other end."""

    def __init__(self, clock: Clock, host: str, port: int) -> None:
        self._clock = clock
        self._peer = Address(host, port)
        self.protocol: Any = None
        self.received = bytearray()  # what the peer has read
        self.unread = bytearray()  # what was written and the peer has not read yet
        self.reads = True
        self.producer: Any = None
        self.producer_paused = False
        self.paused = False
        self.inbox: list[tuple[str, bytes]] = []
        self.ended = False  # our side ended its stream
        self.closed = False
        self.reset = False
        self.disconnecting = False
        self._ending = False

    # The side of the protocol.

    def getPeer(self) -> Address:
        return self._peer

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Nothing waits here."""

    def write(self, data: bytes) -> None:
        assert isinstance(data, bytes)
        if self.closed or self._ending or self.disconnecting:
            return
        self.unread += data
        if self.reads:
            self.received += self.unread
            self.unread.clear()
        elif len(self.unread) > HIGH_WATER and self.producer is not None and not self.producer_paused:
            self.producer_paused = True
            self.producer.pauseProducing()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        assert self.producer is None
        assert streaming
        self.producer = producer

    def unregisterProducer(self) -> None:
        assert self.producer is not None
        self.producer = None

    def loseConnection(self) -> None:
        if not self.closed:
            self.disconnecting = True
            self._flushed()

    def loseWriteConnection(self) -> None:
        self._ending = True
        self._flushed()

    def abortConnection(self) -> None:
        if not self.closed:
            self.unread.clear()
            self.reset = True
            self._lose(ConnectionAborted())

    def pauseProducing(self) -> None:
        assert not self.paused, "it is paused already"
        self.paused = True

    def resumeProducing(self) -> None:
        assert self.paused, "it is not paused"
        self.paused = False
        self._clock.callLater(0, self._deliver)

    # The side of the peer.

    def read(self) -> bytes:
        """Read all that was written."""
        self.reads = True
        self.received += self.unread
        self.unread.clear()
        if self.producer_paused and self.producer is not None:
            self.producer_paused = False
            self.producer.resumeProducing()
        self._flushed()
        return self.take()

    def take(self) -> bytes:
        """Give what was read, once."""
        taken, self.received = bytes(self.received), bytearray()
        return taken

    def send(self, data: bytes) -> None:
        """Send octets."""
        self._arrive("octets", data)

    def end(self) -> None:
        """End the stream of the peer."""
        self._arrive("end", b"")

    def break_off(self) -> None:
        """Reset the connection."""
        self._lose(ConnectionLost())

    def close(self) -> None:
        """Close the connection, as a peer does that ends its stream and reads no more."""
        self.end()

    @property
    def is_over(self) -> bool:
        """Whether our side is done with it: closed, reset or ended."""
        return self.closed or self.ended

    def _arrive(self, what: str, data: bytes) -> None:
        self.inbox.append((what, data))
        self._deliver()

    def _deliver(self) -> None:
        while self.inbox and not self.paused and not self.closed:
            what, data = self.inbox.pop(0)
            if what == "octets":
                self.protocol.dataReceived(data)
            else:
                IHalfCloseableProtocol(self.protocol).readConnectionLost()

    def _flushed(self) -> None:
        if self.unread or self.closed:
            return
        if self.disconnecting:
            self._lose(ConnectionDone())
        elif self._ending:
            self.ended = True

    def _lose(self, reason: Exception) -> None:
        if self.closed:
            return
        self.closed = True
        self._clock.callLater(0, self._lost, Failure(reason))

    def _lost(self, reason: Failure) -> None:
        self.protocol.connectionLost(reason)


class Dial:
    """One attempt of ours to connect to a server."""

    def __init__(self, host: str, port: int, factory: Any) -> None:
        self.host = host
        self.port = port
        self.factory = factory
        self.over = False

    def disconnect(self) -> None:
        """We give it up."""
        if not self.over:
            self.over = True
            self.factory.clientConnectionFailed(self, Failure(ConnectionRefusedError()))

    stopConnecting = disconnect


class Reactor(Clock):
    """A clock that also notes what is dialled."""

    def __init__(self) -> None:
        super().__init__()
        self.advance(1000)
        self.dials: list[Dial] = []

    def connectTCP(
        self, host: str, port: int, factory: Any, timeout: float = 30, bindAddress: Any = None
    ) -> Dial:
        dial = Dial(host, port, factory)
        self.dials.append(dial)
        return dial


class FakeNames:
    """Names by a table; a Deferred in it is a look-up that takes its time."""

    def __init__(self) -> None:
        self.table: dict[str, Any] = {}

    def addresses(self, host: str) -> Any:
        found = self.table.get(host, (PUBLIC,))
        if isinstance(found, UpstreamError):
            return fail(found)
        return found


class FakeSignIn:
    """Answers as it was told; a Deferred is a check that takes its time."""

    def __init__(self) -> None:
        self.outcome: Any = None
        self.reason: Any = ""

    def check(self, value: bytes, address: str) -> Deferred[Any]:
        return _deferred(self.outcome)

    def change_password(self, name: str, address: str, old: str, new: str) -> Deferred[Any]:
        return _deferred(self.reason)


class FakeGrants:
    """Keeps grants."""

    def __init__(self) -> None:
        self.saved: list[Any] = []
        self.outcome: Any = None

    def save_grant(self, grant: Any) -> Deferred[Any]:
        self.saved.append(grant)
        return _deferred(self.outcome)


def _deferred(outcome: Any) -> Deferred[Any]:
    if isinstance(outcome, Deferred):
        return outcome
    return fail(outcome) if isinstance(outcome, BaseException) else succeed(outcome)


class Writer:
    """Keeps records in a list."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.has_room = True

    def write(self, record: Record) -> None:
        self.records.append(record)

    def accepts(self) -> bool:
        return self.has_room


class CountedReferences(References):
    """References that count the exchanges that begin."""

    __slots__ = ("made",)

    def __init__(self, process: int) -> None:
        super().__init__(process)
        self.made = 0

    def next(self, at: float) -> str:
        self.made += 1
        return super().next(at)


class WatchedBooks(Books):
    """Books that see to it that each exchange is closed once."""

    def __init__(self, writer: Writer, now: Callable[[], float]) -> None:
        self.accounts = Accounts(Ledger())
        self.exchanges: dict[str, Exchange] = {}
        super().__init__(self.accounts, writer, now, lambda record: None)

    def close(self, exchange: Exchange) -> None:
        assert exchange.reference not in self.exchanges, "an exchange is closed twice"
        self.exchanges[exchange.reference] = exchange
        super().close(exchange)


class Site:
    """A proxy in memory: clients come with `client`, its dials are taken with `server`."""

    def __init__(self, *rules: Rule, force: InForce | None = None, **more: Any) -> None:
        self.force = force or in_force(*rules, **more)
        self.reactor = Reactor()
        began = self.reactor.seconds()
        self.now = lambda: MONDAY + self.reactor.seconds() - began
        self.writer = Writer()
        self.books = WatchedBooks(self.writer, self.now)
        self.names, self.sign_in, self.grants = FakeNames(), FakeSignIn(), FakeGrants()
        deadlines = Deadlines(self.reactor)
        names: Any = self.names
        self.references = CountedReferences(1)
        self.pool = Pool(self.reactor, self.force.connections, self.force.timeouts.connect)
        self.proxy = Proxy(
            reactor=self.reactor,
            in_force=self.force,
            deadlines=deadlines,
            names=names,
            pool=self.pool,
            books=self.books,
            sign_in=self.sign_in,
            grants=self.grants,
            references=self.references,
            now=self.now,
        )
        deadlines.start()

    def client(self, mode: Mode = Mode.FORWARD, host: str = CLIENT) -> Client:
        """A client connects."""
        client = Client(self, host)
        client.protocol = Downstream(self.proxy, mode, "rooms")
        client.protocol.makeConnection(client)
        return client

    def server(self) -> Transport:
        """A server takes the first dial that waits."""
        dial = next(one for one in self.reactor.dials if not one.over)
        dial.over = True
        server = Transport(self.reactor, dial.host, dial.port)
        stand_in = dial.factory.buildProtocol(None)
        server.protocol = stand_in
        stand_in.makeConnection(server)
        return server

    def refuse(self) -> None:
        """A server refuses the first dial that waits."""
        dial = next(one for one in self.reactor.dials if not one.over)
        dial.over = True
        dial.factory.clientConnectionFailed(dial, Failure(ConnectionRefusedError()))

    @property
    def dialling(self) -> list[str]:
        """The addresses being dialled now."""
        return [f"{one.host}:{one.port}" for one in self.reactor.dials if not one.over]

    def settle(self) -> None:
        """Let everything happen that is due."""
        for _ in range(20):
            self.reactor.advance(0)

    def wait(self, seconds: float) -> None:
        """Let time pass, a second at a time."""
        for _ in range(int(seconds)):
            self.reactor.advance(1)
        self.settle()

    @property
    def records(self) -> list[Record]:
        """The closing records, once all has happened that is due."""
        self.settle()
        return [one for one in self.writer.records if one.kind in (Kind.EXCHANGE, Kind.CLOSING)]

    @property
    def record(self) -> Record:
        """The only closing record."""
        (record,) = self.records
        return record

    def exchange(self, wire: bytes, answer: bytes) -> tuple[Client, Transport, bytes]:
        """One exchange: what the client sends, what the server answers, what the client gets."""
        client = self.client()
        client.send(wire)
        server = self.server()
        server.send(answer)
        return client, server, client.take()


class Client(Transport):
    """The other end of a connection to us."""

    def __init__(self, site: Site, host: str) -> None:
        super().__init__(site.reactor, host, 50_000)
        self.site = site
        self.protocol: Downstream

    def asks(self, wire: bytes) -> bytes:
        """Send, and give what comes back at once."""
        self.send(wire)
        return self.take()
