"""Tunnels that are opened ahead of their road: nobody sees a difference, whatever then happens."""

from __future__ import annotations

from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.results import Kind, ResultCode
from corpproxy.errors import UpstreamError
from corpproxy.exchange.limits import ConnectionLimits, Timeouts
from corpproxy.net import tunnel_ahead
from corpproxy.net.run import Run
from corpproxy.net.tunnel_ahead import TunnelAhead
from corpproxy.policy.conditions import What
from corpproxy.policy.decide import Policy
from corpproxy.policy.model import Effect, Safety, TunnelContent
from tests.preface.hellos import real_hello
from tests.support.beginnings import WAYS, beginning_so
from tests.support.builders import domain, request, response, rule
from tests.support.examples import EXAMPLES
from tests.support.rows import rows, tabular
from tests.support.wires import Site

CONNECT = request(b"CONNECT", b"www.example.com:443")
CONNECT_ANY = request(b"CONNECT", b"any.example:443")
HELLO = real_hello("www.example.com")
OTHER_HELLO = real_hello("evil.example")
OPENED = b"HTTP/1.1 200 Connection established\r\n\r\n"
WARM = 3
ANY = rule("any", Effect.ALLOW, what=domain("any.example"), safety=Safety(tunnel_content=TunnelContent.ANY))
WEBSOCKET = (
    b"GET /chat HTTP/1.1\r\nHost: www.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
TIMEOUTS = Timeouts(10, 15, 5, 20, 20, 10, 8, 30, 60, 5)


def warm(site, connect=CONNECT, hello=HELLO, seconds=0):
    """Some tunnels like the next one, which are over."""
    for _ in range(WARM):
        client = site.client()
        client.send(connect)
        server = site.server()
        client.send(hello)
        client.end()
        server.end()
        site.wait(seconds)


SAID = (
    CONNECT,
    CONNECT_ANY,
    HELLO,
    HELLO[:40],
    HELLO[40:],
    OTHER_HELLO,
    WEBSOCKET,
    b"x" * 9000,
)
SWITCH = response(101, b"Upgrade: websocket", b"Connection: Upgrade", framed=False)
STEPS = st.one_of(
    st.tuples(st.just("send"), st.sampled_from(SAID)),
    st.tuples(st.just("answer"), st.sampled_from((b"hello", SWITCH, b"y" * 9000))),
    st.tuples(st.sampled_from(("accept", "accept", "refuse", "come", "stop")), st.just(b"")),
    st.tuples(
        st.sampled_from(("client", "server")), st.sampled_from((b"ends", b"breaks", b"stops", b"reads"))
    ),
    st.tuples(st.just("wait"), st.sampled_from((b"1", b"9", b"12", b"40"))),
)


class Play:
    """A proxy that had such tunnels before, a client and its servers, and whatever they do."""

    # From one of those to the next.
    PAUSE = 0

    def __init__(self):
        self.site = self.made()
        warm(self.site, seconds=self.PAUSE)
        warm(self.site, CONNECT_ANY, seconds=self.PAUSE)
        self.clients = [self.site.client()]
        self.servers = []
        self.ended = set()

    def made(self):
        return Site(ANY, timeouts=TIMEOUTS, connections=ConnectionLimits(tunnels_per_address=2))

    def step(self, what, how):
        site = self.site
        if what == "come":
            self.clients.append(site.client())
        elif what == "wait":
            site.wait(int(how))
        elif what in ("accept", "refuse"):
            if site.dialling:
                self.servers.append(site.server()) if what == "accept" else site.refuse()
        elif what == "stop":
            self.clients[-1].protocol.stop_now()
        else:
            ones = self.clients if what in ("send", "client") else self.servers
            if ones and not ones[-1].closed:
                self.act(ones[-1], what, how)
        site.settle()

    def act(self, one, what, how):
        if what in ("send", "answer"):
            if one not in self.ended:
                one.send(how)
        elif how == b"ends":
            if one not in self.ended:
                self.ended.add(one)
                one.end()
        elif how == b"breaks":
            one.break_off()
        elif how == b"reads":
            one.read()
        else:
            one.reads = False

    def told(self):
        """All that clients, servers, accounts and the record were told."""
        peers = self.clients + self.servers
        site = self.site
        site.wait(200)
        usage = sorted(site.books.accounts.ledger.take_batch())
        ends = [(bytes(one.received), one.ended, one.closed, one.reset) for one in peers]
        return ends, usage, site.writer.records, len(site.proxy.admission.tunnels), len(site.proxy.deadlines)


def played(steps, way):
    """What all were told in a play."""
    with beginning_so(way):
        play = Play()
        play.step("send", CONNECT)
        for what, how in steps:
            play.step(what, how)
        return play.told()


class SameTests(SynchronousTestCase):
    """Random play, with tunnels opened ahead and without."""

    @settings(EXAMPLES)
    @given(st.lists(STEPS, max_size=10))
    def test_any_play(self, steps):
        """Clients, servers, accounts and records are told the same."""
        one, *others = (played(steps, way) for way in WAYS)
        self.assertEqual(self.flushLoggedErrors(), [])
        for other in others:
            self.assertEqual(one, other)


@tabular
class OpenedAheadTests(SynchronousTestCase):
    """A tunnel like others before."""

    def setUp(self):
        self.site = Site(ANY, timeouts=TIMEOUTS)
        warm(self.site)
        self.client = self.site.client()

    def connect(self):
        """The client asks for its tunnel."""
        self.client.send(CONNECT)
        self.assertIs(type(self.client.protocol.run), TunnelAhead)

    def open(self):
        """It is established."""
        self.connect()
        self.server = self.site.server()
        self.assertEqual(self.client.take(), OPENED)

    def assert_failed(self, result, failure):
        """It left one closing record, with this in it, and nothing else."""
        self.site.settle()
        self.assertEqual(len(self.site.records), WARM + 1)
        self.assertEqual((self.site.records[-1].result, self.site.records[-1].failure), (result, failure))
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertEqual(len(self.site.proxy.admission.tunnels), 0)

    def test_whole(self):
        """It needs no road, and its records are those of a tunnel."""
        with patch.object(tunnel_ahead, "live", side_effect=AssertionError("a road begins")):
            self.open()
            self.client.send(HELLO)
            self.assertEqual(self.server.take(), HELLO)
            self.server.send(b"server hello")
            self.assertEqual(self.client.take(), b"server hello")
            self.client.end()
            self.assertTrue(self.server.ended)
            self.server.end()
        self.assert_failed(ResultCode.TUNNELLED, "")
        opening, closing = self.site.writer.records[-2:]
        self.assertEqual((opening.kind, closing.kind), (Kind.OPENING, Kind.CLOSING))
        self.assertEqual(opening.id, closing.id)
        self.assertEqual((closing.status, closing.server_name), (200, "www.example.com"))
        self.assertEqual((closing.received, closing.sent), (len(CONNECT + HELLO), len(OPENED) + 12))
        self.assertEqual((closing.up_sent, closing.up_received), (len(HELLO), 12))
        self.assertEqual((closing.connect_ms, closing.resolve_ms), (0, 0))

    def test_hello_ahead(self):
        """A ClientHello that comes with the CONNECT is passed on once the tunnel stands."""
        self.client.send(CONNECT + HELLO)
        server = self.site.server()
        self.assertEqual((self.client.take(), server.take()), (OPENED, HELLO))

    def test_anything(self):
        """Where nobody looks at the first octets they move at once, the server's too."""
        warm(self.site, CONNECT_ANY)
        client = self.site.client()
        client.send(CONNECT_ANY)
        self.assertIs(type(client.protocol.run), TunnelAhead)
        server = self.site.server()
        server.send(b"220 ready")
        self.assertEqual(client.take(), OPENED + b"220 ready")

    def test_server_speaks_first(self):
        """What the server says before the client waits for the first octets."""
        self.open()
        self.server.send(b"early")
        self.assertEqual(self.client.take(), b"")
        self.client.send(HELLO)
        self.site.settle()
        self.assertEqual(self.client.take(), b"early")

    @rows(half=("end", b""), reset=("break_off", b""), spoken=("end", b"early"))
    def test_server_leaves_first(self, leave, said):
        """A server that leaves before the client spoke: the client hears of it once it has spoken."""
        self.open()
        if said:
            self.server.send(said)
        self.server.paused = False
        getattr(self.server, leave)()
        self.site.settle()
        self.assertEqual((self.client.take(), self.client.ended, self.client.closed), (b"", False, False))
        self.client.send(HELLO)
        self.site.settle()
        self.assertEqual(self.client.take(), said)
        self.assertTrue(self.client.ended or self.client.closed)

    def test_silent_server(self):
        """Nothing is made to hold what a server says before the client does: few say anything."""
        self.open()
        upstream = self.client.protocol.upstream
        self.assertIs(upstream.sink, upstream)
        self.assertIsNone(self.client.protocol.when_late)

    def test_hello_in_pieces(self):
        """The road looks at a ClientHello that comes in pieces."""
        self.open()
        self.client.send(HELLO[:100])
        self.assertIs(type(self.client.protocol.run), Run)
        self.assertEqual(self.server.take(), b"")
        self.client.send(HELLO[100:])
        self.assertEqual(self.server.take(), HELLO)

    @rows(
        other_name=(OTHER_HELLO, "server-name"),
        no_tls=(b"SSH-2.0-OpenSSH_9.2\r\n", "tunnel-content"),
    )
    def test_begins_otherwise(self, first, failure):
        """What is not what was agreed on ends before an octet reaches the server."""
        self.open()
        self.client.send(first)
        self.assertEqual(self.server.take(), b"")
        self.assert_failed(self.site.records[-1].result, failure)

    def test_silent(self):
        """A client that says nothing through its tunnel is not waited for longer than others."""
        self.open()
        self.site.wait(TIMEOUTS.tunnel_first + 2)
        self.assert_failed(self.site.records[-1].result, "tunnel-silent")

    def test_slow(self):
        """A client that says half of it in time is waited for no longer than one that says nothing."""
        self.open()
        self.site.wait(TIMEOUTS.tunnel_first - 1)
        self.client.send(HELLO[:100])
        self.site.wait(2)
        self.assert_failed(self.site.records[-1].result, "tunnel-silent")

    def test_half_closed(self):
        """A client that says nothing more before it said anything."""
        self.open()
        self.client.end()
        self.assert_failed(self.site.records[-1].result, "tunnel-content")

    @rows(dialling=(False,), established=(True,))
    def test_client_leaves(self, established):
        """A client that leaves is recorded as gone, and its server let go."""
        self.open() if established else self.connect()
        self.client.break_off()
        self.site.settle()
        self.assertEqual(self.site.dialling, [])
        self.assertTrue(not established or self.server.closed)
        self.assert_failed(ResultCode.CLIENT_GONE, "client-gone")

    @rows(dialling=(False,), established=(True,))
    def test_stopping(self, established):
        """One that is ended from outside says why."""
        self.open() if established else self.connect()
        self.client.protocol.stop_now()
        self.assert_failed(self.site.records[-1].result, "stopping")
        self.assertEqual(self.site.dialling, [])

    def test_refused(self):
        """A server that does not take the connection: the client gets the page that says so."""
        self.connect()
        self.site.refuse()
        self.assertTrue(self.client.take().startswith(b"HTTP/1.1 502 "))
        self.assert_failed(self.site.records[-1].result, "connect-refused")

    def test_unknown(self):
        """A name that has no address any more."""
        self.site.names.table["www.example.com"] = UpstreamError("unknown-host", "nobody", phase="resolve")
        self.client.send(CONNECT)
        self.assertTrue(self.client.take().startswith(b"HTTP/1.1 50"))
        self.assert_failed(self.site.records[-1].result, "unknown-host")

    def test_address_refused(self):
        """A name that leads inside all of a sudden is refused by the safety table."""
        self.site.names.table["www.example.com"] = ("10.0.0.1",)
        self.client.send(CONNECT)
        self.assertTrue(self.client.take().startswith(b"HTTP/1.1 403 "))
        self.assertEqual(self.site.dialling, [])
        self.assert_failed(ResultCode.BLOCKED, "address-refused")

    def test_bug(self):
        """A bug of ours ends the connection, and is recorded; the others go on."""
        self.connect()
        with patch.object(self.site.books, "opened", side_effect=ZeroDivisionError):
            server = self.site.server()
        self.site.settle()
        self.assertTrue(self.client.closed)
        self.assertTrue(server.closed)
        self.assertEqual(self.site.records[-1].failure, "ZeroDivisionError")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(len(self.site.proxy.admission.tunnels), 0)


class DecidedTests(SynchronousTestCase):
    """The decision about a tunnel like others before."""

    def test_paths(self):
        """Where rules read paths it is decided once all the same: no tunnel has one."""
        site = Site(
            rule("banners", Effect.BLOCK, what=What(expression=("/banners/",))), rule("all", Effect.ALLOW)
        )
        warm(site)
        client = site.client()
        with patch.object(Policy, "decide", side_effect=AssertionError):
            client.send(CONNECT)
        site.server()
        self.assertEqual(client.take(), OPENED)


class TooManyTests(SynchronousTestCase):
    """A tunnel too many is refused by its road."""

    def test_too_many(self):
        """It is told so, and nothing is dialled."""
        site = Site(connections=ConnectionLimits(tunnels_per_address=1))
        warm(site)
        first, second = site.client(), site.client()
        first.send(CONNECT)
        second.send(CONNECT)
        self.assertTrue(second.take().startswith(b"HTTP/1.1 429 "))
        self.assertEqual(len(site.dialling), 1)
        self.assertEqual(len(site.proxy.admission.tunnels), 1)
