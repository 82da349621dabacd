"""The compiled reader of heads gives what the one in Python gives, whatever comes and however it is cut."""

from __future__ import annotations

import os
import random
import sys
from collections import defaultdict
from importlib import import_module
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from corpproxy import twins
from corpproxy.http1.fields import take_off, take_off_in_python
from corpproxy.http1.head import HeadReader, RequestHead, RequestReader, ResponseReader
from corpproxy.http1.limits import Limits
from corpproxy.http1.sections import Sections
from tests.http1.test_properties import LIMITS, cut, cuts, hostile, limits, octets
from tests.http1.wire import heads, wire
from tests.support.examples import EXAMPLES
from tests.support.feeding import portions

# What browsers, programs and servers really send, or nearly so.
HEADS = [
    wire(
        b"GET http://www.example.com/a/b.png?x=%7B1|2%7D HTTP/1.1",
        b"Host: www.example.com",
        b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
        b"Accept: image/avif,image/webp,*/*;q=0.8",
        b"Accept-Encoding: gzip, deflate",
        b"Proxy-Authorization: Basic YW1pcjpzZWNyZXQ=",
        b"Cookie: a=1; b=\xc3\xa9",
        b"Connection: keep-alive",
    ),
    wire(b"CONNECT example.com:443 HTTP/1.1", b"Host: example.com:443", b"Proxy-Connection: keep-alive"),
    b"\r\n" + wire(b"POST http://a/ HTTP/1.0", b"Content-Length:3", b"X-Empty:", b"x-empty: \t") + b"abc",
    wire(b"GET / HTTP/1.1") + wire(b"GET /2 HTTP/1.1", b"Host: a"),
    wire(b"OPTIONS * HTTP/1.1", b"Host: a", b"host: b"),
    wire(b"HTTP/1.1 200 OK", b"Date: Mon, 23 Nov 2026", b"Content-Length: 3", b'ETag: "a"') + b"abc",
    wire(b"HTTP/1.1 302", b"Location: /"),
    wire(b"HTTP/1.0 404 ", b"Set-Cookie: a=b", b"Set-Cookie: c=d", b"Connection: close"),
    wire(b"HTTP/1.1 100 Continue") + wire(b"HTTP/1.1 999 \xfcnlich", b"A: b"),
]  # fmt: skip
MANY = 40_000


class InPython(RequestReader):
    """The twin in Python, wherever the compiled one runs."""

    __slots__ = ()
    feed = HeadReader.feed  # type: ignore[assignment]


class AnswersInPython(ResponseReader):
    """That of answers."""

    __slots__ = ()
    feed = HeadReader.feed  # type: ignore[assignment]


def told(reader: Any, pieces: list[bytes]) -> Any:
    """All that is known of the heads in some pieces."""
    found, code, rest = heads(reader, pieces)
    seen = [(*head, head.fields.outline.lines, *take_off_in_python(head.fields.section)) for head in found]
    return seen, [type(head) for head in found], code, rest


def damaged(rng: random.Random, head: bytes) -> bytes:
    """A head to which something has happened: octets changed, left out, put in, doubled, exchanged."""
    whole = bytearray(head)
    for _ in range(rng.randint(0, 3)):
        at, to = sorted((rng.randrange(len(whole) + 1), rng.randrange(len(whole) + 1)))
        match rng.randrange(5):
            case 0 if at < len(whole):
                whole[at] = rng.choice(b"\r\n\0\t :,/#%\x7f\x80\xffaZ0")
            case 1:
                del whole[at : at + rng.randint(1, 3)]
            case 2:
                whole[at:at] = rng.choice(
                    [b"\r\n", b"\r", b"\n", b" ", b":", b"\r\n\r\n", b"A: b\r\n", b"\0"]
                )
            case 3:
                whole[at:at] = whole[at : min(to, at + 60)]
            case _:
                whole[at:to] = whole[at:to][::-1] if to - at < 8 else whole[at:to]
    return bytes(whole)


class HeadTwinsTests(SynchronousTestCase):
    """Both readers, side by side, each with a memory that lasts."""

    def setUp(self) -> None:
        # All who share a memory read by the same limits.
        self.sections: dict[Limits, tuple[Sections, Sections]] = defaultdict(lambda: (Sections(), Sections()))

    def alike(self, whole: bytes, pieces: list[bytes], bounds: Limits) -> None:
        mine, others = self.sections[bounds]
        # Twice, since a section that came before takes another way.
        for _ in range(2):
            compiled = told(RequestReader(bounds, mine), pieces)
            self.assertEqual(compiled, told(InPython(bounds, others), pieces), whole)
            answer = told(ResponseReader(bounds), pieces)
            self.assertEqual(answer, told(AnswersInPython(bounds), pieces), whole)

    @EXAMPLES
    @given(hostile, cuts, limits)
    def test_made_up(self, whole: bytes, places: list[int], bounds: Limits) -> None:
        """Scraps of heads, in any pieces and by any limits."""
        self.alike(whole, cut(whole, places), bounds)
        self.alike(whole, [whole], bounds)

    def test_damaged(self) -> None:
        """Real heads, damaged: whole and cut in two."""
        rng = random.Random(20261127)
        for _ in range(3_000):
            whole = damaged(rng, rng.choice(HEADS)) + (rng.choice(HEADS) if rng.random() < 0.2 else b"")
            bounds = LIMITS if rng.random() < 0.2 else Limits(rng.choice([len(whole), 65536]), 7, 120)
            self.alike(whole, [whole], bounds)
            self.alike(whole, cut(whole, [rng.randrange(len(whole) + 1)]), bounds)

    def test_everywhere(self) -> None:
        """Real heads, cut at every place."""
        for whole in HEADS:
            for pieces in portions(whole):
                self.alike(whole, pieces, Limits())
            for at in range(len(whole)):
                self.alike(whole, [whole[:at], whole[at:]], Limits())

    def test_at_the_limits(self) -> None:
        """Heads that are just as long as may be, and one octet or one line longer."""
        for whole in HEADS:
            for longest in range(len(whole) - 3, len(whole) + 2):
                self.alike(whole, [whole], Limits(head_octets=longest))
            for few in range(10):
                self.alike(whole, [whole], Limits(fields=few))
                self.alike(whole, [whole], Limits(target_octets=few * 5))

    def test_no_fields_behind_each_other(self) -> None:
        """The empty line of the next head is never taken for that of a head without fields."""
        whole = wire(b"GET / HTTP/1.1") + wire(b"GET /2 HTTP/1.1", b"Host: a")
        reader = RequestReader()
        for _ in range(3):
            found, _, _ = heads(reader, [whole])
            self.assertEqual(
                [(head.target, head.fields.lines) for head in found], [(b"/", []), (b"/2", [b"Host: a"])]
            )

    @EXAMPLES
    @given(octets | st.sampled_from(HEADS))
    def test_lines(self, section: bytes) -> None:
        """The lines of a section, their names and their index are the same."""
        self.assertEqual(take_off(section), take_off_in_python(section))


class CompiledTests(SynchronousTestCase):
    """The compiled reader by itself."""

    def setUp(self) -> None:
        self.heads = import_module("corpproxy._heads")

    def test_taken(self) -> None:
        """It reads real heads itself, the first time and again: nothing is left to the other."""
        if twins.heads is None:
            return
        sections, answers = Sections(), ResponseReader()
        for whole in HEADS * 2:
            if whole.startswith(b"HTTP/"):
                self.assertIsNotNone(self.heads.response(answers, whole, 65536, 100))
            else:
                head = self.heads.request(RequestReader(), whole, sections, 65536, 8000, 100)
                self.assertIsInstance(head, RequestHead)

    def test_digest(self) -> None:
        """Its digests are SipHash-2-4 of 128 bits, as the paper of that function has them."""
        digest = self.heads.Digest(bytes(range(16)))
        self.assertEqual(digest.of(b"").hex(), "a3817f04ba25a8e66df67214c7550293")
        self.assertEqual(digest.of(b"\0").hex(), "da87c1d86b99af44347659119b22fc45")
        for length in range(70):
            octets = bytes(range(length))
            self.assertEqual(digest.of(octets), siphash(bytes(range(16)), octets))

    def test_wrong_use(self) -> None:
        """What is none of our objects is refused or left alone, and never touched."""
        self.assertRaises(ValueError, self.heads.Digest, b"short")
        self.assertRaises(TypeError, self.heads.Digest(bytes(16)).of, "text")
        self.assertRaises(TypeError, self.heads.request, 1)
        self.assertRaises(TypeError, self.heads.response, 1)
        self.assertIsNone(self.heads.request(object(), HEADS[0], Sections(), 65536, 8000, 100))
        self.assertIsNone(self.heads.request(RequestReader(), HEADS[0], object(), 65536, 8000, 100))
        self.assertIsNone(self.heads.response(RequestReader(), HEADS[5], 65536, 100))
        self.assertIsNone(self.heads.response(ResponseReader(), bytearray(HEADS[5]), 65536, 100))

    def test_no_leak(self) -> None:
        """Memory and the counts of references stay where they are over thousands of heads of all kinds."""
        if "libasan" in os.environ.get("LD_PRELOAD", ""):
            raise SkipTest("who watches memory keeps what is freed for a while")
        rng = random.Random(1)
        kinds = [damaged(rng, head) for head in HEADS for _ in range(20)] + HEADS
        self._read(kinds)
        shared = (RequestHead, Sections, take_off, None, b"GET")
        before, octets = [sys.getrefcount(one) for one in shared], _resident()
        self._read(kinds)
        for count, one in zip(before, shared, strict=True):
            self.assertLess(abs(sys.getrefcount(one) - count), 1000)
        self.assertLess(_resident() - octets, 2 * 1024 * 1024)

    def _read(self, kinds: list[bytes]) -> None:
        sections, requests, answers = Sections(), RequestReader(), ResponseReader()
        for number in range(MANY):
            octets = kinds[number % len(kinds)]
            self.heads.response(answers, octets, 65536, 100)
            head = self.heads.request(requests, octets, sections, 65536, 8000, 100)
            if head is not None and not number % 7:
                take_off(head.fields.section)


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def siphash(key: bytes, octets: bytes) -> bytes:
    """SipHash-2-4 with 128 bits, written down from the paper."""
    most = (1 << 64) - 1
    k = [int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")]
    v = [
        k[0] ^ 0x736F6D6570736575, k[1] ^ 0x646F72616E646F6D ^ 0xEE,
        k[0] ^ 0x6C7967656E657261, k[1] ^ 0x7465646279746573,
    ]  # fmt: skip

    def turned(x: int, by: int) -> int:
        return (x << by | x >> (64 - by)) & most

    def rounds(many: int) -> None:
        for _ in range(many):
            for a, b, c, d, first, second in ((0, 1, 2, 3, 13, 16), (2, 1, 0, 3, 17, 21)):
                v[a] = (v[a] + v[b]) & most
                v[c] = (v[c] + v[d]) & most
                v[b] = turned(v[b], first) ^ v[a]
                v[d] = turned(v[d], second) ^ v[c]
                v[a] = turned(v[a], 32)

    padded = octets + bytes(7 - len(octets) % 8) + bytes([len(octets) & 255])
    for at in range(0, len(padded), 8):
        word = int.from_bytes(padded[at : at + 8], "little")
        v[3] ^= word
        rounds(2)
        v[0] ^= word
    v[2] ^= 0xEE
    rounds(4)
    first = v[0] ^ v[1] ^ v[2] ^ v[3]
    v[1] ^= 0xDD
    rounds(4)
    return first.to_bytes(8, "little") + (v[0] ^ v[1] ^ v[2] ^ v[3]).to_bytes(8, "little")
