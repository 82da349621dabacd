"""How a transport begins and ends: here in Python, and compiled in ``native/life.c``."""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from twisted.internet import error
from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol
from twisted.python import log as legacy_log
from twisted.python.failure import Failure
from zope.interface import implementer

from corpproxy import twins
from corpproxy.net.engine.read_write import ReadWrite

CONNECTION_DONE = Failure(error.ConnectionDone())  # type: ignore[no-untyped-call]

# Of which classes protocols hear that their peer sends no more, while they may still write: to ask for that
# is dear, and a class says it once.  One whose objects may say otherwise is asked each time.
_HALF_CLOSES: dict[type, bool] = {}


@implementer(IAddress)
class Address(NamedTuple):
    """
    One side of a connection, IPv4 or IPv6.

    It has what Twisted's addresses have; to make one of those takes as long as to read a request line.
    """

    type: str
    host: str
    port: int


# As the class would make it, without its Python.
_address: Callable[[tuple[str, str, int]], Address] = partial(tuple.__new__, Address)


class LifeInPython(ReadWrite):
    """How a transport begins and ends; ``native/life.c`` is made after it."""

    __slots__ = ()

    def start(self, protocol: Any) -> None:
        """Begin to serve a protocol; the socket has joined the engine already, or joins it now."""
        self.protocol = protocol
        self._engine.join(self._fd, self)
        protocol.makeConnection(self)

    def _read_on(self) -> None:
        if self.connected and self._readable and not self._paused:
            self._read()

    def _ended(self) -> None:
        """The peer sends no more."""
        self._readable = False
        self._half = True
        if _hears_half(self.protocol):
            self.protocol.readConnectionLost()
        else:
            self._lose(CONNECTION_DONE)

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        if self._paused:
            self._paused = False
            if self._readable and self.connected:
                # Not now: who resumes us is in the middle of something.
                self._engine.soon(self._read_on)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        if not streaming:
            raise ValueError("only push producers are served")
        if self._producer is not None:
            raise RuntimeError("there is a producer already")
        self._producer = producer
        if not self.connected:
            producer.stopProducing()

    def unregisterProducer(self) -> None:
        self._producer = None
        self._producer_paused = False

    # The end.

    def loseConnection(self) -> None:
        """Close once all is written."""
        if self.connected and not self._closing:
            self._closing = self.disconnecting = True
            if not self._out:
                self._engine.soon(self._closed)

    def loseWriteConnection(self) -> None:
        """Send the end of the stream once all is written, and go on reading."""
        if self.connected and not self._writing_over:
            self._writing_over = True
            if not self._out:
                self._engine.at_end(self._end_writing)

    def _end_writing(self) -> None:
        if self._out or not self.connected:
            return
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError as problem:
            self._broken(problem)

    def _closed(self) -> None:
        if not self._out:
            self._lose(CONNECTION_DONE)

    def _lose(self, reason: Failure) -> None:
        if not self.connected:
            return
        if self._held is not None:
            self.leave()
        self.connected = False
        self._engine.leave(self._fd)
        self._socket.close()
        self._out = None
        if self._pump is not None:
            self._pump.stop()
        if self._feeder is not None:
            self._feeder.stop()
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.stopProducing()
        protocol = self.protocol
        del self.protocol
        try:
            protocol.connectionLost(reason)
        except Exception as problem:  # as a reactor would: the fault of one connection ends no other
            self._lost_failed(problem)

    def _lost_failed(self, problem: Exception) -> None:
        failure = Failure(problem, type(problem), problem.__traceback__)  # type: ignore[no-untyped-call]
        legacy_log.err(failure, "connectionLost failed")  # type: ignore[no-untyped-call]

    # What the connection is.

    def getPeer(self) -> Address:
        return _address(("TCP", self._peer[0], self._peer[1]))

    # What only the whole transport knows.

    _broken: Callable[[OSError], None]


def _hears_half(protocol: Any) -> bool:
    """Whether a protocol wants to hear that its peer sends no more."""
    kind = type(protocol)
    hears = _HALF_CLOSES.get(kind)
    if hears is None:
        hears = bool(IHalfCloseableProtocol.providedBy(protocol))
        if not kind.__dictoffset__:
            _HALF_CLOSES[kind] = hears
    return hears


if twins.wire is None or TYPE_CHECKING:
    Life = LifeInPython
else:
    twins.wire.set_ends(Address, CONNECTION_DONE, _HALF_CLOSES)

    class Life(ReadWrite):
        """The compiled twin, which leaves to the one in Python what is not as expected."""

        __slots__ = ()
        _register_in_python = LifeInPython.registerProducer
        _ended_in_python = LifeInPython._ended
        _end_in_python = LifeInPython._end_writing
        _lost_failed = LifeInPython._lost_failed
