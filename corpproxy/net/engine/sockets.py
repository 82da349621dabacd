"""
Sockets of the engine, which do not block.

Those of the standard library ask the kernel three times for a connection that is taken (``accept4``,
``getsockname``, ``ioctl``), and let go of the interpreter's lock for each call: who does that for a call of a
few microseconds stands in line behind the thread that writes records.  The compiled ones ask once, and keep
it.  Where they are not compiled, those of the library do.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from errno import EAGAIN, ECONNABORTED, EINTR
from sys import intern
from typing import TYPE_CHECKING, Any

from corpproxy import twins

_STREAM = int(socket.SOCK_STREAM)
_NOTHING_NOW = (EAGAIN, EINTR, ECONNABORTED)

# Where a connection comes from: an address and a port.
Peer = tuple[str, int]


def accept_in_python(listening: Any) -> tuple[Any, Peer] | None:
    """Take a connection from a listening socket, and its peer; None where nobody waits."""
    try:
        # What `socket.accept` does itself, without the object of Python around the one of C: that one costs
        # as much as the call, and twice the memory.
        descriptor, peer = listening._accept()
    except OSError as problem:
        if problem.errno in _NOTHING_NOW:
            return None
        raise
    connection = socket.SocketType(int(listening.family), _STREAM, 0, descriptor)
    connection.setblocking(False)
    # One text for all connections of a client, and no more of an IPv6 address than anybody asks for.
    return connection, (intern(peer[0]), peer[1])


if twins.wire is None or TYPE_CHECKING:
    make_socket: Callable[[int, int], Any] = socket.SocketType
    accept: Callable[[Any], tuple[Any, Peer] | None] = accept_in_python
else:
    make_socket = twins.wire.socket
    accept = twins.wire.accept

    class Socket(twins.wire.Socket):
        """A compiled one; what is asked seldom is asked by one of the library that borrows its descriptor."""

        __slots__ = ()

        def _seldom(self, name: str, *words: Any) -> Any:
            """Ask what only a socket of the library can."""
            lent = socket.SocketType(self.family, _STREAM | socket.SOCK_NONBLOCK, 0, self.fileno())
            try:
                return getattr(lent, name)(*words)
            finally:
                lent.detach()

        def _connect_in_python(self, address: Peer) -> int:
            number: int = self._seldom("connect_ex", address)
            return number

        def bind(self, address: Peer) -> None:
            """Take an address of this machine."""
            self._seldom("bind", address)

        def getsockname(self) -> Any:
            """The address on this side."""
            return self._seldom("getsockname")

        def getpeername(self) -> Any:
            """The address on the other side."""
            return self._seldom("getpeername")

        def sendmsg(self, pieces: Sequence[bytes | memoryview]) -> int:
            """Send several pieces at once; gives how many octets the kernel took."""
            sent: int = self._seldom("sendmsg", pieces)
            return sent

    twins.wire.set_socket(Socket)
