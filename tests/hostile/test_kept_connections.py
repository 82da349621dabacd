"""A server that sends more than it announced, on real sockets: never the answer to the next request."""

from __future__ import annotations

import socket
import threading

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.net.engine.read_write import READ_OCTETS
from tests.support.rows import rows, tabular
from tests.support.running import RunningProxy

POLICY = """
safety: {addresses: [public, loopback]}
names: {hosts: {origin.test: [127.0.0.1]}}
rules: [{name: all, do: allow}]
"""
EVIL = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL"


def answer(content: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content) + content


def answer_of(octets: int) -> bytes:
    """An answer that is so long with its head."""
    head = len(answer(b"x" * octets)) - octets
    return answer(b"x" * (octets - head))


class Generous:
    """A server whose first answer on each connection has another one behind it."""

    def __init__(self, first: bytes) -> None:
        self._first = first
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                asked = connection.recv(65536)
                # The request that is behind the first one gets a plain answer on a connection of its own.
                connection.sendall(answer(b"good") if b"/next" in asked else self._first + EVIL)
                connection.recv(65536)
            except OSError:
                pass

    def close(self) -> None:
        self._listening.close()


@tabular
class KeptConnectionTests(SynchronousTestCase):
    """One service for all rows: starting it takes longer than they do."""

    proxy: RunningProxy | None = None

    def setUp(self) -> None:
        if type(self).proxy is None:
            type(self).proxy = RunningProxy(POLICY)

    @rows(
        short=(100,),
        one_read=(READ_OCTETS,),
        one_read_and_one=(READ_OCTETS + 1,),
        two_reads=(READ_OCTETS * 17,),
        moved_by_the_kernel=(3_000_000,),
    )
    def test_more_than_announced(self, octets):
        """Whatever the length of an answer, what comes behind it ends the server's connection."""
        server = Generous(answer_of(octets))
        self.addCleanup(server.close)
        for _ in range(5):
            got = self._ask(server.port, b"/", b"/next")
            self.assertEqual(got.count(b"HTTP/1.1 200 "), 2)
            self.assertTrue(got.endswith(b"good"))
            self.assertNotIn(b"EVIL", got)

    def _ask(self, port: int, *paths: bytes) -> bytes:
        """Send requests at once, the last of which closes, and give all that comes."""
        wire = b"".join(
            b"GET http://origin.test:%d%b HTTP/1.1\r\nHost: a\r\n%b\r\n"
            % (port, path, b"Connection: close\r\n" if path == paths[-1] else b"")
            for path in paths
        )
        assert self.proxy is not None
        with socket.create_connection(("127.0.0.1", self.proxy.forward), 10) as client:
            client.sendall(wire)
            got = bytearray()
            while data := client.recv(1 << 20):
                got += data
        return bytes(got)
