"""Servers that tests start and end: one for syslog, one for collectors."""

from __future__ import annotations

import gzip
import http.server
import socket
import ssl
import threading
import time
from collections.abc import Callable

from backports import zstd


def wait_until(holds: Callable[[], object], what: str, seconds: float = 40.0) -> None:
    """Wait for something that another thread does."""
    ends = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > ends:
            raise AssertionError(f"it did not come to this: {what}")
        time.sleep(0.01)


class SyslogServer:
    """Takes messages that are counted in octets; it can be killed, and started again on its port."""

    def __init__(self, context: ssl.SSLContext | None = None, port: int = 0) -> None:
        self.messages: list[bytes] = []
        self.faults: list[str] = []
        self._context = context
        self._listening = socket.create_server(("127.0.0.1", port))
        self.port = self._listening.getsockname()[1]
        self._connections: list[socket.socket] = []
        self.reads = threading.Event()
        self.reads.set()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def kill(self) -> None:
        """End at once, as a process that was killed: what was not read is gone."""
        if self._listening.fileno() < 0:
            return
        # A thread that waits in accept() would keep the port.
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for one in self._connections:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()
        self._thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self._connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
                self._connections.append(connection)
            octets = b""
            while self.reads.wait() and (piece := connection.recv(65536)):
                octets += piece
                octets = self._take(octets)
        except OSError as error:
            self.faults.append(str(error))

    def _take(self, octets: bytes) -> bytes:
        while b" " in octets:
            length, rest = octets.split(b" ", 1)
            if len(rest) < int(length):
                break
            self.messages.append(rest[: int(length)])
            octets = rest[int(length) :]
        return octets


class Collector:
    """Takes batches; ``answers`` are what it answers to the next requests instead of 204."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.fields: list[dict[str, str]] = []
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.refuses: Callable[[bytes], bool] = lambda content: False
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"]))
                collector.fields.append({name.lower(): value for name, value in self.headers.items()})
                packing = self.headers.get("Content-Encoding", "")
                content = {"": bytes, "gzip": gzip.decompress, "zstd": zstd.decompress}[packing](content)
                status, fields = collector.answers.pop(0) if collector.answers else (204, {})
                if collector.refuses(content):
                    status = 400
                if status < 300:
                    collector.lines += content.splitlines()
                self.send_response(status)
                for name, value in fields.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/lines?x=1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
