"""
The only attempt to connect that is made for somebody: what nearly all are, as most servers have one address.

It is done here in Python, and compiled in ``native/dial.c``, which makes the attempt, connects at the end of
the turn, and brings protocol and transport together when the server has answered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from corpproxy import twins
from corpproxy.net.dial import Caller, failure_of
from corpproxy.net.engine.attempt import MEMBERS, Attempt, given_up
from corpproxy.net.engine.loop import READABLE, Engine
from corpproxy.net.engine.sockets import make_socket
from corpproxy.net.engine.transport import Transport

# Places that are remembered; a school knows fewer servers at a time.
MAX_PLACES = 4096


class _Dial(Attempt):
    """
    An attempt for a caller (see `corpproxy.net.dial`), without a factory in between.

    The caller's protocol has the transport from the beginning, with small writes not held back.
    """

    __slots__ = twins.BELOW

    _caller: Caller[Any] | None

    def __init__(self, engine: Engine, address: tuple[str, int], caller: Caller[Any]) -> None:
        super().__init__(engine, address)
        self._caller = caller

    def give_up(self) -> None:
        """The caller wants no connection any more, and hears no more."""
        self._caller = None
        self._failed(given_up())

    def failed(self) -> None:
        """The caller could not make its protocol."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.failed()
        self._failed(given_up())

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


class DialInPython(_Dial):
    """One that is made without the compiled part."""

    __slots__ = (*MEMBERS, "_caller")


class _Dialler:
    """Dials for callers; what it knows is for classes below this one."""

    __slots__ = twins.BELOW

    _dial: Callable[[Engine, tuple[str, int], Caller[Any]], _Dial]
    _engine: Engine
    _make_socket: Callable[[int, int], Any]
    _places: dict[tuple[str, int], tuple[str, int]]

    def __init__(self, engine: Engine, make_socket: Callable[[int, int], Any] = make_socket) -> None:
        self._engine = engine
        self._make_socket = make_socket
        # Each connection keeps where it leads to: all that lead to one place keep one.
        self._places = {}

    def dial_one(
        self, address: str, port: int, caller: Caller[Any], timeout: float, bind: tuple[str, int] | None, /
    ) -> _Dial:
        """Connect to the only address that a caller has; it hears of the end later than this returns."""
        place = address, port
        if len(self._places) >= MAX_PLACES:
            self._places.clear()
        dial = self._dial(self._engine, self._places.setdefault(place, place), caller)
        dial.start(self._make_socket, timeout, bind)
        return dial


class DiallerInPython(_Dialler):
    """Dials without the compiled part."""

    _dial = DialInPython


if twins.wire is None or TYPE_CHECKING:
    Dial = DialInPython
    Dialler = DiallerInPython
else:

    class Dial(twins.wire.Dial, _Dial):
        """The compiled twin, which leaves what fails to the one in Python."""

        __slots__ = ()

    class Dialler(twins.wire.Dialler, _Dialler):
        """The compiled twin, which leaves who wants an address of its own to the one in Python."""

        _dial = Dial
        _dial_one_in_python = _Dialler.dial_one

    twins.wire.set_dial(Dial, Transport, MAX_PLACES)
