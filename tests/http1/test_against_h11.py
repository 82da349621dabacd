"""
What another implementation says of valid messages must be what we say.

h11 is laxer than we are, so only messages that both must accept are compared; those it writes itself
are read by us, and what we forward is read by it.
"""

from __future__ import annotations

import h11
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.http1.body import body_reader
from corpproxy.http1.forward import forward_request, forward_response
from corpproxy.http1.framing import Framing, keeps_alive, request_body, response_body
from corpproxy.http1.head import RequestReader, ResponseReader
from corpproxy.http1.target import parse_target
from tests.support.examples import EXAMPLES

tokens = st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,10}", fullmatch=True).map(str.encode)
names = tokens.map(lambda token: b"X-" + token)
values = st.from_regex(r"([!-~]([ -~]{0,16}[!-~])?)?", fullmatch=True).map(str.encode)
fields = st.lists(st.tuples(names, values), max_size=6)
contents = st.lists(st.binary(min_size=1, max_size=30), max_size=4)
framings = st.sampled_from(["length", "chunked"])


def framing_field(framing: str, pieces: list[bytes]) -> tuple[bytes, bytes]:
    if framing == "chunked":
        return b"Transfer-Encoding", b"chunked"
    return b"Content-Length", b"%d" % sum(map(len, pieces))


def events(connection: h11.Connection) -> list[h11.Event]:
    """All events up to the end of the message."""
    found = []
    while not found or type(found[-1]) not in (h11.EndOfMessage, h11.NEED_DATA):
        found.append(connection.next_event())
        if found[-1] in (h11.NEED_DATA, h11.PAUSED):
            break
    return found


def body_of(found: list[h11.Event]) -> bytes:
    return b"".join(bytes(event.data) for event in found if isinstance(event, h11.Data))


def raw(head_fields) -> list[tuple[bytes, bytes]]:
    return [(bytes(name), bytes(value)) for name, value in head_fields]


class AgainstH11Tests(SynchronousTestCase):
    """Both programs read the same messages."""

    @EXAMPLES
    @given(tokens, fields, framings, contents)
    def test_request_it_writes(self, method, extra, framing, pieces):
        """A request that h11 writes is read by us as it was meant."""
        if method == b"CONNECT":
            return
        client = h11.Connection(h11.CLIENT)
        sent = [(b"Host", b"a.test"), *extra, framing_field(framing, pieces)]
        octets = client.send(h11.Request(method=method, target=b"/x?y", headers=sent))
        octets += b"".join(client.send(h11.Data(data=piece)) for piece in pieces)
        octets += client.send(h11.EndOfMessage())
        reader = RequestReader()
        head = reader.feed(octets)
        self.assertEqual((head.method, head.target), (method, b"/x?y"))
        self.assertEqual(list(head.fields), sent)
        body = body_reader(request_body(head))
        self.assertEqual(b"".join(body.feed(reader.take_rest())), b"".join(pieces))
        self.assertTrue(body.done)
        self.assertEqual(body.rest, b"")

    @EXAMPLES
    @given(
        st.integers(200, 599).filter(lambda status: status not in (204, 304, 407)), fields, framings, contents
    )
    def test_response_it_writes(self, status, extra, framing, pieces):
        """A response that h11 writes is read by us as it was meant."""
        server = h11.Connection(h11.SERVER)
        server.receive_data(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        events(server)
        sent = [*extra, framing_field(framing, pieces)]
        octets = server.send(h11.Response(status_code=status, headers=sent, reason=b"Some reason"))
        octets += b"".join(server.send(h11.Data(data=piece)) for piece in pieces)
        octets += server.send(h11.EndOfMessage())
        reader = ResponseReader()
        head = reader.feed(octets)
        self.assertEqual((head.status, head.reason, list(head.fields)), (status, b"Some reason", sent))
        body = body_reader(response_body(head, b"GET"))
        self.assertEqual(b"".join(body.feed(reader.take_rest())), b"".join(pieces))
        self.assertTrue(body.done)

    @EXAMPLES
    @given(tokens, fields, framings, contents, st.booleans())
    def test_request_we_forward(self, method, extra, framing, pieces, close):
        """A request that we forward is read by h11 with the same fields, content and end."""
        if method == b"CONNECT":
            return
        name, value = framing_field(framing, pieces)
        lines = [b"%b: %b" % pair for pair in [*extra, (name, value)]]
        octets = b"\r\n".join([b"%b http://a.test/x HTTP/1.1" % method, b"Host: other", *lines, b"", b""])
        head = RequestReader().feed(octets)
        target = parse_target(head)
        framed = request_body(head)
        written = forward_request(head, target, host=b"a.test", body=framed, via=b"us", keep=not close)
        content = b"".join(pieces)
        if framed.framing is Framing.CHUNKED:
            written += b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        else:
            written += content
        server = h11.Connection(h11.SERVER)
        server.receive_data(written)
        found = events(server)
        self.assertEqual((found[0].method, found[0].target), (method, b"/x"))
        expected = [(b"Host", b"a.test"), *extra, (name, value), (b"Via", b"1.1 us")]
        if close:
            expected.append((b"Connection", b"close"))
        self.assertEqual(raw(found[0].headers.raw_items()), expected)
        self.assertEqual(body_of(found), content)
        self.assertIsInstance(found[-1], h11.EndOfMessage)

    @EXAMPLES
    @given(
        st.sampled_from([200, 204, 206, 304, 404, 503]),
        st.sampled_from([b"GET", b"HEAD"]),
        fields,
        framings,
        contents,
    )
    def test_response_we_forward(self, status, method, extra, framing, pieces):
        """A response that we forward is read by h11 with the same content and the same end."""
        name, value = framing_field(framing, pieces)
        octets = b"HTTP/1.1 %d X\r\n" % status + b"".join(
            b"%b: %b\r\n" % pair for pair in [*extra, (name, value)]
        )
        head = ResponseReader().feed(octets + b"\r\n")
        framed = response_body(head, method)
        written = forward_response(head, framing=framed.framing)
        content = b"" if framed.framing is Framing.NONE else b"".join(pieces)
        if framed.framing is Framing.CHUNKED:
            written += b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        else:
            written += content
        client = h11.Connection(h11.CLIENT)
        client.send(h11.Request(method=method, target=b"/", headers=[(b"Host", b"a")]))
        client.send(h11.EndOfMessage())
        client.receive_data(written)
        found = events(client)
        self.assertEqual(found[0].status_code, status)
        self.assertEqual([pair for pair in raw(found[0].headers.raw_items()) if pair[0][:2] == b"X-"], extra)
        self.assertEqual(body_of(found), content)
        self.assertIsInstance(found[-1], h11.EndOfMessage)
        self.assertEqual(client.trailing_data[0], b"")

    @EXAMPLES
    @given(
        st.sampled_from([None, b"close", b"keep-alive", b"x, close", b"upgrade"]),
        st.sampled_from([b"1.0", b"1.1"]),
    )
    def test_keep_alive(self, option, version):
        """Both agree on whether a connection lives on; h11 knows no keep-alive of HTTP/1.0."""
        if version == b"1.0" and option == b"keep-alive":
            return
        line = b"" if option is None else b"Connection: %b\r\n" % option
        octets = b"GET / HTTP/%b\r\nHost: a\r\n%b\r\n" % (version, line)
        server = h11.Connection(h11.SERVER)
        server.receive_data(octets)
        events(server)
        self.assertEqual(keeps_alive(RequestReader().feed(octets)), server.their_state is h11.DONE)
