"""Patience that ends: how long a server is waited for, and how little it may send."""

from __future__ import annotations

import contextlib
import io
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Patience:
    """
    How long a server is waited for, in seconds, and how little it may send.

    After ``slow`` seconds, and in each such span after it, ``slow_octets`` must have come.
    """

    connect: float = 20.0
    silence: float = 60.0
    whole: float = 1800.0
    slow: float = 120.0
    slow_octets: int = 64 * 1024


PATIENCE = Patience()


class TookTooLong(Exception):
    """The whole took too long."""


class PatientSocket:
    """A socket that waits for octets no longer than it should, and not for ever for many small ones."""

    def __init__(self, sock: socket.socket, silence: float, until: float) -> None:
        self._socket = sock
        self._silence = silence
        self._until = until
        self._is_read = False

    def sendall(self, octets: bytes) -> None:
        """Send octets."""
        with self._waiting():
            self._socket.sendall(octets)

    def makefile(self, mode: str) -> io.BufferedReader:
        """A file to read from, which closes the socket with it."""
        self._is_read = True
        return io.BufferedReader(_Raw(self))

    def recv_into(self, buffer: Any) -> int:
        """Receive octets."""
        with self._waiting():
            return self._socket.recv_into(buffer)

    def close(self) -> None:
        """Close the socket, unless somebody still reads: a connection is closed before its answer."""
        if not self._is_read:
            self._socket.close()

    def end(self) -> None:
        """Close the socket: who read from it is done."""
        self._socket.close()

    @contextlib.contextmanager
    def _waiting(self) -> Iterator[None]:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TookTooLong
        self._socket.settimeout(min(self._silence, left))
        try:
            yield
        except TimeoutError:
            if left < self._silence:
                raise TookTooLong from None
            raise


class _Raw(io.RawIOBase):
    def __init__(self, sock: PatientSocket) -> None:
        super().__init__()
        self._socket = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._socket.recv_into(buffer)

    def close(self) -> None:
        super().close()
        self._socket.end()
