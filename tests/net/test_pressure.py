"""Peers that do not read: memory stays bounded, and nothing waits for ever."""

from __future__ import annotations

import gc

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.results import ResultCode
from corpproxy.exchange.limits import Timeouts
from corpproxy.net.downstream import Downstream
from corpproxy.net.held import HELD_OCTETS
from corpproxy.net.upstream import Upstream
from corpproxy.net.wire import LINGER_SECONDS
from tests.support.builders import request, response
from tests.support.wires import Site

PAC = request(target=b"/proxy.pac", host=b"proxy.internal")
# What one side may hold: the high-water mark and one read beyond it, twice.
BOUND = 400_000


class SlowReaderTests(SynchronousTestCase):
    """A client that reads slowly, or not at all."""

    def begin(self, length=10**6, **more):
        site = Site(**more)
        client = site.client()
        client.send(request() + request(target=b"http://www.example.com/next"))
        server = site.server()
        client.reads = False
        server.send(response(200, b"Content-Length: %d" % length, framed=False))
        return site, client, server

    def test_held(self):
        """The server is held while the client does not read, and goes on when it does."""
        site, client, server = self.begin()
        for _ in range(100):
            server.send(b"x" * 10_000)
        self.assertTrue(server.paused)
        self.assertLess(len(client.unread), BOUND)
        got = 0
        while got < 1_000_000:
            piece = len(client.read())
            client.reads = False
            self.assertGreater(piece, 0)
            got += piece
            site.settle()
        self.assertEqual(site.records[0].result, ResultCode.FORWARDED)

    def test_held_from_the_first_octets(self):
        """Also when the content that came with the head fills it already."""
        site = Site()
        client = site.client()
        client.send(request())
        server = site.server()
        client.reads = False
        server.send(response(200, b"Content-Length: 1000000", content=b"x" * 200_000, framed=False))
        self.assertTrue(server.paused)
        for _ in range(80):
            server.send(b"x" * 10_000)
        self.assertLess(len(client.unread), BOUND)
        for _ in range(20):
            client.read()
            site.settle()
        self.assertEqual(site.record.result, ResultCode.FORWARDED)

    def test_next_waits(self):
        """The next request is not even begun while the client has not read the answer before."""
        site, client, server = self.begin(length=100_000)
        server.take()
        server.send(b"x" * 100_000)
        self.assertEqual(len(site.records), 1)
        self.assertEqual(server.take(), b"")
        client.read()
        self.assertIn(b"GET /next ", server.take())

    def test_many_small(self):
        """Small answers to many requests do not pile up either, nor do the requests."""
        site = Site()
        client = site.client()
        client.reads = False
        for _ in range(200):
            client.send(PAC * 100)
        self.assertLess(len(client.unread), BOUND)
        self.assertLess(len(client.protocol.held.octets_held), HELD_OCTETS + 10_000)
        self.assertTrue(client.paused)
        for _ in range(2000):
            client.read()
            site.settle()
        self.assertEqual(len(site.records), 20_000)
        self.assertFalse(client.closed)

    def test_never_reads(self):
        """Who never reads is cut off, and has left."""
        site, client, server = self.begin(timeouts=Timeouts(content=30))
        for _ in range(20):
            server.send(b"x" * 10_000)
        site.wait(33)
        self.assertTrue(client.reset and server.reset)
        self.assertEqual((site.record.result, site.record.failure), (ResultCode.CLIENT_GONE, "client-gone"))

    def test_never_reads_the_end(self):
        """Also when all was sent: a closed connection is not kept for the rest."""
        site = Site()
        client = site.client()
        client.send(request(b"GET", b"http://www.example.com/", b"Connection: close"))
        client.reads = False
        site.server().send(response(content=b"x" * 1000))
        self.assertEqual(site.record.result, ResultCode.FORWARDED)
        self.assertFalse(client.closed)
        site.wait(LINGER_SECONDS + 2)
        self.assertTrue(client.reset)

    def test_never_reads_kept(self):
        """And when the connection was to be kept."""
        site = Site(timeouts=Timeouts(idle=20))
        client = site.client()
        client.send(request())
        client.reads = False
        site.server().send(response(content=b"x" * 100_000))
        site.wait(20 + LINGER_SECONDS + 4)
        self.assertTrue(client.reset)

    def test_full_from_before(self):
        """A client that is full already when its answer comes is waited for, not the server."""
        site = Site(timeouts=Timeouts(content=30))
        client = site.client()
        client.send(request())
        server = site.server()
        client.reads = False
        client.protocol.pauseProducing()
        server.send(response(200, b"Content-Length: 1000000", content=b"x" * 1000, framed=False))
        self.assertTrue(server.paused)
        site.wait(33)
        self.assertTrue(client.reset)
        self.assertEqual(site.record.result, ResultCode.CLIENT_GONE)


class SlowServerTests(SynchronousTestCase):
    """A server that reads slowly."""

    def test_held(self):
        """The client is held, and its upload goes on when the server reads."""
        site = Site()
        client = site.client()
        client.send(request(b"POST", b"http://www.example.com/", b"Content-Length: 1000000"))
        server = site.server()
        server.reads = False
        for _ in range(100):
            client.send(b"x" * 10_000)
        self.assertTrue(client.paused)
        self.assertLess(len(server.unread), BOUND)
        got = 0
        while got < 1_000_000:
            got += len(server.read().rpartition(b"\r\n\r\n")[2])
            server.reads = False
            site.settle()
        server.send(response(content=b"thanks"))
        self.assertTrue(client.take().endswith(b"thanks"))

    def test_ahead(self):
        """What comes before the server is there is held up to a bound."""
        site = Site()
        client = site.client()
        client.send(request(b"POST", b"http://www.example.com/", b"Content-Length: 1000000"))
        for _ in range(100):
            client.send(b"x" * 10_000)
        self.assertTrue(client.paused)
        self.assertLess(len(client.protocol.held.octets_held), HELD_OCTETS + 10_000)
        server = site.server()
        site.settle()
        self.assertEqual(len(server.take().rpartition(b"\r\n\r\n")[2]), 1_000_000)

    def test_answers_without_reading(self):
        """An early answer is delivered although the server took no more of the content."""
        site = Site()
        client = site.client()
        client.send(request(b"POST", b"http://www.example.com/", b"Content-Length: 1000000"))
        server = site.server()
        server.reads = False
        for _ in range(20):
            client.send(b"x" * 10_000)
        server.send(response(413, content=b"no"))
        self.assertTrue(client.take().endswith(b"no"))
        site.settle()
        self.assertFalse(client.paused)
        client.end()
        self.assertEqual((site.record.result, site.record.status), (ResultCode.FORWARDED, 413))


class MemoryTests(SynchronousTestCase):
    """Connections do not outlive themselves."""

    def test_freed(self):
        """What served and ended is freed, whichever way it ended."""
        site = Site()
        for leave in ("end", "break_off"):
            for wire in (
                request(),
                request(b"POST", content=b"x"),
                request(b"CONNECT", b"www.example.com:443"),
            ):
                client = site.client()
                client.send(wire)
                server = site.server()
                getattr(client, leave)()
                site.settle()
                if not server.closed:
                    server.end()
                site.settle()
                client.protocol = server.protocol = None
        del client, server
        site.reactor.dials.clear()
        gc.collect()
        left = [one for one in gc.get_objects() if isinstance(one, Downstream | Upstream)]
        self.assertEqual([one for one in left if getattr(one, "deadlines", None) is site.proxy.deadlines], [])
        self.assertEqual(len(site.proxy.deadlines), 0)
        self.assertEqual((site.pool._lines, site.pool._dialling), ({}, {}))
        self.assertEqual(len(site.books.accounts), 0)
