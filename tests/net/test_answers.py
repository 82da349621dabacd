"""Answers on their way to the client: framed anew, and never looking whole when they are not."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.results import ResultCode
from corpproxy.exchange.limits import Timeouts
from tests.support.builders import request, response
from tests.support.feeding import portions
from tests.support.rows import rows, tabular
from tests.support.wires import Site

CHUNKED = b"Transfer-Encoding: chunked"
URL = b"http://www.example.com/"
OLD = request(version=b"1.0")


def content(octets):
    """What stands behind the head of an answer."""
    return bytes(octets).partition(b"\r\n\r\n")[2]


def unchunked(octets):
    """The content of chunks, however they were cut, and what stands behind the last."""
    found = b""
    while True:
        size, _, rest = octets.partition(b"\r\n")
        if not int(size, 16):
            return found + b"|" + rest
        found += rest[: int(size, 16)]
        octets = rest[int(size, 16) + 2 :]


@tabular
class FramingTests(SynchronousTestCase):
    """How an answer comes, how it goes on, and whether both connections live on."""

    @rows(
        length=(request(), response(content=b"hello"), b"hello", False, False),
        empty=(request(), response(), b"", False, False),
        chunked=(
            request(),
            response(200, CHUNKED, content=b"5\r\nhello\r\n0\r\n\r\n", framed=False),
            b"hello|\r\n",
            False,
            False,
        ),
        trailers=(
            request(),
            response(200, CHUNKED, content=b"2;x=y\r\nhi\r\n0\r\nDigest: a\r\nHost: b\r\n\r\n", framed=False),
            b"hi|Digest: a\r\n\r\n",
            False,
            False,
        ),
        chunked_to_old=(
            OLD,
            response(200, CHUNKED, content=b"5\r\nhello\r\n0\r\n\r\n", framed=False),
            b"hello",
            True,
            False,
        ),
        length_to_old=(OLD, response(content=b"hello"), b"hello", True, False),
        head=(request(b"HEAD"), response(200, b"Content-Length: 5", framed=False), b"", False, False),
        no_content=(request(), response(204, framed=False), b"", False, False),
        not_modified=(request(), response(304, b"Content-Length: 5", framed=False), b"", False, False),
        server_closes=(
            request(),
            response(200, b"Connection: close", content=b"hello"),
            b"hello",
            False,
            True,
        ),
        old_server=(request(), response(version=b"1.0", content=b"hello"), b"hello", False, True),
        old_server_keeps=(
            request(),
            response(200, b"Connection: keep-alive", version=b"1.0", content=b"hello"),
            b"hello",
            False,
            False,
        ),
    )
    def test_relayed(self, asked, answer, expected, client_closes, server_closes):
        """Whole, byte by byte and in pieces."""
        for pieces in portions(answer):
            site = Site()
            client = site.client()
            client.send(asked)
            server = site.server()
            for piece in pieces:
                server.send(piece)
            site.settle()
            got = content(client.received)
            self.assertEqual(unchunked(got) if b"|" in expected else got, expected)
            self.assertEqual((client.closed, server.closed), (client_closes, server_closes))
            self.assertEqual(site.record.result, ResultCode.FORWARDED)
            self.assertEqual((site.record.sent, site.record.up_received), (len(client.received), len(answer)))

    @rows(current=(request(), False), old=(OLD, True))
    def test_ended_by_the_connection(self, asked, client_closes):
        """What the server ends by closing goes on in chunks, or ends by closing too (HTTP/1.0)."""
        site = Site()
        client = site.client()
        client.send(asked)
        server = site.server()
        server.send(response(content=b"hello", framed=False))
        server.end()
        site.settle()
        expected = b"hello" if client_closes else b"5\r\nhello\r\n0\r\n\r\n"
        self.assertEqual(content(client.received), expected)
        self.assertEqual((client.closed, client.reset, server.closed), (client_closes, False, True))
        self.assertEqual(site.record.result, ResultCode.FORWARDED)

    @rows(
        after_204=(204, ()),
        after_304=(304, ()),
        after_length=(200, (b"Content-Length: 0",)),
    )
    def test_more_than_announced(self, status, fields):
        """Octets behind an answer never become the next one: the connection is of no more use."""
        site = Site()
        extra = response(content=b"evil")
        client, server, got = site.exchange(request(), response(status, *fields, framed=False) + extra)
        site.settle()
        self.assertNotIn(b"evil", got)
        self.assertTrue(server.closed)
        client.send(request())
        site.server().send(response(content=b"good"))
        self.assertTrue(client.take().endswith(b"good"))

    def test_unasked(self):
        """Octets that come on a kept connection end it."""
        site = Site()
        client, server, _ = site.exchange(request(), response())
        server.send(response(content=b"evil"))
        site.settle()
        self.assertTrue(server.closed)
        self.assertEqual(site.pool.kept, 0)
        client.send(request())
        site.server().send(response(content=b"good"))
        self.assertNotIn(b"evil", client.received)


@tabular
class CutShortTests(SynchronousTestCase):
    """An answer that breaks off never looks whole."""

    PARTS = {
        "length": response(200, b"Content-Length: 9", content=b"hello", framed=False),
        "chunked": response(200, CHUNKED, content=b"9\r\nhello", framed=False),
        "close": response(content=b"hello", framed=False),
    }

    @rows(
        length=("length", "1.1", "end", False),
        length_reset=("length", "1.1", "break_off", False),
        length_old=("length", "1.0", "end", False),
        chunked=("chunked", "1.1", "end", False),
        chunked_old=("chunked", "1.0", "end", True),
        close_reset=("close", "1.1", "break_off", False),
        close_reset_old=("close", "1.0", "break_off", True),
    )
    def test_cut(self, framing, version, leave, reset):
        """Without the end that its framing promised, and by a reset where nothing else tells."""
        site = Site()
        client = site.client()
        client.send(request(version=version.encode()))
        server = site.server()
        server.send(self.PARTS[framing])
        getattr(server, leave)()
        site.settle()
        self.assertTrue(client.closed)
        self.assertEqual(client.reset, reset)
        self.assertNotIn(b"0\r\n\r\n", client.received)
        record = site.record
        self.assertEqual((record.result, record.phase), (ResultCode.UPSTREAM_FAILED, "content"))
        self.assertEqual((record.failure, record.status), ("answer-cut-short", 200))

    @rows(length=("length",), chunked=("chunked",), close=("close",))
    def test_stalled(self, framing):
        """Content that stops coming is given up after a while."""
        site = Site(timeouts=Timeouts(content=10))
        client, server, _ = site.exchange(request(), self.PARTS[framing])
        site.wait(8)
        self.assertFalse(client.closed)
        site.wait(4)
        self.assertTrue(client.closed)
        self.assertTrue(server.reset)
        self.assertEqual((site.record.result, site.record.failure), (ResultCode.TIMED_OUT, "content-timeout"))

    def test_each_piece_is_waited_for(self):
        """Slow content that keeps coming is no stalled content."""
        site = Site(timeouts=Timeouts(content=5))
        client, server, _ = site.exchange(request(), response(200, b"Content-Length: 9", framed=False))
        for _ in range(9):
            site.wait(3)
            server.send(b"x")
        self.assertEqual(site.record.result, ResultCode.FORWARDED)
        self.assertFalse(client.closed)

    def test_invalid_from_the_start(self):
        """Content that is broken before any of it went out becomes 502."""
        site = Site()
        _, _, got = site.exchange(request(), response(200, CHUNKED, content=b"zz\r\n", framed=False))
        self.assertTrue(got.startswith(b"HTTP/1.1 502 "))
        self.assertEqual((site.record.status, site.record.failure), (502, "answer-invalid"))

    def test_invalid_later(self):
        """Content that breaks the rules later is cut off."""
        site = Site()
        client, server, _ = site.exchange(
            request(), response(200, CHUNKED, content=b"5\r\nhello\r\n", framed=False)
        )
        server.send(b"zz\r\n")
        site.settle()
        self.assertTrue(client.closed)
        self.assertFalse(client.received.endswith(b"0\r\n\r\n"))
        self.assertEqual(site.record.failure, "answer-invalid")


@tabular
class InvalidAnswerTests(SynchronousTestCase):
    """What is no answer becomes 502."""

    @rows(
        nonsense=(b"hello\r\n\r\n",),
        both_framings=(response(200, CHUNKED, content=b""),),
        two_lengths=(response(200, b"Content-Length: 1", content=b"xy"),),
        foreign_challenge=(response(407, b"Proxy-Authenticate: Basic realm=x"),),
        version=(b"HTTP/2 200\r\n\r\n",),
        switched_unasked=(response(101, b"Upgrade: websocket", b"Connection: Upgrade", framed=False),),
    )
    def test_answered(self, answer):
        """For every cut of it; the client's connection lives on."""
        for pieces in portions(answer):
            site = Site()
            client = site.client()
            client.send(request())
            server = site.server()
            for piece in pieces:
                server.send(piece)
            site.settle()
            self.assertTrue(client.received.startswith(b"HTTP/1.1 502 "))
            self.assertTrue(server.reset)
            self.assertFalse(client.closed)
            self.assertEqual(site.record.result, ResultCode.UPSTREAM_FAILED)
            self.assertEqual(site.pool.in_use, 0)

    def test_no_answer(self):
        """A server that does not answer in time is 504."""
        site = Site(timeouts=Timeouts(answer=10))
        client = site.client()
        client.send(request())
        server = site.server()
        site.wait(12)
        self.assertTrue(client.received.startswith(b"HTTP/1.1 504 "))
        self.assertTrue(server.reset)
        record = site.record
        self.assertEqual(
            (record.result, record.failure, record.phase), (ResultCode.TIMED_OUT, "answer-timeout", "answer")
        )

    def test_kept_then_slow(self):
        """A kept connection has the whole time for its next answer."""
        site = Site(timeouts=Timeouts(answer=100, upstream_idle=10))
        client, server, _ = site.exchange(request(), response())
        site.wait(8)
        client.take()
        client.send(request())
        site.wait(30)
        server.send(response(content=b"slow"))
        self.assertTrue(client.take().endswith(b"slow"))


class InterimTests(SynchronousTestCase):
    """1xx answers."""

    def test_passed_on(self):
        """Early hints reach the client before the answer."""
        site = Site()
        hints = response(103, b"Link: </a.css>", framed=False)
        _, _, got = site.exchange(request(), hints + hints + response(content=b"x"))
        self.assertEqual(got.count(b"HTTP/1.1 103 "), 2)
        self.assertTrue(got.endswith(b"\r\n\r\nx"))
        self.assertEqual((site.record.status, site.record.sent), (200, len(got)))

    def test_not_to_old_clients(self):
        """HTTP/1.0 knows none (RFC 9110, section 15.2)."""
        site = Site()
        _, _, got = site.exchange(OLD, response(103, framed=False) + response())
        self.assertTrue(got.startswith(b"HTTP/1.1 200 "))

    def test_then_nothing(self):
        """After a 1xx a failure can still be told."""
        site = Site()
        client, server, _ = site.exchange(request(), response(103, framed=False))
        server.end()
        self.assertIn(b"HTTP/1.1 502 ", client.received)


class RetryTests(SynchronousTestCase):
    """A kept connection that the server closed just as it was reused (RFC 9112, section 9.3.1)."""

    def reused(self, wire, before_end=b"", leave="end"):
        site = Site()
        client, server, _ = site.exchange(request(), response())
        client.take()
        client.send(wire)
        if before_end:
            server.send(before_end)
        getattr(server, leave)()
        site.settle()
        return site, client

    def test_safe(self):
        """A safe request is sent again, on a new connection, and nobody notices."""
        for leave in ("end", "break_off"):
            site, client = self.reused(request(), leave=leave)
            site.server().send(response(content=b"again"))
            self.assertTrue(client.take().endswith(b"again"))
            self.assertEqual([one.result for one in site.records], [ResultCode.FORWARDED] * 2)

    def test_once(self):
        """Once: when the new connection ends too, that is the answer."""
        site, client = self.reused(request())
        site.server().end()
        self.assertTrue(client.take().startswith(b"HTTP/1.1 502 "))
        self.assertEqual(site.dialling, [])

    def test_post(self):
        """What may change something is not sent twice."""
        for content_ in (b"", b"x"):
            site, client = self.reused(request(b"POST", content=content_))
            self.assertTrue(client.take().startswith(b"HTTP/1.1 502 "))
            self.assertEqual(site.dialling, [])
            self.assertEqual(site.records[1].failure, "upstream-closed")

    def test_begun(self):
        """Once octets of an answer came, it is not sent again."""
        site, client = self.reused(request(), before_end=b"HTTP/1.1 200 ")
        self.assertTrue(client.take().startswith(b"HTTP/1.1 502 "))
        self.assertEqual(site.dialling, [])

    def test_new_connection(self):
        """A new connection that ends without an answer says something about the server."""
        site = Site()
        client = site.client()
        client.send(request())
        site.server().end()
        self.assertTrue(client.take().startswith(b"HTTP/1.1 502 "))
        self.assertEqual(site.dialling, [])

    def test_closed_while_kept(self):
        """A connection that was closed while nobody used it is not taken."""
        for leave in ("end", "break_off"):
            site = Site()
            client, server, _ = site.exchange(request(), response())
            getattr(server, leave)()
            site.settle()
            self.assertEqual((site.pool.kept, site.pool.in_use), (0, 0))
            client.send(request(b"POST"))
            site.server().send(response(content=b"new"))
            self.assertTrue(client.take().endswith(b"new"))

    def test_answer_and_end(self):
        """A server that closes behind its answer, against what it said, costs nobody anything."""
        site = Site()
        client = site.client()
        client.send(request() + request())
        server = site.server()
        server.send(response(content=b"one"))
        server.end()
        site.settle()
        site.server().send(response(content=b"two"))
        self.assertTrue(client.take().endswith(b"two"))
