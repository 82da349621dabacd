"""What begins in a tunnel."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.http1.limits import Limits
from corpproxy.preface.client_hello import MAX_OCTETS
from corpproxy.preface.first_octets import Start, TunnelStart, Verdict
from tests.http1.wire import wire
from tests.preface.hellos import handshake, message, real_hello, record, server_names
from tests.support.examples import EXAMPLES
from tests.support.feeding import portions
from tests.support.rows import rows, tabular

KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
VERSION = b"Sec-WebSocket-Version: 13"
UPGRADE = b"Upgrade: websocket"
CONNECTION = b"Connection: keep-alive, Upgrade"
GET = b"GET /chat HTTP/1.1"
HOST = b"Host: A.test:80"
WEBSOCKET = wire(GET, HOST, UPGRADE, CONNECTION, KEY, VERSION)


def judge(pieces: list[bytes]) -> tuple[Verdict | None, TunnelStart]:
    """Feed pieces until there is a verdict."""
    start = TunnelStart()
    verdict = None
    for piece in pieces:
        verdict = start.feed(piece)
    return verdict, start


@tabular
class TunnelStartTests(SynchronousTestCase):
    """TLS, a WebSocket, or something else."""

    @rows(named=("WWW.a.test", "www.a.test"), unnamed=(None, None))
    def test_tls(self, name, expected):
        """TLS is told with its server name, and no octet of it is lost."""
        octets = real_hello(name)
        for pieces in portions(octets + b"more"):
            verdict, start = judge(pieces)
            self.assertEqual(verdict, Verdict(Start.TLS, server_name=expected))
            self.assertEqual(start.octets, octets + b"more")

    def test_websocket(self):
        """A WebSocket upgrade is told with its host, and what comes right behind it is not lost."""
        for pieces in portions(WEBSOCKET + b"\x81\x80"):
            verdict, start = judge(pieces)
            self.assertEqual(verdict, Verdict(Start.WEBSOCKET, host=b"A.test", port=80))
            self.assertEqual(start.octets, WEBSOCKET + b"\x81\x80")

    def test_not_early(self):
        """Nothing is said before the last octet that matters is there."""
        for octets in (WEBSOCKET, real_hello("a.test")):
            for at in range(len(octets)):
                self.assertIsNone(judge([octets[:at]])[0])

    @rows(
        ssh=(b"SSH-2.0-x\r\n",),
        post=(b"POST / HTTP/1.1\r\n",),
        mail=(b"EHLO a\r\n",),
        empty_line=(b"\r\nGET / HTTP/1.1\r\n",),
        zero=(b"\x00",),
        lower_case=(b"get / HTTP/1.1\r\n",),
        almost_get=(b"GETS / HTTP/1.1",),
        alert=(b"\x15\x03\x01",),
        no_tls=(b"\x16\x04",),
        server_hello=(b"\x16\x03\x01\x00\x10\x02",),
        malformed_name=(record(handshake(message(server_names(b"a b")))),),
        plain_request=(wire(b"GET / HTTP/1.1", HOST),),
        bad_head=(b"GET / HTTP/1.1\nHost: a\n\n",),
        no_host=(wire(GET, UPGRADE, CONNECTION, KEY, VERSION),),
        two_hosts=(wire(GET, HOST, HOST, UPGRADE, CONNECTION, KEY, VERSION),),
        no_upgrade=(wire(GET, HOST, CONNECTION, KEY, VERSION),),
        other_upgrade=(wire(GET, HOST, b"Upgrade: h2c", CONNECTION, KEY, VERSION),),
        not_named=(wire(GET, HOST, UPGRADE, b"Connection: keep-alive", KEY, VERSION),),
        no_key=(wire(GET, HOST, UPGRADE, CONNECTION, VERSION),),
        short_key=(wire(GET, HOST, UPGRADE, CONNECTION, b"Sec-WebSocket-Key: YWJj", VERSION),),
        odd_key=(wire(GET, HOST, UPGRADE, CONNECTION, b"Sec-WebSocket-Key: ???", VERSION),),
        two_keys=(wire(GET, HOST, UPGRADE, CONNECTION, KEY, KEY, VERSION),),
        no_version=(wire(GET, HOST, UPGRADE, CONNECTION, KEY),),
        old_version=(wire(GET, HOST, UPGRADE, CONNECTION, KEY, b"Sec-WebSocket-Version: 8"),),
        old_http=(wire(b"GET / HTTP/1.0", HOST, UPGRADE, CONNECTION, KEY, VERSION),),
        content=(wire(GET, HOST, UPGRADE, CONNECTION, KEY, VERSION, b"Content-Length: 1"),),
        chunks=(wire(GET, HOST, UPGRADE, CONNECTION, KEY, VERSION, b"Transfer-Encoding: chunked"),),
        whole_url=(wire(b"GET http://b.test/ HTTP/1.1", HOST, UPGRADE, CONNECTION, KEY, VERSION),),
    )
    def test_other(self, octets):
        """Anything else is something else, with a reason, and its octets are kept."""
        for pieces in portions(octets):
            verdict, start = judge(pieces)
            self.assertIs(verdict.start, Start.OTHER)
            self.assertTrue(verdict.reason)
            self.assertEqual((verdict.server_name, verdict.host, start.octets), (None, None, octets))

    @rows(first=(b"S",), second=(b"\x16\x02",), third=(b"GEX",))
    def test_early(self, octets):
        """Something else is known as early as it can be."""
        self.assertIsNone(judge([octets[:-1]])[0])
        self.assertIs(judge([octets])[0].start, Start.OTHER)

    def test_again(self):
        """A verdict stands, whatever comes behind."""
        verdict, start = judge([WEBSOCKET])
        self.assertIs(start.feed(b"\x00" * 10), verdict)
        self.assertIs(start.end_of_stream(), verdict)

    @rows(nothing=(b"",), tls=(b"\x16\x03\x01",), request=(WEBSOCKET[:-1],))
    def test_ended(self, octets):
        """A beginning that ends before it is whole is none."""
        verdict, start = judge([octets])
        self.assertIsNone(verdict)
        self.assertIs(start.end_of_stream().start, Start.OTHER)

    def test_bounded(self):
        """However an endless beginning is made, it is judged before much is held."""
        endless = (
            b"\x16\x03\x01\x40\x00\x01\x00\x3f\xfc" + b"\x00" * 100_000,
            b"\x16\x03\x01\x00\x01\x01" + b"\x16\x03\x01\x00\x01\x00" * 20_000,
            b"GET /" + b"a" * 100_000,
            b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20_000,
        )
        for octets in endless:
            start = TunnelStart(Limits())
            at = 0
            while start.feed(octets[at : at + 1000]) is None:
                at += 1000
                self.assertLess(at, max(MAX_OCTETS, Limits().head_octets) + 1000)

    @EXAMPLES
    @given(
        st.binary(max_size=40)
        | st.builds(
            lambda whole, at, scar: whole[: at % len(whole)] + scar + whole[at % len(whole) :],
            st.sampled_from([WEBSOCKET, record(handshake(message(server_names(b"a.test"))))]),
            st.integers(0, 500),
            st.binary(max_size=3),
        ),
        st.integers(0, 200),
    )
    def test_any_octets(self, octets, cut):
        """Any octets, cut anywhere, get the same verdict or none yet."""
        at = cut % (len(octets) + 1)
        verdicts = [
            judge(pieces)[0]
            for pieces in (
                [octets],
                [octets[:at], octets[at:]],
                [octets[i : i + 1] for i in range(len(octets))],
            )
        ]
        self.assertEqual(verdicts[1:], verdicts[:1] * 2)
        self.assertIsInstance(verdicts[0], Verdict | None)
