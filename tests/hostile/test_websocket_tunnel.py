"""A WebSocket that begins a tunnel must become one before the tunnel is free."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.results import ResultCode
from corpproxy.exchange.limits import Timeouts
from tests.support.builders import request, response
from tests.support.feeding import portions
from tests.support.rows import rows, tabular
from tests.support.wires import Site

CONNECT = request(b"CONNECT", b"www.example.com:80")
UPGRADE = request(
    b"GET",
    b"/chat",
    b"Host: www.example.com",
    b"Upgrade: websocket",
    b"Connection: Upgrade",
    b"Sec-WebSocket-Version: 13",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)
AGREED = response(101, b"Upgrade: websocket", b"Connection: Upgrade", framed=False)
ELSEWHERE = request(target=b"/games", host=b"blocked.example")


@tabular
class WebSocketTunnelTests(SynchronousTestCase):
    """CONNECT, then an upgrade, then whatever the client likes."""

    def open(self, **more):
        self.site = Site(**more)
        self.client = self.site.client()
        self.client.send(CONNECT)
        self.server = self.site.server()
        self.client.take()

    def assert_refused(self):
        self.assertNotIn(b"blocked.example", self.server.take())
        record = self.site.record
        self.assertEqual((record.result, record.failure), (ResultCode.BLOCKED, "tunnel-content"))
        self.assertTrue(self.client.closed and self.server.reset)

    def test_agreed(self):
        """Behind the 101 all octets pass, however the answer is cut."""
        for pieces in portions(response(103, framed=False) + AGREED + b"welcome"):
            self.open()
            self.client.send(UPGRADE)
            self.assertEqual(self.server.take(), UPGRADE)
            for piece in pieces:
                self.server.send(piece)
            self.site.settle()
            self.assertEqual(self.client.take(), b"".join(pieces))
            self.client.send(b"hello")
            self.assertEqual(self.server.take(), b"hello")
            self.client.end()
            self.server.end()
            record = self.site.record
            self.assertEqual(record.result, ResultCode.TUNNELLED)
            self.assertEqual(record.received, len(CONNECT + UPGRADE) + 5)
            self.assertEqual((record.up_sent, record.up_received), (len(UPGRADE) + 5, sum(map(len, pieces))))

    def test_request_behind(self):
        """A second request in the same piece as the upgrade reaches nobody."""
        self.open()
        self.client.send(UPGRADE + ELSEWHERE)
        self.assertEqual(self.server.take(), b"")
        self.assert_refused()

    def test_request_before_the_answer(self):
        """A second request before the server has agreed reaches nobody."""
        self.open()
        self.client.send(UPGRADE)
        self.server.take()
        self.client.send(ELSEWHERE)
        self.assert_refused()

    @rows(
        ok=(response(content=b"no"),),
        other=(response(101, b"Upgrade: h2c", b"Connection: Upgrade", framed=False),),
        not_named=(response(101, b"Upgrade: websocket", framed=False),),
    )
    def test_not_agreed(self, answer):
        """An answer that is no WebSocket goes to the client; a request behind it reaches nobody."""
        self.open()
        self.client.send(UPGRADE)
        self.server.take()
        self.server.send(answer)
        self.assertEqual(self.client.take(), answer)
        self.client.send(ELSEWHERE)
        self.assert_refused()

    def test_answer_and_end(self):
        """A server that says no and closes ends the tunnel in order."""
        self.open()
        self.client.send(UPGRADE)
        answer = response(403, b"Connection: close", content=b"no")
        self.server.send(answer)
        self.server.end()
        self.assertEqual(self.client.take(), answer)
        self.assertEqual(self.site.record.result, ResultCode.TUNNELLED)
        self.assertTrue(self.client.closed)

    @rows(
        closed=("end", "upstream-closed", ResultCode.UPSTREAM_FAILED),
        reset=("break_off", "upstream-closed", ResultCode.UPSTREAM_FAILED),
    )
    def test_server_gone(self, leave, failure, result):
        """A server that leaves without an answer is the one to blame."""
        self.open()
        self.client.send(UPGRADE)
        getattr(self.server, leave)()
        record = self.site.record
        self.assertEqual((record.result, record.failure), (result, failure))
        self.assertTrue(self.client.closed)

    def test_no_http(self):
        """A server that answers in another protocol ends the tunnel."""
        self.open()
        self.client.send(UPGRADE)
        self.server.send(b"SSH-2.0-OpenSSH_9.6\r\n")
        self.assertEqual(self.site.record.failure, "answer-invalid")
        self.assertTrue(self.client.closed)

    def test_no_answer(self):
        """A server that never answers is not waited for longer than for any answer."""
        self.open(timeouts=Timeouts(answer=10))
        self.client.send(UPGRADE)
        self.site.wait(12)
        record = self.site.record
        self.assertEqual((record.result, record.failure), (ResultCode.TIMED_OUT, "answer-timeout"))

    @rows(end=("end",), reset=("break_off",))
    def test_client_gone(self, leave):
        """A client that leaves before the answer takes the server's connection with it."""
        self.open()
        self.client.send(UPGRADE)
        getattr(self.client, leave)()
        self.assertEqual(self.site.record.result, ResultCode.CLIENT_GONE)
        self.assertTrue(self.server.reset)
