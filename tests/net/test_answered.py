"""Rules about answers: media type and size, from the wire to the record."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.results import ResultCode
from corpproxy.destination.model import AddressClass
from corpproxy.policy.conditions import What, parse_size_range
from corpproxy.policy.model import Effect, Safety
from tests.support.builders import request, response, rule
from tests.support.rows import rows, tabular
from tests.support.wires import Site

VIDEO = rule("no films", Effect.BLOCK, what=What(media_type=("video/*",)), say="No films here.")
LONG = rule("nothing long", Effect.BLOCK, what=What(size=(parse_size_range("over 10"),)))
IMAGES = rule("images", Effect.ALLOW, what=What(media_type=("image/*",)))
NOTHING_ELSE = rule("nothing else", Effect.BLOCK)
CHUNKED = b"Transfer-Encoding: chunked"


def typed(media_type, *fields, **more):
    """An answer of a media type."""
    return response(200, b"Content-Type: " + media_type, *fields, **more)


def chunk(octets):
    """Content in one chunk."""
    return b"%x\r\n%b\r\n0\r\n\r\n" % (octets, b"x" * octets)


@tabular
class MediaTypeTests(SynchronousTestCase):
    """What the answer says that it is."""

    @rows(
        video=(typed(b"video/mp4", content=b"film"), True),
        parameters=(typed(b"Video/MP4; codecs=avc1", content=b"film"), True),
        text=(typed(b"text/html", content=b"page"), False),
        not_stated=(response(content=b"film"), True),
        two_that_differ=(typed(b"text/html", b"Content-Type: video/mp4", content=b"film"), True),
        parts=(typed(b"multipart/byteranges; boundary=x", content=b"film"), True),
        no_content=(typed(b"video/mp4", content=b""), False),
        failure=(response(404, b"Content-Type: video/mp4", content=b"film"), True),
        not_modified=(response(304, framed=False), False),
        moved=(response(302, b"Location: /x", content=b""), False),
    )
    def test_get(self, answer, refused):
        """A page comes in the place of an answer that a rule refuses, and the server's connection ends."""
        site = Site(VIDEO)
        _, server, got = site.exchange(request(), answer)
        site.settle()
        self.assertEqual(b"No films here." in got, refused)
        self.assertEqual(b"film" in got.partition(b"\r\n\r\n")[2].partition(b"No films")[0], False)
        self.assertEqual(server.closed, refused)
        record = site.record
        self.assertEqual(record.result, ResultCode.BLOCKED if refused else ResultCode.FORWARDED)
        self.assertEqual(record.rule, "no films" if refused else "everything else")
        self.assertGreater(record.up_received, 0)
        self.assertEqual(record.sent, len(got))

    def test_record(self):
        """What the rules were told stands in the record."""
        site = Site(VIDEO)
        site.exchange(request(), typed(b"video/mp4; x=y", content=b"film"))
        record = site.record
        self.assertEqual((record.media_type, record.size, record.status), ("video/mp4", 4, 403))
        self.assertEqual(record.reason, "media type video/*")
        site = Site(VIDEO)
        site.exchange(request(), response(content=b"film"))
        self.assertEqual(site.record.media_type, "unknown")
        site = Site(VIDEO)
        site.exchange(request(), response(204, framed=False))
        self.assertEqual((site.record.media_type, site.record.size), ("none", None))
        site = Site()
        site.exchange(request(), typed(b"video/mp4", content=b"film"))
        self.assertEqual((site.record.media_type, site.record.size), ("", None))

    def test_head(self):
        """The answer to HEAD is decided on as that to GET would be, and its refusal has no content."""
        site = Site(VIDEO)
        answer = typed(b"video/mp4", b"Content-Length: 4", framed=False)
        _, _, got = site.exchange(request(b"HEAD"), answer)
        site.settle()
        self.assertTrue(got.startswith(b"HTTP/1.1 403 "))
        self.assertTrue(got.endswith(b"\r\n\r\n"))
        self.assertEqual(site.record.rule, "no films")

    def test_client_goes_on(self):
        """The client's connection lives on, and its next request goes out on a new one."""
        site = Site(VIDEO)
        client, _, _ = site.exchange(request(), typed(b"video/mp4", b"Content-Length: 999999", framed=False))
        site.settle()
        self.assertFalse(client.closed)
        client.send(request())
        site.server().send(typed(b"text/html", content=b"page"))
        self.assertTrue(client.take().endswith(b"page"))

    def test_upload(self):
        """A client that still sends is read to its end, within bounds, before the connection closes."""
        site = Site(VIDEO)
        client = site.client()
        client.send(
            request(b"POST", b"http://www.example.com/", b"Content-Length: 10", content=b"")[: -0 or None]
        )
        client.send(b"01234")
        site.server().send(typed(b"video/mp4", content=b"film"))
        site.settle()
        self.assertTrue(client.received.startswith(b"HTTP/1.1 403 "))
        client.send(b"56789")
        site.settle()
        self.assertEqual(site.record.rule, "no films")

    @rows(
        image=(typed(b"image/png", content=b"picture"), True),
        page=(typed(b"text/html", content=b"page"), False),
        not_stated=(response(content=b"page"), False),
        not_modified=(response(304, framed=False), True),
    )
    def test_allowed_by_it(self, answer, allowed):
        """What only a media type opens is asked of the server, and opened by its answer alone."""
        site = Site(IMAGES, NOTHING_ELSE)
        site.exchange(request(), answer)
        site.settle()
        self.assertEqual(site.record.rule, "images" if allowed else "nothing else")

    def test_tunnel(self):
        """A tunnel shows no answer: rules about them never hold there."""
        site = Site(IMAGES, NOTHING_ELSE)
        client = site.client()
        client.send(request(b"CONNECT", b"www.example.com:443"))
        site.settle()
        self.assertEqual(site.record.rule, "nothing else")
        site = Site(VIDEO)
        client = site.client()
        client.send(request(b"CONNECT", b"www.example.com:443"))
        self.assertEqual(len(site.dialling), 1)

    def test_upgrade(self):
        """A WebSocket has no media type that could open it."""
        site = Site(IMAGES, NOTHING_ELSE)
        upgrade = (b"Connection: Upgrade", b"Upgrade: websocket")
        _, server, got = site.exchange(
            request(b"GET", b"http://www.example.com/", *upgrade), response(101, *upgrade, framed=False)
        )
        site.settle()
        self.assertTrue(got.startswith(b"HTTP/1.1 403 "))
        self.assertTrue(server.closed)

    def test_safety(self):
        """A rule that opens an address for one media type does not open it for others."""
        inside = rule(
            "pictures inside",
            Effect.ALLOW,
            what=What(media_type=("image/*",)),
            safety=Safety(addresses=frozenset({AddressClass.PRIVATE})),
        )
        for media_type, result in ((b"image/png", ResultCode.FORWARDED), (b"text/html", ResultCode.BLOCKED)):
            site = Site(inside)
            site.names.table["www.example.com"] = ("10.0.0.7",)
            site.exchange(request(), typed(media_type, content=b"x"))
            site.settle()
            self.assertEqual(site.record.result, result)


@tabular
class SizeTests(SynchronousTestCase):
    """How long the content is."""

    @rows(
        short=(response(content=b"x" * 10), False),
        long=(response(content=b"x" * 11), True),
        long_chunked=(response(200, CHUNKED, content=chunk(11), framed=False), True),
        short_chunked=(response(200, CHUNKED, content=chunk(10), framed=False), False),
        part=(
            response(206, b"Content-Range: bytes 0-3/4000", content=b"part"),
            True,
        ),
        part_of_unknown=(response(206, b"Content-Range: bytes 0-3/*", content=b"part"), False),
    )
    def test_announced_or_there(self, answer, refused):
        """A page comes in the place of what is too long, while nothing of it was sent."""
        site = Site(LONG)
        _, _, got = site.exchange(request(), answer)
        site.settle()
        self.assertEqual(got.startswith(b"HTTP/1.1 403 "), refused)

    def test_grows(self):
        """An answer without a length ends when it grows too long, and never looks whole."""
        for version, chunked in ((b"1.1", True), (b"1.0", False)):
            site = Site(LONG)
            client = site.client()
            client.send(request(version=version))
            server = site.server()
            server.send(response(200, CHUNKED, content=b"a\r\n" + b"x" * 10 + b"\r\n", framed=False))
            site.settle()
            self.assertIn(b"x" * 10, client.received)
            server.send(b"1\r\ny\r\n")
            site.settle()
            self.assertNotIn(b"y", bytes(client.received).partition(b"\r\n\r\n")[2])
            self.assertFalse(client.received.endswith(b"0\r\n\r\n"))
            self.assertTrue(client.closed if chunked else client.reset)
            self.assertTrue(server.closed)
            record = site.record
            self.assertEqual((record.result, record.failure), (ResultCode.ENDED, "answer-too-long"))
            self.assertEqual((record.rule, record.ended_rule), ("everything else", "nothing long"))
            self.assertEqual(record.sent, len(client.received))

    def test_grows_as_it_may(self):
        """What stays below is relayed whole."""
        site = Site(LONG)
        client = site.client()
        client.send(request())
        server = site.server()
        server.send(response(content=b"x" * 10, framed=False))
        server.end()
        site.settle()
        self.assertTrue(client.received.endswith(b"a\r\nxxxxxxxxxx\r\n0\r\n\r\n"))
        self.assertEqual(site.record.result, ResultCode.FORWARDED)
