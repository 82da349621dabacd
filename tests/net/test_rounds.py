"""Rounds: what runs is decided again when what it was decided by has changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from ipaddress import ip_network

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.results import Kind, ResultCode
from corpproxy.destination.classifier import Classifier
from corpproxy.destination.model import AddressClass
from corpproxy.exchange.limits import Timeouts
from corpproxy.identity.grants import Grant
from corpproxy.identity.model import Identity
from corpproxy.identity.people import People
from corpproxy.identity.settings import IdentitySettings, NetworkIdentity
from corpproxy.net.rounds import LONGEST_SLICE_SECONDS, SLICE_SECONDS, TICK_SECONDS
from corpproxy.policy.calendar import Hours, parse_spans
from corpproxy.policy.conditions import What, When, Who
from corpproxy.policy.decide import Policy
from corpproxy.policy.exempt import Exemption, Exemptions
from corpproxy.policy.model import Effect, Safety, TunnelContent
from corpproxy.policy.safe_search import SafeSearch, SafeSearchEntry
from tests.support.builders import (
    ALLOW,
    AMIR,
    BASIC,
    CLIENT,
    SAFETY,
    domain,
    request,
    rule,
)
from tests.support.rows import rows, tabular
from tests.support.wires import Site

GAMES = b"games.example"
OPENED = b"HTTP/1.1 200 Connection established\r\n\r\n"
ANY = replace(SAFETY, tunnel_content=TunnelContent.ANY)
# The clock of a test begins at 10:45.
LESSONS = When("lessons", Hours(spans=parse_spans("11:00-12:00"), time_zone=UTC))
NO_GAMES = rule("no games", Effect.BLOCK, what=domain("games.example"), say="Games open after lessons.")
IN_LESSONS = rule("games wait", Effect.BLOCK, what=domain("games.example"), when=(LESSONS,))
CATEGORY = rule("no games at all", Effect.BLOCK, what=What(category=("games",)))
PUPILS = rule("not for pupils", Effect.BLOCK, who=Who(group=("pupils",)), what=domain("games.example"))
WARNED = rule("think first", Effect.WARN, what=domain("games.example"))
SIGNED_IN = b"Proxy-Authorization: " + BASIC


class RoundsCase(SynchronousTestCase):
    """A site that looks for changes, with a tunnel to a game and one to a lesson."""

    def begin(self, *rules, **more):
        more.setdefault("safety", ANY)
        more.setdefault("timeouts", Timeouts(tunnel_idle=36_000))
        self.site = Site(*rules, **more)
        self.site.proxy.rounds.start()
        self.addCleanup(self.site.proxy.rounds.stop)

    def tunnel(self, host=GAMES, *fields):
        client = self.site.client()
        client.send(request(b"CONNECT", host + b":443", *fields))
        client.server = self.site.server()
        self.assertEqual(client.take(), OPENED)
        return client

    def both(self, *fields):
        """Two tunnels: to a game, and to something else."""
        self.game, self.other = self.tunnel(GAMES, *fields), self.tunnel(b"school.example", *fields)

    def take(self, *rules, **more):
        """Put something else into force."""
        proxy = self.site.proxy
        more.setdefault("version", "another")
        if rules:
            more["policy"] = Policy([*rules, ALLOW], more.pop("safety", ANY))
        proxy.in_force = replace(proxy.in_force, **more)

    def within_a_second(self):
        """Let less than a second pass."""
        self.site.reactor.pump([TICK_SECONDS] * 4)
        self.site.settle()

    def ended(self):
        """The closing records of tunnels that are over, by host."""
        return {one.host: one for one in self.site.records}

    def game_ended(self, decided_by, because, **fields):
        """The tunnel to the game has ended, within a second, for this reason; the other has not."""
        self.within_a_second()
        self.assertEqual(list(self.ended()), ["games.example"])
        record = self.ended()["games.example"]
        self.assertEqual((record.kind, record.result), (Kind.CLOSING, ResultCode.ENDED))
        self.assertEqual(record.failure, fields.pop("failure", "decided-again"))
        self.assertEqual(record.ended_rule, decided_by)
        self.assertIn(because, record.ended_reason)
        for name, value in fields.items():
            self.assertEqual(getattr(record, name), value)
        self.assertTrue(self.game.closed and self.game.server.reset)
        self.assertFalse(self.other.closed)
        self.other.send(b"goes on")
        self.assertEqual(self.other.server.take(), b"goes on")


class ChangedTests(RoundsCase):
    """What can change, and what is left alone."""

    def test_hours(self):
        """A game that was opened before the lesson ends with its first second."""
        self.begin(IN_LESSONS)
        self.both()
        self.site.wait(14 * 60)
        self.assertEqual(self.ended(), {})
        self.site.wait(59)
        self.site.reactor.advance(0.9)
        self.assertEqual(self.ended(), {})
        self.site.reactor.advance(0.1)
        self.game_ended(
            "games wait", "hours began or ended: ", ended_policy="3fa9c1d200aa", rule="everything else"
        )

    def test_clock_set_back(self):
        """A clock that is set back makes the hours of before hold again."""
        self.begin(IN_LESSONS)
        self.site.wait(80 * 60)
        self.both()
        now = self.site.proxy.now
        self.site.proxy.now = lambda: now() - 30 * 60
        self.game_ended("games wait", "hours began or ended")

    def test_policy(self):
        """A reload that blocks it ends it; the record has both decisions, each with its version and place."""
        self.begin()
        self.both()
        self.take(NO_GAMES)
        self.game_ended(
            "no games",
            "the policy changed: domain games.example",
            ended_policy="another",
            ended_place="policy.yaml:10:5",
            policy="3fa9c1d200aa",
            rule="everything else",
            decision="allow",
        )

    def test_portal_tells(self):
        """The person finds on the portal why it ended."""
        self.begin()
        self.both()
        self.take(NO_GAMES)
        self.within_a_second()
        (past,) = self.site.force.refusals.of(Identity(""), CLIENT, self.site.now())
        self.assertEqual((past.rule, past.say), ("no games", "Games open after lessons."))

    def test_lists(self):
        """A list that says something new of a host is a change, too."""
        self.begin(CATEGORY)
        self.both()
        self.take(version=self.site.force.version, classifier=Classifier(None, {"games": ("games.example",)}))
        self.game_ended("no games at all", "the category lists changed: category games")

    def test_groups(self):
        """Who becomes a pupil loses what pupils may not have; what others have stays."""
        self.begin(PUPILS, sign_in=True, known={BASIC: Identity("amir")})
        self.both(SIGNED_IN)
        self.site.force.people.take_groups({"amir": ("pupils",)})
        self.game_ended("not for pupils", "groups changed: group pupils", user="amir", groups=())

    def test_grant_ends(self):
        """What was let through by a grant ends with it, to the second."""
        self.begin(WARNED)
        self.grant(CLIENT, seconds=600)
        self.both()
        self.site.wait(599)
        self.assertEqual(self.ended(), {})
        self.site.wait(1)
        self.game_ended("think first", "a grant ended")

    def grant(self, who, seconds):
        until = self.site.now() + seconds
        self.site.force.grants.add(Grant(f"address:{who}", "games.example", "think first", until, who, "x"))

    def test_grant_comes(self):
        """A grant for somebody else ends nothing."""
        self.begin(WARNED)
        self.grant(CLIENT, seconds=600)
        self.both()
        self.grant("10.9.9.9", seconds=60)
        self.site.wait(120)
        self.assertEqual(self.ended(), {})

    def test_account(self):
        """Whose password is changed is signed in nowhere any more; others are."""
        self.begin(sign_in=True, known={BASIC: AMIR, b"Basic Y2Fyb2w6eA==": Identity("carol")})
        self.game = self.tunnel(GAMES, SIGNED_IN)
        self.other = self.tunnel(b"school.example", b"Proxy-Authorization: Basic Y2Fyb2w6eA==")
        self.site.proxy.rounds.accounts_changed({"amir": "the password of 'amir' is another one"})
        self.game_ended(
            "account",
            "the account changed: the password of 'amir' is another one",
            failure="account-changed",
            rule="everything else",
        )

    def test_named_by_network(self):
        """A room that has the name of a person is not that person's account."""
        room = NetworkIdentity("lab", (ip_network("10.1.0.0/16"),), "amir")
        self.begin(identity=IdentitySettings(networks=(room,)))
        self.both()
        self.site.proxy.rounds.accounts_changed({"amir": "'amir' is gone"})
        self.within_a_second()
        self.assertEqual(self.ended(), {})

    def test_sign_in_needed(self):
        """Where nobody was asked to sign in and everybody is now, open tunnels are asked, too."""
        school = Exemption(what=domain("school.example"))
        self.begin()
        self.both()
        self.take(exemptions=Exemptions([school]), challenges=(b'Basic realm="Hillside"',))
        self.game_ended("sign-in", "credentials are asked for now", failure="sign-in-needed")

    def test_exemption_ends(self):
        """Where nobody had to sign in during the lesson, an open tunnel is asked when the lesson is over."""
        lesson = Exemption(what=domain("games.example"), when=(LESSONS,))
        self.begin(sign_in=True, exempt=[Exemption(what=domain("school.example")), lesson])
        self.site.wait(20 * 60)
        self.both()
        self.site.wait(54 * 60)
        self.assertEqual(self.ended(), {})
        self.site.wait(60)
        self.game_ended("sign-in", "hours began or ended: credentials", failure="sign-in-needed")

    def test_exempt_by_category(self):
        """What was exempt by a category is asked when the lists say something else of it."""
        games = Exemption(what=What(category=("games",)))
        own = {"games": ("games.example", "school.example")}
        self.begin(sign_in=True, exempt=[games], own=own)
        self.both()
        self.take(version="3fa9c1d200aa", classifier=Classifier(None, {"games": ("school.example",)}))
        self.game_ended("sign-in", "the category lists changed", failure="sign-in-needed")

    def test_network(self):
        """The person behind an address is looked up anew."""
        self.begin(PUPILS)
        self.both()
        lab = NetworkIdentity("lab", (ip_network("10.1.0.0/16"),), "lab", ("pupils",))
        self.take(version="new", people=People(IdentitySettings(networks=(lab,))))
        self.game_ended("not for pupils", "group pupils")

    def test_no_sign_in_any_more(self):
        """Who signed in where nobody can any more is nobody."""
        named = rule("only amir", Effect.BLOCK, who=Who(anonymous=True), what=domain("games.example"))
        self.begin(named, sign_in=True, known={BASIC: AMIR})
        self.both(SIGNED_IN)
        self.take(challenges=())
        self.game_ended("only amir", "nobody signed in")


@tabular
class SafetyTests(RoundsCase):
    """What stays refused whatever the rules say."""

    @rows(
        ports=(replace(ANY, connect_ports=frozenset({80})), "safety: connect_ports"),
        content=(Safety(place=SAFETY.place), "safety: tunnel_content"),
        addresses=(replace(ANY, addresses=frozenset({AddressClass.PRIVATE})), "safety: addresses"),
    )
    def test_stricter(self, safety, decided_by):
        """A stricter table ends what it would not let through now."""
        self.begin()
        client = self.tunnel()
        self.take(ALLOW, safety=safety)
        self.within_a_second()
        self.assertEqual(self.ended()["games.example"].ended_rule, decided_by)
        self.assertTrue(client.closed)

    @rows(
        ports=(replace(SAFETY, connect_ports=frozenset()),),
        content=(ANY,),
        addresses=(replace(ANY, addresses=frozenset(AddressClass)),),
    )
    def test_same_or_looser(self, safety):
        """A table that lets more through ends nothing."""
        self.begin()
        self.both()
        self.take(ALLOW, safety=safety if safety is not SAFETY else ANY)
        if safety.tunnel_content is TunnelContent.ANY:
            self.within_a_second()
            self.assertEqual(self.ended(), {})

    def test_address_of_the_host(self):
        """Rules about addresses are asked with the one that was dialled."""
        self.begin()
        self.both()
        inside = rule("not there", Effect.BLOCK, what=What(address=(AddressClass.PUBLIC,)))
        self.take(inside, needs_addresses=True)
        self.within_a_second()
        self.assertEqual({one.ended_rule for one in self.ended().values()}, {"not there"})

    def test_network_of_the_host(self):
        """Rules about networks of servers are asked with the address that was dialled."""
        self.begin()
        self.both()
        inside = rule("not inside", Effect.BLOCK, what=What(address=(ip_network("10.0.0.0/8"),)))
        there = rule("not there", Effect.BLOCK, what=What(address=(ip_network("93.184.0.0/16"),)))
        self.take(inside, there, needs_addresses=True, needs_networks=True)
        self.within_a_second()
        self.assertEqual({one.ended_rule for one in self.ended().values()}, {"not there"})

    def test_safe_search(self):
        """A search engine that is to be strict from now on is not reached as before."""
        strict = SafeSearch([SafeSearchEntry()])
        self.begin()
        self.game, self.other = self.tunnel(b"www.google.com"), self.tunnel(b"school.example")
        self.take(safe_search=strict)
        self.within_a_second()
        (record,) = self.ended().values()
        self.assertEqual((record.host, record.ended_rule), ("www.google.com", "safe search"))
        self.assertIn("is reached as forcesafesearch.google.com now", record.ended_reason)

    def test_strict_already(self):
        """One that is reached by its strict host is left alone, also when it need not be strict any more."""
        self.begin(safe_search=SafeSearch([SafeSearchEntry()]))
        self.tunnel(b"www.google.com")
        self.take(safe_search=SafeSearch([SafeSearchEntry(), SafeSearchEntry()]))
        self.within_a_second()
        self.take(version="third", safe_search=SafeSearch())
        self.within_a_second()
        self.assertEqual(self.ended(), {})


class SliceTests(RoundsCase):
    """Nobody waits for a round."""

    def begin_round(self, count):
        """A round over so many tunnels, each of which takes a ninth of a slice; gives the sizes of slices."""
        self.begin()
        rounds = self.site.proxy.rounds
        rounds._seconds = self._clock_of(SLICE_SECONDS / 8.5)
        self.clients = [self.tunnel() for _ in range(count)]
        self.put_off = []
        later = self.site.reactor.callLater
        self.patch(
            self.site.reactor,
            "callLater",
            lambda delay, call, *more: (
                self.put_off.append((rounds.ended, call)) or later(1000, call)
                if call == rounds._slice
                else later(delay, call, *more)
            ),
        )
        self.take(NO_GAMES)
        self.site.reactor.advance(TICK_SECONDS)
        return rounds

    def _clock_of(self, seconds):
        """A clock that goes on by so much each time that it is read."""
        self._time = 0.0

        def read():
            self._time += seconds
            return self._time

        return read

    def go_on(self):
        self.put_off[-1][1]()

    def test_in_slices(self):
        """Others have their turn after each few milliseconds of a round; it goes on until all are asked."""
        rounds = self.begin_round(30)
        self.assertEqual((rounds.ended, len(self.put_off)), (9, 1))
        self.go_on()
        self.assertEqual(rounds.ended, 18)
        self.go_on()
        self.go_on()
        self.assertEqual((rounds.ended, len(self.put_off)), (30, 3))
        self.assertTrue(all(client.closed for client in self.clients))

    def test_busy(self):
        """Where others are busy a slice is longer, so that the round ends in time; but never very long."""
        rounds = self.begin_round(40)
        self._time += 10 * LONGEST_SLICE_SECONDS
        self.go_on()
        self.assertEqual(rounds.ended, 9 + 18)
        self.go_on()
        self.go_on()
        self.assertEqual(rounds.ended, 40)

    def test_change_meanwhile(self):
        """What changes while a round goes on is seen when it is over."""
        rounds = self.begin_round(10)
        self.other = self.tunnel(b"school.example")
        self.take(rule("nothing", Effect.BLOCK), version="third")
        self.within_a_second()
        self.assertEqual(rounds.ended, 9)
        self.go_on()
        self.assertEqual(rounds.ended, 10)
        self.assertFalse(self.other.closed)
        self.within_a_second()
        self.assertTrue(self.other.closed)

    def test_stopped(self):
        """The end of the service is the end of a round."""
        rounds = self.begin_round(20)
        rounds.stop()
        self.site.wait(2000)
        self.assertEqual(rounds.ended, 9)
