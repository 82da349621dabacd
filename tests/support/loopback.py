"""A proxy, an origin and clients on real sockets: the last two wait in threads, as simple programs do."""

from __future__ import annotations

import socket
import struct
import threading
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from corpproxy.audit.record import Record
from corpproxy.audit.results import Kind
from corpproxy.config.names import NameSettings
from corpproxy.destination.model import AddressClass
from corpproxy.exchange.exchange import Mode
from corpproxy.net.deadlines import Deadlines
from corpproxy.net.engine.connecting import EngineReactor
from corpproxy.net.engine.listening import EnginePort
from corpproxy.net.engine.loop import Engine
from corpproxy.net.listening import ClientFactory
from corpproxy.net.names import Names
from corpproxy.net.pool import Pool
from corpproxy.net.proxy import Proxy
from corpproxy.policy.model import Effect, Safety, TunnelContent
from tests.support.builders import in_force, rule
from tests.support.wires import CountedReferences, FakeGrants, FakeSignIn, WatchedBooks, Writer

reactor: Any = global_reactor
ORIGIN = "origin.example"
SECONDS = 20.0

LET_IN = rule(
    "inside",
    Effect.ALLOW,
    safety=Safety(
        connect_ports=frozenset(),
        tunnel_content=TunnelContent.ANY,
        addresses=frozenset({AddressClass.LOOPBACK}),
    ),
)


def reset(connection: socket.socket) -> None:
    """Close a connection with a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class Origin:
    """
    A server whose answers are written in the path of the request.

    ``/length/N``, ``/chunked/N``, ``/close/N``: N octets in that framing; ``/cut/N``: fewer than it said;
    ``/reset``: none; ``/early``: 413 at once; ``/echo``: the content that came.
    What is no request comes back.
    """

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._guarded, args=(connection,), daemon=True).start()

    def _guarded(self, connection: socket.socket) -> None:
        connection.settimeout(SECONDS)
        try:
            self._serve(connection)
        except OSError:
            pass
        finally:
            connection.close()

    def _serve(self, connection: socket.socket) -> None:
        stream = connection.makefile("rb")
        while True:
            line = stream.readline()
            if not line.endswith(b" HTTP/1.1\r\n"):
                self._echo(connection, stream, line)
                return
            fields = {}
            while (field := stream.readline()) not in (b"\r\n", b""):
                name, _, value = field.partition(b":")
                fields[name.lower()] = value.strip()
            kind, _, number = line.split(b" ")[1].decode().strip("/").partition("/")
            if kind == "early":
                connection.sendall(b"HTTP/1.1 413 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass
                return
            content = _content(stream, fields)
            if not self._answer(connection, kind, b"x" * int(number or 0), content):
                return

    def _answer(self, connection: socket.socket, kind: str, made: bytes, content: bytes) -> bool:
        if kind in ("length", "echo"):
            made = content if kind == "echo" else made
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(made), made))
            return True
        if kind == "chunked":
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for at in range(0, len(made), 5000):
                piece = made[at : at + 5000]
                connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
            connection.sendall(b"0\r\n\r\n")
            return True
        if kind == "close":
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + made)
        elif kind == "cut":
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(made) + 1, made))
        elif kind == "reset":
            reset(connection)
        return False

    def _echo(self, connection: socket.socket, stream: Any, first: bytes) -> None:
        connection.sendall(first)
        while data := stream.read1(65536):
            connection.sendall(data)
        connection.sendall(b"the end")


def _content(stream: Any, fields: dict[bytes, bytes]) -> bytes:
    if b"transfer-encoding" not in fields:
        content: bytes = stream.read(int(fields.get(b"content-length", b"0")))
        return content
    content = b""
    while size := int(stream.readline(), 16):
        content += stream.read(size)
        stream.readline()
    stream.readline()
    return content


class Client:
    """One connection to the proxy, which counts what it sent and received."""

    def __init__(self, address: tuple[str, int], bound: str = "127.0.0.1") -> None:
        self.socket = socket.create_connection(address, SECONDS, source_address=(bound, 0))
        self.sent = 0
        self.received = 0
        self._ahead = b""

    def send(self, octets: bytes) -> None:
        """Send octets."""
        self.socket.sendall(octets)
        self.sent += len(octets)

    def more(self) -> bytes:
        """Receive what is there; nothing at the end."""
        data = self.socket.recv(65536)
        self.received += len(data)
        return data

    def answer(self) -> tuple[bytes, bytes]:
        """Receive one answer: its head and its content."""
        octets = self._ahead
        while b"\r\n\r\n" not in octets:
            octets += self._must()
        head, _, content = octets.partition(b"\r\n\r\n")
        lower = head.lower()
        if b"transfer-encoding: chunked" in lower:
            while not content.endswith(b"0\r\n\r\n"):
                content += self._must()
            self._ahead = b""
        elif b"content-length: " in lower:
            length = int(lower.partition(b"content-length: ")[2].partition(b"\r\n")[0])
            while len(content) < length:
                content += self._must()
            content, self._ahead = content[:length], content[length:]
        else:
            content += self.rest()
        return head, content

    def rest(self) -> bytes:
        """Receive all to the end."""
        octets = b""
        while data := self.more():
            octets += data
        return octets

    def close(self) -> None:
        """Close it."""
        self.socket.close()

    def _must(self) -> bytes:
        data = self.more()
        if not data:
            raise EOFError
        return data


class LoopbackSite:
    """A proxy on a real port, on transports of the reactor or of the engine."""

    def __init__(self, *, engine: bool) -> None:
        self.writer = Writer()
        self.books = WatchedBooks(self.writer, reactor.seconds)
        self.references = CountedReferences(1)
        force = in_force(LET_IN)
        self._engine = Engine(reactor) if engine else None
        self._deadlines = Deadlines(reactor)
        self._names = Names(reactor, NameSettings(hosts={ORIGIN: ("127.0.0.1",)}))
        self.pool = Pool(reactor, force.connections, force.timeouts.connect)
        self.proxy = Proxy(
            reactor=reactor,
            connector=EngineReactor(self._engine) if self._engine is not None else None,
            in_force=force,
            deadlines=self._deadlines,
            names=self._names,
            pool=self.pool,
            books=self.books,
            sign_in=FakeSignIn(),
            grants=FakeGrants(),
            references=self.references,
            now=reactor.seconds,
        )
        self._deadlines.start()
        factory = ClientFactory(self.proxy, Mode.FORWARD, "rooms")
        self._port: Any
        if self._engine is not None:
            listening = socket.create_server(("127.0.0.1", 0), backlog=200)
            listening.setblocking(False)
            self._port = EnginePort(self._engine, listening, factory)
        else:
            self._port = reactor.listenTCP(0, factory, interface="127.0.0.1", backlog=200)
        self.address = ("127.0.0.1", int(self._port.getHost().port))

    @property
    def records(self) -> list[Record]:
        """The closing records."""
        return [one for one in self.writer.records if one.kind in (Kind.EXCHANGE, Kind.CLOSING)]

    async def quiet(self) -> None:
        """Wait until no client is connected."""
        until = reactor.seconds() + SECONDS
        while self.proxy.admission.connections and reactor.seconds() < until:
            await deferLater(reactor, 0.02)

    async def stop(self) -> None:
        """Close everything."""
        await self._port.stopListening()
        for downstream in list(self.proxy.admission.connections):
            downstream.stop_now()
        self.pool.close()
        self._names.close()
        await deferLater(reactor, 0.05)
        self._deadlines.stop()
        if self._engine is not None:
            self._engine.stop()


def in_thread(work: Any, *parts: Any) -> Deferred[Any]:
    """Do something that waits, in a thread of its own."""
    done: Deferred[Any] = Deferred()

    def run() -> None:
        try:
            outcome = work(*parts)
        except BaseException as error:
            reactor.callFromThread(done.errback, error)
        else:
            reactor.callFromThread(done.callback, outcome)

    threading.Thread(target=run, daemon=True).start()
    return done


__all__ = ["ORIGIN", "Client", "LoopbackSite", "Origin", "in_thread", "reset"]
