"""Request targets."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.errors import ProtocolError
from corpproxy.http1 import target as module
from corpproxy.http1.target import Form, Target, parse_target
from tests.http1.wire import request
from tests.support.rows import rows, tabular


def absolute(host: bytes, port: int, path: bytes, scheme: str = "http") -> Target:
    return Target(Form.ABSOLUTE, scheme, host, port, path)


@tabular
class TargetTests(SynchronousTestCase):
    """What each form says."""

    @rows(
        plain=(b"http://b.test/x?y=z", absolute(b"b.test", 80, b"/x?y=z")),
        port=(b"http://b.test:8080/", absolute(b"b.test", 8080, b"/")),
        empty_port=(b"http://b.test:/", absolute(b"b.test", 80, b"/")),
        no_path=(b"http://b.test", absolute(b"b.test", 80, b"/")),
        query_without_path=(b"http://b.test?q", absolute(b"b.test", 80, b"/?q")),
        scheme_case=(b"HTTP://B.Test/", absolute(b"B.Test", 80, b"/")),
        https=(b"https://b.test/", absolute(b"b.test", 443, b"/", "https")),
        ipv6=(b"http://[2001:db8::1]:81/", absolute(b"[2001:db8::1]", 81, b"/")),
        at_in_path=(b"http://b.test/@c", absolute(b"b.test", 80, b"/@c")),
        at_in_query=(b"http://b.test?@c", absolute(b"b.test", 80, b"/?@c")),
        double_slash=(b"http://b.test//c", absolute(b"b.test", 80, b"//c")),
        odd_characters=(b'http://b.test/|^{"', absolute(b"b.test", 80, b'/|^{"')),
        percent_host=(b"http://%62.test/", absolute(b"%62.test", 80, b"/")),
    )
    def test_absolute(self, written, expected):
        """A URL names all; Host does not matter beside it."""
        self.assertEqual(parse_target(request(target=written)), expected)

    @rows(
        plain=(b"/x?y", b"b.test", Target(Form.ORIGIN, "http", b"b.test", 80, b"/x?y")),
        port=(b"/", b"b.test:81", Target(Form.ORIGIN, "http", b"b.test", 81, b"/")),
        empty_port=(b"/", b"b.test:", Target(Form.ORIGIN, "http", b"b.test", 80, b"/")),
        double_slash=(b"//c/d", b"b.test", Target(Form.ORIGIN, "http", b"b.test", 80, b"//c/d")),
    )
    def test_origin(self, written, host, expected):
        """A path is asked of the host in Host."""
        self.assertEqual(parse_target(request(target=written, host=host)), expected)

    def test_origin_scheme(self):
        """On a TLS listener a path is asked for over https."""
        self.assertEqual(parse_target(request(), "https")[:4], (Form.ORIGIN, "https", b"a.test", 443))

    @rows(absent=(None,), empty=(b"",))
    def test_origin_1_0(self, host):
        """HTTP/1.0 may name no host; then there is none."""
        head = request(host=host, version=b"1.0")
        self.assertEqual(parse_target(head), Target(Form.ORIGIN, "http", b"", None, b"/"))

    def test_empty_host_beside_url(self):
        """An empty Host is valid where the target has the host."""
        self.assertEqual(parse_target(request(target=b"http://b.test/", host=b"")).host, b"b.test")

    def test_no_host_1_0(self):
        """HTTP/1.0 needs no Host beside a URL."""
        head = request(target=b"http://b.test/", host=None, version=b"1.0")
        self.assertEqual(parse_target(head).host, b"b.test")

    @rows(
        name=(b"b.test:443", (b"b.test", 443)),
        ipv4=(b"192.0.2.1:22", (b"192.0.2.1", 22)),
        ipv6=(b"[::1]:443", (b"[::1]", 443)),
        highest=(b"b:65535", (b"b", 65535)),
    )
    def test_connect(self, written, expected):
        """CONNECT names host and port, whatever Host says."""
        target = parse_target(request(method=b"CONNECT", target=written))
        self.assertEqual(target, Target(Form.AUTHORITY, "", *expected, b""))

    @rows(
        asterisk=(b"*", (Form.ASTERISK, "http", b"a.test", 80, b"*")),
        url_without_path=(b"http://b.test", (Form.ABSOLUTE, "http", b"b.test", 80, b"*")),
        url_with_port=(b"http://b.test:81", (Form.ABSOLUTE, "http", b"b.test", 81, b"*")),
        url_with_path=(b"http://b.test/", (Form.ABSOLUTE, "http", b"b.test", 80, b"/")),
        url_with_query=(b"http://b.test?q", (Form.ABSOLUTE, "http", b"b.test", 80, b"/?q")),
    )
    def test_options(self, written, expected):
        """OPTIONS may ask about the server as a whole (RFC 9112, section 3.2.4)."""
        self.assertEqual(parse_target(request(method=b"OPTIONS", target=written)), expected)

    @rows(
        standard=(b"http://b.test:80/", b"b.test"),
        other=(b"http://b.test:443/", b"b.test:443"),
        tls=(b"https://b.test:443/", b"b.test"),
    )
    def test_authority(self, written, expected):
        """Host is written without the port of the scheme."""
        self.assertEqual(parse_target(request(target=written)).authority, expected)

    def test_authority_of_tunnel(self):
        """A tunnel's authority keeps its port, an unknown host has none."""
        self.assertEqual(parse_target(request(method=b"CONNECT", target=b"b:443")).authority, b"b:443")
        self.assertEqual(Target(Form.ORIGIN, "http", b"", None, b"/").authority, b"")

    def test_remembered_authorities_are_bounded(self):
        """Made-up hosts do not fill memory, and a refused one is not remembered as valid."""
        for number in range(module._Authorities.BOUND + 10):
            parse_target(request(target=b"http://h%d.test/" % number))
        self.assertLessEqual(len(module._authorities), module._Authorities.BOUND)
        for _ in range(2):
            with self.assertRaises(ProtocolError):
                parse_target(request(target=b"http://bad host/".replace(b" ", b'"')))
