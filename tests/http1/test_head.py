"""Heads of requests and responses."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.errors import ProtocolError
from corpproxy.http1.head import RequestReader, ResponseReader
from corpproxy.http1.limits import Limits
from tests.http1.wire import every_way, heads, refusal, request, response, wire
from tests.support.feeding import portions
from tests.support.rows import rows, tabular

BROWSER = wire(
    b"GET http://example.com/a?b=c HTTP/1.1",
    b"Host: example.com",
    b"User-Agent: Mozilla/5.0",
    b"Accept:text/html,*/*;q=0.8",
    b"accept-language: \t en ",
    b"Cookie: a=1",
    b"Cookie: b=\xe9",
    b"X-Empty:",
)


@tabular
class RequestReaderTests(SynchronousTestCase):
    """What a client may send, and what is read from it."""

    def test_parts(self):
        """A request head is taken apart into method, target, version and fields, however it was cut."""
        for found, code, rest in every_way(BROWSER, lambda pieces: heads(RequestReader(), pieces)):
            (head,) = found
            self.assertEqual((code, rest), ("", b""))
            self.assertEqual(head[:3], (b"GET", b"http://example.com/a?b=c", 11))
            self.assertEqual(head.octets, len(BROWSER))
            self.assertEqual(
                list(head.fields),
                [
                    (b"Host", b"example.com"),
                    (b"User-Agent", b"Mozilla/5.0"),
                    (b"Accept", b"text/html,*/*;q=0.8"),
                    (b"accept-language", b"en"),
                    (b"Cookie", b"a=1"),
                    (b"Cookie", b"b=\xe9"),
                    (b"X-Empty", b""),
                ],
            )

    def test_untouched(self):
        """The lines are kept as they came, with their case and their space."""
        (head,) = heads(RequestReader(), [BROWSER])[0]
        self.assertEqual(head.fields.lines[3], b"accept-language: \t en ")

    @rows(
        rpc=(b"RPC_IN_DATA",),
        dav=(b"VERSION-CONTROL",),
        lower_case=(b"get",),
        odd=(b"!#$%&'*+-.^_`|~09azAZ",),
        longest=(b"M" * 64,),
    )
    def test_method(self, method):
        """Any token is a method, and its case counts."""
        self.assertEqual(request(method=method).method, method)

    def test_no_fields(self):
        """A head may be a request line alone."""
        for found, _, _ in every_way(b"GET / HTTP/1.0\r\n\r\n", lambda p: heads(RequestReader(), p)):
            self.assertEqual((len(found[0].fields), found[0].version, found[0].octets), (0, 10, 18))

    def test_empty_line_first(self):
        """One empty line before the request line is skipped, and counted."""
        octets = b"\r\n" + wire(b"GET / HTTP/1.1", b"Host: a")
        for found, code, _ in every_way(octets, lambda pieces: heads(RequestReader(), pieces)):
            self.assertEqual((code, found[0].octets), ("", len(octets)))

    def test_pipelined(self):
        """Heads right behind each other are read one after another."""
        one = wire(b"GET /1 HTTP/1.1", b"Host: a")
        two = wire(b"HEAD /2 HTTP/1.1", b"Host: b")
        for found, _, _ in every_way(one + two + b"GE", lambda pieces: heads(RequestReader(), pieces)):
            self.assertEqual([head.target for head in found], [b"/1", b"/2"])

    def test_rest(self):
        """What lies behind a head is given once."""
        reader = RequestReader()
        reader.feed(BROWSER + b"content")
        self.assertEqual(reader.take_rest(), b"content")
        self.assertEqual(reader.take_rest(), b"")

    def test_rest_not_taken(self):
        """A rest that nobody took is not lost: it goes before what comes next."""
        reader = RequestReader()
        reader.feed(BROWSER + BROWSER[:30])
        self.assertEqual(reader.feed(BROWSER[30:]).octets, len(BROWSER))

    def test_pending(self):
        """The octets of an unfinished head are counted, for whoever bounds the memory of all connections."""
        reader = RequestReader()
        self.assertEqual(reader.pending, 0)
        reader.feed(BROWSER[:20])
        reader.feed(BROWSER[20:31])
        self.assertEqual(reader.pending, 31)
        reader.feed(BROWSER[31:])
        self.assertEqual(reader.pending, 0)

    def test_nothing(self):
        """No octets are no head, and nothing is held for them."""
        reader = RequestReader()
        self.assertIsNone(reader.feed(b""))
        self.assertEqual(reader.pending, 0)

    @rows(
        http_0_9=(b"GET /\r\n", "no-version"),
        ssh=(b"SSH-2.0-OpenSSH_9.2\r\n", "bad-request-line"),
        tls=(b"\x16\x03", "bad-octet"),
        line_feed=(b"GET / HTTP/1.1\n", "bare-lf"),
        http_2=(b"PRI * HTTP/2.0\r\n", "unknown-version"),
        long_target=(b"GET /" + b"a" * 33_000, "target-too-long"),
        long_method=(b"A" * 33_000, "method-too-long"),
        bare_cr=(b"GET / HTTP/1.1\r\nA: \rb", "bare-cr"),
    )
    def test_early(self, octets, code):
        """What can become no head is refused at once: a client that waits for an answer gets one."""
        self.assertEqual(refusal(octets), code)

    def test_tls_is_named(self):
        """Who set the proxy as https:// is told so."""
        with self.assertRaises(ProtocolError) as caught:
            RequestReader().feed(b"\x16\x03\x01\x02\x00\x01")
        self.assertIn("http://", caught.exception.message)

    def test_secrets_stay_out(self):
        """Neither a refusal nor the text of a head shows what a field says."""
        octets = wire(b"GET / HTTP/1.1", b"Proxy-Authorization: Basic c2VjcmV0", b" c2VjcmV0")
        with self.assertRaises(ProtocolError) as caught:
            RequestReader().feed(octets)
        self.assertNotIn("c2VjcmV0", str(caught.exception))
        self.assertNotIn("c2VjcmV0", repr(request(b"Proxy-Authorization: Basic c2VjcmV0")))


@tabular
class LimitTests(SynchronousTestCase):
    """Each limit holds exactly: at it a head passes, one past it it does not."""

    @rows(at=(0, ""), past=(1, "head-too-large"))
    def test_head(self, more, code):
        """A head may be as long as its limit, its empty line included."""
        octets = wire(b"GET / HTTP/1.1", b"Host: a", b"X: " + b"x" * 100)
        self.assertEqual(refusal(octets, Limits(head_octets=len(octets) - more)), code)

    @rows(at=(0, ""), past=(1, "target-too-long"))
    def test_target(self, more, code):
        """A target may be as long as its limit."""
        octets = wire(b"GET /%b HTTP/1.1" % (b"x" * (99 + more)), b"Host: a")
        self.assertEqual(refusal(octets, Limits(target_octets=100)), code)

    @rows(at=(0, ""), past=(1, "too-many-fields"))
    def test_fields(self, more, code):
        """A head may have as many field lines as the limit says."""
        octets = wire(b"GET / HTTP/1.1", *[b"A: b"] * (10 + more))
        self.assertEqual(refusal(octets, Limits(fields=10)), code)

    def test_endless(self):
        """A head without end is refused as soon as it passes the limit, and no more than that is held."""
        reader = RequestReader(Limits(head_octets=1000))
        reader.feed(b"GET / HTTP/1.1\r\n")
        with self.assertRaises(ProtocolError) as caught:
            for _ in range(100):
                reader.feed(b"X: y\r\nZ: z\r\n")
        self.assertEqual(caught.exception.status, 431)
        self.assertLessEqual(reader.pending, 1012)

    def test_default(self):
        """By default a head of 64 KiB passes."""
        line = b"Cookie: " + b"c" * 8000
        octets = wire(b"GET / HTTP/1.1", b"Host: a", *[line] * 8)
        self.assertLess(60_000, len(octets))
        self.assertEqual(len(RequestReader().feed(octets).fields), 9)


@tabular
class ResponseReaderTests(SynchronousTestCase):
    """What a server may send."""

    def test_like_one_before(self):
        """The beginning of a head that goes on where an earlier one ended is no head yet."""
        before = b"HTTP/1.1 200 OK\r\nX-Kind: earlier\r\nContent-Length: 5"
        self.assertIsNotNone(ResponseReader().feed(before + b"\r\n\r\n"))
        for more in (b"0", b"\r", b"\r\n", b"\r\nX"):
            reader = ResponseReader()
            self.assertIsNone(reader.feed(before + more))
        head = ResponseReader().feed(before + b"0\r\n\r\n")
        self.assertEqual(head.fields.get(b"content-length"), b"50")

    @rows(
        plain=(b"HTTP/1.1 200 OK", (200, b"OK", 11)),
        old=(b"HTTP/1.0 404 Not Found", (404, b"Not Found", 10)),
        no_reason=(b"HTTP/1.1 204 ", (204, b"", 11)),
        no_space=(b"HTTP/1.1 204", (204, b"", 11)),
        latin=(b"HTTP/1.1 500 Erreur\tpr\xe9vue", (500, b"Erreur\tpr\xe9vue", 11)),
        out_of_range=(b"HTTP/1.1 999 Request denied", (999, b"Request denied", 11)),
    )
    def test_parts(self, line, parts):
        """A response head is taken apart into status, reason and version, however it was cut."""
        octets = wire(line, b"Server: x", b"Set-Cookie: a", b"Set-Cookie: b")
        for found, _, _ in every_way(octets + b"rest", lambda p: heads(ResponseReader(), p)):
            # What follows a response is no head: only the first is of interest here.
            self.assertEqual(found[0][:3], parts)
            self.assertEqual(found[0].fields.all(b"set-cookie"), [b"a", b"b"])
            self.assertEqual(found[0].octets, len(octets))

    @rows(
        no_digits=(b"HTTP/1.1 OK",),
        two_digits=(b"HTTP/1.1 20 OK",),
        four_digits=(b"HTTP/1.1 2000 OK",),
        zero=(b"HTTP/1.1 020 OK",),
        tab=(b"HTTP/1.1\t200 OK",),
        two_spaces=(b"HTTP/1.1  200 OK",),
        icy=(b"ICY 200 OK",),
        newer=(b"HTTP/2.0 200 OK",),
        lower_case=(b"http/1.1 200 OK",),
        nothing=(b"",),
        request_line=(b"GET / HTTP/1.1",),
    )
    def test_bad_status_line(self, line):
        """A status line that is none is refused, and becomes a 502."""
        for pieces in portions(wire(line, b"Server: x")):
            found, code, _ = heads(ResponseReader(), pieces)
            self.assertEqual((found, code), ([], "bad-status-line"))

    @rows(
        bare_lf=(b"HTTP/1.1 200 OK\nServer: x\n\n", "bare-lf"),
        control=(b"HTTP/1.1 200 O\x00K\r\n\r\n", "bad-octet"),
        fold=(b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "obs-fold"),
        space_before_colon=(b"HTTP/1.1 200 OK\r\nContent-Length : 3\r\n\r\n", "space-before-colon"),
        split_twice=(b"HTTP/1.1 200 OK\r\nLocation: a\rSet-Cookie: b\r\n\r\n", "bare-cr"),
    )
    def test_bad_octets(self, octets, code):
        """Servers are held to the same grammar as clients: what they inject is not passed on."""
        for pieces in portions(octets):
            self.assertEqual(heads(ResponseReader(), pieces)[1], code)

    @rows(at=(0, ""), past=(1, "head-too-large"))
    def test_limit(self, more, code):
        """A response head may be as long as its limit."""
        octets = wire(b"HTTP/1.1 200 OK", b"Server: x")
        for pieces in portions(octets):
            self.assertEqual(heads(ResponseReader(Limits(head_octets=len(octets) - more)), pieces)[1], code)

    def test_many_fields(self):
        """A response with too many fields is refused."""
        reader = ResponseReader(Limits(fields=2))
        with self.assertRaises(ProtocolError) as caught:
            reader.feed(wire(b"HTTP/1.1 200 OK", b"A: 1", b"B: 2", b"C: 3"))
        self.assertEqual(caught.exception.code, "too-many-fields")

    @rows(hints=(103, True), go_on=(100, True), switching=(101, False), final=(200, False))
    def test_interim(self, status, expected):
        """After 1xx a final response follows, but not after 101."""
        self.assertEqual(response(status=status).is_interim, expected)
