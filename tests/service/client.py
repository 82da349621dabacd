"""A client in a thread of the test: blocking, and counting every octet that it sends and gets."""

from __future__ import annotations

import json
import socket
from base64 import b64encode
from dataclasses import dataclass, field
from email.parser import BytesParser
from typing import Any

WAIT_SECONDS = 40.0


@dataclass
class Answer:
    """An answer as it came."""

    status: int
    fields: Any
    content: bytes

    @property
    def text(self) -> str:
        """The content as text."""
        return self.content.decode("utf-8", "replace")

    @property
    def json(self) -> Any:
        """The content as JSON."""
        return json.loads(self.content)


@dataclass
class Client:
    """
    One connection to a port of loopback.

    ``sent`` and ``received`` are octets; ``user`` and ``password`` go with each request to a proxy.
    """

    port: int
    user: str = ""
    password: str = ""
    host: str = "127.0.0.1"
    sent: int = 0
    received: int = 0
    held: bytes = b""
    socket: Any = field(default=None, repr=False)

    def connect(self) -> Client:
        """Open the connection."""
        self.socket = socket.create_connection((self.host, self.port), timeout=WAIT_SECONDS)
        return self

    def close(self) -> None:
        """Close it."""
        if self.socket is not None:
            self.socket.close()

    def send(self, octets: bytes) -> None:
        """Send octets as they are."""
        self.socket.sendall(octets)
        self.sent += len(octets)

    def more(self) -> bytes:
        """Wait for some octets; none is the end."""
        octets: bytes = self.socket.recv(262144)
        self.received += len(octets)
        return octets

    def ask(
        self,
        method: str,
        target: str,
        *lines: str,
        content: bytes = b"",
        host: str = "",
        version: str = "1.1",
    ) -> Answer:
        """Send a request and wait for its whole answer."""
        self.send_request(method, target, *lines, content=content, host=host, version=version)
        return self.answer(method)

    def send_request(
        self,
        method: str,
        target: str,
        *lines: str,
        content: bytes = b"",
        host: str = "",
        version: str = "1.1",
    ) -> None:
        """Send a request."""
        if self.socket is None:
            self.connect()
        named = host or (target.split("/")[2] if "://" in target else target)
        head = [f"{method} {target} HTTP/{version}", f"Host: {named}", *lines]
        if self.user:
            basic = b64encode(f"{self.user}:{self.password}".encode()).decode()
            head.append(f"Proxy-Authorization: Basic {basic}")
        if content or method == "POST":
            head.append(f"Content-Length: {len(content)}")
        self.send("\r\n".join([*head, "", ""]).encode() + content)

    def answer(self, method: str = "GET") -> Answer:
        """Wait for an answer."""
        while b"\r\n\r\n" not in self.held:
            octets = self.more()
            if not octets:
                raise ConnectionError(f"no answer, but {self.held!r}")
            self.held += octets
        head, _, self.held = self.held.partition(b"\r\n\r\n")
        line, _, rest = head.partition(b"\r\n")
        fields = BytesParser().parsebytes(rest + b"\r\n\r\n")
        status = int(line.split()[1])
        if method == "HEAD" or status in {204, 304} or (method == "CONNECT" and status == 200):
            return Answer(status, fields, b"")
        return Answer(status, fields, self._content(fields))

    def _content(self, fields: Any) -> bytes:
        length = fields.get("Content-Length")
        while length is None or len(self.held) < int(length):
            octets = self.more()
            if not octets:
                break
            self.held += octets
        end = len(self.held) if length is None else int(length)
        content, self.held = self.held[:end], self.held[end:]
        return content

    def echoes(self, octets: bytes) -> bytes:
        """Send octets through a tunnel and wait for as many."""
        self.send(octets)
        got, self.held = self.held, b""
        while len(got) < len(octets):
            more = self.more()
            if not more:
                break
            got += more
        return got


def ask(
    port: int, target: str, method: str = "GET", user: str = "", password: str = "", **more: Any
) -> Answer:
    """One request on a connection of its own."""
    client = Client(port, user, password)
    lines = more.pop("lines", ())
    try:
        return client.ask(method, target, "Connection: close", *lines, **more)
    finally:
        client.close()
