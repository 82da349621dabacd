"""The transport of one socket in the engine."""

from __future__ import annotations

import socket
import struct
from collections import deque
from collections.abc import Callable
from errno import EAGAIN, EINTR
from typing import TYPE_CHECKING, Any

from twisted.internet import error
from twisted.internet.interfaces import IConsumer, IPushProducer, ITCPTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from corpproxy.net.engine.life import CONNECTION_DONE, Address, Life
from corpproxy.net.engine.pump import Pump
from corpproxy.net.engine.read_write import BULK_OCTETS, TURN_OCTETS

if TYPE_CHECKING:
    from corpproxy.net.pacing import AnyPace

# Pieces handed to the kernel at once; IOV_MAX is 1024.
MAX_PIECES = 64

_RESET = struct.pack("ii", 1, 0)


@implementer(ITCPTransport, IConsumer, IPushProducer)
class Transport(Life):  # type: ignore[override]
    """
    One connected socket: reads when the kernel has something, writes at once.

    What the kernel does not take waits here, bounded by pausing the producer.
    """

    __slots__ = ()

    def take_over(self, protocol: Any, events: int) -> None:
        """Serve a protocol on a socket that another member watched; ``events`` came with its last turn."""
        self.protocol = protocol
        self._engine.put(self._fd, self)
        protocol.makeConnection(self)
        if self.connected:
            self.ready(events)

    def _read_paced(self, pace: AnyPace) -> None:
        """Read what a limit lets through, until nothing is left or the turn is over."""
        turn = TURN_OCTETS
        while self.may_read():
            size = min(pace.ask(), BULK_OCTETS)
            if not size:
                return
            try:
                data = self._socket.recv(size)
            except OSError as problem:
                if problem.errno in (EAGAIN, EINTR):
                    self._readable = False
                else:
                    self._broken(problem)
                return
            if not data:
                self._ended()
                return
            is_all = len(data) < size and not self._hung
            if is_all:
                self._readable = False
            pace.took(len(data))
            self.protocol.dataReceived(data)
            turn -= len(data)
            if is_all:
                return
            if turn <= 0 or self.pace is not pace or self._pump is not None:
                self._engine.soon(self._read_on)
                return

    def stopProducing(self) -> None:
        self.loseConnection()

    def writeSequence(self, data: Any) -> None:
        self.write(b"".join(data))

    def _flush(self) -> None:
        """Send what waits, as far as the kernel takes it."""
        out = self._out
        assert out is not None
        if self._hurry:
            self._hurry_up()
        while out:
            try:
                if len(out) == 1:
                    sent = self._socket.send(out[0])
                else:
                    sent = self._socket.sendmsg([out[i] for i in range(min(len(out), MAX_PIECES))])
            except OSError as problem:
                if problem.errno not in (EAGAIN, EINTR):
                    self._broken(problem)
                return
            self._out_octets -= sent
            _take_off(out, sent)
        self._out = None
        if self._closing:
            self._lose(CONNECTION_DONE)
        elif self._writing_over:
            self._end_writing()
        else:
            self._taken_again()
            if self._feeder is not None:
                self._feeder.run()

    def _taken_again(self) -> None:
        if self._producer_paused:
            self._producer_paused = False
            self._producer.resumeProducing()

    def has_unread(self) -> bool:
        """Whether octets have come that nobody was given yet, or the end of the stream, or a reset."""
        if not self._readable or not self.connected:
            return False
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except OSError as problem:
            return problem.errno not in (EAGAIN, EINTR)
        return True

    def paced_by(self, pace: AnyPace | None) -> None:
        """Read no faster than this lets us, or as it comes."""
        self.pace = pace
        if self._readable and self.connected:
            self._engine.soon(self._read_on)

    # For a pump.

    def pump_to(
        self,
        target: Transport,
        took: Callable[[int], None],
        gave: Callable[[int], None],
        limit: int | None = None,
        done: Callable[[], None] | None = None,
    ) -> Pump:
        """Let the kernel move what comes to another transport; see :class:`Pump`."""
        pump = Pump(self, target, took, gave, limit, done)
        pump.start()
        if self._readable:
            self._engine.soon(self._read_on)
        return pump

    def pumped_by(self, pump: Pump | None) -> None:
        """What comes goes to this pump, or to the protocol again."""
        self._pump = pump
        if pump is None and self._readable and self.connected:
            self._engine.soon(self._read_on)

    def fed_by(self, pump: Pump | None) -> None:
        """This pump is told when more can be written."""
        self.leave()
        self._feeder = pump
        if self._hurry and pump is not None:
            # It writes without us.
            self._hurry = 2
            self._hurry_up()

    def fileno(self) -> int:
        """The descriptor, while connected."""
        return self._fd

    def may_read(self) -> bool:
        """Whether there may be something to read, and it is wanted."""
        return self._readable and not self._paused and self.connected and not self._closing and not self._half

    def may_write(self) -> bool:
        """Whether a pump may write: nothing that was written before it waits."""
        if self._held is not None:
            self.leave()
        return self.connected and not self._out and not self._writing_over

    def nothing_to_read(self) -> None:
        """All that came was taken."""
        self._readable = False

    def takes_no_more(self) -> None:
        """The kernel takes nothing now: whoever produces for us is paused until it does."""
        if not self._producer_paused and self._producer is not None:
            self._producer_paused = True
            self._producer.pauseProducing()

    def go_on_soon(self) -> None:
        """There is more to read; the others have their turn first."""
        self._engine.soon(self._read_on)

    def ended(self) -> None:
        """The peer sends no more."""
        self._ended()

    def broke(self, problem: OSError) -> None:
        """Reading or writing found the connection broken."""
        self._broken(problem)

    # The end.

    def abortConnection(self) -> None:
        """Close now; the peer gets a reset."""
        if self.connected:
            self.leave()
            self._closing = self.disconnecting = True
            self._out = None
            self._out_octets = 0
            self._set_option(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._engine.soon(self._aborted)

    def failed(self) -> None:
        """The protocol raised: it cannot go on."""
        self._lose(Failure(error.ConnectionLost("the protocol failed")))  # type: ignore[no-untyped-call]

    def engine_stopped(self) -> None:
        """The reactor stops."""
        self._lose(CONNECTION_DONE)

    def _aborted(self) -> None:
        self._lose(Failure(error.ConnectionAborted()))  # type: ignore[no-untyped-call]

    def _broken(self, problem: OSError) -> None:
        """The connection broke; the protocol is told, but not from within its own call."""
        if not self._closing:
            self._closing = True
        self._out = None
        self._out_octets = 0
        lost = error.ConnectionLost(problem.strerror or "")
        lost.osError = problem.errno  # type: ignore[attr-defined]
        reason = Failure(lost)  # type: ignore[no-untyped-call]
        self._engine.soon(lambda: self._lose(reason))

    # What the connection is.

    def getHost(self) -> Address:  # type: ignore[override]
        return to_address(self._socket.getsockname())

    def getHandle(self) -> Any:
        return self._socket

    def getTcpNoDelay(self) -> bool:
        return bool(self._hurry or self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    def hurry_later(self) -> None:
        """As ``setTcpNoDelay(True)``, but the kernel is asked where it makes a difference, if at all."""
        self._hurry = 1

    def setTcpNoDelay(self, enabled: bool) -> None:
        self._hurry = 0
        self._set_option(socket.IPPROTO_TCP, socket.TCP_NODELAY, int(enabled))

    def getTcpKeepAlive(self) -> bool:
        return bool(self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))

    def setTcpKeepAlive(self, enabled: bool) -> None:
        self._set_option(socket.SOL_SOCKET, socket.SO_KEEPALIVE, int(enabled))

    def _set_option(self, level: int, name: int, value: int | bytes) -> None:
        try:
            self._socket.setsockopt(level, name, value)
        except OSError:
            pass  # the peer is gone already; that is told when it is read


def _take_off(out: deque[bytes | memoryview], sent: int) -> None:
    """Take the octets that were sent off the front."""
    while sent:
        piece = out[0]
        if len(piece) > sent:
            out[0] = memoryview(piece)[sent:]
            return
        sent -= len(piece)
        out.popleft()


def to_address(peer: tuple[Any, ...]) -> Address:
    """What the kernel says of one side of a connection, as Twisted says it."""
    return Address("TCP", peer[0], peer[1])
