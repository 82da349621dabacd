"""Servers that answer in order to harm."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.results import ResultCode
from corpproxy.net.upstream import MAX_INTERIM_OCTETS
from tests.support.builders import request, response
from tests.support.rows import rows, tabular
from tests.support.wires import Site

EVIL = response(content=b"EVIL")


@tabular
class AnswerTests(SynchronousTestCase):
    """What a server sends beyond an answer."""

    def test_interim_without_end(self):
        """A server that sends 1xx without end gets no further than its bound, and the client a 502."""
        site = Site()
        client = site.client()
        client.reads = False
        client.send(request())
        server = site.server()
        interim = response(103, b"Link: " + b"a" * 60_000, framed=False)
        for _ in range(100):
            server.send(interim)
        self.assertLess(len(client.unread), MAX_INTERIM_OCTETS + 4096)
        client.read()
        self.assertEqual(
            (site.record.result, site.record.failure), (ResultCode.UPSTREAM_FAILED, "answer-invalid")
        )
        self.assertTrue(server.reset)

    def test_some_interim(self):
        """The bound is for each answer, not for the connection."""
        site = Site()
        client, server, _ = site.exchange(request(), response())
        interim = response(103, b"Link: " + b"a" * 60_000, framed=False)
        for _ in range(5):
            client.send(request())
            server.send(interim + interim + response(content=b"yes"))
            self.assertTrue(client.take().endswith(b"yes"))

    @rows(
        no_content=(response(204, framed=False),),
        not_modified=(response(304, b"Content-Length: 4", framed=False),),
        empty=(response(content=b""),),
        length=(response(content=b"ok"),),
        chunked=(response(200, b"Transfer-Encoding: chunked", framed=False) + b"2\r\nok\r\n0\r\n\r\n",),
    )
    def test_octets_behind(self, answer):
        """Octets behind an answer are never the answer to the next request."""
        site = Site()
        client, server, got = site.exchange(request(), answer + EVIL)
        self.assertNotIn(b"EVIL", got)
        client.send(request(target=b"http://www.example.com/next"))
        site.settle()
        self.assertTrue(server.is_over)
        second = site.server()
        self.assertIn(b"GET /next ", second.take())
        second.send(response(content=b"good"))
        self.assertTrue(client.take().endswith(b"good"))

    def test_octets_behind_later(self):
        """Octets that come between two requests end the connection that they come on."""
        site = Site()
        client, server, _ = site.exchange(request(), response(content=b"ok"))
        server.send(EVIL)
        client.send(request(target=b"http://www.example.com/next"))
        self.assertTrue(server.is_over)
        self.assertIn(b"GET /next ", site.server().take())
        self.assertEqual(client.take(), b"")

    @rows(
        two_lengths=(b"Content-Length: 2\r\nContent-Length: 3",),
        both=(b"Content-Length: 2\r\nTransfer-Encoding: chunked",),
        signed=(b"Content-Length: +2",),
        coded=(b"Transfer-Encoding: gzip, chunked",),
        coded_after=(b"Transfer-Encoding: chunked, gzip",),
        folded=(b"X: a\r\n b",),
        bare_cr=(b"X: a\rSet-Cookie: b=c",),
        bare_lf=(b"X: a\nSet-Cookie: b=c",),
        nul=(b"X: a\0b",),
        name_space=(b"X : a",),
    )
    def test_ambiguous(self, fields):
        """An answer that two readers could read differently becomes a 502, and nothing of it is delivered."""
        site = Site()
        _, server, got = site.exchange(
            request(), b"HTTP/1.1 200 OK\r\nX-Marker: evil\r\n" + fields + b"\r\n\r\nok"
        )
        self.assertTrue(got.startswith(b"HTTP/1.1 502 "))
        self.assertNotIn(b"evil", got)
        site.settle()
        self.assertTrue(server.is_over)

    @rows(
        head=(b"HTTP/1.1 200 OK\r\n", b"X: " + b"a" * 997 + b"\r\n"),
        trailers=(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
            b"X: " + b"a" * 997 + b"\r\n",
        ),
        extensions=(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"1;" + b"a" * 900 + b"\r\nx\r\n",
        ),
    )
    def test_without_end(self, begin, more):
        """Heads, trailers and chunk extensions that never end are cut off."""
        site = Site()
        client = site.client()
        client.send(request())
        server = site.server()
        server.send(begin)
        for _ in range(200):
            server.send(more)
        site.settle()
        self.assertTrue(server.is_over)
        self.assertEqual(site.record.failure, "answer-invalid")

    def test_asks_for_the_password(self):
        """A server's 407 reaches nobody, nor does a Proxy-Authenticate in another answer."""
        site = Site()
        _, _, got = site.exchange(request(), response(407, b'Proxy-Authenticate: Basic realm="x"'))
        self.assertTrue(got.startswith(b"HTTP/1.1 502 "))
        site = Site()
        _, _, got = site.exchange(
            request(), response(200, b'Proxy-Authenticate: Basic realm="x"', b"Alt-Svc: h3")
        )
        self.assertNotIn(b"Proxy-Authenticate", got)
        self.assertNotIn(b"Alt-Svc", got)
