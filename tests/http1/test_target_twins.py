"""What is compiled says of a target what Python says of it, or leaves it to Python."""

from __future__ import annotations

from importlib import import_module

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy import twins
from corpproxy.errors import ProtocolError
from corpproxy.http1 import target as module
from corpproxy.http1.fields import Fields
from corpproxy.http1.head import RequestHead
from corpproxy.http1.target import Form, Target, parse_target
from tests.support.rows import rows, tabular

PLAIN = "a.test WWW.Example.COM b c_d.e 10.0.0.1 0x7f.1 a.test. -a-".split()
ODD = "[::1] [::1 %62.test u@a.test a,b a;b 'x' é".split()
HOSTS = st.sampled_from([*PLAIN, *ODD, "", " ", "a b", "a" * 300])
PORTS = st.sampled_from(
    ["", "", ":80", ":443", ":", ":0", ":00080", ":65535", ":65536", ":123456", ":x", ":8 0", "::1"]
)
AUTHORITIES = st.tuples(HOSTS, PORTS).map("".join)
SCHEMES = st.sampled_from(
    ["http://", "http://", "HTTP://", "https://", "ftp://", "http:/", "//", "", "http:", "1http://"]
)
PATHS = st.sampled_from(
    ["/", "/x?y=z", "", "?q", "//c", "/@c", "/é", "/a b", "/\x7f", "/a:b", "#", '/|^{"', "*"]
)
DAMAGES = st.one_of(st.just(""), st.text(st.characters(max_codepoint=255), max_size=2))
TARGETS = st.one_of(
    st.tuples(SCHEMES, AUTHORITIES, PATHS, DAMAGES).map("".join), AUTHORITIES, PATHS, st.text(max_size=12)
).map(lambda text: text.encode("latin-1", "replace"))
BESIDE = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["Host", "host", "HOST", "Hosts", "Hos"]), AUTHORITIES).map(": ".join),
        st.sampled_from(["Accept: */*", "Host:a.test", "Host: \ta.test \t", "X-Host: a.test"]),
    ),
    max_size=3,
).map(lambda lines: "\r\n".join(lines).encode("latin-1"))
ORDINARY = b"Host: a.test\r\nAccept: */*"


@tabular
class TargetTwinsTests(SynchronousTestCase):
    """``native/target.c`` beside Python."""

    def setUp(self) -> None:
        self.compiled = import_module("corpproxy._section")
        self.compiled.set_target(Target, Form.ABSOLUTE, Form.AUTHORITY)
        self.patch(twins, "section", None)

    def in_python(self, method: bytes, target: bytes, section: bytes) -> Target | str:
        """What Python makes of it, or the code of its refusal."""
        try:
            return parse_target(RequestHead(method, target, 11, Fields(section), 100))
        except ProtocolError as refused:
            return refused.code

    @given(st.sampled_from([b"GET", b"CONNECT", b"OPTIONS", b"CONNECTS"]), TARGETS, BESIDE)
    @example(b"GET", b"http://a.test/", ORDINARY)
    @example(b"CONNECT", b"a.test:443", b"Host: a.test:443")
    @settings(max_examples=1000)
    def test_agree(self, method, target, section):
        """Whatever is asked, sound or damaged: what it takes, Python takes with the same outcome."""
        found = self.compiled.target(method, target, section)
        if found is not None:
            expected = self.in_python(method, target, section)
            self.assertEqual((type(found), found), (Target, expected))
            self.assertEqual([type(one) for one in found], [type(one) for one in expected])

    @rows(
        plain=(b"GET", b"http://a.test/x?y", (Form.ABSOLUTE, "http", b"a.test", 80, b"/x?y")),
        port=(b"POST", b"http://A.test:8080/", (Form.ABSOLUTE, "http", b"A.test", 8080, b"/")),
        empty_port=(b"GET", b"http://a.test:/", (Form.ABSOLUTE, "http", b"a.test", 80, b"/")),
        tunnel=(b"CONNECT", b"a.test:443", (Form.AUTHORITY, "", b"a.test", 443, b"")),
    )
    def test_taken(self, method, target, expected):
        """What nearly all requests ask for is read at one go."""
        self.assertEqual(self.compiled.target(method, target, ORDINARY), expected)

    @rows(
        user=(b"GET", b"http://amir@a.test/", ORDINARY),
        no_path=(b"GET", b"http://a.test", ORDINARY),
        origin=(b"GET", b"/x", ORDINARY),
        tls=(b"GET", b"https://a.test/", ORDINARY),
        ipv6=(b"GET", b"http://[::1]/", ORDINARY),
        port_0=(b"CONNECT", b"a.test:0", ORDINARY),
        no_port=(b"CONNECT", b"a.test", ORDINARY),
        no_host=(b"GET", b"http://a.test/", b"Accept: */*"),
        two_hosts=(b"GET", b"http://a.test/", b"Host: a.test\r\nhost: a.test"),
        bad_host=(b"GET", b"http://a.test/", b"Host: a b"),
        empty_host=(b"GET", b"http://a.test/", b"Host: "),
        nothing=(b"GET", b"http://a.test/", b""),
    )
    def test_left(self, method, target, section):
        """All else is left to Python, which says what is wrong if anything is."""
        self.assertIsNone(self.compiled.target(method, target, section))

    def test_wrong_kinds(self):
        """What is no target is no accident."""
        for call in (
            lambda: self.compiled.target("GET", b"/", b""),
            lambda: self.compiled.target(b"GET", b"/"),
            lambda: self.compiled.set_target(dict, None, None),
            lambda: self.compiled.set_target(Target),
        ):
            self.assertRaises(TypeError, call)

    def test_used(self):
        """It is asked where it is there, and nothing is remembered of an authority that it read."""
        self.patch(twins, "section", self.compiled)
        head = RequestHead(b"GET", b"http://never-seen.test/", 11, Fields(ORDINARY), 100)
        self.assertEqual(parse_target(head).host, b"never-seen.test")
        self.assertNotIn(b"never-seen.test", module._authorities)
