"""Heads as they are sent on."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.errors import ProtocolError
from corpproxy.http1.fields import Fields
from corpproxy.http1.forward import forward_request, forward_response, forward_trailers
from corpproxy.http1.framing import CHUNKED_BODY, CLOSE_BODY, NO_BODY, Framing, request_body, response_body
from corpproxy.http1.head import RequestHead, ResponseHead
from corpproxy.http1.target import Form, parse_target
from tests.http1.wire import request, response, wire
from tests.support.rows import rows, tabular


def sent(head: RequestHead, **more) -> list[bytes]:
    """The lines of the request head as it goes upstream."""
    target = parse_target(head)
    more.setdefault("host", target.authority)
    written = forward_request(head, target, body=request_body(head), **more)
    assert written.endswith(b"\r\n\r\n")
    return written[:-4].split(b"\r\n")


def answered(head: ResponseHead, method: bytes = b"GET", **more) -> list[bytes]:
    """The lines of the response head as it goes to the client."""
    more.setdefault("framing", response_body(head, method).framing)
    written = forward_response(head, **more)
    assert written.endswith(b"\r\n\r\n")
    return written[:-4].split(b"\r\n")


@tabular
class RequestTests(SynchronousTestCase):
    """What a server gets."""

    def test_untouched(self):
        """Order, case, repetition and space of field lines are as they came."""
        lines = [b"Host: a.test", b"x-One:  1 ", b"COOKIE: a", b"X-Two:\t2", b"Cookie: b", b"x-one: 3", b"Z:"]
        head = request(*lines, host=None)
        self.assertEqual(sent(head), [b"GET / HTTP/1.1", *lines])

    @rows(
        url=(b"GET", b"http://b.test/x?y", b"GET /x?y HTTP/1.1"),
        no_path=(b"GET", b"http://b.test", b"GET / HTTP/1.1"),
        origin=(b"DELETE", b"/x", b"DELETE /x HTTP/1.1"),
        options=(b"OPTIONS", b"http://b.test", b"OPTIONS * HTTP/1.1"),
        asterisk=(b"OPTIONS", b"*", b"OPTIONS * HTTP/1.1"),
    )
    def test_request_line(self, method, target, line):
        """A server gets the path; OPTIONS about the server as a whole gets an asterisk."""
        self.assertEqual(sent(request(method=method, target=target))[0], line)

    @rows(
        url=(b"GET", b"http://b.test/x", b"GET http://b.test/x HTTP/1.1"),
        port=(b"GET", b"http://b.test:81/", b"GET http://b.test:81/ HTTP/1.1"),
        options=(b"OPTIONS", b"http://b.test", b"OPTIONS http://b.test HTTP/1.1"),
    )
    def test_to_parent(self, method, target, line):
        """A parent proxy gets the URL."""
        self.assertEqual(sent(request(method=method, target=target), form=Form.ABSOLUTE)[0], line)

    def test_tunnel_to_parent(self):
        """A parent proxy is asked for a tunnel by host and port."""
        head = request(method=b"CONNECT", target=b"b.test:443")
        self.assertEqual(sent(head, form=Form.AUTHORITY)[0], b"CONNECT b.test:443 HTTP/1.1")

    def test_host_rewritten(self):
        """The host of the URL stands in Host, in its place, whatever the client wrote there."""
        head = request(b"A: 1", b"HOST: other", b"B: 2", host=None, target=b"http://b.test/")
        self.assertEqual(sent(head)[1:], [b"A: 1", b"Host: b.test", b"B: 2"])

    def test_host_added(self):
        """A request of HTTP/1.0 without Host gets one, in the first place."""
        head = request(b"A: 1", host=None, version=b"1.0", target=b"http://b.test/")
        self.assertEqual(sent(head), [b"GET / HTTP/1.1", b"Host: b.test", b"A: 1"])

    @rows(
        connection=(b"Connection: keep-alive",),
        proxy_connection=(b"Proxy-Connection: keep-alive",),
        keep_alive=(b"Keep-Alive: timeout=5",),
        credentials=(b"Proxy-Authorization: Basic abc",),
        credentials_case=(b"proxy-AUTHORIZATION: Basic abc",),
        te=(b"TE: trailers",),
        upgrade=(b"Upgrade: h2c",),
        settings=(b"HTTP2-Settings: abc",),
        challenge=(b"Proxy-Authenticate: Basic",),
        address=(b"X-Forwarded-For: 10.0.0.1",),
        forwarded=(b"Forwarded: for=10.0.0.1",),
        real_ip=(b"X-Real-IP: 10.0.0.1",),
    )
    def test_stays_here(self, line):
        """What is for this hop, or tells of the client's address, goes no further, however often it comes."""
        self.assertEqual(sent(request(line, b"A: b", line))[1:], [b"Host: a.test", b"A: b"])

    @rows(
        named=(b"Connection: X-One", True),
        named_in_list=(b"Connection: keep-alive, x-one", True),
        not_named=(b"Connection: keep-alive, x-onee", False),
    )
    def test_named_in_connection(self, line, gone):
        """What Connection names stays here, too."""
        self.assertEqual(b"X-One: 1" not in sent(request(line, b"X-One: 1")), gone)

    def test_named_on_two_lines(self):
        """All Connection fields count, also when the first is an ordinary one."""
        head = request(b"Connection: close", b"X-One: 1", b"Connection: x-one")
        self.assertEqual(sent(head), [b"GET / HTTP/1.1", b"Host: a.test"])

    @rows(
        host=(b"Host", b"a.test"),
        length=(b"Content-Length", b"5"),
        credentials=(b"Authorization", b"Basic abc"),
        cookie=(b"Cookie", b"a"),
        via=(b"Via", b"1.1 b"),
        kind=(b"Content-Type", b"text/plain"),
        cache=(b"Cache-Control", b"no-cache"),
        origin=(b"Origin", b"http://b.test"),
    )
    def test_cannot_be_taken_away(self, name, value):
        """Connection cannot make us take away what a server relies on."""
        lines = [] if name == b"Host" else [b"%b: %b" % (name, value)]
        head = request(b"Connection: close, " + name, *lines, method=b"POST")
        self.assertIn(b"%b: %b" % (name, value), sent(head))

    def test_coding_cannot_be_taken_away(self):
        """Neither the coding: a body whose chunks nobody announces would be read as requests."""
        head = request(b"Connection: transfer-encoding", b"Transfer-Encoding: chunked", method=b"POST")
        self.assertIn(b"Transfer-Encoding: chunked", sent(head))

    def test_address_hidden_though_named(self):
        """Naming a field that is taken out anyway does not bring it back."""
        head = request(b"Connection: X-Forwarded-For, Via", b"X-Forwarded-For: 10.0.0.1")
        self.assertEqual(sent(head), [b"GET / HTTP/1.1", b"Host: a.test"])

    @rows(
        zeros=(b"content-LENGTH:   0005", b"Content-Length: 5"),
        as_written=(b"Content-Length: 5", b"Content-Length: 5"),
        coding=(b"transfer-encoding:\tCHUNKED ", b"Transfer-Encoding: chunked"),
        zero=(b"Content-Length: 00", b"Content-Length: 0"),
    )
    def test_framing_written_anew(self, line, expected):
        """The framing field is written from what was understood, in its place."""
        head = request(b"A: 1", line, b"B: 2", method=b"POST")
        self.assertEqual(sent(head)[2:], [b"A: 1", expected, b"B: 2"])

    def test_via(self):
        """Via tells our pseudonym and the version that came, behind the hops before."""
        self.assertEqual(
            sent(request(b"Via: 1.0 x", b"A: 1"), via=b"us")[2:], [b"Via: 1.0 x", b"A: 1", b"Via: 1.1 us"]
        )
        self.assertEqual(sent(request(version=b"1.0"), via=b"us")[-1], b"Via: 1.0 us")

    @rows(
        first=((), b"X-Forwarded-For: 10.0.0.7"),
        more=((b"X-Forwarded-For: a, b", b"x-forwarded-for: c"), b"X-Forwarded-For: a, b, c, 10.0.0.7"),
    )
    def test_forwarded_for(self, lines, expected):
        """Where the policy tells it, the client's address goes behind those of the hops before."""
        self.assertEqual(sent(request(*lines), forwarded_for=b"10.0.0.7")[2:], [expected])

    def test_upgrade(self):
        """An upgrade that the road lets through is made anew for the next hop."""
        head = request(b"Connection: keep-alive, Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Key: x")
        self.assertEqual(
            sent(head, upgrade=True)[2:],
            [b"Sec-WebSocket-Key: x", b"Upgrade: websocket", b"Connection: Upgrade"],
        )

    def test_upgrade_not_named(self):
        """Upgrade without Connection is not for the next hop."""
        self.assertEqual(
            sent(request(b"Upgrade: websocket"), upgrade=True), [b"GET / HTTP/1.1", b"Host: a.test"]
        )

    def test_close(self):
        """A server that is not to keep the connection is told so."""
        self.assertEqual(sent(request(), keep=False)[-1], b"Connection: close")

    def test_te(self):
        """That trailers are welcome goes on where Connection names TE; other codings do not."""
        self.assertEqual(
            sent(request(b"TE: gzip, Trailers", b"Connection: TE"))[2:], [b"TE: trailers", b"Connection: TE"]
        )
        self.assertEqual(sent(request(b"TE: gzip", b"Connection: TE"))[2:], [])

    def test_max_forwards(self):
        """Max-Forwards is written one less, in its place."""
        head = request(b"max-forwards: 10", b"A: 1", method=b"OPTIONS")
        self.assertEqual(sent(head, max_forwards=10)[2:], [b"Max-Forwards: 9", b"A: 1"])

    def test_max_forwards_0(self):
        """At 0 nothing is forwarded: whoever asks for it has a bug."""
        with self.assertRaises(ValueError):
            sent(request(b"Max-Forwards: 0", method=b"TRACE"), max_forwards=0)

    @rows(new=(b"1.1", True), old=(b"1.0", False))
    def test_expect(self, version, there):
        """Expect goes on, but from HTTP/1.0, where it means nothing."""
        head = request(b"Expect: 100-continue", b"Content-Length: 5", method=b"POST", version=version)
        self.assertEqual(b"Expect: 100-continue" in sent(head), there)

    def test_chunks_of_our_own(self):
        """Content that goes on in chunks though it did not come so is announced."""
        head = request(b"Content-Length: 5", b"A: 1", method=b"POST")
        written = forward_request(head, parse_target(head), host=b"a.test", body=CHUNKED_BODY)
        self.assertEqual(
            written, wire(b"POST / HTTP/1.1", b"Host: a.test", b"A: 1", b"Transfer-Encoding: chunked")
        )


@tabular
class ResponseTests(SynchronousTestCase):
    """What a client gets."""

    def test_untouched(self):
        """Order, case, repetition and space of field lines are as they came, and so is the reason."""
        lines = [b"server:x", b"SET-cookie: a", b"Content-Length: 5", b"Set-Cookie: b", b"Trailer: Digest"]
        self.assertEqual(answered(response(*lines)), [b"HTTP/1.1 200 Reason", *lines])

    @rows(
        connection=(b"Connection: keep-alive",),
        keep_alive=(b"Keep-Alive: timeout=5",),
        proxy_connection=(b"Proxy-Connection: close",),
        upgrade=(b"Upgrade: h2,h2c",),
        challenge=(b"Proxy-Authenticate: Basic realm=x",),
        proxy_info=(b"Proxy-Authentication-Info: x",),
        named=(b"Connection: Alt-Svc",),
        another_way=(b'Alt-Svc: h3=":443"',),
    )
    def test_stays_here(self, line):
        """What is for this hop goes no further, and nothing leads past the proxy."""
        self.assertEqual(answered(response(line, b"Content-Length: 5"))[1:], [b"Content-Length: 5"])

    def test_drop(self):
        """The road may name what else stays here, instead of Alt-Svc."""
        head = response(b"X-One: 1", b"Alt-Svc: clear", b"Keep-Alive: x", b"Content-Length: 5")
        self.assertEqual(
            answered(head, drop=frozenset({b"x-one"}))[1:], [b"Alt-Svc: clear", b"Content-Length: 5"]
        )

    def test_named_coding(self):
        """Servers that name Transfer-Encoding in Connection are understood all the same."""
        head = response(b"Connection: Transfer-Encoding", b"Transfer-Encoding: chunked")
        self.assertEqual(answered(head)[1:], [b"Transfer-Encoding: chunked"])

    @rows(
        chunks=((b"transfer-encoding: Chunked",), CHUNKED_BODY, [b"Transfer-Encoding: chunked"]),
        chunks_to_old=((b"Transfer-Encoding: chunked",), CLOSE_BODY, [b"Connection: close"]),
        close_to_chunks=((), CHUNKED_BODY, [b"Transfer-Encoding: chunked"]),
        length_zeros=((b"Content-Length: 007",), None, [b"Content-Length: 7"]),
        zero=((b"Content-Length: 0",), None, [b"Content-Length: 0"]),
    )
    def test_framing(self, lines, body, expected):
        """The framing is that of this hop, written from what was understood."""
        more = {} if body is None else {"framing": body.framing}
        self.assertEqual(answered(response(*lines), **more)[1:], expected)

    @rows(
        head_length=(200, b"HEAD", b"Content-Length: 5", [b"Content-Length: 5"]),
        head_chunked=(200, b"HEAD", b"Transfer-Encoding: chunked", []),
        not_modified=(304, b"GET", b"Content-Length: 5", [b"Content-Length: 5"]),
        no_content=(204, b"GET", b"Content-Length: 0", []),
        no_content_chunked=(204, b"GET", b"Transfer-Encoding: chunked", []),
        hints=(103, b"GET", b"Content-Length: 0", []),
    )
    def test_without_content(self, status, method, line, expected):
        """Where no content follows, a length stays if it tells of one, and nothing else frames."""
        self.assertEqual(answered(response(line, status=status), method)[1:], expected)

    @rows(
        new=(11, True, []),
        new_close=(11, False, [b"Connection: close"]),
        old=(10, False, [b"Connection: close"]),
        old_keep=(10, True, [b"Connection: keep-alive"]),
    )
    def test_connection(self, version, keep, expected):
        """The client is told whether it may go on, as its version must be told."""
        head = response(b"Content-Length: 5", b"Connection: close")
        self.assertEqual(answered(head, client_version=version, keep_alive=keep)[2:], expected)

    def test_interim(self):
        """An interim response says nothing of the connection and needs no Date."""
        head = response(b"Link: </a>; rel=preload", status=103)
        self.assertEqual(
            answered(head, keep_alive=False, date=b"x"), [b"HTTP/1.1 103 Reason", b"Link: </a>; rel=preload"]
        )

    def test_upgrade(self):
        """A switch of protocols is made anew for the client."""
        head = response(b"Upgrade: websocket", b"Connection: upgrade", b"Sec-WebSocket-Accept: x", status=101)
        self.assertEqual(
            answered(head, upgrade=True)[1:],
            [b"Sec-WebSocket-Accept: x", b"Upgrade: websocket", b"Connection: Upgrade"],
        )

    def test_date(self):
        """An answer without Date gets one; another stays."""
        date = b"Mon, 23 Nov 2026 12:00:00 GMT"
        self.assertEqual(answered(response(b"Content-Length: 0"), date=date)[2:], [b"Date: " + date])
        self.assertEqual(
            answered(response(b"date: x", b"Content-Length: 0"), date=date)[1:],
            [b"date: x", b"Content-Length: 0"],
        )

    def test_via(self):
        """Via tells the version that the server spoke."""
        self.assertEqual(
            answered(response(b"Content-Length: 0", version=b"1.0"), via=b"us")[2:], [b"Via: 1.0 us"]
        )

    def test_foreign_challenge(self):
        """A server cannot make browsers give away the password to the proxy."""
        with self.assertRaises(ProtocolError) as caught:
            forward_response(response(status=407), framing=Framing.NONE)
        self.assertEqual((caught.exception.code, caught.exception.status), ("foreign-challenge", 502))

    def test_no_content_at_all(self):
        """The framing of nothing adds nothing."""
        self.assertEqual(answered(response(status=304), framing=NO_BODY.framing), [b"HTTP/1.1 304 Reason"])


class TrailerTests(SynchronousTestCase):
    """Fields behind the content."""

    def test_forward(self):
        """Trailers travel on in their order and case, but those that come too late to be believed."""
        trailers = Fields.of(
            [
                (b"Digest", b"a"),
                (b"Content-Length", b"5"),
                (b"Transfer-Encoding", b"chunked"),
                (b"Host", b"b"),
                (b"Authorization", b"c"),
                (b"Set-Cookie", b"d"),
                (b"Proxy-Authorization", b"e"),
                (b"X-Forwarded-For", b"f"),
                (b"ETag", b"g"),
                (b"digest", b"h"),
            ]
        )
        self.assertEqual(forward_trailers(trailers), [(b"Digest", b"a"), (b"ETag", b"g"), (b"digest", b"h")])

    def test_none(self):
        """No trailers are none."""
        self.assertEqual(forward_trailers(Fields(b"")), [])
