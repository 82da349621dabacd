"""Any octets on any listener of the real service: it goes on, and each exchange has one record."""

from __future__ import annotations

import random
import socket
import struct
import threading
from base64 import b64encode
from http.client import HTTPConnection
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support.running import RunningProxy

POLICY = """
safety: {addresses: [public, loopback], connect_ports: [443, 80, 9, PORT], connect_to: anything}
identity: {methods: [{basic: {htpasswd: users.htpasswd}}]}
names: {hosts: {origin.test: [127.0.0.1], games.test: [127.0.0.1], careful.test: [127.0.0.1]}}
rules:
  - {name: no games, what: {domain: games.test}, do: block}
  - {name: careful, what: {domain: careful.test}, do: warn}
  - {name: all, do: allow}
"""
PASSWORD = "hidden-word-71"
CONVERSATIONS = 300
THREADS = 4

_SIGNED = b"Proxy-Authorization: Basic " + b64encode(b"amir:" + PASSWORD.encode()) + b"\r\n"
_FORM = b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n\r\ntoken=abc"
_WEBSOCKET = (
    b"GET / HTTP/1.1\r\nHost: origin.test:PORT\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
_SEEDS = [
    b"GET http://origin.test:PORT/ HTTP/1.1\r\nHost: a\r\n" + _SIGNED + b"\r\n",
    b"POST http://origin.test:PORT/ HTTP/1.1\r\nHost: a\r\n"
    + _SIGNED
    + b"Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n",
    b"POST http://origin.test:PORT/ HTTP/1.1\r\nHost: a\r\n" + _SIGNED + b"Content-Length: 5\r\n\r\nhello",
    b"CONNECT origin.test:PORT HTTP/1.1\r\nHost: a\r\n" + _SIGNED + b"\r\n\x16\x03\x01\0\x05\x01\0\0\x01\0",
    b"CONNECT origin.test:PORT HTTP/1.1\r\nHost: a\r\n" + _SIGNED + b"\r\n" + _WEBSOCKET,
    b"CONNECT 127.0.0.1:9 HTTP/1.1\r\nHost: a\r\n" + _SIGNED + b"\r\n",
    b"GET http://careful.test/ HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\n" + _SIGNED + b"\r\n",
    b"GET http://games.test/ HTTP/1.1\r\nHost: a\r\n" + _SIGNED + b"\r\n",
    b"GET http://proxy.internal/ HTTP/1.1\r\nHost: a\r\n" + _SIGNED + b"\r\n",
    b"POST http://proxy.internal/confirm HTTP/1.1\r\nHost: a\r\n" + _SIGNED + _FORM,
    b"GET /proxy.pac HTTP/1.1\r\nHost: a\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n" + _SIGNED + b"\r\n",
    b'{"command": "status"}\n',
]  # fmt: skip
_SCRAPS = [
    b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b"\xff", b"..", b"@", b"%00", b"[::1]", b"A" * 3000,
    b"\x16\x03\x01", b"Expect: x\r\n", b"99999999999999999999", b"HTTP/1.0", b"0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Content-Length: 0\r\n", b"Connection: close\r\n",
    b"Connection: upgrade\r\nUpgrade: websocket\r\n",
]  # fmt: skip


class Origin:
    """A server that answers whatever it is sent, now and then with nonsense."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        dice = random.Random(2)
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection, dice.random()), daemon=True).start()

    def _serve(self, connection: socket.socket, dice: float) -> None:
        connection.settimeout(2)
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        if dice < 0.2:
            answer = b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\0\1"
        elif dice < 0.3:
            answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"
        elif dice < 0.4:
            answer = b"\xff\0\r\n\r\n"
        with connection:
            try:
                while connection.recv(65536):
                    connection.sendall(answer)
            except OSError:
                pass

    def close(self) -> None:
        self._listening.close()


class AnyOctetsTests(SynchronousTestCase):
    """The service stands whatever is thrown at it."""

    def setUp(self) -> None:
        self.origin = Origin()
        self.addCleanup(self.origin.close)
        self.port = str(self.origin.port)
        self.proxy = RunningProxy(POLICY.replace("PORT", self.port), {"amir": PASSWORD})
        self.addCleanup(self.proxy.forget)
        self.control = self.proxy.folder / "state" / "control.sock"

    def test_stands(self) -> None:
        """Afterwards it is ready, serves, has one record of each exchange, and told nobody's password."""
        threads = [threading.Thread(target=self._throw, args=(random.Random(n),)) for n in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(self._ask("/ready", self.proxy.admin)[0], 200)
        self.assertEqual(self._ask("/proxy.pac", self.proxy.portal)[0], 200)
        status, metrics = self._ask("/metrics", self.proxy.admin)
        self.assertEqual(status, 200)
        self.proxy.stop()
        self.assertEqual(self.proxy.faults(), [])
        self.assertGreater(len(self.proxy.records()), CONVERSATIONS)
        said = self.proxy.log_text() + metrics
        said += "".join(path.read_text() for path in Path(self.proxy.folder).glob("state/records/*.jsonl"))
        for secret in (PASSWORD, b64encode(b"amir:" + PASSWORD.encode()).decode()):
            self.assertNotIn(secret, said)

    def _ask(self, path: str, port: int) -> tuple[int, str]:
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def _throw(self, dice: random.Random) -> None:
        for _ in range(CONVERSATIONS):
            octets = b"".join(self._damaged(dice) for _ in range(dice.choice([1, 1, 2, 3])))
            if dice.random() < 0.1:
                octets = dice.randbytes(dice.randrange(1, 300))
            try:
                with self._connect(dice) as connection:
                    self._talk(connection, octets, dice)
            except OSError:
                pass

    def _connect(self, dice: random.Random) -> socket.socket:
        forward = [self.proxy.forward] * 6
        port = dice.choice([*forward, self.proxy.portal, self.proxy.admin, 0])
        if port:
            return socket.create_connection(("127.0.0.1", port))
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(self.control))
        return connection

    def _talk(self, connection: socket.socket, octets: bytes, dice: random.Random) -> None:
        """Send in one or two pieces, and leave in one of the ways there are."""
        connection.settimeout(0.03)
        cut = dice.randrange(len(octets) + 1)
        connection.sendall(octets[:cut])
        if dice.random() < 0.3:
            connection.recv(100)
        connection.sendall(octets[cut:])
        leave = dice.random()
        if leave < 0.3:
            connection.shutdown(socket.SHUT_WR)
        if leave < 0.8:
            while connection.recv(65536):
                pass
        elif leave < 0.9:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _damaged(self, dice: random.Random) -> bytes:
        octets = bytearray(dice.choice(_SEEDS).replace(b"PORT", self.port.encode()))
        for _ in range(dice.choice([0, 1, 1, 1, 2, 3, 6])):
            at = dice.randrange(len(octets) + 1)
            kind = dice.randrange(4)
            if kind == 0:
                octets[at:at] = dice.choice(_SCRAPS)
            elif kind == 1:
                del octets[at : at + dice.randrange(1, 20)]
            elif kind == 2:
                octets[at : at + 1] = dice.randbytes(1)
            else:
                octets[at:at] = dice.randbytes(dice.randrange(1, 30))
        return bytes(octets)
