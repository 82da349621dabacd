"""Whatever clients and servers do, an exchange leaves one closing record, and each octet is counted once."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.results import Kind, ResultCode
from corpproxy.exchange.limits import ConnectionLimits, Timeouts
from corpproxy.net.pacing import PacedProtocol
from corpproxy.policy.model import Effect, Safety, TunnelContent
from tests.support.builders import BASIC, domain, request, response, rule
from tests.support.examples import EXAMPLES
from tests.support.wires import Site

CHUNKED = b"Transfer-Encoding: chunked"
RULES = (
    rule("no games", Effect.BLOCK, what=domain("games.example")),
    rule("careful", Effect.WARN, what=domain("bet.example")),
    rule("any", Effect.ALLOW, what=domain("any.example"), safety=Safety(tunnel_content=TunnelContent.ANY)),
)
A = b"http://a.example/"

WIRES = [
    request(),
    request(version=b"1.0"),
    request(b"HEAD"),
    request(b"GET", A, b"Connection: close"),
    request(b"POST", A, content=b"hello"),
    request(b"POST", A, b"Content-Length: 100000"),
    request(b"POST", A, b"Content-Length: 5", b"Expect: 100-continue"),
    request(b"PUT", A, CHUNKED, content=b"3\r\nabc\r\n0\r\n\r\n"),
    request(b"PUT", A, CHUNKED),
    request(b"POST", b"http://games.example/", b"Content-Length: 10"),
    request(b"GET", b"http://bet.example/"),
    request(b"GET", A, b"Upgrade: websocket", b"Connection: Upgrade"),
    request(b"GET", A, b"Authorization: NTLM TlRMTVNTUAAB"),
    request(b"CONNECT", b"any.example:443"),
    request(b"CONNECT", b"www.example.com:443"),
    request(b"CONNECT", b"www.example.com:22"),
    request(target=b"/proxy.pac", host=b"proxy.internal"),
    request(b"POST", b"http://proxy.internal/confirm", b"Content-Length: 20000"),
    request(b"TRACE", A, b"Max-Forwards: 0"),
    request(b"GET", A, b"Proxy-Authorization: " + BASIC),
    b"nonsense\r\n\r\n",
    b"GET http://a.ex",
    b"\x16\x03\x01",
    b"hello",
    b"zz\r\n",
    b"5\r\nhello\r\n",
    b"0\r\n\r\n",
    b"x" * 70_000,
]
ANSWERS = [
    response(content=b"hello"),
    response(204, framed=False),
    response(304, framed=False),
    response(100, framed=False),
    response(103, framed=False),
    response(101, b"Upgrade: websocket", b"Connection: Upgrade", framed=False),
    response(401, b"WWW-Authenticate: Negotiate"),
    response(407),
    response(413, b"Connection: close", content=b"x"),
    response(200, CHUNKED, content=b"5\r\nhello\r\n0\r\n\r\n", framed=False),
    response(200, CHUNKED, content=b"5\r\nhel", framed=False),
    response(200, b"Content-Length: 200000", framed=False),
    response(content=b"until the end", framed=False),
    response(version=b"1.0", content=b"old"),
    b"nonsense\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nCont",
    b"x" * 70_000,
    b"0\r\n\r\n",
    response(103, framed=False) + response(content=b"hello"),
]

STEPS = st.one_of(
    st.tuples(st.just("come"), st.just(0)),
    st.tuples(st.just("send"), st.integers(0, len(WIRES) - 1)),
    st.tuples(st.just("send"), st.integers(0, len(WIRES) - 1)),
    st.tuples(st.just("answer"), st.integers(0, len(ANSWERS) - 1)),
    st.tuples(st.just("answer"), st.integers(0, len(ANSWERS) - 1)),
    st.tuples(st.just("accept"), st.just(0)),
    st.tuples(st.just("accept"), st.just(0)),
    st.tuples(
        st.sampled_from(
            [
                "refuse",
                "client ends",
                "client breaks",
                "client stops reading",
                "client reads",
                "server ends",
                "server breaks",
                "server stops reading",
                "server reads",
                "stop",
            ]
        ),
        st.just(0),
    ),
    st.tuples(st.just("wait"), st.sampled_from([1, 3, 12, 40])),
)


LIMITS = ConnectionLimits(per_address=4, per_server=2, kept_per_server=1, tunnels_per_address=2)


def wire_of(peer):
    """Our end of a connection; that of one that is read at a pace stands behind it."""
    protocol = peer.protocol
    return protocol._wire if isinstance(protocol, PacedProtocol) else protocol


class Play:
    """A proxy, its clients and servers, and steps that any of them may take at any time."""

    def __init__(self, **more):
        self.site = Site(
            *RULES,
            **more,
            connections=ConnectionLimits(
                per_address=4, per_server=2, kept_per_server=1, tunnels_per_address=2
            ),
            timeouts=Timeouts(10, 15, 5, 20, 20, 10, 8, 30, 60, 5),
        )
        self.clients = []
        self.servers = []

    def open(self, ones):
        """The last of those that are still open."""
        return next((one for one in reversed(ones) if not one.closed), None)

    def step(self, what, which):
        site = self.site
        who, _, act = what.partition(" ")
        if what == "come":
            self.clients.append(site.client())
        elif what == "wait":
            site.wait(which)
        elif what in ("accept", "refuse"):
            if site.dialling:
                self.servers.append(site.server()) if what == "accept" else site.refuse()
        elif what == "stop":
            one = self.open(self.clients)
            if one is not None:
                wire_of(one).stop_now()
        else:
            ones = self.clients if who in ("send", "client") else self.servers
            one = self.open(ones)
            if one is not None:
                self.act(one, who, act, which)
        site.settle()

    def act(self, one, who, act, which):
        if who in ("send", "answer"):
            if not getattr(one, "has_ended", False):
                one.send((WIRES if who == "send" else ANSWERS)[which])
        elif act == "ends":
            if not getattr(one, "has_ended", False):
                one.has_ended = True
                one.end()
        elif act == "breaks":
            one.break_off()
        elif act == "reads":
            one.read()
        else:
            one.reads = False

    def close(self):
        """Everybody goes."""
        for _ in range(3):
            for one in [*self.clients, *self.servers]:
                if not one.closed:
                    one.break_off()
            self.site.wait(2)
        while self.site.dialling:
            self.site.refuse()
        self.site.wait(200)


class EveryExchangeTests(SynchronousTestCase):
    """Random play."""

    @settings(EXAMPLES)
    @given(st.lists(STEPS, max_size=40))
    def test_any_play(self, steps):
        """One closing record for each exchange, an opening for each tunnel, and nothing is left behind."""
        play = Play()
        play.step("come", 0)
        for what, which in steps:
            play.step(what, which)
        play.close()
        site = play.site
        self.assertEqual(self.flushLoggedErrors(), [])
        closed = [one.id for one in site.records]
        self.assertEqual(len(closed), len(set(closed)))
        self.assertEqual(len(closed), site.references.made)
        opened = [one.id for one in site.writer.records if one.kind is Kind.OPENING]
        self.assertEqual(len(opened), len(set(opened)))
        self.assertEqual(set(opened), {one.id for one in site.records if one.kind is Kind.CLOSING})
        for one in site.records:
            self.assertNotEqual(one.result, ResultCode.FAILED)
            self.assertNotEqual(one.result, ResultCode.OPEN)
        self.assert_nothing_left(site)

    def assert_nothing_left(self, site):
        admission = site.proxy.admission
        counters = (
            admission._by_address,
            admission._by_person,
            admission._tunnels_by_address,
        )
        self.assertEqual([dict(one) for one in counters], [{}] * 3)
        self.assertEqual((admission.connections, admission.tunnels), ({}, {}))
        self.assertEqual((site.pool._dialling, site.pool._lines, site.pool.kept), ({}, {}, 0))
        self.assertEqual(len(site.proxy.deadlines), 0)
        self.assertEqual(len(site.books.accounts), 0)
        self.assertEqual(len(site.reactor.getDelayedCalls()), 1)

    @settings(EXAMPLES)
    @given(st.lists(st.tuples(st.integers(0, 7), st.integers(1, 30)), min_size=1, max_size=8))
    def test_octets(self, asked):
        """Where everything ends cleanly, the records add up to what clients sent and received."""
        wires = [*WIRES[:2], WIRES[4], WIRES[7], *WIRES[9:10], WIRES[10], WIRES[16], WIRES[18]]
        site = Site(*RULES)
        sent = received = 0
        for number, cut in asked:
            wire = wires[number] + (b"0123456789" if number == 4 else b"")
            client = site.client()
            for at in range(0, len(wire), cut):
                client.send(wire[at : at + cut])
            if site.dialling:
                server = site.server()
                answer = ANSWERS[9]
                for at in range(0, len(answer), cut):
                    server.send(answer[at : at + cut])
                server.end()
                site.settle()
            if not client.closed:
                client.end()
            site.settle()
            sent += len(wire)
            received += len(client.received)
        self.assertEqual(len(site.records), len(asked))
        self.assertEqual(sum(one.received for one in site.records), sent)
        self.assertEqual(sum(one.sent for one in site.records), received)
