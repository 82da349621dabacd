"""Connections that the engine makes: what ``reactor.connectTCP`` is to stock transports."""

from __future__ import annotations

import os
import socket
from errno import EINPROGRESS
from typing import Any

from twisted.internet import error
from twisted.internet.interfaces import IConnector
from twisted.python.failure import Failure
from zope.interface import implementer

from corpproxy.net.engine.loop import Engine
from corpproxy.net.engine.transport import Transport


@implementer(IConnector)
class Connector:
    """One attempt to connect to an address; the factory hears how it ended."""

    def __init__(self, engine: Engine, address: tuple[str, int], factory: Any, timeout: float) -> None:
        self._engine = engine
        self._address = address
        self._factory = factory
        self._timeout = timeout
        self._socket: socket.socket | None = None
        self._failure: Failure | None = None
        self.transport: Transport | None = None

    def start(self, bind: tuple[str, int] | None) -> None:
        """Begin to connect."""
        host = self._address[0]
        try:
            connection = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        except OSError as problem:  # no descriptor is left, or no IPv6 is here
            self._tell_soon(_problem(problem.errno or 0))
            return
        connection.setblocking(False)
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
        self._engine.patience.wait(self, self._timeout)
        self._engine.join(connection.fileno(), self)

    def ready(self, events: int) -> None:
        """The attempt is over, one way or the other."""
        connection = self._socket
        assert connection is not None
        number = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            self._failed(_problem(number))
            return
        self._engine.patience.over(self)
        self._socket = None
        protocol = self._factory.buildProtocol(None)
        if protocol is None:
            self._engine.leave(connection.fileno())
            connection.close()
            return
        host, port = self._address
        peer = (host, port, 0, 0) if ":" in host else (host, port)
        self.transport = Transport(self._engine, connection, peer)
        self.transport.take_over(protocol, events)

    def failed(self) -> None:
        """The factory raised."""
        self._failed(_given_up())

    def engine_stopped(self) -> None:
        """The reactor stops."""
        self._failed(_given_up())

    def disconnect(self) -> None:
        """Give the attempt up, or close what it became."""
        if self._socket is not None:
            self._failed(_given_up())
        elif self.transport is not None:
            self.transport.loseConnection()

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

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
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
        connector = Connector(self._engine, (host, port), factory, timeout)
        connector.start(bindAddress)
        return connector


def _problem(number: int) -> Exception:
    problem: Exception = error.getConnectError((number, os.strerror(number)))  # type: ignore[no-untyped-call]
    return problem


def _given_up() -> Exception:
    return error.UserError()  # type: ignore[no-untyped-call]
