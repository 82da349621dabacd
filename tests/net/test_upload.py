"""The content of requests: on its way, stalled, unwanted."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.results import ResultCode
from corpproxy.exchange.limits import Timeouts
from corpproxy.http1.limits import Limits
from corpproxy.policy.model import Effect
from tests.support.builders import domain, request, response, rule
from tests.support.feeding import portions
from tests.support.rows import rows, tabular
from tests.support.wires import Site

URL = b"http://www.example.com/"
CHUNKED = b"Transfer-Encoding: chunked"
EXPECT = b"Expect: 100-continue"
BLOCKED = rule("no uploads", Effect.BLOCK, what=domain("blocked.example"))


def head_for(octets, *fields, method=b"POST", target=URL):
    """A request head that announces so many octets."""
    return request(method, target, b"Content-Length: %d" % octets, *fields)


@tabular
class ContentTests(SynchronousTestCase):
    """Content reaches the server as it was framed."""

    @rows(
        length=(request(b"POST", content=b"hello world"), b"hello world"),
        chunked=(
            request(
                b"POST", URL, CHUNKED, content=b"6;a=b\r\nhello \r\n5\r\nworld\r\n0\r\nDigest: x\r\n\r\n"
            ),
            b"6\r\nhello \r\n5\r\nworld\r\n0\r\nDigest: x\r\n\r\n",
        ),
    )
    def test_whole(self, wire, expected):
        """Before and after the connection stands."""
        for pieces in portions(wire):
            site = Site()
            client = site.client()
            for piece in pieces:
                client.send(piece)
            server = site.server()
            self.assertTrue(bytes(server.received).endswith(b"\r\n\r\n" + expected))
            server.send(response())
            self.assertEqual((site.record.received, site.record.up_sent), (len(wire), len(server.received)))

    def test_in_pieces(self):
        """Pieces that come once the connection stands move at once."""
        site = Site()
        client = site.client()
        client.send(head_for(6))
        server = site.server()
        server.take()
        for piece in (b"ab", b"cd", b"ef"):
            client.send(piece)
            self.assertEqual(server.take(), piece)
        server.send(response(content=b"done"))
        self.assertTrue(client.take().endswith(b"done"))
        self.assertFalse(client.closed)

    def test_invalid(self):
        """Content that breaks the rules is answered with 400, and the server is left."""
        site = Site()
        client = site.client()
        client.send(request(b"POST", URL, CHUNKED) + b"2\r\nhi\r\n")
        server = site.server()
        client.send(b"zz\r\n")
        self.assertTrue(client.received.startswith(b"HTTP/1.1 400 "))
        client.end()
        site.settle()
        self.assertTrue(server.reset)
        self.assertEqual(site.record.result, ResultCode.MALFORMED)

    def test_invalid_before_the_connection(self):
        """Also when it was held until the connection stood."""
        site = Site()
        client = site.client()
        client.send(request(b"POST", URL, CHUNKED) + b"zz\r\n")
        server = site.server()
        client.end()
        site.settle()
        self.assertTrue(client.received.startswith(b"HTTP/1.1 400 "))
        self.assertTrue(server.reset)
        self.assertEqual(site.pool.in_use, 0)

    def test_too_large(self):
        """Past the limit of the policy, by chunks that nobody announced."""
        site = Site(limits=Limits(content_octets=4))
        client = site.client()
        client.send(request(b"POST", URL, CHUNKED) + b"2\r\nhi\r\n")
        site.server()
        client.send(b"5\r\nhello\r\n")
        self.assertTrue(client.received.startswith(b"HTTP/1.1 413 "))
        client.end()
        self.assertEqual(site.record.failure, "content-too-large")

    def test_stalled(self):
        """Content that stops coming is answered with 408."""
        site = Site(timeouts=Timeouts(content=10))
        client = site.client()
        client.send(head_for(10) + b"hello")
        server = site.server()
        site.wait(12)
        self.assertTrue(client.received.startswith(b"HTTP/1.1 408 "))
        self.assertTrue(server.reset)
        client.end()
        site.settle()
        self.assertTrue(client.closed)
        self.assertEqual(
            (site.record.result, site.record.failure), (ResultCode.CLIENT_SLOW, "content-timeout")
        )

    def test_never_begins(self):
        """Content that is announced and never comes is answered with 408 too."""
        site = Site(timeouts=Timeouts(content=10))
        client = site.client()
        client.send(head_for(10))
        server = site.server()
        site.wait(12)
        self.assertTrue(client.received.startswith(b"HTTP/1.1 408 "))
        self.assertTrue(server.reset)

    def test_stalled_server(self):
        """A server that takes no content is 504, though its connection was kept for less."""
        site = Site(timeouts=Timeouts(content=30, upstream_idle=5))
        client, server, _ = site.exchange(request(), response())
        client.take()
        server.reads = False
        client.send(head_for(10**6))
        client.send(b"x" * 200_000)
        self.assertTrue(client.paused)
        site.wait(20)
        self.assertEqual(client.received, b"")
        site.wait(12)
        self.assertTrue(client.take().startswith(b"HTTP/1.1 504 "))

    def test_slow_but_moving(self):
        """A slow upload over a kept connection goes on as long as it moves."""
        site = Site(timeouts=Timeouts(content=30, upstream_idle=5, answer=20))
        client, server, _ = site.exchange(request(), response())
        client.take()
        client.send(head_for(10))
        for _ in range(10):
            site.wait(10)
            client.send(b"x")
        server.send(response(content=b"done"))
        self.assertTrue(client.take().endswith(b"done"))

    @rows(end=("end",), reset=("break_off",))
    def test_client_leaves(self, leave):
        """A client that leaves in the middle takes the server's connection with it."""
        site = Site()
        client = site.client()
        client.send(head_for(10) + b"hello")
        server = site.server()
        getattr(client, leave)()
        site.settle()
        self.assertTrue(server.reset)
        self.assertEqual((site.record.result, site.pool.in_use), (ResultCode.CLIENT_GONE, 0))


class ContinueTests(SynchronousTestCase):
    """Expect: 100-continue (RFC 9110, section 10.1.1)."""

    def begin(self, **more):
        site = Site(**more)
        client = site.client()
        client.send(head_for(5, EXPECT))
        return site, client, site.server()

    def test_forwarded(self):
        """The server's 100 goes to the client, and is the only one."""
        site, client, server = self.begin()
        self.assertIn(b"Expect: 100-continue\r\n", server.take())
        server.send(response(100, framed=False))
        self.assertTrue(client.take().startswith(b"HTTP/1.1 100 "))
        site.wait(3)
        self.assertEqual(client.take(), b"")
        client.send(b"hello")
        server.send(response(content=b"ok"))
        self.assertTrue(client.take().endswith(b"ok"))

    def test_answered_by_us(self):
        """A server that says nothing for a second does not keep the client waiting."""
        site, client, server = self.begin()
        server.take()
        site.reactor.advance(0.9)
        self.assertEqual(client.take(), b"")
        site.reactor.advance(0.2)
        self.assertEqual(client.take(), b"HTTP/1.1 100 Continue\r\n\r\n")
        server.send(response(100, framed=False))
        self.assertEqual(client.take(), b"")
        client.send(b"hello")
        self.assertEqual(server.take(), b"hello")

    def test_not_waited_for(self):
        """A client that sends without waiting needs no 100."""
        site, client, server = self.begin()
        client.send(b"hello")
        site.wait(3)
        self.assertEqual(client.take(), b"")
        server.send(response(content=b"ok"))
        self.assertTrue(client.take().endswith(b"ok"))

    def test_refused_by_the_server(self):
        """A final answer instead of 100 is delivered; whatever follows is no next request."""
        site, client, server = self.begin()
        server.send(response(401, b"WWW-Authenticate: Basic", content=b"no"))
        got = client.take()
        self.assertTrue(got.startswith(b"HTTP/1.1 401 "))
        self.assertIn(b"Connection: close\r\n", got)
        client.send(request())
        client.end()
        site.settle()
        self.assertTrue(client.closed)
        self.assertEqual((site.record.status, site.record.result), (401, ResultCode.FORWARDED))
        self.assertEqual(len(site.reactor.getDelayedCalls()), 1)

    def test_refused_by_us(self):
        """The same for our own refusals."""
        client = Site(BLOCKED).client()
        client.send(head_for(5, EXPECT, target=b"http://blocked.example/"))
        got = client.take()
        self.assertTrue(got.startswith(b"HTTP/1.1 403 "))
        self.assertIn(b"Connection: close\r\n", got)

    def test_client_leaves_first(self):
        """Nothing is left behind when the client does not wait for anything."""
        site, client, _ = self.begin()
        client.break_off()
        site.settle()
        self.assertEqual(len(site.reactor.getDelayedCalls()), 1)
        self.assertEqual(site.record.result, ResultCode.CLIENT_GONE)


class EarlyAnswerTests(SynchronousTestCase):
    """The server answers while content is still coming."""

    def begin(self):
        site = Site()
        client = site.client()
        client.send(head_for(10**6) + b"x" * 1000)
        server = site.server()
        server.send(response(413, content=b"too much"))
        return site, client, server

    def test_readable(self):
        """The client can read the answer to its end, for our side ends before the connection does."""
        site, client, server = self.begin()
        self.assertTrue(client.received.endswith(b"too much"))
        self.assertIn(b"Connection: close\r\n", client.received)
        self.assertTrue(client.ended)
        self.assertFalse(client.closed)
        for _ in range(9):
            client.send(b"x" * 100_000)
            self.assertFalse(client.reset)
        client.end()
        site.settle()
        self.assertTrue(client.closed and server.closed)
        self.assertEqual((site.record.result, site.record.status), (ResultCode.FORWARDED, 413))
        self.assertEqual(site.record.received, len(head_for(10**6)) + 901_000)

    def test_for_a_while(self):
        """A client that goes on for ever is cut off."""
        site, client, _ = self.begin()
        for _ in range(9):
            site.wait(1)
            client.send(b"x")
        self.assertTrue(client.closed)
        self.assertEqual(site.record.result, ResultCode.FORWARDED)

    def test_interleaved(self):
        """A server that answers as the content comes (an echo) is served, both ways."""
        site = Site()
        client = site.client()
        client.send(request(b"POST", URL, CHUNKED) + b"2\r\nhi\r\n")
        server = site.server()
        server.take()
        server.send(response(200, CHUNKED, content=b"2\r\nhi\r\n", framed=False))
        client.send(b"3\r\nyou\r\n0\r\n\r\n")
        self.assertEqual(server.take(), b"3\r\nyou\r\n0\r\n\r\n")
        server.send(b"3\r\nyou\r\n0\r\n\r\n")
        self.assertTrue(client.take().endswith(b"2\r\nhi\r\n3\r\nyou\r\n0\r\n\r\n"))
        self.assertEqual(site.record.result, ResultCode.FORWARDED)

    def test_invalid_meanwhile(self):
        """Content that breaks the rules while the answer comes is the client's fault."""
        site = Site()
        client = site.client()
        client.send(request(b"POST", URL, CHUNKED) + b"2\r\nhi\r\n")
        server = site.server()
        server.send(response(200, b"Content-Length: 9", framed=False))
        client.send(b"zz")
        site.settle()
        self.assertTrue(client.closed and server.reset)
        self.assertEqual((site.record.result, site.record.status), (ResultCode.MALFORMED, 200))


class RefusedTests(SynchronousTestCase):
    """Content of a request that we refuse."""

    def blocked(self, octets, *fields):
        site = Site(BLOCKED)
        client = site.client()
        client.send(head_for(octets, *fields, target=b"http://blocked.example/"))
        self.assertTrue(client.received.startswith(b"HTTP/1.1 403 "))
        client.take()
        return site, client

    def test_small(self):
        """A little of it is taken, and the connection lives on."""
        site, client = self.blocked(5)
        client.send(b"hel")
        client.send(b"lo" + request())
        site.server().send(response(content=b"next"))
        self.assertTrue(client.take().endswith(b"next"))
        self.assertEqual([one.result for one in site.records], [ResultCode.BLOCKED, ResultCode.FORWARDED])

    def test_large(self):
        """Of much of it as much is taken as comes in a few seconds; the client reads why."""
        site, client = self.blocked(10**9)
        for _ in range(30):
            client.send(b"x" * 100_000)
        self.assertTrue(client.ended)
        self.assertFalse(client.reset)
        site.wait(8)
        self.assertTrue(client.closed)
        self.assertEqual(site.record.result, ResultCode.BLOCKED)

    def test_trickling(self):
        """A trickle does not make the few seconds longer."""
        site, client = self.blocked(1000)
        for _ in range(8):
            site.wait(1)
            client.send(b"x")
        self.assertTrue(client.closed)

    def test_leaves(self):
        """A client that leaves instead of sending the rest was blocked all the same."""
        for leave in ("end", "break_off"):
            site, client = self.blocked(1000)
            getattr(client, leave)()
            self.assertEqual(site.record.result, ResultCode.BLOCKED)
            self.assertTrue(client.closed)

    def test_never_comes(self):
        """Content that never comes is not waited for any longer."""
        site, client = self.blocked(1000)
        site.wait(8)
        self.assertTrue(client.closed)
        self.assertEqual(site.record.result, ResultCode.BLOCKED)
