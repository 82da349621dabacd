"""The acts: forward, with the rules of trying again, and tunnel."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.results import ResultCode
from corpproxy.destination.model import AddressClass
from corpproxy.errors import ProtocolError, UpstreamError
from corpproxy.exchange.commands import (
    Drain,
    Establish,
    Fetch,
    OpenTunnel,
    Peek,
    Relay,
    Upgrade,
)
from corpproxy.exchange.limits import Forwarding
from corpproxy.exchange.refusal import AddressRefused, TunnelEnded
from corpproxy.exchange.road import cut_off
from corpproxy.http1.framing import CHUNKED_BODY, CLOSE_BODY, Body, Framing
from corpproxy.policy.model import ConnectTo, Effect, Safety
from corpproxy.policy.safe_search import SafeSearch, SafeSearchEntry
from corpproxy.preface.first_octets import Start, Verdict
from tests.exchange.asking import (
    ANYTHING,
    CREDENTIALS,
    LINE,
    TLS,
    answer,
    connect,
    get,
)
from tests.support.builders import (
    AMIR,
    BASIC,
    SAFETY,
    rule,
)
from tests.support.rows import rows, tabular


class ForwardTests(SynchronousTestCase):
    """A request that may go on, and its answer."""

    def test_forwarded(self):
        """Fetched from where it was classified, relayed with what the client may see."""
        script = get(b"http://WWW.Example.com:8080/a?b=c")
        fetch = script.asks(Fetch).answer(answer(200, b"Alt-Svc: h3=x", body=Body(Framing.LENGTH, 5)))
        self.assertEqual((fetch.dial.name, fetch.port, fetch.method), ("www.example.com", 8080, b"GET"))
        self.assertEqual(fetch.addresses, frozenset({AddressClass.PUBLIC}))
        self.assertTrue(fetch.head.startswith(b"GET /a?b=c HTTP/1.1\r\nHost: www.example.com:8080\r\n"))
        relay = script.asks(Relay).answer()
        self.assertNotIn(b"Alt-Svc", relay.head)
        self.assertIs(relay.framing, Framing.LENGTH)
        ended = script.ends()
        self.assertEqual((ended.result, ended.status, ended.keep), (ResultCode.FORWARDED, 200, True))
        self.assertEqual((ended.decision.rule, ended.failure), ("everything else", ""))

    def test_credentials_stay(self):
        """Credentials for the proxy never travel on."""
        script = get(b"http://www.example.com/", CREDENTIALS, sign_in=True, known={BASIC: AMIR})
        self.assertNotIn(b"Authorization", script.asks(Fetch).command.head)

    def test_forwarding_by_policy(self):
        """Via and the client's address go on as the policy says."""
        plain = get(b"http://www.example.com/", b"X-Forwarded-For: 10.9.9.9").asks(Fetch).command.head
        self.assertIn(b"Via: 1.1 corpproxy\r\n", plain)
        self.assertNotIn(b"Forwarded-For", plain)
        told = get(forwarding=Forwarding("", True)).asks(Fetch).command.head
        self.assertIn(b"X-Forwarded-For: 10.1.2.3\r\n", told)
        self.assertNotIn(b"Via", told)

    def test_early_answer(self):
        """An answer while content still comes: the client is told to close, and may finish sending."""
        script = get(method=b"POST", content=b"x")
        script.asks(Fetch).answer(answer(413))
        self.assertIn(b"Connection: close", script.asks(Relay).answer().head)
        script.asks(Drain).answer()
        self.assertFalse(script.ends().keep)

    def test_content_over(self):
        """Nothing is drained where nothing is left."""
        script = get(method=b"POST", content=b"x")
        script.exchange.content_over = True
        script.asks(Fetch).answer(answer())
        script.asks(Relay).answer()
        self.assertTrue(script.ends().keep)

    def test_chunks_to_old_client(self):
        """HTTP/1.0 gets the end of the connection in the place of chunks."""
        script = get(version=b"1.0")
        script.asks(Fetch).answer(answer(200, body=CHUNKED_BODY))
        self.assertIs(script.asks(Relay).answer().framing, Framing.CLOSE)
        self.assertFalse(script.ends().keep)

    def test_close_to_chunks(self):
        """HTTP/1.1 gets chunks in the place of the end of the connection."""
        script = get()
        script.asks(Fetch).answer(answer(200, body=CLOSE_BODY))
        self.assertIs(script.asks(Relay).answer().framing, Framing.CHUNKED)
        self.assertTrue(script.ends().keep)

    def test_safe_search(self):
        """The strict host is dialled, the name that was asked for stays in the request."""
        strict = SafeSearch([SafeSearchEntry()])
        fetch = get(b"http://www.google.com/search?q=x", safe_search=strict).asks(Fetch).command
        self.assertEqual(fetch.dial.name, "forcesafesearch.google.com")
        self.assertIn(b"Host: www.google.com\r\n", fetch.head)
        tunnel = connect(b"www.google.com:443", safe_search=strict).asks(OpenTunnel).command
        self.assertEqual(tunnel.dial.name, "forcesafesearch.google.com")

    def test_upgrade(self):
        """A WebSocket: the 101 is passed on, and then octets."""
        script = get(b"http://www.example.com/", b"Upgrade: websocket", b"Connection: Upgrade")
        self.assertIn(b"Upgrade: websocket", script.asks(Fetch).command.head)
        agreed = answer(101, b"Upgrade: WebSocket", b"Connection: Upgrade", framed=False)
        script.asks(Fetch).answer(agreed)
        self.assertIn(b"HTTP/1.1 101 ", script.asks(Relay).answer().head)
        ended = script.ends()
        self.assertTrue(ended.splices)
        self.assertEqual(
            (ended.result, ended.status, ended.opened, ended.keep), (ResultCode.UPGRADED, 101, True, False)
        )


@tabular
class FailedFetchTests(SynchronousTestCase):
    """What goes wrong on the way to the server, and the rules of trying again."""

    @rows(
        refused=("connect-refused", "connect", False, 502, ResultCode.UPSTREAM_FAILED),
        slow=("connect-timeout", "connect", True, 504, ResultCode.TIMED_OUT),
        unknown=("name-unknown", "resolve", False, 502, ResultCode.UPSTREAM_FAILED),
        silent=("answer-timeout", "answer", True, 504, ResultCode.TIMED_OUT),
        nonsense=("answer-invalid", "answer", False, 502, ResultCode.UPSTREAM_FAILED),
    )
    def test_answered(self, code, phase, timed_out, status, result):
        """Status, result code, failure and phase, for requests and for tunnels."""
        for script, kind in ((get(), Fetch), (connect(), OpenTunnel)):
            script.asks(kind).fail(UpstreamError(code, "it failed", phase=phase, timed_out=timed_out))
            page = script.answers(status)
            self.assertIn(code.encode(), page.content)
            ended = script.ends()
            self.assertEqual((ended.result, ended.failure, ended.phase), (result, code, phase))

    @rows(
        get=(b"GET", b"", True, False, True),
        head=(b"HEAD", b"", True, False, True),
        options=(b"OPTIONS", b"", True, False, True),
        post=(b"POST", b"", True, False, False),
        put=(b"PUT", b"", True, False, False),
        delete=(b"DELETE", b"", True, False, False),
        get_with_content=(b"GET", b"x", True, False, False),
        new_connection=(b"GET", b"", False, False, False),
        answer_begun=(b"GET", b"", True, True, False),
    )
    def test_again(self, method, content, reused, answered, again):
        """Safe requests without content on a reused connection, without an octet of an answer: once more."""
        script = get(method=method, content=content)
        gone = UpstreamError("upstream-closed", "closed", phase="answer", reused=reused, answered=answered)
        script.asks(Fetch).fail(gone)
        if again:
            self.assertTrue(script.asks(Fetch).command.fresh)
            script.asks(Fetch).fail(gone)
        script.answers(502)

    @rows(get=(get, Fetch), connect=(connect, OpenTunnel))
    def test_address_refused(self, ask, kind):
        """An address that may not be dialled is a decision of the safety table."""
        script = ask()
        script.asks(kind).fail(AddressRefused("10.0.0.7", "private"))
        script.answers(403)
        ended = script.ends()
        self.assertEqual((ended.result, ended.failure), (ResultCode.BLOCKED, "address-refused"))
        decision = ended.decision
        self.assertEqual((decision.effect, decision.rule), (Effect.BLOCK, "safety: addresses"))
        self.assertEqual(decision.place, SAFETY.place)
        self.assertIn("10.0.0.7 is a private address", decision.reason)
        self.assertEqual(len(ended.in_force.refusals), 1)

    def test_address_refused_when_tried_again(self):
        """Also when the name leads inside the second time only."""
        script = get()
        script.asks(Fetch).fail(UpstreamError("upstream-closed", "x", phase="answer", reused=True))
        script.asks(Fetch).fail(AddressRefused("127.0.0.1", "loopback"))
        script.answers(403)

    def test_foreign_challenge(self):
        """A server that asks for the password of the proxy is 502."""
        script = get()
        script.asks(Fetch).answer(answer(407, b"Proxy-Authenticate: Basic realm=x"))
        script.answers(502)
        self.assertEqual(script.ends().failure, "foreign-challenge")

    @rows(
        slow=(ProtocolError("content-timeout", "slow", status=408), ResultCode.CLIENT_SLOW),
        wrong=(ProtocolError("bad-chunk-size", "wrong"), ResultCode.MALFORMED),
        cut=(
            UpstreamError("answer-cut-short", "cut", phase="content", answered=True),
            ResultCode.UPSTREAM_FAILED,
        ),
        late=(
            UpstreamError("content-timeout", "late", phase="content", answered=True, timed_out=True),
            ResultCode.TIMED_OUT,
        ),
        stopped=(TunnelEnded("stopping", "we stop"), ResultCode.ENDED),
    )
    def test_while_relaying(self, failure, result):
        """Once the answer has begun there is no page any more: the connection is closed."""
        script = get()
        script.asks(Fetch).answer(answer(200))
        script.exchange.answered = True
        script.asks(Relay).fail(failure)
        ended = script.ends()
        self.assertEqual((ended.result, ended.failure, ended.keep), (result, failure.code, False))
        self.assertEqual(ended.status, 200)


@tabular
class TunnelTests(SynchronousTestCase):
    """CONNECT."""

    def opened(self, *parts, **more):
        script = connect(*parts, **more)
        script.asks(OpenTunnel).answer(LINE)
        script.asks(Establish).answer()
        return script

    def test_whole(self):
        """Connect, 200, the first octets, and octets both ways."""
        script = self.opened()
        script.asks(Peek).answer(TLS)
        ended = script.ends()
        self.assertTrue(ended.splices)
        self.assertEqual((ended.result, ended.status, ended.opened), (ResultCode.TUNNELLED, 200, True))
        self.assertEqual((ended.server_name, ended.keep), ("www.example.com", False))
        self.assertEqual((ended.destination.scheme, ended.destination.path), ("https", ""))

    def test_anything(self):
        """A rule that lets anything through has nobody look."""
        self.assertTrue(self.opened(rules=[ANYTHING]).ends().splices)

    @rows(
        other_name=(Verdict(Start.TLS, server_name="evil.example"), "server-name"),
        below=(Verdict(Start.TLS, server_name="a.www.example.com"), "server-name"),
        no_name=(Verdict(Start.TLS), "server-name"),
        no_host=(Verdict(Start.TLS, server_name="a b"), "server-name"),
        other=(Verdict(Start.OTHER, reason="SSH"), "tunnel-content"),
        websocket=(Verdict(Start.WEBSOCKET, host=b"evil.example"), "server-name"),
    )
    def test_first_octets(self, verdict, code):
        """What the first octets ask for must be what was decided on."""
        script = self.opened()
        script.exchange.answered = True
        script.asks(Peek).answer(verdict)
        ended = script.ends()
        self.assertEqual((ended.result, ended.failure), (ResultCode.BLOCKED, code))
        self.assertEqual((ended.decision.rule, ended.decision.effect), (f"safety: {code}", Effect.BLOCK))
        self.assertIn("'everything else' would have allowed it", ended.decision.reason)
        self.assertEqual(len(ended.in_force.refusals), 1)

    @rows(
        case=(Verdict(Start.TLS, server_name="WWW.example.COM"),),
        dot=(Verdict(Start.TLS, server_name="www.example.com."),),
        websocket=(Verdict(Start.WEBSOCKET, host=b"www.example.com"),),
        websocket_port=(Verdict(Start.WEBSOCKET, host=b"www.example.com:443"),),
    )
    def test_same_name(self, verdict):
        """Spelled otherwise it is the same name."""
        script = self.opened()
        script.asks(Peek).answer(verdict)
        if verdict.start is Start.WEBSOCKET:
            script.asks(Upgrade).answer(True)
        self.assertTrue(script.ends().splices)

    def test_websocket_refused(self):
        """A server that does not agree to the WebSocket ends the tunnel with its answer."""
        script = self.opened()
        script.asks(Peek).answer(Verdict(Start.WEBSOCKET, host=b"www.example.com"))
        script.asks(Upgrade).answer(False)
        ended = script.ends()
        self.assertEqual((ended.result, ended.splices), (ResultCode.TUNNELLED, False))

    def test_address(self):
        """A rule may let tunnels go to addresses; TLS then has no name, or the address's."""
        to_anything = rule("any", Effect.ALLOW, safety=Safety(connect_to=ConnectTo.ANYTHING))
        script = self.opened(b"93.184.216.34:443", rules=[to_anything])
        script.asks(Peek).answer(Verdict(Start.TLS))
        self.assertTrue(script.ends().splices)
        script = self.opened(b"93.184.216.34:443", rules=[to_anything])
        script.exchange.answered = True
        script.asks(Peek).answer(TLS)
        self.assertEqual(script.ends().failure, "server-name")

    @rows(
        silent=("tunnel-silent", ResultCode.TIMED_OUT),
        idle=("tunnel-idle", ResultCode.TIMED_OUT),
        life=("tunnel-life", ResultCode.ENDED),
        stopping=("stopping", ResultCode.ENDED),
    )
    def test_ended_by_us(self, code, result):
        """A tunnel that we end is closed without a page, and the rule that allowed it stays in the record."""
        script = self.opened(rules=[ANYTHING])
        script.exchange.answered = True
        ended = script.ends()
        cut_off(ended, TunnelEnded(code, "over"))
        self.assertEqual((ended.result, ended.failure, ended.decision.rule), (result, code, "anything"))

    @rows(
        port=(b"www.example.com:25", 403, "safety: connect_ports"),
        address=(b"93.184.216.34:443", 403, "safety: connect_to"),
        inside=(b"127.0.0.1:443", 403, "safety: connect_to"),
    )
    def test_refused(self, target, status, decided_by):
        """By the safety table, before anything is dialled."""
        script = connect(target)
        script.answers(status)
        self.assertEqual(
            (script.ends().decision.rule, script.exchange.result), (decided_by, ResultCode.BLOCKED)
        )

    def test_port_80(self):
        """Browsers tunnel ws:// through port 80."""
        script = self.opened(b"www.example.com:80")
        self.assertEqual(script.exchange.destination.scheme, "http")
