"""Sections that came before: known again by a digest, bounded, and never kept."""

from __future__ import annotations

import gc
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.errors import ProtocolError
from corpproxy.http1 import sections as module
from corpproxy.http1.fields import Fields, Outline
from corpproxy.http1.head import RequestReader, ResponseReader
from corpproxy.http1.limits import Limits
from corpproxy.http1.recipe import recipe_of
from corpproxy.http1.sections import LONGEST_OCTETS, Sections
from tests.http1.wire import wire
from tests.support.examples import EXAMPLES

SECTION = b"Host: a\r\nUser-Agent: b"
lines = st.sampled_from([b"A: b", b"A: c", b"Host: %b", b"Cookie: 50%", b"B:"])


class SectionsTests(SynchronousTestCase):
    """The memory of requests."""

    def setUp(self):
        self.sections = Sections()
        self.outline = Outline(2)

    def test_found(self):
        """The same octets are known again, and no others."""
        self.sections.keep(SECTION, self.outline)
        self.assertIs(self.sections.find(bytes(bytearray(SECTION))), self.outline)
        self.assertIsNone(self.sections.find(SECTION.replace(b"b", b"c")))

    def test_bounded(self):
        """However many come, two halves of them are held; who comes again is not forgotten."""
        with mock.patch.object(module, "REMEMBERED_HALF", 8):
            self.sections.keep(SECTION, self.outline)
            for number in range(100):
                self.sections.keep(b"A: %d" % number, Outline(1))
                self.assertIs(self.sections.find(SECTION), self.outline)
                self.assertLessEqual(len(self.sections), 16)

    def test_long(self):
        """A section that is longer than the digest is worth is not held."""
        section = b"A: " + b"b" * LONGEST_OCTETS
        self.sections.keep(section, self.outline)
        self.assertIsNone(self.sections.find(section))

    def test_no_secret_stays(self):
        """Of a request that was read and forgotten, no object holds the password or a cookie any more."""
        secrets = b"Basic b25seSBoZXJl", b"session=only-here"
        head = wire(
            b"GET http://a/ HTTP/1.1",
            b"Host: a",
            b"Proxy-Authorization: " + secrets[0],
            b"Cookie: " + secrets[1],
        )
        read = RequestReader(sections=self.sections).feed(bytes(bytearray(head)))
        self.assertEqual(read.fields.get(b"cookie"), secrets[1])
        recipe_of(read.fields, b"\r\nHost: a\r\nCookie: " + secrets[1] + b"\r\n\r\n")
        del read, head
        gc.collect()
        kept = gc.get_referents(self.sections._young)
        seen = set()
        while kept:
            one = kept.pop()
            if id(one) in seen or isinstance(one, type):
                continue
            seen.add(id(one))
            if isinstance(one, (bytes, str)):
                text = one.encode() if isinstance(one, str) else one
                self.assertFalse(any(secret in text for secret in secrets))
            kept += gc.get_referents(one)
        self.assertEqual(len(self.sections), 1)


class AnswerTests(SynchronousTestCase):
    """The memory of answers."""

    def test_cookies(self):
        """The same answer is known again; one that sets a cookie is for one person, and not held."""
        for field, is_known in ((b"Server: only-here", True), (b"set-cookie: b=c", False)):
            octets = wire(b"HTTP/1.1 200 OK", field, b"Content-Length: 0")
            first, second = ResponseReader().feed(octets), ResponseReader().feed(octets)
            self.assertEqual(first, second)
            self.assertIs(first is second, is_known)

    def test_limits(self):
        """Who allows less refuses what another has read before."""
        octets = wire(b"HTTP/1.1 200 OK", b"Server: a", b"Content-Length: 0")
        ResponseReader().feed(octets)
        for limits in (Limits(fields=1), Limits(head_octets=20)):
            self.assertRaises(ProtocolError, ResponseReader(limits).feed, octets)


class ReaderTests(SynchronousTestCase):
    """A reader that knows a section again."""

    def test_same(self):
        """The second head with a section reads as the first one did, but for its line."""
        reader = RequestReader(sections=Sections())
        first = reader.feed(b"GET /1 HTTP/1.1\r\n" + SECTION + b"\r\n\r\n")
        second = reader.feed(b"GET /2 HTTP/1.1\r\n" + SECTION + b"\r\n\r\n")
        self.assertIs(second.fields.outline, first.fields.outline)
        self.assertEqual((second.fields, second.target), (first.fields, b"/2"))


class RecipeTests(SynchronousTestCase):
    """Fields for the next hop, written again from the octets that came."""

    @EXAMPLES
    @given(st.lists(lines, max_size=6), st.lists(lines | st.just(b"Via: 1.1 100%"), max_size=8))
    def test_same(self, came, goes):
        """Whatever was written of whatever came, the recipe gives it again."""
        section = b"\r\n".join(came)
        written = b"".join(b"\r\n" + line for line in goes) + b"\r\n\r\n"
        self.assertEqual(recipe_of(Fields(section), written).write(section), written)
