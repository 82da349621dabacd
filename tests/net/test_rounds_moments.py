"""Rounds at every moment of an exchange: what is decided again, and in which state it is found."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from corpproxy.audit.results import Kind, ResultCode
from corpproxy.identity.model import Identity
from corpproxy.net.rounds import LONG_SECONDS
from corpproxy.policy.decide import Policy
from corpproxy.policy.model import Effect
from tests.net.test_rounds import ANY, IN_LESSONS, NO_GAMES, PUPILS, SIGNED_IN, RoundsCase
from tests.support.builders import (
    ALLOW,
    SAFETY,
    request,
    response,
    rule,
)


class MomentTests(RoundsCase):
    """An exchange that is not a quiet tunnel just then."""

    def test_dialling(self):
        """Who waits for the server still gets the page."""
        self.begin()
        client = self.site.client()
        client.send(request(b"CONNECT", b"games.example:443"))
        self.take(NO_GAMES)
        self.within_a_second()
        self.assertTrue(client.take().startswith(b"HTTP/1.1 403 "))
        self.assertEqual(self.site.dialling, [])
        (record,) = self.site.records
        self.assertEqual((record.kind, record.result, record.status), (Kind.EXCHANGE, ResultCode.ENDED, 403))
        self.assertEqual((record.failure, record.ended_rule), ("decided-again", "no games"))

    def test_first_octets(self):
        """A tunnel that has said nothing yet is one, too."""
        self.begin(safety=SAFETY)
        client = self.site.client()
        client.send(request(b"CONNECT", b"games.example:443"))
        self.site.server()
        self.take(NO_GAMES, safety=SAFETY)
        self.within_a_second()
        self.assertEqual(self.ended()["games.example"].ended_rule, "no games")
        self.assertTrue(client.closed)

    def test_upgraded(self):
        """A WebSocket without a tunnel is decided again like one."""
        self.begin()
        upgrade = (b"Upgrade: websocket", b"Connection: Upgrade")
        client = self.site.client()
        client.send(request(b"GET", b"http://games.example/play", *upgrade))
        self.site.server().send(response(101, *upgrade, framed=False))
        self.take(NO_GAMES)
        self.within_a_second()
        record = self.ended()["games.example"]
        self.assertEqual((record.result, record.ended_rule, record.path), ("ended", "no games", "/play"))
        self.assertTrue(client.closed)

    def test_page(self):
        """A request that ends soon keeps what it began under."""
        self.begin()
        client = self.site.client()
        client.send(request(b"GET", b"http://games.example/"))
        server = self.site.server()
        self.take(NO_GAMES)
        self.site.wait(LONG_SECONDS - 2)
        server.send(response(content=b"whole"))
        self.assertTrue(client.take().endswith(b"whole"))
        self.assertEqual((self.site.record.result, self.site.record.ended_rule), (ResultCode.FORWARDED, ""))

    def test_long_answer(self):
        """A stream that began before the lesson is cut off in it, by a reset that shows it."""
        self.begin()
        client = self.site.client()
        client.send(request(b"GET", b"http://games.example/stream"))
        self.site.server().send(response(200, b"Content-Length: 1000", framed=False) + b"some")
        self.take(NO_GAMES)
        self.site.wait(LONG_SECONDS - 1)
        self.assertEqual(self.site.records, [])
        self.site.wait(2)
        record = self.site.record
        self.assertEqual((record.result, record.failure), (ResultCode.ENDED, "decided-again"))
        self.assertTrue(client.reset)

    def test_signing_in(self):
        """Who was being signed in when groups changed is decided again as soon as it is decided."""
        self.begin(PUPILS, sign_in=True)
        pending = self.site.sign_in.outcome = Deferred()
        client = self.site.client()
        client.send(request(b"CONNECT", b"games.example:443", SIGNED_IN))
        self.site.force.people.take_groups({"amir": ("pupils",)})
        self.within_a_second()
        pending.callback(Identity("amir"))
        self.within_a_second()
        self.assertTrue(client.take().startswith(b"HTTP/1.1 403 "))

    def test_slow_head(self):
        """A head that begins before the lesson and ends in it opens no tunnel for the lesson."""
        self.begin(IN_LESSONS)
        self.site.wait(14 * 60 + 50)
        client = self.site.client()
        client.send(b"CONNECT games.example:443 HTTP/1.1\r\n")
        self.site.wait(20)
        client.send(b"Host: games.example:443\r\n\r\n")
        self.site.server()
        self.within_a_second()
        self.assertEqual(self.ended()["games.example"].ended_rule, "games wait")

    def test_portal(self):
        """A page of the portal is no business of rules."""
        self.begin()
        client = self.site.client()
        head = request(b"POST", b"http://proxy.internal/confirm", b"Content-Length: 10")
        client.send(head)
        self.take(rule("nothing", Effect.BLOCK))
        self.site.wait(LONG_SECONDS + 2)
        self.assertEqual(self.site.records, [])
        self.assertFalse(client.closed)

    def test_refused_already(self):
        """A request that was refused, and whose content still comes, has had its answer."""
        self.begin(NO_GAMES)
        client = self.site.client()
        client.send(request(b"POST", b"http://games.example/", b"Content-Length: 10"))
        self.take(NO_GAMES)
        self.within_a_second()
        client.send(b"0123456789")
        self.assertEqual((self.site.record.result, self.site.record.ended_rule), (ResultCode.BLOCKED, ""))

    def test_goes_on(self):
        """What may go on is asked again by the next change, and only once for each."""
        self.begin()
        self.both()
        asked = []
        policy = Policy([ALLOW], ANY)
        decide = policy.decide
        policy.decide = lambda *facts: asked.append(facts) or decide(*facts)
        self.take(policy=policy)
        self.site.wait(30)
        self.assertEqual(len(asked), 2)
        self.take(NO_GAMES, version="third")
        self.game_ended("no games", "the policy changed")

    def test_bug(self):
        """What cannot be decided does not go on, and the round does."""
        self.begin()
        self.both()
        policy = Policy([NO_GAMES, ALLOW], ANY)
        decide = policy.decide

        def broken(facts, grants):
            if facts.host.name == "school.example":
                raise KeyError("a bug")
            return decide(facts, grants)

        policy.decide = broken
        self.take(policy=policy)
        self.within_a_second()
        self.assertEqual(
            {host: one.failure for host, one in self.ended().items()},
            {"games.example": "decided-again", "school.example": "KeyError"},
        )
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
