"""Connections that the engine makes: what ``reactor.connectTCP`` is to stock transports."""

from __future__ import annotations

import os
from collections.abc import Callable
from errno import EINPROGRESS
from socket import (
    AF_INET,
    AF_INET6,
    SO_ERROR,
    SOCK_NONBLOCK,
    SOCK_STREAM,
    SOL_SOCKET,
)
from typing import Any

from twisted.internet import error
from twisted.internet.interfaces import IConnector
from twisted.python.failure import Failure
from zope.interface import implementer

from corpproxy.net.dial import Caller, failure_of
from corpproxy.net.engine.loop import ENDING, READABLE, Engine
from corpproxy.net.engine.sockets import make_socket
from corpproxy.net.engine.transport import Transport

# Places that are remembered; a school knows fewer servers at a time.
MAX_PLACES = 4096

# As an integer: the members of the enum are looked up each time.
_STREAM = int(SOCK_STREAM | SOCK_NONBLOCK)


class _Attempt:
    """One attempt to connect to an address."""

    __slots__ = ("_address", "_engine", "_problem", "_socket", "_transport")

    def __init__(self, engine: Engine, address: tuple[str, int]) -> None:
        self._engine = engine
        self._address = address
        self._socket: Any = None
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
        except OSError as problem:
            self._failed(_problem(problem.errno or 0))
            return
        engine = self._engine
        engine.patience.wait(self, timeout)
        # A member before the kernel knows it: the engine may stop first.
        engine.put(connection.fileno(), self)
        engine.at_end(self._connect)

    def _connect(self) -> None:
        connection = self._socket
        if connection is None:
            return  # it was given up in the same turn
        try:
            number = connection.connect_ex(self._address)
        except OSError as problem:
            number = problem.errno or EINPROGRESS
        if number not in (0, EINPROGRESS):
            self._failed(_problem(number))
            return
        self._engine.join(connection.fileno(), self)

    def ready(self, events: int) -> None:
        """The attempt is over, one way or the other."""
        connection = self._socket
        # The kernel says so when it failed, or when the server closed at once.
        number = connection.getsockopt(SOL_SOCKET, SO_ERROR) if events & ENDING else 0
        if number:
            self._failed(_problem(number))
            return
        self._engine.patience.over(self)
        self._connected(connection, events)

    def failed(self) -> None:
        """What waits for it raised, or what that made did."""
        raise AssertionError("an attempt knows who waits for it")

    def _connected(self, connection: Any, events: int) -> None:
        raise AssertionError("an attempt knows who waits for it")

    def _tell(self) -> None:
        raise AssertionError("an attempt knows who waits for it")

    def engine_stopped(self) -> None:
        """The reactor stops."""
        self._failed(_given_up())

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
        self._problem = problem
        self._engine.soon(self._tell)


@implementer(IConnector)
class Connector(_Attempt):
    """An attempt of which a factory hears, as with the connectors of a reactor."""

    __slots__ = ("_factory",)

    def __init__(self, engine: Engine, address: tuple[str, int], factory: Any) -> None:
        super().__init__(engine, address)
        self._factory = factory

    def failed(self) -> None:
        """The factory raised, or what it made did."""
        transport, self._transport = self._transport, None
        if transport is None:
            self._failed(_given_up())
        else:
            transport.failed()
            self._factory.clientConnectionLost(self, Failure(_given_up()))  # type: ignore[no-untyped-call]

    def disconnect(self) -> None:
        """Give the attempt up; once it is connected it is the protocol's to close."""
        self._failed(_given_up())

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


class Dial(_Attempt):
    """
    The only attempt that is made for a caller (see `corpproxy.net.dial`), without a factory in between.

    The caller's protocol has the transport from the beginning, with small writes not held back.
    """

    __slots__ = ("_caller",)

    def __init__(self, engine: Engine, address: tuple[str, int], caller: Caller[Any]) -> None:
        super().__init__(engine, address)
        self._caller: Caller[Any] | None = caller

    def give_up(self) -> None:
        """The caller wants no connection any more, and hears no more."""
        self._caller = None
        self._failed(_given_up())

    def failed(self) -> None:
        """The caller could not make its protocol."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.failed()
        self._failed(_given_up())

    def _connected(self, connection: Any, events: int) -> None:
        caller, engine = self._caller, self._engine
        assert caller is not None
        protocol = caller.build()
        transport = self._transport = Transport(engine, connection, self._address)
        transport.protocol = protocol
        transport.hurry_later()
        engine.put(connection.fileno(), transport)
        protocol.makeConnection(transport)
        self._socket = self._transport = self._caller = None
        caller.arrived(protocol)
        if events & READABLE:
            transport.ready(events)

    def _tell(self) -> None:
        caller, self._caller = self._caller, None
        if caller is not None:
            caller.failed(failure_of(self._problem, *self._address))


class EngineReactor:
    """The part of a reactor that dials, with sockets of the engine; clocks stay the reactor's."""

    def __init__(self, engine: Engine, make_socket: Callable[[int, int], Any] = make_socket) -> None:
        self._engine = engine
        self._make_socket = make_socket
        self.seconds = engine.reactor.seconds
        self.callLater = engine.reactor.callLater
        # Each connection keeps where it leads to: all that lead to one place keep one.
        self._places: dict[tuple[str, int], tuple[str, int]] = {}

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

    def dial_one(
        self, address: str, port: int, caller: Caller[Any], timeout: float, bind: tuple[str, int] | None
    ) -> Dial:
        """Connect to the only address that a caller has; it hears of the end later than this returns."""
        place = address, port
        if len(self._places) >= MAX_PLACES:
            self._places.clear()
        dial = Dial(self._engine, self._places.setdefault(place, place), caller)
        dial.start(self._make_socket, timeout, bind)
        return dial


def _problem(number: int) -> Exception:
    problem: Exception = error.getConnectError((number, os.strerror(number)))  # type: ignore[no-untyped-call]
    return problem


def _given_up() -> Exception:
    return error.UserError()  # type: ignore[no-untyped-call]
