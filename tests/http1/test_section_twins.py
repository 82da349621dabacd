"""What is compiled says of a section what Python says of it, and writes the same fields."""

from __future__ import annotations

from importlib import import_module

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy import twins
from corpproxy.http1 import fields as fields_module
from corpproxy.http1 import forward as forward_module
from corpproxy.http1.fields import Fields
from corpproxy.http1.framing import NO_BODY, keeps_alive
from corpproxy.http1.head import RequestHead
from corpproxy.http1.steering import _NEVER_PLAIN, _PLAINLY_ALIVE, _PLAINLY_CLOSING, is_plain
from corpproxy.http1.target import Form, Target
from tests.support.rows import rows, tabular

BROWSER = (
    b"Host: www.example.com\r\nUser-Agent: Mozilla/5.0\r\nAccept: */*;q=0.8\r\n"
    b"Proxy-Authorization: Basic YW1pcjpzZWNyZXQ=\r\nX-Forwarded-For: 10.0.0.1\r\n"
    b"Connection: keep-alive\r\nCookie: a=1; b=\xc3\xa9"
)
NAMES = (
    "Host host HOST Connection connection TE Upgrade Expect Content-Length Authorization Proxy-Authorization "
    "X-Forwarded-For Forwarded Keep-Alive Cookie A a X-Empty Hosts Hos Max-Forwards Transfer-Encoding"
).split()
VALUES = (
    "",
    " ",
    " keep-alive",
    " Keep-Alive",
    "keep-alive",
    " close",
    " a.b\t ",
    "\t",
    ": :",
    " NTLM x",
    "\xe9",
)
LINES = st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)).map(":".join)
SECTIONS = st.lists(LINES, max_size=9).map(lambda lines: "\r\n".join(lines).encode("latin-1"))


def head_of(section: bytes) -> RequestHead:
    """A head with this section, which nobody has looked at yet."""
    return RequestHead(b"GET", b"http://a.example/", 11, Fields(section), 100)


@tabular
class SectionTwinsTests(SynchronousTestCase):
    """``native/section.c`` beside Python."""

    def setUp(self) -> None:
        self.compiled = import_module("corpproxy._section")
        self.patch(twins, "section", None)
        self.patch(fields_module, "_value", None)

    def surely(self, section: bytes) -> int:
        """What the compiled part says of a section."""
        surely: int = self.compiled.is_plain(section, _NEVER_PLAIN, _PLAINLY_ALIVE, _PLAINLY_CLOSING)
        return surely

    def forward(self, section: bytes, host: bytes, via: bytes | None) -> bytes:
        """The fields as the compiled part writes them."""
        self.patch(twins, "section", self.compiled)
        written = forward_module._plain_fields(head_of(section), host, via)
        self.patch(twins, "section", None)
        return written

    @given(SECTIONS, st.sampled_from(NAMES))
    @example(b"", "Host")
    @settings(max_examples=300)
    def test_value(self, section, name):
        """The value of a field, wherever it stands and however often."""
        wanted = name.lower().encode()
        self.assertEqual(self.compiled.value(section, wanted), Fields(section).get(wanted))

    @given(SECTIONS)
    @settings(max_examples=300)
    def test_plain(self, section):
        """What it calls plain is plain, and is written as in Python, with another Host and with none."""
        surely = self.surely(section)
        if not surely:
            return
        head = head_of(section)
        self.assertTrue(is_plain(head))
        self.assertIs(head.fields.outline.closes, surely == self.compiled.CLOSES)
        self.assertIs(keeps_alive(head), surely == self.compiled.STAYS)
        for host in (b"a.example", b"www.example.com:8080"):
            for via in (None, b"corpproxy"):
                expected = forward_module._request_fields(head, host, NO_BODY, via, None, False, True, None)
                self.assertEqual(self.forward(section, host, via), expected)

    @rows(
        browser=(BROWSER, "STAYS"),
        nothing=(b"", "STAYS"),
        repeated=(b"A: 1\r\na: 2", ""),
        closes=(b"Host: a\r\nConnection: close", "CLOSES"),
        closes_and_more=(b"Host: a\r\nConnection: close, X-A", ""),
        says_both=(b"Connection: close\r\nHost: a\r\nConnection: keep-alive", ""),
        uploads=(b"Host: a\r\nContent-Length: 3", ""),
        signs_in=(b"Host: a\r\nAuthorization: Negotiate x", ""),
        many=(b"\r\n".join(b"A%d: 1" % number for number in range(41)), ""),
        as_many=(b"\r\n".join(b"A%d: 1" % number for number in range(40)), "STAYS"),
    )
    def test_is_plain(self, section, expected):
        """What it says for sure; all else is left to Python."""
        self.assertEqual(self.surely(section), getattr(self.compiled, expected) if expected else 0)

    def test_whole(self):
        """The whole request is the one that Python writes; a head that is not plain is left to that."""
        head = head_of(BROWSER)
        target = Target(Form.ABSOLUTE, "http", b"a.example", 80, b"/x?y")
        self.patch(twins, "section", self.compiled)
        self.assertIsNone(forward_module.forward_plain(head, target.path, b"a.example", b"corpproxy"))
        self.assertTrue(is_plain(head))
        for via in (b"corpproxy", None):
            written = forward_module.forward_plain(head, target.path, b"a.example", via)
            self.patch(twins, "section", None)
            expected = forward_module.forward_request(head, target, host=b"a.example", via=via)
            self.patch(twins, "section", self.compiled)
            self.assertEqual(written, expected)

    def test_browser(self):
        """A browser's section: what is for the proxy stays here, Host is ours, Via is added."""
        written = self.forward(BROWSER, b"example.com", b"corpproxy")
        self.assertEqual(
            written,
            b"\r\nHost: example.com\r\nUser-Agent: Mozilla/5.0\r\nAccept: */*;q=0.8\r\n"
            b"Cookie: a=1; b=\xc3\xa9\r\nVia: 1.1 corpproxy\r\n\r\n",
        )

    def test_wrong_kinds(self):
        """What is no section is no accident."""
        for call in (
            lambda: self.compiled.value("text", b"a"),
            lambda: self.compiled.value(b"a: b"),
            lambda: self.compiled.is_plain(b"", [b"a"], (), ()),
            lambda: self.compiled.is_plain(b"", ("a",), (), ()),
            lambda: self.compiled.is_plain(b"", (), (), (None,)),
            lambda: self.compiled.is_plain(b"", (), ()),
            lambda: self.compiled.forward(b"GET", b"/", b"", (), b"a", None),
            lambda: self.compiled.forward(b"GET", b"/", b"", (), b"a", "via", 11),
            lambda: self.compiled.forward(b"GET", b"/", b"", (), b"a", None, "11"),
        ):
            self.assertRaises(TypeError, call)

    def test_used(self):
        """It is asked where it is there: no line is taken off a section that came for the first time."""
        self.patch(twins, "section", self.compiled)
        self.patch(fields_module, "_value", self.compiled.value)
        head = head_of(BROWSER)
        self.assertTrue(is_plain(head))
        self.assertEqual(head.fields.get(b"host"), b"www.example.com")
        self.assertIsNone(head.fields.get(b"range"))
        self.assertIsNone(head.fields._index)
