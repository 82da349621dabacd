"""The admin listener: who is served, what there is, and that nothing leaks."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.task import Clock
from twisted.internet.testing import EventLoggingObserver, StringTransport
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.admin.page import span
from corpproxy.admin.site import admin_site
from corpproxy.admin.telemetry import Telemetry
from tests.support.rows import rows, tabular

LOOPBACK = IPv4Address("TCP", "127.0.0.1", 8081)
OFFICE = IPv4Address("TCP", "10.0.0.1", 8081)
TOKEN = "correct-horse-battery"
BEARER = f"Authorization: Bearer {TOKEN}"


class Wire(StringTransport):
    """A connection in memory, as HTTP wants it."""

    def loseConnection(self):
        self.disconnecting = True


class SiteCase(SynchronousTestCase):
    """Requests to an admin site, in memory."""

    token: str | None = None

    def setUp(self):
        self.clock = Clock()
        self.telemetry = Telemetry(self.clock.seconds)
        self.reasons = []
        self.site = admin_site(
            self.telemetry,
            self.token,
            site="Hillside <School>",
            reasons=lambda: self.reasons,
            reactor=Clock(),
        )

    def ask(self, request, *fields, at=LOOPBACK, content=b""):
        """Send a request; give status, fields by lower-case name, and content."""
        octets = "\r\n".join([f"{request} HTTP/1.1", *fields, "Connection: close", "", ""]).encode("latin-1")
        return self.answer(octets + content, at)

    def answer(self, octets, at=LOOPBACK):
        protocol = self.site.buildProtocol(None)
        wire = Wire(hostAddress=at)
        protocol.makeConnection(wire)
        protocol.dataReceived(octets)
        head, _, content = wire.value().partition(b"\r\n\r\n")
        start, *lines = head.decode("latin-1").split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in lines)
        return int(start.split()[1]) if start else 0, fields, content.decode()


@tabular
class PageTests(SiteCase):
    """What there is to see on a loopback listener."""

    def test_health(self):
        """While the process is alive it says so."""
        status, fields, content = self.ask("GET /health", "Host: localhost:8081")
        self.assertEqual((status, content), (200, "alive\n"))
        self.assertEqual(fields["content-type"], "text/plain; charset=utf-8")

    def test_ready(self):
        """A proxy that can work is ready, and the metric says the same."""
        self.assertEqual(self.ask("GET /ready", "Host: localhost")[::2], (200, "ready\n"))
        self.assertIn("corpproxy_ready 1.0\n", self.ask("GET /metrics", "Host: localhost")[2])

    def test_not_ready(self):
        """A proxy that cannot work says why, each reason on a line."""
        self.reasons = ["records cannot be written: disk full", "list ut1 is missing"]
        status, _, content = self.ask("GET /ready", "Host: localhost")
        self.assertEqual(status, 503)
        self.assertEqual(content.splitlines(), ["not ready:", *self.reasons])
        self.assertIn("corpproxy_ready 0.0\n", self.ask("GET /metrics", "Host: localhost")[2])

    def test_readiness_unknown(self):
        """A fault while readiness is told counts as not ready, and is in the log."""
        site = admin_site(Telemetry(), None, reasons=lambda: 1 / 0, reactor=Clock())
        self.site = site
        self.assertEqual(self.ask("GET /ready", "Host: localhost")[0], 503)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_metrics(self):
        """Metrics come as Prometheus reads them."""
        status, fields, content = self.ask("GET /metrics", "Host: localhost")
        self.assertEqual(status, 200)
        self.assertTrue(fields["content-type"].startswith("text/plain; version="))
        self.assertIn("# TYPE corpproxy_exchanges_total counter\n", content)

    def test_page(self):
        """The page for people names the site, escaped, its state and what is measured."""
        self.telemetry.measure("corpproxy_list_age_seconds", lambda: {"<ut1>": 90_061})
        self.telemetry.measure("corpproxy_open_connections", lambda: 12)
        self.reasons = ["<b>disk</b> full"]
        self.clock.advance(7260)
        status, fields, content = self.ask("GET /", "Host: localhost")
        self.assertEqual((status, fields["content-type"]), (200, "text/html; charset=utf-8"))
        for text in (
            "Hillside &lt;School&gt;",
            "&lt;ut1&gt;",
            "1 d 1 h",
            "<td>12</td>",
            "&lt;b&gt;disk",
            "/metrics",
        ):
            self.assertIn(text, content)
        self.assertNotIn("<b>disk", content)

    @rows(page=("/",), health=("/health",), metrics=("/metrics",), missing=("/secret",))
    def test_fields(self, path):
        """Every answer is kept nowhere, sniffed by nobody, framed by nobody, and names no software."""
        _, fields, _ = self.ask(f"GET {path}", "Host: localhost")
        self.assertEqual(fields["cache-control"], "no-store")
        self.assertEqual(fields["x-content-type-options"], "nosniff")
        self.assertIn("default-src 'none'", fields["content-security-policy"])
        self.assertIn("frame-ancestors 'none'", fields["content-security-policy"])
        self.assertNotIn("server", fields)

    def test_head(self):
        """HEAD is GET without the content."""
        status, fields, content = self.ask("HEAD /health", "Host: localhost")
        self.assertEqual((status, fields["content-length"], content), (200, "6", ""))

    @rows(post=("POST",), delete=("DELETE",), odd=("BREW",))
    def test_methods(self, method):
        """Nothing can be changed here: other methods are refused."""
        status, fields, _ = self.ask(f"{method} /health", "Host: localhost", "Content-Length: 0")
        self.assertEqual((status, fields["allow"]), (405, "get, head"))

    @rows(other=("/secret",), below=("/health/",), dots=("/../health",), double=("//health",))
    def test_missing(self, path):
        """What is not there is 404, and the answer says what is."""
        status, _, content = self.ask(f"GET {path}", "Host: localhost")
        self.assertEqual(status, 404)
        self.assertIn("/metrics", content)

    def test_query(self):
        """A query changes nothing."""
        self.assertEqual(self.ask("GET /health?x=1", "Host: localhost")[0], 200)

    def test_content(self):
        """Content that a client sends is thrown away."""
        more = ("Host: localhost", "Content-Length: 200000")
        status, *_ = self.ask("POST /health", *more, content=b"x" * 200_000)
        self.assertEqual(status, 405)

    @rows(
        days=(90_061, "1 d 1 h"),
        minutes=(62, "1 min 2 s"),
        none=(0, "0 s"),
        before=(-5, "0 s"),
        hour=(3600, "1 h"),
    )
    def test_span(self, seconds, expected):
        """Spans of time are told in their two greatest units."""
        self.assertEqual(span(seconds), expected)


@tabular
class LoopbackTests(SiteCase):
    """Without a token only loopback is served."""

    @rows(
        localhost=(LOOPBACK, "localhost:8081", 200),
        address=(LOOPBACK, "127.0.0.1:8081", 200),
        six=(IPv6Address("TCP", "::1", 8081), "[::1]:8081", 200),
        office=(OFFICE, "10.0.0.1:8081", 403),
        office_as_localhost=(OFFICE, "localhost", 403),
        rebound=(LOOPBACK, "evil.example", 403),
        near_miss=(LOOPBACK, "localhost.evil.example", 403),
    )
    def test_served(self, at, host, status):
        """A listener that others can reach, or a page elsewhere that gets at ours, is refused."""
        self.assertEqual(self.ask("GET /health", f"Host: {host}", at=at)[0], status)


@tabular
class TokenTests(SiteCase):
    """With a token whoever shows it is served, wherever it comes from."""

    token = TOKEN

    @rows(
        right=([BEARER], 200),
        lower_case=([BEARER.replace("Bearer", "bearer")], 200),
        none=([], 401),
        empty=(["Authorization: Bearer "], 401),
        wrong=([BEARER + "x"], 401),
        shorter=([BEARER[:-1]], 401),
        other_case=([BEARER.upper()], 401),
        other_scheme=([BEARER.replace("Bearer", "Basic")], 401),
        token_alone=([f"Authorization: {TOKEN}"], 401),
        twice=([BEARER, BEARER], 401),
        in_query=([], 401),
    )
    def test_token(self, fields, status):
        """Exactly the token opens the page."""
        for at in (OFFICE, LOOPBACK):
            answer = self.ask(f"GET /metrics?token={TOKEN}", "Host: proxy.example", *fields, at=at)
            self.assertEqual(answer[0], status)
            self.assertEqual("www-authenticate" in answer[1], status == 401)

    def test_nothing_without(self):
        """Without the token nobody learns which pages there are."""
        answers = {self.ask(f"GET {path}", "Host: x")[::2] for path in ("/", "/health", "/ready", "/none")}
        self.assertEqual(len(answers), 1)

    def test_not_logged(self):
        """Neither the token nor the requests are in the log."""
        observer = EventLoggingObserver.createWithCleanup(self, globalLogPublisher)
        self.ask("GET /health", "Host: x", BEARER)
        self.ask("GET /health", "Host: x", "Authorization: Bearer guess")
        self.assertEqual([event for event in observer if "health" in str(event) or TOKEN in str(event)], [])


class AnyOctetsTests(SiteCase):
    """Whatever is sent, the answer is not a fault of ours."""

    @settings(max_examples=80, deadline=None)
    @given(st.binary(max_size=80), st.binary(max_size=40))
    def test_any_octets(self, start, field):
        """Any octets get no answer yet, or one that is no 500."""
        octets = b"GET /" + start.replace(b"\n", b"") + b" HTTP/1.1\r\nHost: " + field + b"\r\n\r\n"
        for request in (octets, start + b"\r\n\r\n"):
            status, *_ = self.answer(request)
            self.assertIn(status, {0, 200, 400, 403, 404, 405})
