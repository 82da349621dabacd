"""A server on loopback in threads of the test: it answers, waits, echoes."""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any
from urllib.parse import urlsplit

WAIT_SECONDS = 60.0


class Origin:
    """
    Two ports: ``port`` answers HTTP, ``echo_port`` sends back what it gets.

    ``/held`` is answered when `release` was called, ``/octets/N`` has N octets.  ``arrived`` is set by each
    request for ``/held``.
    """

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        self.arrived = threading.Event()
        self._released = threading.Event()
        self._http = _Http(("127.0.0.1", 0), _Answers)
        self._http.origin = self
        self._echo = _Echo(("127.0.0.1", 0), _SendsBack)
        self.port: int = self._http.server_address[1]
        self.echo_port: int = self._echo.server_address[1]
        for server in (self._http, self._echo):
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

    def release(self) -> None:
        """Let what is held be answered."""
        self._released.set()

    def wait(self) -> None:
        """Wait to be released."""
        self.arrived.set()
        self._released.wait(WAIT_SECONDS)

    def stop(self) -> None:
        """End both."""
        self.release()
        for server in (self._http, self._echo):
            server.shutdown()
            server.server_close()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    origin: Origin


class _Echo(ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    allow_reuse_address = True


class _SendsBack(BaseRequestHandler):
    def handle(self) -> None:
        try:
            while octets := self.request.recv(65536):
                self.request.sendall(octets)
        except OSError:
            pass


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def do_GET(self) -> None:
        origin = self.server.origin
        path = urlsplit(self.path).path
        origin.seen.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))
        if path == "/held":
            origin.wait()
        octets = int(path.split("/")[2]) if path.startswith("/octets/") else 5
        self._answer(b"x" * octets)

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("Content-Length", "0"))))

    def _answer(self, content: bytes) -> None:
        try:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        except OSError:
            self.close_connection = True

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except OSError:
            self.close_connection = True

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


def silent_socket(port: int) -> socket.socket:
    """A connection to a port of 127.0.0.1, with a bound on its waits."""
    return socket.create_connection(("127.0.0.1", port), timeout=WAIT_SECONDS)
