"""Connections that the engine makes: what ``reactor.connectTCP`` is to stock transports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IConnector
from twisted.python.failure import Failure
from zope.interface import implementer

from corpproxy.net.engine.attempt import MEMBERS, Attempt, given_up
from corpproxy.net.engine.dialling import Dialler
from corpproxy.net.engine.loop import Engine
from corpproxy.net.engine.sockets import make_socket
from corpproxy.net.engine.transport import Transport


@implementer(IConnector)
class Connector(Attempt):
    """An attempt of which a factory hears, as with the connectors of a reactor."""

    __slots__ = (*MEMBERS, "_factory")

    def __init__(self, engine: Engine, address: tuple[str, int], factory: Any) -> None:
        super().__init__(engine, address)
        self._factory = factory

    def failed(self) -> None:
        """The factory raised, or what it made did."""
        transport, self._transport = self._transport, None
        if transport is None:
            self._failed(given_up())
        else:
            transport.failed()
            self._factory.clientConnectionLost(self, Failure(given_up()))  # type: ignore[no-untyped-call]

    def disconnect(self) -> None:
        """Give the attempt up; once it is connected it is the protocol's to close."""
        self._failed(given_up())

    stopConnecting = disconnect

    def connect(self) -> None:
        raise RuntimeError("an attempt is made once")

    def getDestination(self) -> Any:
        return self._address

    def _connected(self, connection: Any, events: int) -> None:
        self._socket = None
        protocol = self._factory.buildProtocol(None)
        if protocol is None:
            self._engine.leave(connection.fileno())
            connection.close()
            return
        transport = self._transport = Transport(self._engine, connection, self._address)
        transport.take_over(protocol, events)
        # Whoever has the attempt has no more use for it; a cycle would wait for the collector.
        self._transport = None

    def _tell(self) -> None:
        self._factory.clientConnectionFailed(self, Failure(self._problem))  # type: ignore[no-untyped-call]


class EngineReactor(Dialler):
    """The part of a reactor that dials, with sockets of the engine; clocks stay the reactor's."""

    def __init__(self, engine: Engine, make_socket: Callable[[int, int], Any] = make_socket) -> None:
        super().__init__(engine, make_socket)
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
