"""A server that counts every octet that it gets and sends, and answers in all the ways that there are."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any

WAIT_SECONDS = 20.0
PIECE = 16384


class CountingOrigin:
    """
    Answers by the path: ``/KIND/OCTETS``.

    ``length``, ``chunked`` and ``close`` say how the content ends; ``none`` is a 204, ``same`` a 304;
    ``short`` ends in the middle of its content, ``reset`` does so as a server that died; ``stall`` sends its
    head and nothing more; ``upgrade`` switches to another protocol and then sends back what it gets.  What
    does not begin like HTTP is sent back too.

    :ivar received: octets that came; ``sent``: octets that went.
    """

    def __init__(self) -> None:
        self.received = 0
        self.sent = 0
        self._lock = threading.Lock()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        """Take no more connections."""
        self._listening.close()

    def count(self, received: int, sent: int) -> None:
        """Count octets."""
        with self._lock:
            self.received += received
            self.sent += sent

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                connection.settimeout(WAIT_SECONDS)
                threading.Thread(target=_Connection(self, connection).run, daemon=True).start()


class _Connection:
    def __init__(self, origin: CountingOrigin, connection: socket.socket) -> None:
        self._origin = origin
        self._socket = connection
        self._held = b""

    def run(self) -> None:
        with self._socket, contextlib.suppress(OSError, EOFError):
            while self._exchange():
                pass

    def _exchange(self) -> bool:
        """Answer one request; whether there may be another."""
        if not self._held:
            self._more()
        if self._held[:1] not in {b"G", b"H", b"P"}:
            return self._echo()
        while b"\r\n\r\n" not in self._held:
            self._more()
        head, _, self._held = self._held.partition(b"\r\n\r\n")
        self._take_content(head.lower())
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        kind, octets = target.split("/")[-2:]
        return bool(getattr(self, f"_{kind}")(int(octets), method == "HEAD"))

    def _take_content(self, head: bytes) -> None:
        if b"transfer-encoding: chunked" in head:
            while b"0\r\n\r\n" not in (self._held[-5:], self._held[:5]):
                self._more()
            self._held = b""
        elif b"content-length: " in head:
            length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
            while len(self._held) < length:
                self._more()
            self._held = self._held[length:]

    def _length(self, octets: int, is_head: bool) -> bool:
        content = b"" if is_head else b"x" * octets
        self._send(f"HTTP/1.1 200 OK\r\nContent-Length: {octets}\r\n\r\n".encode() + content)
        return True

    def _chunked(self, octets: int, is_head: bool) -> bool:
        self._send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        if not is_head:
            for size in [PIECE] * (octets // PIECE) + [octets % PIECE] * bool(octets % PIECE):
                self._send(f"{size:x}\r\n".encode() + b"x" * size + b"\r\n")
            self._send(b"0\r\n\r\n")
        return True

    def _close(self, octets: int, is_head: bool) -> bool:
        self._send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * (0 if is_head else octets))
        return False

    def _none(self, octets: int, is_head: bool) -> bool:
        self._send(b"HTTP/1.1 204 No Content\r\n\r\n")
        return True

    def _same(self, octets: int, is_head: bool) -> bool:
        self._send(b'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\n\r\n')
        return True

    def _short(self, octets: int, is_head: bool) -> bool:
        self._send(f"HTTP/1.1 200 OK\r\nContent-Length: {octets + 1}\r\n\r\n".encode() + b"x" * octets)
        return False

    def _reset(self, octets: int, is_head: bool) -> bool:
        self._short(octets, is_head)
        abort(self._socket)
        return False

    def _stall(self, octets: int, is_head: bool) -> bool:
        self._send(f"HTTP/1.1 200 OK\r\nContent-Length: {octets + 1}\r\n\r\n".encode())
        self._more()
        return False

    def _upgrade(self, octets: int, is_head: bool) -> bool:
        self._send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        return self._echo()

    def _echo(self) -> bool:
        with contextlib.suppress(EOFError):
            while True:
                octets, self._held = self._held, b""
                self._send(octets)
                self._more()
        return False

    def _more(self) -> None:
        octets = self._socket.recv(65536)
        if not octets:
            raise EOFError
        self._origin.count(len(octets), 0)
        self._held += octets

    def _send(self, octets: bytes) -> None:
        view = memoryview(octets)
        while view:
            sent = self._socket.send(view)
            self._origin.count(0, sent)
            view = view[sent:]


def abort(connection: Any) -> None:
    """Let the close of a connection be a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
