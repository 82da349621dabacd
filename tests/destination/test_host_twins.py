"""What is compiled brings a host to the form that Python brings it to, or leaves it to Python."""

from __future__ import annotations

from importlib import import_module

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.destination.host import MAX_NAME, ordinary_in_python
from corpproxy.destination.model import Host
from tests.support.rows import rows, tabular

LABELS = st.one_of(
    st.sampled_from(
        ["a", "WWW", "example", "com", "xn--a", "XN--A", "xn-", "1", "0x1f", "0xg", "0x", "a_b", "-", "", "é"]
    ),
    st.text(st.characters(max_codepoint=255), max_size=3),
    st.sampled_from(["a" * 63, "a" * 64]),
)
NAMES = st.lists(LABELS, max_size=6).map(lambda labels: ".".join(labels).encode("latin-1"))


@tabular
class HostTwinsTests(SynchronousTestCase):
    """``native/target.c`` beside Python."""

    def setUp(self) -> None:
        self.compiled = import_module("corpproxy._section")
        self.compiled.set_host(Host)

    @given(st.one_of(NAMES, st.binary(max_size=20)))
    @example(b"a" * 63 + b"." + b"b" * 63 + b"." + b"c" * 63 + b"." + b"d" * 61)
    @example(b"a" * 63 + b"." + b"b" * 63 + b"." + b"c" * 63 + b"." + b"d" * 62)
    @settings(max_examples=1000)
    def test_agree(self, written):
        """Whatever is written, sound or damaged: the same host, or none."""
        self.assertEqual(self.compiled.host(written), ordinary_in_python(written))

    @rows(
        name=(b"WWW.Example.com", Host("www.example.com")),
        label=(b"intranet", Host("intranet")),
        hyphens=(b"-some_blog-.test", Host("-some_blog-.test")),
        digits_first=(b"1e100.net", Host("1e100.net")),
        hexadecimal_first=(b"0xabc.com", Host("0xabc.com")),
        address=(b"10.0.0.1", None),
        hexadecimal=(b"a.0x1f", None),
        a_label=(b"xn--mnchen-3ya.de", None),
        last_a_label=(b"example.XN--p1ai", None),
        trailing_dot=(b"a.test.", None),
        two_dots=(b"a..test", None),
        nothing=(b"", None),
        long_label=(b"a" * 64 + b".test", None),
        octet_0=(b"a\0.test", None),
        ipv6=(b"[::1]", None),
    )
    def test_host(self, written, expected):
        """Names of plain labels are taken; what has to be looked at is left to Python."""
        self.assertEqual(self.compiled.host(written), expected)
        self.assertEqual(ordinary_in_python(written), expected)

    def test_longest(self):
        """A name has 253 characters at most."""
        longest = (b"a." * MAX_NAME)[:MAX_NAME]
        self.assertEqual(len(self.compiled.host(longest).name), MAX_NAME)
        self.assertIsNone(self.compiled.host(b"a" + longest))

    def test_whole(self):
        """It is a host as Python makes it: frozen, equal, with the same hash."""
        host = self.compiled.host(b"A.test")
        self.assertIs(type(host), Host)
        self.assertIsNone(host.address)
        self.assertEqual(hash(host), hash(Host("a.test")))
        self.assertRaises(AttributeError, setattr, host, "name", "b.test")

    def test_wrong_kinds(self):
        """What is no host is no accident."""
        self.assertRaises(TypeError, self.compiled.host, "a.test")
        self.assertRaises(TypeError, self.compiled.set_host, None)
        self.assertRaises((TypeError, AttributeError), self.compiled.set_host, int)
