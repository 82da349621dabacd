"""Content, read from its framing and written in one."""

from __future__ import annotations

import tracemalloc

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.errors import ProtocolError
from corpproxy.http1.body import body_reader, body_writer
from corpproxy.http1.framing import CHUNKED_BODY, CLOSE_BODY, NO_BODY, Body, Framing
from corpproxy.http1.limits import Limits
from tests.http1.wire import content
from tests.support.rows import rows, tabular

FIVE = Body(Framing.LENGTH, 5)


@tabular
class ReaderTests(SynchronousTestCase):
    """What the readers give."""

    @rows(
        length=(FIVE, b"hello", b"hello", b""),
        length_and_rest=(FIVE, b"helloGET /", b"hello", b"GET /"),
        none=(NO_BODY, b"GET /", b"", b"GET /"),
        close=(CLOSE_BODY, b"hello", b"hello", b""),
        empty_chunks=(CHUNKED_BODY, b"0\r\n\r\n", b"", b""),
        chunks=(CHUNKED_BODY, b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nGET /", b"hello world", b"GET /"),
        upper_case=(CHUNKED_BODY, b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789", b""),
        lower_case=(CHUNKED_BODY, b"a\r\n0123456789\r\n0\r\n\r\n", b"0123456789", b""),
        zeros=(CHUNKED_BODY, b"0000000000000005\r\nhello\r\n000\r\n\r\n", b"hello", b""),
        line_ends_inside=(CHUNKED_BODY, b"6\r\n\r\n0\r\n\n\r\n0\r\n\r\n", b"\r\n0\r\n\n", b""),
        extension=(CHUNKED_BODY, b"1;a\r\nx\r\n0;b=c\r\n\r\n", b"x", b""),
        extension_spaces=(CHUNKED_BODY, b"1 ; a = b\t;c\r\nx\r\n0\r\n\r\n", b"x", b""),
        extension_quoted=(CHUNKED_BODY, b'1;a="b;\\"c\xe9"\r\nx\r\n0\r\n\r\n', b"x", b""),
        trailers=(CHUNKED_BODY, b"0\r\nA: b\r\nC:\r\n\r\nrest", b"", b"rest"),
    )
    def test_content(self, body, octets, expected, rest):
        """Content and what comes behind it are told apart, however the octets were cut."""
        for found in content(octets, body):
            self.assertEqual(found, (expected, "", rest))

    def test_trailers(self):
        """The trailers are kept, as fields."""
        reader = body_reader(CHUNKED_BODY)
        self.assertEqual(reader.feed(b"0\r\nDigest: x\r\nX-A: 1\r\n"), [])
        self.assertFalse(reader.done)
        reader.feed(b"\r\n")
        self.assertTrue(reader.done)
        self.assertEqual(list(reader.trailers), [(b"Digest", b"x"), (b"X-A", b"1")])

    @rows(length=(FIVE,), chunked=(CHUNKED_BODY,))
    def test_cut_short(self, body):
        """A message that the end of the connection cuts is refused, from its first octet on."""
        reader = body_reader(body)
        with self.assertRaises(ProtocolError) as caught:
            reader.end_of_stream()
        self.assertEqual(caught.exception.code, "cut-short")

    @rows(
        none=(NO_BODY, b""),
        length=(FIVE, b"hello"),
        chunked=(CHUNKED_BODY, b"0\r\n\r\n"),
        close=(CLOSE_BODY, b"x"),
    )
    def test_end(self, body, octets):
        """The end of the connection behind a whole message is fine."""
        reader = body_reader(body)
        reader.feed(octets)
        reader.end_of_stream()
        self.assertTrue(reader.done)

    @rows(
        length=(Body(Framing.LENGTH, 10**6), b""),
        close=(CLOSE_BODY, b""),
        chunked=(CHUNKED_BODY, b"f4240\r\n"),
    )
    def test_same_object(self, body, before):
        """A piece that is wholly content is passed on as the object that came: nothing is copied."""
        reader = body_reader(body)
        self.assertEqual(reader.feed(before), [])
        piece = b"x" * 65536
        (given,) = reader.feed(piece)
        self.assertIs(given, piece)

    @rows(length=(FIVE,), chunked=(CHUNKED_BODY,), close=(CLOSE_BODY,))
    def test_nothing(self, body):
        """No octets are no piece."""
        self.assertEqual(body_reader(body).feed(b""), [])

    def test_rest_grows(self):
        """What comes when all is done stays in order."""
        for body, octets in ((FIVE, b"hello"), (CHUNKED_BODY, b"0\r\n\r\n"), (NO_BODY, b"")):
            reader = body_reader(body)
            for piece in (octets, b"a", b"b"):
                reader.feed(piece)
            self.assertEqual(reader.rest, b"ab")

    @rows(at=(0, ""), past=(1, "content-too-large"))
    def test_content_limit(self, more, code):
        """Chunks may add up to the limit exactly."""
        octets = b"5\r\nhello\r\n%x\r\n" % (5 + more) + b"x" * (5 + more) + b"\r\n0\r\n\r\n"
        self.assertEqual({found[1] for found in content(octets, content_octets=10)}, {code})

    @rows(at=(0, ""), past=(1, "chunk-line-too-long"))
    def test_line_limit(self, more, code):
        """A chunk line may be as long as its limit."""
        octets = b"1;" + b"a" * (98 + more) + b"\r\nx\r\n0\r\n\r\n"
        self.assertEqual(
            {found[1] for found in content(octets, limits=Limits(chunk_line_octets=100))}, {code}
        )

    @rows(at=(0, ""), past=(1, "chunk-line-too-long"))
    def test_extension_limit(self, more, code):
        """The extensions of all chunks may add up to their limit."""
        octets = b"1;aaa\r\nx\r\n1;" + b"a" * (5 + more) + b"\r\nx\r\n0\r\n\r\n"
        limits = Limits(chunk_extension_octets=10)
        self.assertEqual({found[1] for found in content(octets, limits=limits)}, {code})

    @rows(at=(0, ""), past=(1, "trailers-too-large"))
    def test_trailer_limit(self, more, code):
        """A trailer section may be as long as its limit, its empty line included."""
        octets = b"0\r\nA: " + b"b" * (93 + more) + b"\r\n\r\n"
        self.assertEqual({found[1] for found in content(octets, limits=Limits(trailer_octets=100))}, {code})

    def test_linear(self):
        """Small chunks in one large piece cost a little each: the piece is not copied for each of them."""
        octets = b"1\r\nx\r\n" * 50_000
        tracemalloc.start()
        try:
            pieces = body_reader(CHUNKED_BODY).feed(octets)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        self.assertEqual(b"".join(pieces), b"x" * 50_000)
        self.assertLess(peak, 5_000_000)


class WriterTests(SynchronousTestCase):
    """What the writers add."""

    def test_plain(self):
        """Without chunks content goes as it is, and nothing ends it."""
        for framing in (Framing.LENGTH, Framing.CLOSE, Framing.NONE):
            writer = body_writer(framing)
            self.assertEqual((writer.piece(b"abc"), writer.piece(b""), writer.end()), ([b"abc"], [], b""))

    def test_chunked(self):
        """A chunk has its size before it and CR LF behind; its content is not copied."""
        piece = b"x" * 26
        written = body_writer(Framing.CHUNKED).piece(piece)
        self.assertEqual(written, [b"1a\r\n", piece, b"\r\n"])
        self.assertIs(written[1], piece)

    def test_empty_piece(self):
        """An empty piece is no chunk: it would be the last one."""
        self.assertEqual(body_writer(Framing.CHUNKED).piece(b""), [])

    def test_end(self):
        """The last chunk carries the trailers."""
        writer = body_writer(Framing.CHUNKED)
        self.assertEqual(writer.end(), b"0\r\n\r\n")
        self.assertEqual(writer.end([(b"A", b"b"), (b"C", b"d")]), b"0\r\nA: b\r\nC: d\r\n\r\n")

    def test_bad_trailer(self):
        """A trailer that would break the framing is not written."""
        with self.assertRaises(ValueError):
            body_writer(Framing.CHUNKED).end([(b"A", b"b\r\n\r\nGET / HTTP/1.1")])
