"""
An origin server for programs to reach: http and https on loopback, in threads of the test.

It remembers each request that it saw, so that a test can say what arrived; a field that must never leave
the proxy is remembered apart, for every test looks at it.
"""

from __future__ import annotations

import hashlib
import re
import ssl
import threading
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import trustme
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Ping, Request, TextMessage

# The names under which tests reach it; the policy of a test gives them the address 127.0.0.1.
NAMES = ("origin.test", "games.test", "bets.test", "localhost")

TOKEN = "what the origin says"

MEDIA_TYPES = {".html": "text/html; charset=utf-8", ".json": "application/json"}

PAGE = """<!doctype html><title>loading</title><p id=said>loading</p>
<script>
fetch('/token').then(a => a.text()).then(t => { said.innerText = t; document.title = 'loaded'; });
</script>"""

SOCKET_PAGE = """<!doctype html><title>loading</title><p id=said>loading</p>
<script>
const socket = new WebSocket(location.href.replace('http', 'ws').replace('/talk', '/socket'));
socket.onopen = () => socket.send('are you there');
socket.onmessage = event => { said.innerText = event.data; document.title = 'loaded'; socket.close(); };
socket.onerror = () => { document.title = 'failed'; };
</script>"""


@dataclass(frozen=True)
class Seen:
    """One request as it arrived."""

    method: str
    target: str
    fields: Message
    is_tls: bool
    content: bytes


def content_of(octets: int) -> bytes:
    """Content of a length, the same each time, without a short period."""
    block = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(4096))
    return (block * (octets // len(block) + 1))[:octets]


class Origin:
    """
    The server, on a port for http and one for https.

    :ivar folder: files below it are served, too.
    :ivar authority: a certificate authority of its own; ``authority_file`` is its certificate.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen: list[Seen] = []
        authority = trustme.CA()
        self.authority_file = folder.parent / "authority.pem"
        authority.cert_pem.write_to_path(str(self.authority_file))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*NAMES, "127.0.0.1", "::1").configure_cert(context)
        self._servers = [_Server(self, None), _Server(self, context)]
        self.port, self.tls_port = (server.server_address[1] for server in self._servers)
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def http(self, path: str, host: str = "origin.test") -> str:
        """The URL of a path over http."""
        return f"http://{host}:{self.port}{path}"

    def https(self, path: str, host: str = "origin.test") -> str:
        """The URL of a path over https."""
        return f"https://{host}:{self.tls_port}{path}"

    def leaks(self) -> list[Seen]:
        """
        Requests that brought credentials for the proxy, or what only the proxy should have read.

        What comes over TLS is the program's own doing (wget sends its credentials there, too).
        """
        names = ("proxy-authorization", "proxy-connection")
        plain = [one for one in self.seen if not one.is_tls]
        return [one for one in plain if any(name in one.fields for name in names)]

    def stop(self) -> None:
        """Answer no more."""
        for server in self._servers:
            server.shutdown()
            server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, origin: Origin, tls: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), _Answering)
        self.origin = origin
        self.tls = tls
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients may leave whenever they like."""


class _Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing: the test has `Origin.seen`."""

    def do_GET(self) -> None:
        self._note(b"")
        path = unquote(urlsplit(self.path).path)
        made = re.fullmatch(r"/content/([0-9]+)", path)
        if path == "/token":
            self._answer(TOKEN.encode())
        elif path == "/page":
            self._answer(PAGE.encode(), "text/html")
        elif path == "/talk":
            self._answer(SOCKET_PAGE.encode(), "text/html")
        elif path == "/socket":
            self._talk()
        elif path == "/chunked":
            self._answer_chunked()
        elif made:
            self._answer(content_of(int(made[1])), "application/octet-stream")
        else:
            self._answer_file(path)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        content = self._chunked_content() if self._is_chunked() else self._content()
        self._note(content)
        self._answer(f"{len(content)} {hashlib.sha256(content).hexdigest()}".encode())

    do_PUT = do_POST

    def _is_chunked(self) -> bool:
        return self.headers.get("Transfer-Encoding", "").lower() == "chunked"

    def _content(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _chunked_content(self) -> bytes:
        content = b""
        while octets := int(self.rfile.readline().partition(b";")[0], 16):
            content += self.rfile.read(octets)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # trailers
        return content

    def _note(self, content: bytes) -> None:
        is_tls = self.server.tls is not None
        self.server.origin.seen.append(Seen(self.command, self.path, self.headers, is_tls, content))

    def _answer(self, content: bytes, media_type: str = "text/plain", status: int = 200) -> None:
        asked = re.fullmatch(r"bytes=([0-9]+)-([0-9]+)", self.headers.get("Range", ""))
        whole = len(content)
        if asked and status == 200:
            status, content = 206, content[int(asked[1]) : int(asked[2]) + 1]
        self.send_response(status)
        if asked:
            self.send_header("Content-Range", f"bytes {asked[1]}-{asked[2]}/{whole}")
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _answer_chunked(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for character in TOKEN.encode():
            self.wfile.write(b"1\r\n%c\r\n" % character)
        self.wfile.write(b"0\r\n\r\n")

    def _answer_file(self, path: str) -> None:
        file = self.server.origin.folder / path.strip("/")
        file = file / "index.html" if file.is_dir() else file
        if not file.is_file():
            self._answer(b"there is no such file\n", status=404)
            return
        self._answer(file.read_bytes(), MEDIA_TYPES.get(file.suffix, "application/octet-stream"))

    def _talk(self) -> None:
        """Be a WebSocket that says each message back, until the client closes it (RFC 6455)."""
        self.close_connection = True
        peer = WSConnection(ConnectionType.SERVER)
        peer.initiate_upgrade_connection(
            [(name.encode(), value.encode()) for name, value in self.headers.items()], self.path
        )
        while True:
            for event in peer.events():
                if isinstance(event, Request):
                    self.wfile.write(peer.send(AcceptConnection()))
                elif isinstance(event, TextMessage):
                    self.wfile.write(peer.send(TextMessage(f"you said: {event.data}")))
                elif isinstance(event, Ping):
                    self.wfile.write(peer.send(event.response()))
                elif isinstance(event, CloseConnection):
                    self.wfile.write(peer.send(event.response()))
                    return
            octets = self.connection.recv(65536)
            if not octets:
                return
            peer.receive_data(octets)
