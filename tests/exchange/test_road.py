"""The road: who is asking, what rules say, what is no request, what ends here."""

from __future__ import annotations

from ipaddress import ip_network

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.results import ResultCode
from corpproxy.errors import ProtocolError, UpstreamError
from corpproxy.exchange.commands import (
    CheckCredentials,
    Drain,
    Fetch,
    Resolve,
)
from corpproxy.exchange.refusal import SignInRefused, SignInUnavailable
from corpproxy.exchange.road import refuse
from corpproxy.identity.model import ANONYMOUS, Identity
from corpproxy.identity.settings import Ask, Exemption, IdentitySettings, NetworkIdentity
from corpproxy.policy.conditions import What, Who
from corpproxy.policy.model import Effect
from tests.exchange.asking import (
    ADDRESSES,
    BLOCKED,
    CREDENTIALS,
    MOVED,
    WARNED,
    get,
)
from tests.support.builders import (
    AMIR,
    BASIC,
    exchange,
    request_head,
    rule,
)
from tests.support.rows import rows, tabular
from tests.support.script import Script


@tabular
class DecisionTests(SynchronousTestCase):
    """What rules say."""

    @rows(
        blocked=(b"http://games.example/", 403, ResultCode.BLOCKED, "no games"),
        warned=(b"http://bet.example/", 403, ResultCode.WARNED, "careful"),
        moved=(b"http://old.example/", 302, ResultCode.REDIRECTED, "moved"),
    )
    def test_refused(self, target, status, result, decided_by):
        """The page, the result and the rule; nothing is fetched."""
        script = get(target, rules=[BLOCKED, WARNED, MOVED])
        page = script.answers(status)
        ended = script.ends()
        self.assertEqual((ended.result, ended.failure), (result, result.value))
        self.assertEqual((ended.decision.rule, ended.keep), (decided_by, True))
        if result is ResultCode.REDIRECTED:
            self.assertEqual(page.field(b"Location"), b"http://new.example/?from=http%3A%2F%2Fold.example%2F")
        self.assertEqual(len(ended.in_force.refusals), 0 if result is ResultCode.REDIRECTED else 1)

    def test_content_of_a_refused_request(self):
        """What is left of it is taken off the connection."""
        script = get(b"http://games.example/", method=b"POST", content=b"x", rules=[BLOCKED])
        script.answers(403)
        script.asks(Drain).answer()
        script.ends()

    def test_category(self):
        """The categories of the destination decide, and stand in the exchange."""
        games = rule("games", Effect.BLOCK, what=What(category=("games",)))
        script = get(b"http://play.chess.example/", rules=[games], own={"games": ("chess.example",)})
        script.answers(403)
        self.assertEqual(script.ends().destination.categories, ("games",))

    def test_addresses_are_asked(self):
        """A rule about addresses has the name looked up first."""
        script = get(rules=[ADDRESSES])
        script.asks(Resolve).answer(("10.0.0.7",))
        script.answers(403)
        self.assertEqual(script.ends().decision.rule, "inside")
        script = get(rules=[ADDRESSES])
        script.asks(Resolve).answer(("93.184.216.34",))
        script.asks(Fetch)

    def test_addresses_cannot_be_asked(self):
        """Without addresses there is no decision."""
        script = get(rules=[ADDRESSES])
        script.asks(Resolve).fail(UpstreamError("name-unknown", "none", phase="resolve"))
        script.answers(502)
        self.assertIsNone(script.ends().decision)

    def test_refused_without_addresses(self):
        """Who is refused by another rule reads that, also when the name cannot be looked up."""
        script = get(rules=[rule("all", Effect.BLOCK), ADDRESSES])
        script.asks(Resolve).fail(UpstreamError("name-unknown", "none", phase="resolve"))
        script.answers(403)
        self.assertEqual(script.ends().decision.rule, "all")

    def test_nobody_in_particular(self):
        """A rule for a group does not concern who is not in it."""
        pupils = rule("pupils", Effect.BLOCK, who=Who(group=("pupils",)))
        get(rules=[pupils]).asks(Fetch)


@tabular
class IdentifyTests(SynchronousTestCase):
    """Who is asking."""

    def test_asked(self):
        """Who sent no credentials is asked for them, and the connection lives on."""
        script = get(sign_in=True)
        page = script.answers(407)
        self.assertIn(b"Basic realm", page.field(b"Proxy-Authenticate"))
        ended = script.ends()
        self.assertEqual(
            (ended.result, ended.failure, ended.keep), (ResultCode.CHALLENGED, "credentials-missing", True)
        )

    def test_checked(self):
        """Credentials that are not known yet are checked."""
        script = get(b"http://www.example.com/", CREDENTIALS, sign_in=True)
        script.asks(CheckCredentials(BASIC)).answer(AMIR)
        script.asks(Fetch)
        self.assertIs(script.exchange.identity, AMIR)

    def test_remembered(self):
        """Those that are known are not."""
        get(b"http://www.example.com/", CREDENTIALS, sign_in=True, known={BASIC: AMIR}).asks(Fetch)

    @rows(
        wrong=(SignInRefused("wrong-password", "no"), 407, ResultCode.CHALLENGED, "wrong-password"),
        down=(SignInUnavailable("directory-down", "away"), 503, ResultCode.UNAVAILABLE, "directory-down"),
    )
    def test_refused(self, failure, status, result, code):
        """Wrong credentials are asked for again; a directory that is away lets nobody in."""
        script = get(b"http://www.example.com/", CREDENTIALS, sign_in=True)
        script.asks(CheckCredentials).fail(failure)
        script.answers(status)
        self.assertEqual((script.ends().result, script.exchange.failure), (result, code))

    def test_forbidden_is_not_asked_again(self):
        """A known person who may not gets 403, never 407."""
        script = get(
            b"http://games.example/", CREDENTIALS, sign_in=True, known={BASIC: AMIR}, rules=[BLOCKED]
        )
        script.answers(403)

    def test_network(self):
        """A room is known by its address; credentials count before it."""
        room = NetworkIdentity("room", (ip_network("10.1.2.0/24"),), "print-room", ("devices",))
        settings = IdentitySettings(networks=(room,))
        script = get(sign_in=True, identity=settings)
        script.asks(Fetch)
        self.assertEqual(
            (script.exchange.identity.name, script.exchange.identity.source), ("print-room", "network")
        )
        named = get(
            b"http://www.example.com/", CREDENTIALS, sign_in=True, identity=settings, known={BASIC: AMIR}
        )
        self.assertEqual(named.exchange.identity.name, "amir")

    def test_exempt(self):
        """What may be reached unnamed is."""
        settings = IdentitySettings(exempt=(Exemption(frozenset({"update.example"})),))
        script = get(b"http://www.update.example/", sign_in=True, identity=settings)
        script.asks(Fetch)
        self.assertEqual(script.exchange.identity.source, "exempt")

    def test_nobody_signs_in(self):
        """Without any method everybody is anonymous, whatever they send."""
        script = get(b"http://www.example.com/", CREDENTIALS)
        script.asks(Fetch)
        self.assertEqual(script.exchange.identity, Identity("", (), "anonymous"))


@tabular
class OurselvesTests(SynchronousTestCase):
    """What ends here."""

    def test_trace(self):
        """TRACE whose hops are over comes back as it came, without secrets."""
        fields = (b"Max-Forwards: 0", b"Cookie: a=b", b"Authorization: Basic eA==", b"X-Seen: yes")
        script = get(b"http://www.example.com/a", *fields, method=b"TRACE")
        page = script.answers(200)
        self.assertTrue(page.content.startswith(b"TRACE http://www.example.com/a HTTP/1.1\r\n"))
        self.assertIn(b"X-Seen: yes", page.content)
        self.assertNotIn(b"Cookie", page.content)
        self.assertNotIn(b"Authorization", page.content)
        self.assertEqual(page.field(b"Content-Type"), b"message/http")
        self.assertEqual(script.ends().result, ResultCode.ANSWERED)

    def test_options(self):
        """OPTIONS says what we take."""
        for script in (
            get(b"http://www.example.com", b"Max-Forwards: 0", method=b"OPTIONS"),
            get(b"*", method=b"OPTIONS", host=b"proxy.example"),
        ):
            page = script.answers(204)
            self.assertIn(b"CONNECT", page.field(b"Allow"))
            self.assertEqual(script.ends().result, ResultCode.ANSWERED)

    def test_hops_left(self):
        """With hops left it goes on, with one less; other methods do not count hops."""
        script = get(b"http://www.example.com/", b"Max-Forwards: 3", method=b"TRACE")
        self.assertIn(b"Max-Forwards: 2\r\n", script.asks(Fetch).command.head)
        script = get(b"http://www.example.com/", b"Max-Forwards: 0")
        self.assertIn(b"Max-Forwards: 0\r\n", script.asks(Fetch).command.head)

    def test_blocked_all_the_same(self):
        """What may not be asked may not be traced."""
        get(b"http://games.example/", b"Max-Forwards: 0", method=b"TRACE", rules=[BLOCKED]).answers(403)


@tabular
class MalformedTests(SynchronousTestCase):
    """Requests that are none, with the connection closed behind the answer."""

    @rows(
        https=(b"GET", b"https://www.example.com/", None, 501, "scheme-not-served"),
        scheme=(b"GET", b"ftp://www.example.com/", None, 501, "unknown-scheme"),
        origin=(b"GET", b"/", b"www.example.com", 400, "not-for-a-proxy"),
        asterisk=(b"GET", b"*", b"www.example.com", 400, "asterisk-form"),
        authority=(b"GET", b"www.example.com:80", b"www.example.com", 400, "authority-form"),
        userinfo=(b"GET", b"http://a@www.example.com/", b"www.example.com", 400, "userinfo"),
        host=(b"GET", b"http://exa%2fmple.com/", b"x.example", 400, "bad-host"),
        tunnel_without_port=(b"CONNECT", b"www.example.com", None, 400, "bad-connect-target"),
        tunnel_to_port_0=(b"CONNECT", b"www.example.com:0", b"www.example.com", 400, "bad-connect-target"),
        tunnel_to_path=(b"CONNECT", b"http://www.example.com/", None, 400, "bad-connect-target"),
    )
    def test_answered(self, method, target, host, status, code):
        """With the status that fits and the code in the record."""
        script = Script(exchange(request_head(method, target, host=host)))
        script.answers(status)
        ended = script.ends()
        self.assertEqual((ended.result, ended.failure, ended.keep), (ResultCode.MALFORMED, code, False))
        self.assertIsNone(ended.decision)

    def test_expectation(self):
        """An expectation that nobody knows is refused before anything is sent."""
        get(b"http://www.example.com/", b"Expect: tea").answers(417)

    def test_before_the_road(self):
        """A head that is none has no destination and no identity, and still an answer and a record."""
        begun = exchange()
        begun.content_over = False
        script = Script(begun, lambda one: refuse(one, ProtocolError("bad-request-line", "no", status=400)))
        script.answers(400)
        script.asks(Drain).answer()
        self.assertEqual((script.ends().result, begun.keep), (ResultCode.MALFORMED, False))


class BugTests(SynchronousTestCase):
    """A bug is nobody's refusal: the driver of the road hears of it."""

    def test_passes(self):
        """What is no failure with a name leaves the road."""
        script = get()
        asked = script.asks(Fetch)
        self.assertRaises(KeyError, asked.fail, KeyError("bug"))


class AskedWhenNeededTests(SynchronousTestCase):
    """``ask: when-needed``: a name is asked for once the rules prove to depend on it."""

    def start(self, target=b"http://www.example.com/", *fields, rules=(), **more):
        settings = IdentitySettings(ask=Ask.WHEN_NEEDED)
        return get(target, *fields, rules=rules, sign_in=True, identity=settings, **more)

    def test_not_needed(self):
        """What everybody may see is fetched for somebody without a name."""
        script = self.start()
        script.asks(Fetch)
        self.assertIs(script.exchange.identity, ANONYMOUS)

    def test_needed(self):
        """What depends on the name is answered with a challenge."""
        script = self.start(rules=[rule("staff", Effect.BLOCK, who=Who(group=("staff",)))])
        script.answers(407)
        ended = script.ends()
        self.assertEqual((ended.result, ended.failure), (ResultCode.CHALLENGED, "credentials-missing"))

    def test_refused_to_all(self):
        """What everybody is refused gets the block page, and no challenge."""
        script = self.start(b"http://games.example/", rules=[BLOCKED])
        script.answers(403)
        self.assertEqual(script.ends().decision.rule, "no games")

    def test_needed_after_the_address(self):
        """Where a rule before it asks for the address, that is looked up first."""
        people = rule("people", Effect.BLOCK, who=Who(anonymous=True))
        script = self.start(rules=[ADDRESSES, people])
        script.asks(Resolve).answer(("93.184.216.34",))
        script.answers(407)
        script.ends()

    def test_no_address(self):
        """A name that cannot be looked up is no way around the sign-in."""
        people = rule("people", Effect.BLOCK, who=Who(anonymous=True))
        script = self.start(rules=[ADDRESSES, people])
        script.asks(Resolve).fail(UpstreamError("name-unknown", "no such name", phase="resolve"))
        script.answers(407)
        script.ends()

    def test_own_pages(self):
        """A person's own pages are for somebody who has signed in."""
        script = self.start(b"http://proxy.internal/")
        script.answers(407)
        script.ends()
