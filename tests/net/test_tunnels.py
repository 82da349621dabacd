"""Tunnels: opened, looked into, and carried until both sides have ended."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.results import Kind, ResultCode
from corpproxy.exchange.limits import Timeouts
from corpproxy.policy.model import Effect, Safety, TunnelContent
from tests.preface.hellos import real_hello
from tests.support.builders import domain, request, response, rule
from tests.support.feeding import portions
from tests.support.rows import rows, tabular
from tests.support.wires import Site

CONNECT = request(b"CONNECT", b"www.example.com:443")
HELLO = real_hello("www.example.com")
OTHER_HELLO = real_hello("evil.example")
OPENED = b"HTTP/1.1 200 Connection established\r\n\r\n"
ANYTHING = rule(
    "anything", Effect.ALLOW, what=domain("www.example.com"), safety=Safety(tunnel_content=TunnelContent.ANY)
)
WEBSOCKET = (
    b"GET /chat HTTP/1.1\r\nHost: %b\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class TunnelCase(SynchronousTestCase):
    """A tunnel that is open."""

    def open(self, *rules, **more):
        self.site = Site(*rules, **more)
        self.client = self.site.client()
        self.client.send(CONNECT)
        self.server = self.site.server()
        self.assertEqual(self.client.take(), OPENED)

    def open_any(self, **more):
        """A tunnel whose first octets nobody looks at."""
        self.open(ANYTHING, **more)

    @property
    def record(self):
        return self.site.record

    def counted(self):
        """The octets of the record."""
        one = self.record
        return one.received, one.sent, one.up_sent, one.up_received


@tabular
class CarriedTests(TunnelCase):
    """Octets both ways."""

    def test_both_ways(self):
        """TLS with the right name passes untouched, and everything after it."""
        self.open()
        self.client.send(HELLO)
        self.assertEqual(self.server.take(), HELLO)
        self.server.send(b"server hello")
        self.assertEqual(self.client.take(), b"server hello")
        self.client.send(b"more")
        self.assertEqual(self.server.take(), b"more")
        self.client.end()
        self.assertTrue(self.server.ended)
        self.server.end()
        self.assertEqual((self.record.result, self.record.status), (ResultCode.TUNNELLED, 200))
        self.assertEqual(self.record.server_name, "www.example.com")
        self.assertEqual(self.counted(), (len(CONNECT + HELLO) + 4, len(OPENED) + 12, len(HELLO) + 4, 12))
        self.assertTrue(self.client.closed and self.server.closed)

    def test_opening_and_closing(self):
        """A tunnel has two records with one id."""
        self.open_any()
        self.client.end()
        self.server.end()
        self.site.settle()
        kinds = [(one.kind, one.id) for one in self.site.writer.records]
        self.assertEqual([kind for kind, _ in kinds], [Kind.OPENING, Kind.CLOSING])
        self.assertEqual(len({name for _, name in kinds}), 1)

    def test_sent_ahead(self):
        """Octets right behind the CONNECT head are not lost, however they are cut."""
        for pieces in portions(CONNECT + b"ahead"):
            site = Site(ANYTHING)
            client = site.client()
            for piece in pieces:
                client.send(piece)
            server = site.server()
            self.assertEqual(server.take(), b"ahead")

    def test_hello_ahead(self):
        """A ClientHello that comes with the CONNECT is looked at once the tunnel stands."""
        site = Site()
        client = site.client()
        client.send(CONNECT + HELLO)
        server = site.server()
        self.assertEqual((client.take(), server.take()), (OPENED, HELLO))

    def test_hello_in_pieces(self):
        """Nothing reaches the server before it is known what it is."""
        self.open()
        for octet in HELLO[:-1]:
            self.client.send(bytes([octet]))
        self.assertEqual(self.server.take(), b"")
        self.client.send(HELLO[-1:])
        self.assertEqual(self.server.take(), HELLO)

    def test_server_speaks_first(self):
        """What the server says before the client waits for the first octets, and comes after them."""
        self.open()
        self.server.send(b"early")
        self.client.send(HELLO)
        self.site.settle()
        self.assertEqual(self.client.take(), b"early")

    @rows(client_first=("client", "server"), server_first=("server", "client"))
    def test_half_close(self, first, second):
        """Who has ended its side still gets the answer of the other."""
        self.open_any()
        one, other = getattr(self, first), getattr(self, second)
        one.send(b"question")
        one.end()
        self.assertEqual(other.take(), b"question")
        self.assertTrue(other.ended)
        self.assertFalse(other.closed)
        other.send(b"answer")
        self.assertEqual(one.take(), b"answer")
        other.end()
        self.assertEqual(self.record.result, ResultCode.TUNNELLED)
        self.assertFalse(one.reset or other.reset)
        self.assertTrue(one.closed and other.closed)

    def test_half_close_told_again(self):
        """A reactor that tells of the same end twice ends nothing twice."""
        self.open_any()
        self.client.end()
        self.client.end()
        self.server.send(b"answer")
        self.assertEqual(self.client.take(), b"answer")

    @rows(
        client=("client", "server", ResultCode.CLIENT_GONE, "client-gone"),
        server=("server", "client", ResultCode.UPSTREAM_FAILED, "tunnel-reset"),
    )
    def test_reset(self, first, second, result, failure):
        """A reset arrives as a reset."""
        self.open_any()
        getattr(self, first).break_off()
        self.site.settle()
        self.assertTrue(getattr(self, second).reset)
        self.assertEqual((self.record.result, self.record.failure), (result, failure))

    def test_left_without_the_rest(self):
        """A client that had ended its side and does not wait for the rest has had its tunnel."""
        self.open_any()
        self.client.end()
        self.client.break_off()
        self.site.settle()
        self.assertEqual(self.record.result, ResultCode.TUNNELLED)
        self.assertTrue(self.server.reset)

    def test_idle(self):
        """A tunnel on which nothing moves is ended."""
        self.open_any(timeouts=Timeouts(tunnel_idle=20))
        for _ in range(3):
            self.site.wait(15)
            self.server.send(b"x")
        self.site.wait(15)
        self.assertFalse(self.client.closed)
        self.site.wait(8)
        self.assertEqual((self.record.result, self.record.failure), (ResultCode.TIMED_OUT, "tunnel-idle"))
        self.assertTrue(self.client.closed and self.server.closed)

    def test_lifetime(self):
        """However much moves, a tunnel lives so long and no longer."""
        self.open_any(timeouts=Timeouts(tunnel_life=50))
        for _ in range(6):
            self.site.wait(10)
            self.client.send(b"x")
        self.assertEqual((self.record.result, self.record.failure), (ResultCode.ENDED, "tunnel-life"))

    def test_stopped(self):
        """A tunnel ends with the service, and is recorded."""
        self.open_any()
        self.client.protocol.stop_now()
        self.assertEqual((self.record.result, self.record.failure), (ResultCode.ENDED, "stopping"))
        self.assertTrue(self.server.reset)

    def test_slow_client(self):
        """A client that does not read holds the server; memory stays bounded."""
        self.open_any()
        self.client.reads = False
        for _ in range(100):
            self.server.send(b"x" * 10_000)
        self.assertLess(len(self.client.unread), 100_000)
        self.assertTrue(self.server.paused)
        self.client.send(b"the other way goes on")
        self.assertEqual(self.server.take(), b"the other way goes on")
        self.client.read()
        self.site.settle()
        self.client.read()
        self.client.end()
        self.server.end()
        self.assertEqual(self.record.up_received, 1_000_000)
        self.assertEqual(self.record.sent, len(OPENED) + 1_000_000)

    def test_slow_server(self):
        """And the other way round, with an end behind all of it."""
        self.open_any()
        self.server.reads = False
        for _ in range(100):
            self.client.send(b"x" * 10_000)
        self.client.end()
        self.assertTrue(self.client.paused)
        self.assertLess(len(self.server.unread), 100_000)
        self.assertFalse(self.server.ended)
        got = 0
        for _ in range(30):
            got += len(self.server.read())
            self.site.settle()
        got += len(self.server.read())
        self.assertEqual(got, 1_000_000)
        self.assertTrue(self.server.ended)
        self.server.send(b"thanks")
        self.assertEqual(self.client.take(), b"thanks")

    def test_full_and_ended(self):
        """Both sides end while one has not read yet: it gets everything, or is cut off in the end."""
        for patient in (True, False):
            self.open_any()
            self.client.reads = False
            self.server.send(b"x" * 200_000)
            self.client.end()
            self.server.end()
            if patient:
                self.assertEqual(len(self.client.read()), 200_000)
            self.site.settle()
            self.client.read() if patient else self.site.wait(1000)
            self.site.settle()
            self.assertTrue(self.client.closed)
            self.assertNotEqual(self.client.reset, patient)


@tabular
class FirstOctetsTests(TunnelCase):
    """What a tunnel may begin with, by the safety table."""

    @rows(
        other_name=(OTHER_HELLO, "server-name", "evil.example"),
        no_name=(real_hello(None), "server-name", "no name"),
        ssh=(b"SSH-2.0-OpenSSH_9.6\r\n", "tunnel-content", "neither TLS nor"),
        plain=(request(target=b"/"), "tunnel-content", "WebSocket"),
        websocket_elsewhere=(WEBSOCKET % b"evil.example", "server-name", "evil.example"),
    )
    def test_refused(self, octets, code, said):
        """The tunnel ends before an octet reaches the server, and the record says why."""
        for pieces in portions(octets) if len(octets) < 300 else [[octets]]:
            self.open()
            for piece in pieces:
                self.client.send(piece)
            self.site.settle()
            self.assertEqual(self.server.take(), b"")
            self.assertTrue(self.client.closed and self.server.reset)
            record = self.record
            self.assertEqual((record.result, record.failure), (ResultCode.BLOCKED, code))
            self.assertEqual((record.decision, record.rule), ("block", f"safety: {code}"))
            self.assertEqual(record.place, "policy.yaml:3:1")
            self.assertIn(said, record.reason)

    def test_counted(self):
        """The octets that gave it away are counted."""
        self.open()
        self.client.send(b"SSH-2.0-OpenSSH_9.6\r\n")
        self.assertEqual(self.record.received, len(CONNECT) + 21)

    def test_websocket(self):
        """A WebSocket upgrade to the right host passes."""
        for host in (b"www.example.com", b"WWW.Example.com:443"):
            self.open()
            self.client.send(WEBSOCKET % host)
            self.assertEqual(self.server.take(), WEBSOCKET % host)

    def test_silent(self):
        """A tunnel that says nothing is ended."""
        self.open(timeouts=Timeouts(tunnel_first=10))
        self.client.send(HELLO[:5])
        self.site.wait(12)
        self.assertEqual((self.record.result, self.record.failure), (ResultCode.TIMED_OUT, "tunnel-silent"))
        self.assertTrue(self.client.closed and self.server.reset)
        self.assertEqual(self.record.received, len(CONNECT) + 5)

    @rows(end=("end", ResultCode.BLOCKED), reset=("break_off", ResultCode.CLIENT_GONE))
    def test_leaves(self, leave, result):
        """A client that leaves before it said what it wants."""
        self.open()
        self.client.send(HELLO[:5])
        getattr(self.client, leave)()
        self.assertEqual(self.record.result, result)
        self.assertEqual((self.server.reset, self.site.pool.in_use), (True, 0))

    def test_server_leaves(self):
        """A server that leaves meanwhile ends the tunnel once the client has spoken."""
        self.open()
        self.server.paused = False
        self.server.end()
        self.client.send(HELLO)
        self.site.settle()
        self.assertTrue(self.client.ended)
        self.client.end()
        self.assertEqual(self.record.result, ResultCode.TUNNELLED)


@tabular
class NotOpenedTests(SynchronousTestCase):
    """Tunnels that never stand."""

    @rows(
        port=(b"www.example.com:22", "safety: connect_ports"),
        address=(b"93.184.216.34:443", "safety: connect_to"),
        loopback=(b"[::1]:443", "safety: connect_to"),
    )
    def test_refused(self, target, decided_by):
        """By the safety table: 403, and nothing is dialled."""
        site = Site()
        client = site.client()
        got = client.asks(request(b"CONNECT", target))
        self.assertTrue(got.startswith(b"HTTP/1.1 403 "))
        self.assertEqual((site.record.result, site.record.rule), (ResultCode.BLOCKED, decided_by))
        self.assertEqual(site.dialling, [])

    def test_again_on_the_same_connection(self):
        """After a refused CONNECT the client may try the next."""
        site = Site()
        client = site.client()
        client.asks(request(b"CONNECT", b"www.example.com:22"))
        client.send(CONNECT)
        site.server()
        self.assertEqual(client.take(), OPENED)

    def test_unreachable(self):
        """A server that is out of reach: 502."""
        site = Site()
        client = site.client()
        client.send(CONNECT)
        site.refuse()
        self.assertTrue(client.received.startswith(b"HTTP/1.1 502 "))
        record = site.record
        self.assertEqual(
            (record.result, record.failure, record.phase),
            (ResultCode.UPSTREAM_FAILED, "connect-refused", "connect"),
        )

    def test_client_leaves_while_dialling(self):
        """The attempt is given up."""
        for leave in ("end", "break_off"):
            site = Site()
            client = site.client()
            client.send(CONNECT)
            getattr(client, leave)()
            self.assertEqual((site.record.result, site.dialling), (ResultCode.CLIENT_GONE, []))
            self.assertEqual(site.pool._dialling, {})
            self.assertEqual(site.proxy.admission.tunnels, {})


@tabular
class UpgradeTests(SynchronousTestCase):
    """101 Switching Protocols."""

    ASKED = request(b"GET", b"http://www.example.com/chat", b"Upgrade: websocket", b"Connection: Upgrade")
    AGREED = response(101, b"Upgrade: websocket", b"Connection: Upgrade", framed=False)

    def test_websocket(self):
        """Octets pass both ways behind the 101, those right behind it too."""
        site = Site()
        client = site.client()
        client.send(self.ASKED)
        server = site.server()
        self.assertIn(b"Upgrade: websocket\r\n", server.take())
        server.send(self.AGREED + b"welcome")
        got = client.take()
        self.assertTrue(got.startswith(b"HTTP/1.1 101 ") and got.endswith(b"\r\n\r\nwelcome"))
        client.send(b"hello")
        self.assertEqual(server.take(), b"hello")
        client.end()
        server.end()
        record = site.record
        self.assertEqual((record.result, record.status), (ResultCode.UPGRADED, 101))
        self.assertEqual((record.sent, record.received), (len(got), len(self.ASKED) + 5))
        self.assertEqual(record.up_received, len(self.AGREED) + 7)

    def test_refused_by_the_server(self):
        """Who says no answers as ever, and both connections live on."""
        site = Site()
        client, server, got = site.exchange(self.ASKED, response(426, content=b"no"))
        self.assertTrue(got.endswith(b"no"))
        self.assertEqual((client.closed, server.closed), (False, False))

    @rows(
        other=(b"h2c", b"websocket"),
        another=(b"websocket", b"h2c"),
    )
    def test_wrong_protocol(self, asked, agreed):
        """What nobody asked for, or nobody may have, is a 502."""
        site = Site()
        wire = request(b"GET", b"http://www.example.com/", b"Upgrade: " + asked, b"Connection: Upgrade")
        answer = response(101, b"Upgrade: " + agreed, b"Connection: Upgrade", framed=False)
        _, server, got = site.exchange(wire, answer)
        site.settle()
        self.assertTrue(got.startswith(b"HTTP/1.1 502 "))
        self.assertTrue(server.reset)

    def test_with_content(self):
        """A request with content does not change protocols: its rest would get in between."""
        site = Site()
        client = site.client()
        client.send(
            request(
                b"POST",
                b"http://www.example.com/",
                b"Upgrade: websocket",
                b"Connection: Upgrade",
                content=b"x",
            )
        )
        self.assertNotIn(b"Upgrade", site.server().take())
