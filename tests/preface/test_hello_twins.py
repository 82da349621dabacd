"""The compiled reader of server names and its twin in Python say the same of the same octets."""

from __future__ import annotations

import random
from collections.abc import Callable
from importlib import import_module

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy import twins
from corpproxy.preface import client_hello
from corpproxy.preface.client_hello import quick_in_python
from tests.preface.hellos import extension, handshake, message, real_hello, record, server_names
from tests.support.examples import EXAMPLES
from tests.support.rows import rows, tabular

LABEL = b"l" * 63
NAMES = (b"a.test", b"A.Test", b"a", b"_a-.b", b"a.test.", b".a", b"a..b", LABEL + b"l", b"a b", b"\xe9", b"")
HELLOS = [
    real_hello("www.Example.com"),
    real_hello(None),
    *(record(handshake(message(server_names(name)))) for name in NAMES),
    record(handshake(message(server_names(b".".join([LABEL] * 3 + [b"l" * 61]))))),
    record(handshake(message(server_names(b".".join([LABEL] * 4))))),
    record(handshake(message(server_names(b"a.test", b"b.test")))),
    record(handshake(message(server_names(b"a.test", kind=1)))),
    record(handshake(message(server_names(b"a.test") * 2))),
    record(handshake(message(extension(16, b"x") * 2))),
    record(handshake(message(b"".join(extension(kind, b"") for kind in range(1, 4_000))))),
    record(handshake(message(None))),
    record(handshake(message(b"", session=bytes(33)))),
    record(handshake(message(b"", suites=b""))),
    record(handshake(message(b"", suites=b"\x13"))),
    record(handshake(message(b"", compression=b""))),
    record(handshake(message(extension(21, bytes(17_000))))),
]


def said(read: Callable[[bytes], str | None], octets: bytes) -> object:
    """What one of the twins says of octets."""
    try:
        return read(octets)
    except LookupError:
        return "something else"


def damaged(rng: random.Random, hello: bytes) -> bytes:
    """A hello with a few octets that are others, or that are there twice or not at all."""
    octets = bytearray(hello)
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(octets) + 1)
        how = rng.randrange(4)
        if how == 0:
            octets[at : at + 1] = bytes([rng.randrange(256)])
        elif how == 1:
            del octets[at : at + rng.randrange(1, 5)]
        elif how == 2:
            octets[at:at] = octets[at : at + rng.randrange(1, 9)]
        elif at < len(octets):
            octets[at] = (octets[at] + rng.choice((-1, 1))) & 255
    return bytes(octets)


@tabular
class HelloTwinsTests(SynchronousTestCase):
    """Both see the same octets."""

    def setUp(self) -> None:
        self.compiled = import_module("corpproxy._preface").quick_server_name

    def same(self, octets: bytes) -> object:
        found = said(self.compiled, octets)
        self.assertEqual(found, said(quick_in_python, octets), octets.hex())
        return found

    def test_used(self) -> None:
        """The compiled one is used where it is there, and not switched off."""
        expected = quick_in_python if twins.preface is None else self.compiled
        self.assertIs(client_hello.quick_server_name, expected)

    @rows(
        named=("www.Example.com", "www.example.com"),
        unnamed=(None, None),
        idna=("b\xfccher.example", "xn--bcher-kva.example"),
    )
    def test_real(self, name, expected):
        """The hello of a real client is read by both."""
        self.assertEqual(self.same(real_hello(name)), expected)

    def test_each(self) -> None:
        """Whole and cut at any place, with octets behind, and in other hands."""
        for hello in HELLOS:
            self.same(hello)
            self.same(hello + b"\0")
            for at in range(min(len(hello), 600)):
                self.same(hello[:at])
        self.assertRaises(LookupError, self.compiled, bytearray(HELLOS[0]))
        self.assertRaises(LookupError, self.compiled, None)

    @EXAMPLES
    @given(st.sampled_from(HELLOS), st.integers(min_value=0))
    def test_damaged(self, hello: bytes, seed: int) -> None:
        """Whatever is wrong with a hello, both see it or neither does."""
        rng = random.Random(seed)
        for _ in range(5):
            self.same(damaged(rng, hello))

    @EXAMPLES
    @given(st.binary(max_size=400))
    def test_anything(self, octets: bytes) -> None:
        """Any octets give the same, as a stream, as a message and as extensions."""
        self.same(octets)
        self.same(record(octets))
        self.same(record(handshake(octets)))
        self.same(record(handshake(message(octets))))
        self.same(record(handshake(message(extension(0, octets)))))
