"""Any octets in any pieces give messages or a ProtocolError; what is written is read back as it was."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.errors import ProtocolError
from corpproxy.http1.body import body_reader, body_writer
from corpproxy.http1.fields import Fields, is_token, is_value
from corpproxy.http1.forward import (
    expects_continue,
    forward_request,
    forward_response,
    max_forwards,
    upgrade_protocol,
)
from corpproxy.http1.framing import (
    CHUNKED_BODY,
    CLOSE_BODY,
    Body,
    Framing,
    keeps_alive,
    request_body,
    response_body,
)
from corpproxy.http1.head import RequestHead, RequestReader, ResponseReader
from corpproxy.http1.limits import Limits
from corpproxy.http1.refusals import REFUSED
from corpproxy.http1.target import Form, Target, parse_target
from tests.http1.wire import heads, wire
from tests.support.examples import EXAMPLES

# Small enough that examples reach them.
LIMITS = Limits(
    head_octets=120,
    fields=4,
    target_octets=20,
    chunk_line_octets=12,
    chunk_extension_octets=30,
    trailer_octets=40,
)

# What hostile heads and bodies are made of.
SCRAPS = [
    b"GET ", b"POST ", b"CONNECT ", b"OPTIONS ", b"/", b"*", b"http://a", b"https://u@b:1/", b"a:443",
    b"//", b"[::1]", b" HTTP/1.1", b" HTTP/1.0", b"HTTP/1.1 ", b"200", b" OK", b"204", b"HTTP/2.0",
    b"\r\n", b"\r\n\r\n", b"\r", b"\n", b" ", b"\t", b":", b": ", b"\x00", b"\xff", b"Host: a", b"Host",
    b"Content-Length: 3", b"Content-Length", b"Transfer-Encoding: chunked", b"Connection: close",
    b"Expect: 100-continue", b"Max-Forwards: 1", b"chunked", b"0\r\n\r\n", b"3\r\nabc\r\n", b"3;a=b\r\n",
    b"abc", b";", b"=", b'"', b"5", b"ffffffffffffffff", b"0x", b",",
]  # fmt: skip
octets = st.lists(st.sampled_from(SCRAPS) | st.binary(max_size=6), max_size=14).map(b"".join)
# Valid but for one place, so that examples get behind the start-line.
heads_with_a_scar = st.builds(
    lambda head, at, scar: head[: at % len(head)] + scar + head[at % len(head) :],
    st.sampled_from(
        [
            wire(b"GET / HTTP/1.1", b"Host: a", b"A: b"),
            wire(b"POST http://a/ HTTP/1.1", b"Host: a", b"Content-Length: 3") + b"abcGET",
            wire(b"POST /x HTTP/1.1", b"Host: a", b"Transfer-Encoding: chunked")
            + b"3\r\nabc\r\n0\r\nA: b\r\n\r\n",
            wire(b"HTTP/1.1 200 OK", b"Content-Length: 3", b"Connection: close") + b"abc",
            wire(b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked") + b"3;a=b\r\nabc\r\n0\r\n\r\n",
        ]
    ),
    st.integers(0, 10**6),
    st.sampled_from(SCRAPS) | st.just(b""),
)
hostile = octets | heads_with_a_scar
cuts = st.lists(st.integers(0, 200), max_size=6)
limits = st.sampled_from([LIMITS, Limits()])

tokens = st.from_regex(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}", fullmatch=True).map(str.encode)
names = tokens.filter(lambda name: name.lower() not in STEERING)
values = st.binary(max_size=20).filter(lambda value: bool(is_value(value)))
STEERING = set(
    b"host content-length transfer-encoding connection keep-alive proxy-connection te upgrade http2-settings "
    b"proxy-authorization proxy-authenticate proxy-authentication-info x-forwarded-for forwarded x-real-ip "
    b"alt-svc expect".split()
)
lines = st.lists(
    st.builds(
        lambda name, space, value: name + b":" + space + value,
        names,
        st.sampled_from([b"", b" ", b"\t "]),
        values,
    ),
    max_size=6,
)


def cut(whole: bytes, places: list[int]) -> list[bytes]:
    """Cut octets at these places, and at no others."""
    ends = sorted({place % (len(whole) + 1) for place in places})
    return [whole[begin:end] for begin, end in zip([0, *ends], [*ends, len(whole)], strict=True)]


def read_message(reader: RequestReader | ResponseReader, pieces: list[bytes], bounds: Limits) -> list[object]:
    """All that one message says, and the code that ended it: whatever the octets, nothing else may happen."""
    told: list[object] = []
    body = None
    contents = b""
    try:
        for piece in pieces:
            if body is None:
                head = reader.feed(piece)
                if head is None:
                    continue
                told += [head, keeps_alive(head), upgrade_protocol(head)]
                body = body_reader(_framed(head, told, bounds), bounds)
                piece = reader.take_rest()
            contents += b"".join(body.feed(piece))
        if body is not None:
            body.end_of_stream()
            told += [contents, body.rest, list(body.trailers)]
    except ProtocolError as fault:
        assert fault.code in REFUSED
        told.append(fault.code)
    return told


def _framed(head, told: list[object], bounds: Limits) -> Body:
    if not isinstance(head, RequestHead):
        body = response_body(head, b"GET")
        told.append(forward_response(head, framing=body.framing))
        return body
    target = parse_target(head)
    body = request_body(head, bounds)
    told += [target, expects_continue(head), max_forwards(head)]
    told.append(forward_request(head, target, host=target.authority, body=body))
    return body


class AnyOctetsTests(SynchronousTestCase):
    """Hostile octets."""

    @EXAMPLES
    @given(hostile, cuts, limits)
    def test_requests(self, whole, places, bounds):
        """A request is read to the same end, whole or in pieces: a message or a ProtocolError."""
        once = read_message(RequestReader(bounds), [whole], bounds)
        self.assertEqual(read_message(RequestReader(bounds), cut(whole, places), bounds), once)

    @EXAMPLES
    @given(hostile, cuts, limits)
    def test_responses(self, whole, places, bounds):
        """So is a response."""
        once = read_message(ResponseReader(bounds), [whole], bounds)
        self.assertEqual(read_message(ResponseReader(bounds), cut(whole, places), bounds), once)

    @EXAMPLES
    @given(hostile, limits)
    def test_byte_by_byte(self, whole, bounds):
        """Byte by byte is no different."""
        pieces = [whole[at : at + 1] for at in range(len(whole))]
        for reader in (RequestReader, ResponseReader):
            once = read_message(reader(bounds), [whole], bounds)
            self.assertEqual(read_message(reader(bounds), pieces, bounds), once)

    @EXAMPLES
    @given(octets, cuts, limits)
    def test_chunks(self, whole, places, bounds):
        """Chunks give content or a ProtocolError."""
        told = []
        for pieces in ([whole], cut(whole, places), [whole[at : at + 1] for at in range(len(whole))]):
            reader = body_reader(CHUNKED_BODY, bounds)
            try:
                content = b"".join(part for piece in pieces for part in reader.feed(piece))
                reader.end_of_stream()
                told.append((content, reader.rest, reader.trailers.lines))
            except ProtocolError as fault:
                told.append(fault.code)
        self.assertEqual(told[1:], [told[0]] * 2)

    @EXAMPLES
    @given(st.binary(max_size=30) | octets, st.binary(max_size=20) | st.sampled_from([b"a", b"a:80"]), tokens)
    def test_targets(self, target, host, method):
        """A target is taken apart or refused, whatever stands in it and in Host."""
        if not is_value(host):
            return
        fields = Fields.of([(b"Host", host)])
        for version in (10, 11):
            try:
                parsed = parse_target(RequestHead(method, target, version, fields, 0))
            except ProtocolError as fault:
                self.assertIn(fault.code, REFUSED)
            else:
                self.assertIsInstance(parsed, Target)
                self.assertNotIn(b"@", parsed.host)
                self.assertNotIn(b"/", parsed.authority)

    @EXAMPLES
    @given(
        st.lists(
            st.sampled_from([b"\r\nA: b", b"\r\nHost: a", b"\r\n", b"\n", b"GET / HTTP/1.1"]), max_size=12
        )
    )
    def test_no_smuggled_head(self, scraps):
        """However heads are strung together, no head that is read holds a line end in a line."""
        for head in heads(RequestReader(), [b"GET / HTTP/1.1" + b"".join(scraps) + b"\r\n\r\n"])[0]:
            for line in [head.target, *head.fields.lines]:
                self.assertFalse({13, 10, 0} & set(line))


class RoundTripTests(SynchronousTestCase):
    """What is written is read back."""

    @EXAMPLES
    @given(tokens, lines, st.sampled_from([b"1.1", b"1.0"]), cuts)
    def test_request(self, method, field_lines, version, places):
        """A request head that is forwarded is read as it was: nothing lost, nothing moved."""
        if method == b"CONNECT":
            return
        whole = wire(b"%b http://a.test/x HTTP/%b" % (method, version), b"Host: a.test", *field_lines)
        (head,) = heads(RequestReader(), cut(whole, places))[0]
        target = parse_target(head)
        again = RequestReader().feed(forward_request(head, target, host=target.authority))
        self.assertEqual((again.method, again.target), (method, b"/x"))
        self.assertEqual(again.fields, head.fields)
        self.assertEqual(parse_target(again)[1:], target[1:])
        self.assertTrue(is_token(again.method))

    @EXAMPLES
    @given(st.integers(200, 999).filter(lambda status: status not in (204, 407)), values, lines, cuts)
    def test_response(self, status, reason, field_lines, places):
        """So is a response head."""
        whole = wire(b"HTTP/1.1 %d %b" % (status, reason), b"Content-Length: 3", *field_lines)
        (head,) = heads(ResponseReader(), cut(whole, places))[0]
        again = ResponseReader().feed(forward_response(head, framing=Framing.LENGTH))
        self.assertEqual(again[:4], head[:4])

    @EXAMPLES
    @given(
        st.lists(st.binary(max_size=40), max_size=8),
        st.lists(st.tuples(names, values), max_size=3),
        cuts,
        st.binary(max_size=5),
    )
    def test_chunks(self, pieces, trailers, places, behind):
        """Content in is content out, with its trailers and with what comes behind."""
        writer = body_writer(Framing.CHUNKED)
        written = b"".join(part for piece in pieces for part in writer.piece(piece)) + writer.end(trailers)
        reader = body_reader(CHUNKED_BODY)
        content = b"".join(part for piece in cut(written + behind, places) for part in reader.feed(piece))
        self.assertTrue(reader.done)
        self.assertEqual((content, reader.rest), (b"".join(pieces), behind))
        self.assertEqual(list(reader.trailers), [(name, value.strip(b" \t")) for name, value in trailers])

    @EXAMPLES
    @given(st.binary(max_size=60), cuts, st.binary(max_size=5))
    def test_length(self, content, places, behind):
        """Content of a known length is given whole, and nothing behind it."""
        reader = body_reader(Body(Framing.LENGTH, len(content)))
        given_back = b"".join(part for piece in cut(content + behind, places) for part in reader.feed(piece))
        self.assertEqual((given_back, reader.rest, reader.done), (content, behind, True))

    @EXAMPLES
    @given(st.binary(max_size=60), cuts)
    def test_close(self, content, places):
        """Content that the end of the connection ends is given whole."""
        reader = body_reader(CLOSE_BODY)
        self.assertEqual(
            b"".join(part for piece in cut(content, places) for part in reader.feed(piece)), content
        )

    @EXAMPLES
    @given(
        st.sampled_from([Form.ORIGIN, Form.ABSOLUTE]), st.sampled_from([b"a.test", b"[::1]:81", b"b:8080"])
    )
    def test_form(self, form, host):
        """A target in either form names the same, read again."""
        head = RequestReader().feed(wire(b"GET http://%b/x?y HTTP/1.1" % host, b"Host: other"))
        target = parse_target(head)
        again = parse_target(RequestReader().feed(forward_request(head, target, host=host, form=form)))
        self.assertEqual(again[1:], target[1:])
