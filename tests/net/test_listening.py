"""Sockets for clients: shared ones, and the clients that wait when a socket is closed."""

from __future__ import annotations

import socket

from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from corpproxy.config.listeners import Listener, Purpose
from corpproxy.net.engine.loop import Engine
from corpproxy.net.listening import CannotListen, Socket, bind, bind_shared
from tests.support.running import free_ports


def listener(port: int = 0) -> Listener:
    return Listener("rooms", Purpose.FORWARD, "127.0.0.1", port)


class Greeter(Protocol):
    """Says one word to whoever connects."""

    def connectionMade(self) -> None:
        self.factory.greeted.append(self)  # type: ignore[union-attr]
        self.transport.write(b"hello")  # type: ignore[union-attr]


class SharedTests(TestCase):
    """One address, several sockets."""

    def shared(self, port: int, count: int = 3) -> list[socket.socket]:
        made = bind_shared(listener(port), count)
        for one in made:
            self.addCleanup(one.close)
        return made

    def test_bound(self) -> None:
        """All listen at one address, also where the system chose the port."""
        (port,) = free_ports(1)
        for asked in (port, 0):
            made = self.shared(asked)
            self.assertEqual(len({one.getsockname() for one in made}), 1)
            socket.create_connection(made[0].getsockname(), 5).close()

    def test_taken(self) -> None:
        """Another program at the address is told of, also one that would share it."""
        (port,) = free_ports(1)
        self.shared(port)
        self.assertRaises(CannotListen, bind_shared, listener(port), 2)
        self.assertRaises(CannotListen, bind, listener(port))


class SmallWritesTests(TestCase):
    """What is accepted sends small writes at once."""

    async def accepted(self, begin) -> bool:
        factory = Factory.forProtocol(Greeter)
        factory.greeted = []  # type: ignore[attr-defined]
        bound = Socket(listener())
        begin(bound, factory)
        client = socket.create_connection(bound.address, 5)
        await deferLater(reactor, 0.05)
        (protocol,) = factory.greeted  # type: ignore[attr-defined]
        no_delay: bool = protocol.transport.getTcpNoDelay()
        protocol.transport.abortConnection()
        client.close()
        await bound.stop()
        return no_delay

    async def test_engine(self) -> None:
        """Sockets of the engine have it from the one that listens."""
        engine = Engine(reactor)
        self.addCleanup(engine.stop)
        self.assertTrue(await self.accepted(lambda bound, factory: bound.listen_in(engine, factory)))

    async def test_twisted(self) -> None:
        """And those of Twisted."""
        self.assertTrue(await self.accepted(lambda bound, factory: bound.listen(reactor, factory)))


class WaitingTests(TestCase):
    """Clients in the queue of the kernel."""

    def engine(self) -> Engine:
        engine = Engine(reactor)
        self.addCleanup(engine.stop)
        return engine

    async def greeted_at_the_end(self, begin) -> None:
        factory = Factory.forProtocol(Greeter)
        factory.greeted = []  # type: ignore[attr-defined]
        bound = Socket(listener())
        begin(bound, factory)
        clients = [socket.create_connection(bound.address, 5) for _ in range(150)]
        self.assertTrue(bound.take_waiting())
        self.assertFalse(bound.take_waiting())
        await bound.stop()
        await deferLater(reactor, 0.05)
        for client in clients:
            self.assertEqual(client.recv(5), b"hello")
            client.close()
        for protocol in factory.greeted:  # type: ignore[attr-defined]
            protocol.transport.abortConnection()
        await deferLater(reactor, 0.05)

    async def test_engine(self) -> None:
        """Who connected before the end is taken, not reset."""
        engine = self.engine()
        await self.greeted_at_the_end(lambda bound, factory: bound.listen_in(engine, factory))

    async def test_twisted(self) -> None:
        """So it is on transports of Twisted."""
        await self.greeted_at_the_end(lambda bound, factory: bound.listen(reactor, factory))
