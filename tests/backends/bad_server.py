"""A server of lists that does what it is told, well or badly, one answer after the other."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

# How long a thread that stalls or drips lives on when nobody reads any more.
PATIENCE_SECONDS = 10.0


@dataclass
class Asked:
    """One request: its target, and its fields by lower-case name."""

    target: str
    fields: dict[str, str] = field(default_factory=dict)


Answer = Callable[[socket.socket, Asked], None]


def answer(content: bytes = b"", status: str = "200 OK", **fields: str) -> Answer:
    """Answer as a server should; ``_`` in names of fields stands for a hyphen."""

    def send(connection: socket.socket, asked: Asked) -> None:
        connection.sendall(head(status, Content_Length=str(len(content)), **fields) + content)

    return send


def head(status: str = "200 OK", **fields: str) -> bytes:
    """The head of an answer."""
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items() if value]
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode()


def raw(octets: bytes) -> Answer:
    """Send octets, whatever they are, and close."""
    return lambda connection, asked: connection.sendall(octets)


def truncated(content: bytes, whole: int, **fields: str) -> Answer:
    """Promise more than comes."""
    return raw(head(Content_Length=str(whole), **fields) + content)


def redirect(location: str, status: str = "302 Found") -> Answer:
    """Send it elsewhere."""
    return answer(status=status, Location=location)


def reset(connection: socket.socket, asked: Asked) -> None:
    """Break the connection off."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def stall(after: bytes = b"") -> Answer:
    """Send a little, then nothing for ever."""

    def send(connection: socket.socket, asked: Asked) -> None:
        connection.sendall(after)
        _until_gone(connection)

    return send


def drip(before: bytes, seconds: float = 0.02) -> Answer:
    """Send one octet after the other, without an end."""

    def send(connection: socket.socket, asked: Asked) -> None:
        connection.sendall(before)
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            connection.sendall(b"a")
            time.sleep(seconds)

    return send


def serving(content: bytes, **fields: str) -> Answer:
    """Serve content as a good server does: what did not change is not sent, a rest is sent as a rest."""

    def send(connection: socket.socket, asked: Asked) -> None:
        etag = fields.get("ETag", "")
        if etag and asked.fields.get("if-none-match") == etag:
            answer(status="304 Not Modified", **fields)(connection, asked)
        elif "range" in asked.fields and asked.fields.get("if-range", etag) == etag:
            begin = int(asked.fields["range"].removeprefix("bytes=").rstrip("-"))
            span = f"bytes {begin}-{len(content) - 1}/{len(content)}"
            answer(content[begin:], "206 Partial Content", Content_Range=span, **fields)(connection, asked)
        else:
            answer(content, **fields)(connection, asked)

    return send


class BadServer:
    """
    A server on a free port of loopback.

    :ivar answers: what comes next for a path, the last of them for ever.
    :ivar seen: the requests.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.answers: dict[str, list[Answer]] = {}
        self.seen: list[Asked] = []
        self._context = context
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=50)
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, path: str = "/list.txt") -> str:
        """The URL of a path."""
        scheme, host = ("http", "127.0.0.1") if self._context is None else ("https", "localhost")
        return f"{scheme}://{host}:{self.port}{path}"

    def answers_with(self, *answers: Answer, path: str = "/list.txt") -> None:
        """Say what comes next for a path."""
        self.answers[path] = list(answers)

    def close(self) -> None:
        """Take no more connections."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE_SECONDS)
        with contextlib.suppress(OSError), contextlib.closing(connection):
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
            asked = _read(connection)
            self.seen.append(asked)
            path = asked.target.removeprefix(f"http://127.0.0.1:{self.port}")
            left = self.answers.get(path) or [answer(status="404 Not Found")]
            send = left.pop(0) if len(left) > 1 else left[0]
            send(connection, asked)
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
            _until_gone(connection)


def _read(connection: socket.socket) -> Asked:
    octets = b""
    while b"\r\n\r\n" not in octets:
        piece = connection.recv(65536)
        if not piece:
            raise ConnectionResetError
        octets += piece
    first, *lines = octets.decode("latin-1").split("\r\n\r\n")[0].split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return Asked(first.split(" ")[1], {name.lower(): value.strip() for name, _, value in pairs})


def _until_gone(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while connection.recv(65536):
            pass
