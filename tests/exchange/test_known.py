"""What the last exchange like it found out: taken over where it holds, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.results import ResultCode
from corpproxy.exchange.commands import CheckCredentials, Fetch, OpenTunnel, Relay
from corpproxy.http1.fields import NOTHING
from corpproxy.http1.head import RequestReader
from corpproxy.identity.model import Identity
from corpproxy.policy.calendar import Hours, parse_days, parse_spans
from corpproxy.policy.conditions import What, When, Who, parse_url
from corpproxy.policy.exempt import Exemption
from corpproxy.policy.model import Effect
from tests.exchange.asking import CREDENTIALS, MOVED, WARNED, answer
from tests.support.builders import AMIR, BASIC, MONDAY, domain, exchange, in_force, request, rule
from tests.support.rows import rows, tabular
from tests.support.script import Script

NEWS = b"http://news.example/1"


class Others:
    """Exchanges one after another under the same policy."""

    def __init__(self, *rules, **more):
        self.force = in_force(*rules, **more)
        self._came = set()

    def ask(self, target=NEWS, *fields, client=None, at=MONDAY, listener=None, **more):
        """Begin one."""
        head = RequestReader(sections=self.force.sections).feed(request(b"GET", target, *fields, **more))
        begun = exchange(head, force=self.force)
        begun.started, begun.keep = at, True
        begun.client = client or begun.client
        begun.listener = listener or begun.listener
        return Script(begun)

    def fetched(self, *parts, **more):
        """One that is forwarded and whose like came once before; gives the fetch and the exchange."""
        kind = repr((parts, more))
        if kind not in self._came:
            self._came.add(kind)
            self.first(*parts, **more)
        return self.first(*parts, **more)

    def first(self, *parts, **more):
        """One that is forwarded; gives the fetch and the exchange."""
        script = self.ask(*parts, **more)
        fetch = script.asks(Fetch).answer(answer())
        script.asks(Relay).answer()
        return fetch, script.ends()


@tabular
class KnownTests(SynchronousTestCase):
    """An exchange of a kind that came twice before."""

    def test_first(self):
        """Of the first one nothing is kept but that it came; the second is asked about anew, and kept."""
        others = Others()
        first_fetch, first = others.first()
        self.assertIsNone(first.known)
        self.assertIs(first.head.fields.outline.known, NOTHING)
        fetch, second = others.first()
        self.assertEqual(fetch, first_fetch)
        self.assertEqual(list(second.head.fields.outline.known.values()), [second.known])
        self.assertIsNotNone(second.known)
        self.assertEqual(NOTHING, {})

    def test_first_ones_between_each_other(self):
        """Clients with the same browser take turns: of each the second exchange is kept."""
        others = Others()
        clients = ["10.9.9.1", "10.9.9.2", "10.9.9.3"]
        firsts = [others.first(client=client)[1] for client in clients]
        self.assertEqual([one.known for one in firsts], [None] * 3)
        seconds = [others.first(client=client)[1] for client in clients]
        thirds = [others.first(client=client)[1] for client in clients]
        self.assertEqual([one.known for one in thirds], [one.known for one in seconds])
        self.assertNotIn(None, [one.known for one in seconds])

    @rows(
        plain=((), {}),
        signed_in=((CREDENTIALS,), {"sign_in": True, "known": {BASIC: AMIR}}),
        listed=((), {"own": {"news": ("news.example",)}}),
        connection=((b"Connection: keep-alive", b"Cookie: a=b", b"X-Forwarded-For: 10.0.0.1"), {}),
    )
    def test_same(self, fields, more):
        """It finds and sends what the first one did, for its own path."""
        others = Others(**more)
        first_fetch, first = others.fetched(NEWS, *fields)
        fetch, second = others.fetched(NEWS.replace(b"1", b"2?x=y"), *fields)
        self.assertIsNotNone(first.known)
        self.assertIs(second.known, first.known)
        self.assertEqual(second.destination, replace(first.destination, path="/2?x=y"))
        self.assertEqual((second.identity, second.decision), (first.identity, first.decision))
        self.assertEqual(second.result, ResultCode.FORWARDED)
        self.assertEqual(fetch, replace(first_fetch, head=first_fetch.head.replace(b"GET /1", b"GET /2?x=y")))

    @rows(
        client=({"client": "10.9.9.9"},),
        listener=({"listener": "office"},),
        host=({"target": b"http://news.example:8080/1"},),
        version=({"version": b"1.0"},),
        field=({"fields": (b"Accept: */*",)},),
    )
    def test_other(self, differs):
        """Another client, listener, authority, version or field is asked about anew."""
        others = Others()
        _, first = others.fetched()
        target, fields = differs.pop("target", NEWS), differs.pop("fields", ())
        _, second = others.fetched(target, *fields, host=b"news.example", **differs)
        self.assertIsNot(second.known, first.known)

    def test_no_path(self):
        """A URL that ends with its host is no path to a shorter host that is known."""
        others = Others()
        others.fetched()
        for _ in range(3):
            fetch, last = others.fetched(b"http://news.example.", host=b"news.example")
            self.assertIn(b"GET / HTTP/1.1", fetch.head)
            self.assertEqual((last.destination.host.name, last.destination.path), ("news.example", "/"))
            self.assertIsNone(last.known)

    def connects(self, others, target=b"news.example:443", **more):
        """Ask for a tunnel; gives the exchange while it is being dialled."""
        head = RequestReader(sections=others.force.sections).feed(request(b"CONNECT", target, host=target))
        script = Script(exchange(head, force=others.force, **more))
        script.asks(OpenTunnel)
        return script.exchange

    def test_tunnel(self):
        """So it is with tunnels to one authority."""
        others = Others(own={"news": ("news.example",)})
        self.connects(others)
        first, second = self.connects(others), self.connects(others)
        self.assertIsNotNone(first.known)
        self.assertIs(second.known, first.known)
        self.assertEqual(second.destination, first.destination)
        self.assertEqual((second.identity, second.decision), (first.identity, first.decision))
        self.assertIsNot(self.connects(others, b"news.example:80").known, first.known)

    def test_method(self):
        """A rule about methods is asked for another method."""
        others = Others(rule("read only", Effect.BLOCK, what=What(method=("POST",))))
        others.fetched()
        head = RequestReader(sections=others.force.sections).feed(request(b"POST", NEWS))
        Script(exchange(head, force=others.force)).answers(403)

    @rows(
        expects=(b"Expect: 100-continue",),
        upgrade=(b"Upgrade: websocket",),
        content=(b"Content-Length: 0",),
        closes_and_more=(b"Connection: close, X-Own",),
        bound=(b"Authorization: NTLM abc",),
    )
    def test_steered(self, field):
        """A request that steers its connection is never taken for another."""
        others = Others()
        self.assertIsNone(others.fetched(NEWS, field)[1].known)
        self.assertIsNone(others.fetched(NEWS, field)[1].known)

    @rows(upper=(b"Connection: Close",), lower=(b"Connection: close",))
    def test_last(self, field):
        """The last request on its connection is known again as others are."""
        others = Others()
        others.fetched(NEWS, field)
        first, second = others.fetched(NEWS, field), others.fetched(NEWS, field)
        self.assertIsNotNone(first[1].known)
        self.assertIs(second[1].known, first[1].known)
        self.assertNotIn(b"onnection", second[0].head)


@tabular
class NoLongerTests(SynchronousTestCase):
    """What it rests on changes."""

    def test_credentials_forgotten(self):
        """Who must sign in again is asked, though everything else is known."""
        known = {BASIC: AMIR}
        others = Others(sign_in=True, known=known)
        others.fetched(NEWS, CREDENTIALS)
        known.clear()
        others.ask(NEWS, CREDENTIALS).asks(CheckCredentials)

    def test_groups_changed(self):
        """Who is in another group now is decided on anew."""
        known = {BASIC: AMIR}
        others = Others(rule("staff", Effect.BLOCK, who=Who(group=("staff",))), sign_in=True, known=known)
        others.fetched(NEWS, CREDENTIALS)
        known[BASIC] = Identity("amir", ("staff",))
        others.ask(NEWS, CREDENTIALS).answers(403)

    def test_hours(self):
        """A rule that begins at an hour holds from that hour on."""
        lessons = When("lessons", Hours(parse_days("mon-fri"), parse_spans("11:00-12:00")))
        others = Others(rule("lessons", Effect.BLOCK, when=(lessons,)))
        _, first = others.fetched(at=MONDAY)
        self.assertIsNotNone(first.known)
        others.ask(at=MONDAY + 3600).answers(403)

    def test_exempt(self):
        """Who need not sign in need not the next time; another host is asked."""
        others = Others(sign_in=True, exempt=[Exemption(Who(agent=("apt",)), domain("news.example"))])
        agent = b"User-Agent: apt"
        _, first = others.fetched(NEWS, agent)
        _, second = others.fetched(NEWS, agent)
        self.assertIsNotNone(first.known)
        self.assertIs(second.known, first.known)
        self.assertEqual(second.identity.source, "exempt")
        others.ask(NEWS, b"User-Agent: curl").answers(407)
        others.ask(b"http://other.example/1", agent).answers(407)

    def test_exempt_hours(self):
        """An exemption ends with its hours, whatever is known."""
        lessons = When("lessons", Hours(parse_days("mon-fri"), parse_spans("10:00-11:00")))
        others = Others(sign_in=True, exempt=[Exemption(when=(lessons,))])
        _, first = others.fetched(at=MONDAY)
        _, second = others.fetched(at=MONDAY + 60)
        self.assertIsNotNone(first.known)
        self.assertIs(second.known, first.known)
        others.ask(at=MONDAY + 3600).answers(407)

    def test_exempt_path(self):
        """An exemption for one path opens no other."""
        others = Others(sign_in=True, exempt=[Exemption(what=What(url=(parse_url("news.example/1"),)))])
        _, first = others.fetched(NEWS)
        self.assertIsNone(first.known)
        others.ask(NEWS.replace(b"/1", b"/2")).answers(407)

    def test_reload(self):
        """Another policy knows nothing of what the one before it found, whoever read the head."""
        others = Others()
        others.fetched()
        before, others.force = (
            others.force,
            in_force(rule("no news", Effect.BLOCK, what=domain("news.example"))),
        )
        others.ask().answers(403)
        head = RequestReader(sections=before.sections).feed(request(b"GET", NEWS))
        Script(exchange(head, force=others.force)).answers(403)

    def test_not_fetched(self):
        """An exchange that never got as far as its server leaves nothing to go by."""
        others = Others()
        _, first = others.fetched()
        first.known.fields = None
        fetch, second = others.fetched()
        self.assertIsNot(second.known, first.known)
        self.assertIn(b"Host: news.example", fetch.head)

    def test_lists(self):
        """New lists, under the same policy, begin with nothing remembered."""
        force = in_force()
        self.assertIsNot(replace(force, lists=("ut1=2",)).sections, force.sections)


@tabular
class NeverTests(SynchronousTestCase):
    """What differs from one exchange to the next."""

    @rows(
        rule=(What(url=(parse_url("news.example/private"),)), {}),
        list=(What(category=("private",)), {"private": ("news.example/private",)}),
    )
    def test_path(self, what, own):
        """Where rules or lists look at paths, each path is looked at."""
        others = Others(rule("private", Effect.BLOCK, what=what), own=own)
        _, first = others.fetched()
        others.ask(b"http://news.example/private/x").answers(403)
        self.assertEqual(others.fetched(b"http://news.example/3")[1].decision, first.decision)

    @rows(warned=(WARNED, b"http://bet.example/", 403), moved=(MOVED, b"http://old.example/", 302))
    def test_refused(self, refuses, target, status):
        """A refusal is made for each exchange."""
        others = Others(refuses)
        for _ in range(2):
            script = others.ask(target)
            script.answers(status)
            self.assertIsNone(script.ends().known)
