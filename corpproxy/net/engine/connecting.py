"""Connections that the engine makes: what ``reactor.connectTCP`` is to stock transports."""

from __future__ import annotations

import os
from collections.abc import Callable
from errno import EINPROGRESS
from socket import AF_INET, AF_INET6, SO_ERROR, SOCK_NONBLOCK, SOCK_STREAM, SOL_SOCKET, SocketType
from typing import Any

from twisted.internet import error
from twisted.internet.interfaces import IConnector
from twisted.python.failure import Failure
from zope.interface import implementer

from corpproxy.net.engine.loop import ENDING, Engine
from corpproxy.net.engine.transport import Transport

# As an integer: the members of the enum are looked up each time.
_STREAM = int(SOCK_STREAM | SOCK_NONBLOCK)


@implementer(IConnector)
class Connector:
    """One attempt to connect to an address; the factory hears how it ended."""

    __slots__ = ("_address", "_engine", "_factory", "_failure", "_socket", "_transport")

    def __init__(self, engine: Engine, address: tuple[str, int], factory: Any) -> None:
        self._engine = engine
        self._address = address
        self._factory = factory
        self._socket: Any = None
        self._failure: Failure | None = None
        self._transport: Transport | None = None

    def start(self, make_socket: Callable[[int, int], Any], timeout: float, bind: Any) -> None:
        """Begin to connect."""
        try:
            connection = make_socket(AF_INET6 if ":" in self._address[0] else AF_INET, _STREAM)
        except OSError as problem:  # no descriptor is left, or no IPv6 is here
            self._tell_soon(_problem(problem.errno or 0))
            return
        self._socket = connection
        try:
            if bind is not None:
                connection.bind(bind)
            number = connection.connect_ex(self._address)
        except OSError as problem:
            number = problem.errno or EINPROGRESS
        if number not in (0, EINPROGRESS):
            self._failed(_problem(number))
            return
        self._engine.patience.wait(self, timeout)
        self._engine.join(connection.fileno(), self)

    def ready(self, events: int) -> None:
        """The attempt is over, one way or the other."""
        connection = self._socket
        # The kernel says so when it failed, or when the server closed at once.
        number = connection.getsockopt(SOL_SOCKET, SO_ERROR) if events & ENDING else 0
        if number:
            self._failed(_problem(number))
            return
        engine = self._engine
        engine.patience.over(self)
        self._socket = None
        protocol = self._factory.buildProtocol(None)
        if protocol is None:
            engine.leave(connection.fileno())
            connection.close()
            return
        host, port = self._address
        peer = (host, port, 0, 0) if ":" in host else self._address
        transport = self._transport = Transport(engine, connection, peer)
        transport.take_over(protocol, events)
        # Whoever has the attempt has no more use for it; a cycle would wait for the collector.
        self._transport = None

    def failed(self) -> None:
        """The factory raised, or what it made did."""
        transport, self._transport = self._transport, None
        if transport is None:
            self._failed(_given_up())
        else:
            transport.failed()
            self._factory.clientConnectionLost(self, Failure(_given_up()))  # type: ignore[no-untyped-call]

    def engine_stopped(self) -> None:
        """The reactor stops."""
        self._failed(_given_up())

    def disconnect(self) -> None:
        """Give the attempt up; once it is connected it is the protocol's to close."""
        self._failed(_given_up())

    stopConnecting = disconnect

    def connect(self) -> None:
        raise RuntimeError("an attempt is made once")

    def getDestination(self) -> Any:
        return self._address

    def late(self) -> None:
        """The attempt has taken too long."""
        self._failed(error.TimeoutError())  # type: ignore[no-untyped-call]

    def _failed(self, problem: Exception) -> None:
        self._engine.patience.over(self)
        connection, self._socket = self._socket, None
        if connection is None:
            return
        self._engine.leave(connection.fileno())
        connection.close()
        self._tell_soon(problem)

    def _tell_soon(self, problem: Exception) -> None:
        self._failure = Failure(problem)  # type: ignore[no-untyped-call]
        self._engine.soon(self._tell)

    def _tell(self) -> None:
        self._factory.clientConnectionFailed(self, self._failure)


class EngineReactor:
    """The part of a reactor that dials, with sockets of the engine; clocks stay the reactor's."""

    def __init__(self, engine: Engine, make_socket: Callable[[int, int], Any] = SocketType) -> None:
        self._engine = engine
        self._make_socket = make_socket
        self.seconds = engine.reactor.seconds
        self.callLater = engine.reactor.callLater

    def connectTCP(
        self,
        host: str,
        port: int,
        factory: Any,
        timeout: float = 30,
        bindAddress: tuple[str, int] | None = None,
    ) -> Connector:
        """Connect to an IP address."""
        connector = Connector(self._engine, (host, port), factory)
        connector.start(self._make_socket, timeout, bindAddress)
        return connector


def _problem(number: int) -> Exception:
    problem: Exception = error.getConnectError((number, os.strerror(number)))  # type: ignore[no-untyped-call]
    return problem


def _given_up() -> Exception:
    return error.UserError()  # type: ignore[no-untyped-call]
