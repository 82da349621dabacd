"""One attempt to connect to an address, whoever is to hear of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from errno import EINPROGRESS
from socket import AF_INET, AF_INET6, SO_ERROR, SOCK_NONBLOCK, SOCK_STREAM, SOL_SOCKET
from typing import Any

from twisted.internet import error

from corpproxy import twins
from corpproxy.net.engine.loop import ENDING, Engine
from corpproxy.net.engine.transport import Transport

# As an integer: the members of the enum are looked up each time.
STREAM = int(SOCK_STREAM | SOCK_NONBLOCK)

# What an attempt knows.
MEMBERS = ("_address", "_engine", "_problem", "_socket", "_transport")


class Attempt:
    """What is done for an attempt; who hears of it, and what it knows, is for classes below this one."""

    __slots__ = twins.BELOW

    _address: tuple[str, int]
    _engine: Engine
    _problem: Exception
    _socket: Any
    _transport: Transport | None

    def __init__(self, engine: Engine, address: tuple[str, int]) -> None:
        self._engine = engine
        self._address = address
        self._socket = None
        self._transport = None

    def start(self, make_socket: Callable[[int, int], Any], timeout: float, bind: Any) -> None:
        """Begin to connect."""
        try:
            connection = make_socket(AF_INET6 if ":" in self._address[0] else AF_INET, STREAM)
        except OSError as problem:  # no descriptor is left, or no IPv6 is here
            self._not_made(problem)
            return
        self._socket = connection
        try:
            if bind is not None:
                connection.bind(bind)
        except OSError as problem:
            self._refused(problem.errno or 0)
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
            self._refused(number)
            return
        self._engine.join(connection.fileno(), self)

    def ready(self, events: int) -> None:
        """The attempt is over, one way or the other."""
        connection = self._socket
        # The kernel says so when it failed, or when the server closed at once.
        number = connection.getsockopt(SOL_SOCKET, SO_ERROR) if events & ENDING else 0
        if number:
            self._refused(number)
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
        self._failed(given_up())

    def late(self) -> None:
        """The attempt has taken too long."""
        self._failed(error.TimeoutError())  # type: ignore[no-untyped-call]

    def _not_made(self, problem: OSError) -> None:
        """There is no socket."""
        self._tell_soon(_problem(problem.errno or 0))

    def _refused(self, number: int) -> None:
        """The kernel, or the server, says no."""
        self._failed(_problem(number))

    def _failed(self, problem: Exception) -> None:
        self._engine.patience.over(self)
        connection, self._socket = self._socket, None
        if connection is None:
            return
        self._engine.leave(connection.fileno())
        # Not now: the next socket would have its number, and what this turn still has to tell of it.
        self._engine.at_end(connection.close)
        self._tell_soon(problem)

    def _tell_soon(self, problem: Exception) -> None:
        self._problem = problem
        self._engine.soon(self._tell)


def _problem(number: int) -> Exception:
    problem: Exception = error.getConnectError((number, os.strerror(number)))  # type: ignore[no-untyped-call]
    return problem


def given_up() -> Exception:
    """What became of an attempt that nobody wants any more."""
    return error.UserError()  # type: ignore[no-untyped-call]
