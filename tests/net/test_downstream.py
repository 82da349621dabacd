"""A client's connection: its requests one after another, and everything that is no request."""

from __future__ import annotations

import re

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.results import ResultCode
from corpproxy.exchange.exchange import Mode
from corpproxy.exchange.limits import Timeouts
from tests.support.builders import request, response
from tests.support.feeding import portions
from tests.support.rows import rows, tabular
from tests.support.wires import Site

PAC = request(target=b"/proxy.pac", host=b"proxy.internal")
CUT = b"GET http://www.example.com/ HTTP/1.1\r\nHost: www.ex"


def statuses(octets):
    """The statuses of answers, in their order."""
    return [int(status) for status in re.findall(rb"(?m)^HTTP/1\.1 ([0-9]{3}) ", octets)]


class KeepAliveTests(SynchronousTestCase):
    """One connection, many exchanges."""

    def test_one_after_another(self):
        """The second request is answered on the same two connections."""
        site = Site()
        client, server, got = site.exchange(request(), response(content=b"one"))
        self.assertTrue(got.endswith(b"one"))
        self.assertEqual(client.asks(request()), b"")
        server.send(response(content=b"two"))
        self.assertTrue(client.take().endswith(b"two"))
        self.assertEqual([one.result for one in site.records], [ResultCode.FORWARDED] * 2)
        self.assertEqual(len(site.reactor.dials), 1)
        self.assertEqual(site.pool.reused, 1)

    def test_pipelined(self):
        """Requests sent ahead are answered in their order, one upstream after the other."""
        site = Site()
        client = site.client()
        client.send(b"".join(request(target=b"http://www.example.com/%d" % n) for n in range(3)))
        server = site.server()
        for n in range(3):
            self.assertIn(b"GET /%d " % n, server.take())
            server.send(response(content=b"answer %d" % n))
        self.assertEqual(
            [part[-8:] for part in client.take().split(b"HTTP/1.1")[1:]],
            [b"answer 0", b"answer 1", b"answer 2"],
        )
        self.assertEqual([one.path for one in site.records], ["/0", "/1", "/2"])

    def test_pipelined_with_content(self):
        """Content ends where it ends, whatever comes behind it, and however it is cut."""
        wire = (
            request(b"POST", content=b"first")
            + request(
                b"PUT",
                b"http://www.example.com/",
                b"Transfer-Encoding: chunked",
                content=b"3\r\nsec\r\n0\r\n\r\n",
            )
            + request()
        )
        for pieces in portions(wire):
            site = Site()
            client = site.client()
            server = None
            for piece in pieces:
                client.send(piece)
            server = site.server()
            seen = b""
            for _ in range(3):
                seen += server.take()
                server.send(response())
            self.assertEqual(statuses(client.take()), [200] * 3)
            self.assertEqual(seen.count(b" HTTP/1.1\r\n"), 3)
            self.assertEqual(
                [(one.method, one.result) for one in site.records],
                [(method, ResultCode.FORWARDED) for method in ("POST", "PUT", "GET")],
            )
            self.assertEqual(sum(one.received for one in site.records), len(wire))

    def test_ten_thousand_pipelined(self):
        """Ten thousand requests at once cost neither stack nor memory."""
        site = Site()
        client = site.client()
        for _ in range(10):
            client.send(PAC * 1000)
        self.assertEqual(len(statuses(client.take())), 10_000)
        self.assertEqual(len(site.records), 10_000)

    def test_close_is_asked(self):
        """A client that wants the connection closed gets it closed."""
        site = Site()
        client, server, got = site.exchange(
            request(b"GET", b"http://www.example.com/", b"Connection: close"), response()
        )
        self.assertIn(b"\r\nConnection: close\r\n", got)
        site.settle()
        self.assertTrue(client.closed)
        self.assertFalse(server.closed)

    def test_old_client(self):
        """HTTP/1.0 is answered and closed, also where it asks to be kept (RFC 9112, section 9.3)."""
        site = Site()
        client, _, got = site.exchange(
            request(b"GET", b"http://www.example.com/", b"Connection: keep-alive", version=b"1.0"),
            response(content=b"x"),
        )
        self.assertIn(b"\r\nConnection: close\r\n", got)
        site.settle()
        self.assertTrue(client.closed)

    def test_behind_the_last(self):
        """What a client sends behind a request that closes is counted, and is no exchange."""
        site = Site()
        wire = request(b"GET", b"http://www.example.com/", b"Connection: close") + b"more"
        site.exchange(wire, response())
        self.assertEqual(site.record.received, len(wire))

    def test_idle(self):
        """A kept connection without a request is closed after a while, and that is no exchange."""
        site = Site(timeouts=Timeouts(idle=20))
        client, _, _ = site.exchange(request(), response())
        site.wait(18)
        self.assertFalse(client.closed)
        site.wait(4)
        self.assertTrue(client.closed)
        self.assertEqual(len(site.records), 1)

    def test_never_a_word(self):
        """A connection on which nothing ever comes is closed, and leaves no record."""
        site = Site(timeouts=Timeouts(head=5))
        client = site.client()
        site.wait(7)
        self.assertTrue(client.closed)
        self.assertEqual(site.records, [])

    def test_reset_between_exchanges(self):
        """A client that goes between two exchanges leaves nothing behind."""
        site = Site()
        client, _, _ = site.exchange(request(), response())
        client.break_off()
        self.assertEqual(len(site.records), 1)
        self.assertEqual(len(site.proxy.admission.connections), 0)


@tabular
class MalformedTests(SynchronousTestCase):
    """Octets that are no request get an answer, a closed connection and one record."""

    @rows(
        no_request=(b"hello\r\n\r\n", 400),
        tls=(b"\x16\x03\x01\x02\x00\x01\x00\x01", 400),
        space_before_colon=(b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        version=(b"GET / HTTP/2.0\r\n\r\n", 505),
        long_target=(b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\n\r\n", 414),
        long_head=(b"GET / HTTP/1.1\r\nA: " + b"a" * 70_000 + b"\r\n\r\n", 431),
        both_framings=(
            request(b"POST", b"http://a.example/", b"Transfer-Encoding: chunked", b"Content-Length: 5"),
            400,
        ),
        unknown_coding=(request(b"POST", b"http://a.example/", b"Transfer-Encoding: gzip"), 501),
        bad_length=(request(b"POST", b"http://a.example/", b"Content-Length: -1"), 400),
        no_host=(request(host=b""), 400),
        userinfo=(request(target=b"http://me@a.example/"), 400),
        origin_form=(request(target=b"/", host=b"a.example"), 400),
        https=(request(target=b"https://a.example/"), 501),
        expectation=(request(b"POST", b"http://a.example/", b"Expect: tea", content=b"x"), 417),
    )
    def test_answered(self, wire, status):
        """Whole and in pieces, with more behind it."""
        for pieces in portions(wire) if len(wire) < 1000 else [[wire]]:
            site = Site()
            client = site.client()
            for piece in pieces:
                client.send(piece)
            self.assertEqual(statuses(client.received), [status])
            self.assertIn(b"\r\nConnection: close\r\n", client.received)
            client.send(b"GET http://www.example.com/ HTTP/1.1\r\nHost: www.example.com\r\n\r\n")
            client.end()
            site.settle()
            self.assertTrue(client.closed)
            self.assertEqual((site.record.result, site.record.status), (ResultCode.MALFORMED, status))
            self.assertEqual(site.reactor.dials, [])

    def test_octets(self):
        """The record counts what came and what was sent, and names the fault."""
        site = Site()
        client = site.client()
        client.send(b"hello\r\n\r\n")
        client.end()
        self.assertEqual((site.record.received, site.record.sent), (9, len(client.received)))
        self.assertEqual(site.record.failure, "bad-request-line")

    def test_lingers(self):
        """A client that still sends gets to read the answer: our side ends first, then all is closed."""
        site = Site()
        client = site.client()
        client.send(b"hello\r\n\r\n")
        self.assertTrue(client.ended)
        self.assertFalse(client.closed)
        client.send(b"x" * 100_000)
        site.wait(8)
        self.assertTrue(client.closed)
        self.assertEqual(site.record.received, 100_009)

    def test_stalled(self):
        """A head that does not come to its end is answered with 408."""
        site = Site(timeouts=Timeouts(head=10))
        client = site.client()
        for octet in CUT[:9]:
            client.send(bytes([octet]))
            site.wait(1)
        self.assertEqual(client.received, b"")
        site.wait(4)
        self.assertEqual(statuses(client.received), [408])
        client.end()
        self.assertEqual((site.record.result, site.record.received), (ResultCode.CLIENT_SLOW, 9))

    @rows(reset=("break_off",), ended=("end",))
    def test_unfinished(self, leave):
        """A head that was cut by its client leaves one record with its octets."""
        site = Site()
        client = site.client()
        client.send(CUT)
        getattr(client, leave)()
        self.assertEqual(site.record.result, ResultCode.CLIENT_GONE)
        self.assertEqual((site.record.failure, site.record.received), ("head-unfinished", len(CUT)))
        self.assertTrue(client.closed)


class StoppingTests(SynchronousTestCase):
    """The service stops."""

    def test_idle(self):
        """Connections between exchanges are closed."""
        site = Site()
        client, _, _ = site.exchange(request(), response())
        client.protocol.stop_if_idle()
        site.settle()
        self.assertTrue(client.closed)

    def test_finishes(self):
        """A running exchange goes to its end; the connection is then closed."""
        site = Site()
        client = site.client()
        client.send(request())
        site.proxy.stopping = True
        client.protocol.stop_if_idle()
        server = site.server()
        server.send(response(content=b"whole"))
        site.settle()
        self.assertTrue(client.received.endswith(b"whole"))
        self.assertTrue(client.closed)

    def test_ended(self):
        """What does not end in time is ended, and recorded so."""
        site = Site()
        client = site.client()
        client.send(request())
        client.protocol.stop_now()
        self.assertEqual((site.record.result, site.record.failure), (ResultCode.ENDED, "stopping"))
        self.assertTrue(client.closed)

    def test_ended_while_draining(self):
        """An answer that is out stays the outcome."""
        site = Site()
        client = site.client()
        client.send(b"hello\r\n\r\n")
        client.protocol.stop_now()
        self.assertEqual(site.record.result, ResultCode.MALFORMED)


class PortalTests(SynchronousTestCase):
    """The portal on its own listener and on the forward port."""

    def test_own_listener(self):
        """Devices get the PAC file there by whatever name they ask."""
        site = Site()
        client = site.client(Mode.PORTAL)
        got = client.asks(request(target=b"/wpad.dat", host=b"wpad.hillside.example"))
        self.assertIn(b"application/x-ns-proxy-autoconfig", got)
        self.assertEqual(site.record.result, ResultCode.PAC)

    def test_head(self):
        """HEAD gets the head alone, and the connection goes on."""
        site = Site()
        client = site.client()
        got = client.asks(PAC.replace(b"GET", b"HEAD", 1))
        self.assertTrue(got.endswith(b"\r\n\r\n"))
        self.assertEqual(statuses(client.asks(PAC)), [200])
