"""What is done for each read and write of a socket: here in Python, and compiled in ``native/wire.c``."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from errno import EAGAIN, EINTR
from socket import IPPROTO_TCP, TCP_NODELAY
from typing import TYPE_CHECKING, Any

from corpproxy import twins
from corpproxy.net.engine.loop import ENDING, READABLE, WRITABLE, Engine
from corpproxy.net.engine.pump import Pump

if TYPE_CHECKING:
    from corpproxy.net.pacing import AnyPace

# One read.  A head with its cookies fits; asking for more costs 3 to 5 us for memory that is not used.
READ_OCTETS = 16 * 1024
# Reads of a socket that fills the first one: bulk.
BULK_OCTETS = 256 * 1024
# What one connection may read in one turn before the others have theirs.
TURN_OCTETS = 1024 * 1024

# What is no longer than this, and was written in a turn of the engine, leaves with all else when the turn is
# over.  A peer on the same machine is woken by what it is sent: by many small pieces one after another it is
# woken once, and it costs as much as the sending where it falls asleep again before the next one comes.
HELD_OCTETS = 16 * 1024

# A producer is paused when so much waits to be written, and resumed when all of it is.
HIGH_WATER_OCTETS = 64 * 1024


class TransportInPython:
    """
    What is done for each read and write of a socket; ``native/wire.c`` is made after it.

    All that a transport knows stands here.
    """

    __slots__ = (
        "_closing",
        "_engine",
        "_fd",
        "_feeder",
        "_half",
        "_held",
        "_hung",
        "_hurry",
        "_out",
        "_out_octets",
        "_paused",
        "_peer",
        "_producer",
        "_producer_paused",
        "_pump",
        "_readable",
        "_socket",
        "_writing_over",
        "connected",
        "disconnecting",
        "pace",
        "protocol",
    )

    protocol: Any

    def __init__(self, engine: Engine, connection: Any, peer: tuple[Any, ...]) -> None:
        """``connection`` is a socket that does not block, `socket.socket` or the one that is below it."""
        self._engine = engine
        self._socket = connection
        self._fd: int = connection.fileno()
        self._peer = peer
        # Made when something has to wait: an empty one is larger than all the rest here together.
        self._out: deque[bytes | memoryview] | None = None
        self._out_octets = 0
        # What was written in this turn, and leaves at its end.
        self._held: bytes | None = None
        # 1 where small writes are to be sent at once and nothing was written yet, 2 behind the first one.
        self._hurry = 0
        self._producer: Any = None
        self._producer_paused = False
        self._paused = False
        self._readable = False
        self._hung = False
        self._closing = False
        self._writing_over = False
        self._half = False
        self._pump: Pump | None = None
        self._feeder: Pump | None = None
        self.pace: AnyPace | None = None
        self.connected = True
        self.disconnecting = False

    # Reading.

    def ready(self, events: int) -> None:
        """The kernel has something to read, or takes something again."""
        if events & WRITABLE and (self._out is not None or self._feeder is not None):
            self._can_write()
        if events & READABLE:
            self._readable = True
            if events & ENDING:
                self._hung = True
            if not self._paused and self.connected and not self._closing:
                self._read()

    def _read(self) -> None:
        """Read until nothing is left, the protocol wants no more, or the turn is over."""
        if self._pump is not None:
            self._pump.run()
            return
        if self.pace is not None:
            self._read_paced(self.pace)
            return
        size, turn = READ_OCTETS, TURN_OCTETS
        while not self._paused and not self._closing and self.connected and not self._half:
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
            # A short read means that nothing is left; an end that came with it is told by the event.
            is_all = len(data) < size and not self._hung
            if is_all:
                self._readable = False
            self.protocol.dataReceived(data)
            if is_all:
                return
            turn -= len(data)
            if self._is_read_otherwise() or turn <= 0:
                self._engine.soon(self._read_on)
                return
            size = BULK_OCTETS

    def write(self, data: bytes) -> None:
        """Send octets, at the end of the turn; what the kernel does not take is sent when it does."""
        if not self.connected or self._writing_over:
            return
        if self._held is not None:
            self.leave()
        leaving = self._engine.leaving
        if self._out:
            self._out.append(data)
            self._out_octets += len(data)
            self._hold_producer()
        elif leaving is not None and len(data) <= HELD_OCTETS and type(data) is bytes:
            self._held = data
            leaving.append(self)
        else:
            self._send(data)

    def leave(self) -> None:
        """Send what was written in this turn."""
        held, self._held = self._held, None
        if held is not None and self.connected:
            self._send(held)

    def _send(self, data: bytes) -> None:
        if self._hurry:
            self._hurry_up()
        try:
            sent = self._socket.send(data)
        except OSError as problem:
            if problem.errno not in (EAGAIN, EINTR):
                self._broken(problem)
                return
            sent = 0
        if sent != len(data):
            self._write_rest(data, sent)

    # What comes after that.

    def _hurry_up(self) -> None:
        """
        Send small writes at once from now on, unless this is the first one.

        A small write is held back while one before it was not acknowledged (RFC 896; Linux holds back behind
        small ones alone, as Minshall proposed), so that the first is sent at once as it is.  Most connections
        that carry one request, or the first octets of a tunnel, end without a second.
        """
        if self._hurry == 1:
            self._hurry = 2
        else:
            self._hurry = 0
            self._set_option(IPPROTO_TCP, TCP_NODELAY, 1)

    def _is_read_otherwise(self) -> bool:
        """Whether the protocol let the kernel move what comes from now on, or wants it at a pace."""
        return self._pump is not None or self.pace is not None

    def _can_write(self) -> None:
        """The kernel takes something again, and there is something or somebody to give it."""
        if self._out:
            self._flush()
        elif self._feeder is not None:
            self._taken_again()
            self._feeder.run()

    def _write_rest(self, data: bytes, sent: int) -> None:
        """The kernel took so many octets: the others are sent when it takes them."""
        self._out = deque((memoryview(data)[sent:] if sent else data,))
        self._out_octets = len(data) - sent
        self._hold_producer()

    def _hold_producer(self) -> None:
        if self._out_octets > HIGH_WATER_OCTETS and not self._producer_paused and self._producer is not None:
            self._producer_paused = True
            self._producer.pauseProducing()

    # What only the whole transport knows.

    failed: Callable[[], None]
    engine_stopped: Callable[[], None]
    _read_on: Callable[[], None]
    _read_paced: Callable[[AnyPace], None]
    _ended: Callable[[], None]
    _broken: Callable[[OSError], None]
    _flush: Callable[[], None]
    _set_option: Callable[[int, int, int | bytes], None]
    _taken_again: Callable[[], None]


if twins.wire is None or TYPE_CHECKING:
    ReadWrite = TransportInPython
else:
    twins.wire.set_sizes(READ_OCTETS, BULK_OCTETS, TURN_OCTETS, HELD_OCTETS)

    class ReadWrite(twins.wire.Transport):
        """The compiled twin, which leaves sockets that are none of the kernel's to the one in Python."""

        __slots__ = ()
        _ready_in_python = TransportInPython.ready
        _read_in_python = TransportInPython._read
        _write_in_python = TransportInPython.write
        _leave_in_python = TransportInPython.leave
        _hurry_up = TransportInPython._hurry_up
        _is_read_otherwise = TransportInPython._is_read_otherwise
        _send = TransportInPython._send
        _can_write = TransportInPython._can_write
        _write_rest = TransportInPython._write_rest
        _hold_producer = TransportInPython._hold_producer
