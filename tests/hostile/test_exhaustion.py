"""One client that wants everything for itself."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.results import ResultCode
from corpproxy.exchange.limits import ConnectionLimits, Timeouts
from corpproxy.net.admission import CUT_OFF_TIMES
from corpproxy.policy.model import Effect
from tests.support.builders import domain, request, response, rule
from tests.support.rows import rows, tabular
from tests.support.wires import HIGH_WATER, Site


@tabular
class ExhaustionTests(SynchronousTestCase):
    """Connections, heads and answers without end."""

    def test_connections(self):
        """Silent connections of one address never use up the limit for all."""
        site = Site(connections=ConnectionLimits(total=100, per_address=10))
        greedy = [site.client() for _ in range(200)]
        site.settle()
        self.assertEqual(sum(not one.closed for one in greedy), 10 * CUT_OFF_TIMES)
        other = site.client(host="10.1.2.4")
        other.send(request())
        site.server().send(response(content=b"ok"))
        self.assertTrue(other.take().endswith(b"ok"))
        self.assertEqual([one.result for one in site.records], [ResultCode.FORWARDED])

    def test_slow_head(self):
        """A head that comes an octet a second is waited for as long as any head, not longer."""
        site = Site(timeouts=Timeouts(head=30))
        client = site.client()
        for octet in request(target=b"http://www.example.com/" + b"a" * 100):
            if client.closed or client.ended:
                break
            client.send(bytes([octet]))
            site.wait(1)
        self.assertLess(site.reactor.seconds(), 1000 + 33)
        client.end()
        self.assertEqual((site.record.result, site.record.failure), (ResultCode.CLIENT_SLOW, "head-timeout"))

    def test_empty_lines(self):
        """Empty lines are no way to hold a connection open."""
        site = Site(timeouts=Timeouts(head=30, idle=60))
        client = site.client()
        client.send(b"\r\n")
        client.send(b"\r\n")
        self.assertTrue(client.take().startswith(b"HTTP/1.1 400 "))

    def test_answers_unread(self):
        """Request upon request without reading an answer: what waits to be read is bounded."""
        site = Site(rule("no", Effect.BLOCK, what=domain("blocked.example")))
        client = site.client()
        client.reads = False
        for _ in range(2000):
            client.send(request(target=b"http://blocked.example/"))
        self.assertLess(len(client.unread), HIGH_WATER + 8192)
        self.assertTrue(client.paused)

    @rows(
        request=(request(b"POST", b"http://www.example.com/", b"Content-Length: 1000000000"),),
        chunked=(request(b"POST", b"http://www.example.com/", b"Transfer-Encoding: chunked"),),
    )
    def test_upload_nobody_takes(self, head):
        """Content that the server does not take is not read from the client."""
        site = Site()
        client = site.client()
        client.send(head)
        server = site.server()
        server.reads = False
        for _ in range(100):
            client.send(b"4000\r\n" + b"a" * 0x4000 + b"\r\n" if b"chunked" in head else b"a" * 0x4000)
        self.assertTrue(client.paused)
        self.assertLess(len(server.unread), HIGH_WATER + 2 * 0x4000)

    def test_download_nobody_takes(self):
        """An answer that the client does not read is not read from the server."""
        site = Site()
        client = site.client()
        client.reads = False
        client.send(request())
        server = site.server()
        server.send(response(200, b"Content-Length: 1000000000", framed=False))
        for _ in range(100):
            server.send(b"a" * 0x4000)
        self.assertTrue(server.paused)
        self.assertLess(len(client.unread), HIGH_WATER + 2 * 0x4000)

    def test_form(self):
        """A form without end is refused at its bound, and not kept."""
        site = Site()
        client = site.client()
        client.send(
            request(b"POST", b"http://proxy.internal/confirm", b"Transfer-Encoding: chunked")
            + b"".join(b"4000\r\n" + b"a" * 0x4000 + b"\r\n" for _ in range(4))
        )
        self.assertIn(b" 413 ", client.take()[:20])
