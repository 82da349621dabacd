"""Deciding: the first match, safety after it, grants, and what is remembered."""

from __future__ import annotations

from dataclasses import fields, replace
from operator import attrgetter

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.destination.model import AddressClass
from corpproxy.errors import Place
from corpproxy.identity.grants import Grant, Grants
from corpproxy.identity.model import ANONYMOUS, Identity
from corpproxy.policy import decide
from corpproxy.policy.conditions import What, Who
from corpproxy.policy.decide import Policy, refuse_address
from corpproxy.policy.model import ConnectTo, Effect, Facts, Safety
from tests.policy import slowly
from tests.policy.builders import (
    CAROL,
    LESSONS,
    LONDON,
    MONDAY,
    NETWORKS,
    allow,
    facts,
    instants,
    local,
    policies,
    rule,
    rules,
    some_facts,
)
from tests.support.examples import EXAMPLES
from tests.support.rows import rows, tabular

SAFETY = Safety(place=Place("policy.yaml", 3, 1))
GAMES = rule("games", who=Who(group=("pupils",)), what=What(category=("games",)), line=7, say="Later.")
OPEN = Policy([allow()], SAFETY)


def granted(rule="gambling", host="bet.example", until=MONDAY + 60, who="carol"):
    """Grants that hold one."""
    grants = Grants()
    grants.add(Grant(who, host, rule, until, who, "confirmed"))
    return grants


class RuleTests(SynchronousTestCase):
    """The first match decides."""

    def test_first(self):
        """The decision names rule, place, category and sentence of the first rule that matches."""
        policy = Policy([GAMES, allow()])
        decision = policy.decide(facts(categories=("chess", "games")))
        self.assertEqual(
            (decision.effect, decision.rule, decision.category), (Effect.BLOCK, "games", "games")
        )
        self.assertEqual((decision.place, decision.say), (Place("policy.yaml", 7, 5), "Later."))
        self.assertEqual(decision.reason, "category games; group pupils")

    def test_order(self):
        """The same rules the other way round decide otherwise."""
        asked = facts(categories=("games",))
        self.assertEqual(Policy([GAMES, allow()]).decide(asked).effect, Effect.BLOCK)
        self.assertEqual(Policy([allow(), GAMES]).decide(asked).effect, Effect.ALLOW)

    def test_no_rule(self):
        """Where no rule matches, nothing is let through."""
        for policy in (Policy([]), Policy([GAMES])):
            decision = policy.decide(facts())
            self.assertEqual((decision.effect, decision.rule), (Effect.BLOCK, ""))
            self.assertEqual(decision.reason, "no rule matches")

    def test_redirect(self):
        """A redirect goes where its rule says, host and target percent-encoded."""
        to = "http://proxy.internal/?h={host}&u={uri}"
        policy = Policy([rule("moved", Effect.REDIRECT, location=to)])
        for path in ("/a?b=c%20d", "/other"):
            decision = policy.decide(facts(f"http://example.com{path}"))
            quoted = {"/a?b=c%20d": "%2Fa%3Fb%3Dc%2520d", "/other": "%2Fother"}[path]
            self.assertEqual(
                decision.location, f"http://proxy.internal/?h=example.com&u=http%3A%2F%2Fexample.com{quoted}"
            )

    def test_missing_list(self):
        """While a list is missing, what blocks by it blocks everything and says so."""
        policy = Policy([rule("malware", what=What(category=("malware",))), allow()])
        self.assertEqual(policy.decide(facts()).effect, Effect.ALLOW)
        decision = policy.with_missing({"malware"}).decide(facts())
        self.assertEqual((decision.effect, decision.rule, decision.category), (Effect.BLOCK, "malware", ""))
        self.assertEqual(decision.reason, "the list of malware is missing, so that this refuses everything")

    def test_nothing_else_missing(self):
        """The same lists are missing as before: the policy stays, with all that it remembers."""
        policy = Policy([GAMES, allow()], missing_categories=frozenset({"games"}))
        self.assertIs(policy.with_missing(["games"]), policy)

    def test_reads(self):
        """Only what the rules and the safety table look at is read."""
        self.assertEqual(OPEN.reads, {"method", "port", "host"})
        policy = Policy([GAMES, rule(what=What(address=(AddressClass.PRIVATE,)), when=(LESSONS,))])
        self.assertEqual(
            policy.reads, {"method", "port", "host", "identity", "categories", "address_classes", "at"}
        )
        self.assertEqual(policy.categories, {"games"})


@tabular
class SafetyTests(SynchronousTestCase):
    """What stays refused whatever the rules say."""

    @rows(
        tunnel=("https://example.com", SAFETY, ""),
        tunnel_80=("https://example.com:80", SAFETY, ""),
        ssh=("https://example.com:22", SAFETY, "connect_ports"),
        every_port=("https://example.com:22", Safety(connect_ports=frozenset()), ""),
        tunnel_to_address=("https://93.184.216.34", SAFETY, "connect_to"),
        tunnel_to_any=("https://93.184.216.34", Safety(connect_to=ConnectTo.ANYTHING), ""),
        tunnel_inside=("https://10.0.0.1", Safety(connect_to=ConnectTo.ANYTHING), "addresses"),
        public=("http://93.184.216.34/", SAFETY, ""),
        private=("http://10.0.0.1/", SAFETY, "addresses"),
        loopback=("http://127.0.0.1:8080/", SAFETY, "addresses"),
        metadata=("http://169.254.169.254/latest/", SAFETY, "addresses"),
        odd_spelling=("http://0x7f.1/", SAFETY, "addresses"),
        allowed=("http://10.0.0.1/", Safety(addresses=frozenset({AddressClass.PRIVATE})), ""),
        any_port_without_tunnel=("http://example.com:8080/", SAFETY, ""),
    )
    def test_refused(self, url, safety, entry):
        """An entry of the safety table refuses with its own name and place, after the rules."""
        safety = replace(safety, place=Place("policy.yaml", 3, 1))
        decision = Policy([allow()], safety).decide(facts(url))
        self.assertEqual(decision.effect, Effect.BLOCK if entry else Effect.ALLOW)
        self.assertEqual(decision.rule, f"safety: {entry}" if entry else "everything else")
        self.assertEqual(decision.place.line, 3 if entry else 1)
        if entry:
            self.assertIn("'everything else' would have allowed it", decision.reason)

    def test_rule_lifts(self):
        """A rule's own safety stands in the place of the table for what that rule lets through."""
        own = Safety(connect_ports=frozenset({22}), place=Place("policy.yaml", 20, 7))
        policy = Policy([allow("ssh", what=What(domain=("git.example",)), safety=own), allow()], SAFETY)
        self.assertEqual(policy.decide(facts("https://git.example:22")).rule, "ssh")
        self.assertIs(policy.decide(facts("https://git.example:22")).safety, own)
        self.assertEqual(policy.decide(facts("https://example.com:22")).rule, "safety: connect_ports")
        refused = policy.decide(facts("https://git.example:443"))
        self.assertEqual((refused.rule, refused.place.line), ("safety: connect_ports", 20))

    def test_block_stays(self):
        """What a rule blocks is blocked by that rule, not by the safety table."""
        self.assertEqual(Policy([rule("no")], SAFETY).decide(facts("https://10.0.0.1:22")).rule, "no")

    def test_refuse_address(self):
        """A name that leads inside is refused like an address that was asked for."""
        decision = refuse_address(OPEN.decide(facts()), "10.0.0.1", AddressClass.PRIVATE)
        self.assertEqual((decision.effect, decision.rule), (Effect.BLOCK, "safety: addresses"))
        self.assertEqual(decision.place, SAFETY.place)
        self.assertEqual(
            decision.reason,
            "10.0.0.1 is a private address, and public addresses may be reached; "
            "'everything else' would have allowed it",
        )


class GrantTests(SynchronousTestCase):
    """A warning that was confirmed lets through: this person, this host, this rule, until then."""

    WARNING = rule("gambling", Effect.WARN, what=What(category=("gambling",)), warn_seconds=3600)
    POLICY = Policy([WARNING, allow()], SAFETY, time_zone=LONDON)

    def asked(self, url="http://bet.example/", **more):
        return facts(url, **{"identity": CAROL, "categories": ("gambling",), **more})

    def test_warned(self):
        """Without a grant there is the warning, with how long a confirmation lasts."""
        for grants in (
            None,
            Grants(),
            granted(rule="other"),
            granted(host="else.example"),
            granted(who="amir"),
        ):
            decision = self.POLICY.decide(self.asked(), grants)
            self.assertEqual((decision.effect, decision.warn_seconds), (Effect.WARN, 3600))

    def test_confirmed(self):
        """With the grant it is allowed, and the reason says until when."""
        decision = self.POLICY.decide(self.asked(), granted())
        self.assertEqual((decision.effect, decision.rule), (Effect.ALLOW, "gambling"))
        self.assertEqual(decision.reason, "warning confirmed until Mon 2026-11-23 10:01")

    def test_not_remembered(self):
        """A grant counts at once and ends in time, although decisions are remembered."""
        grants = Grants()
        self.assertEqual(self.POLICY.decide(self.asked(), grants).effect, Effect.WARN)
        grants.add(Grant("carol", "bet.example", "gambling", MONDAY + 60, "carol", "confirmed"))
        self.assertEqual(self.POLICY.decide(self.asked(), grants).effect, Effect.ALLOW)
        self.assertEqual(self.POLICY.decide(self.asked(at=MONDAY + 60), grants).effect, Effect.WARN)
        self.assertEqual(self.POLICY.decide(self.asked(identity=Identity("dan")), grants).effect, Effect.WARN)

    def test_by_address(self):
        """Who did not sign in is granted by the client's address."""
        grants = granted(who="address:10.1.2.3")
        self.assertEqual(self.POLICY.decide(self.asked(identity=ANONYMOUS), grants).effect, Effect.ALLOW)
        self.assertEqual(
            self.POLICY.decide(self.asked(identity=ANONYMOUS, client="10.1.2.4"), grants).effect, Effect.WARN
        )

    def test_safety_after(self):
        """A confirmed warning opens no port that the safety table keeps closed."""
        decision = self.POLICY.decide(self.asked("https://bet.example:22"), granted())
        self.assertEqual(decision.rule, "safety: connect_ports")

    def test_endless(self):
        """A grant for ever has a reason too."""
        decision = self.POLICY.decide(self.asked(), granted(until=float("inf")))
        self.assertEqual(decision.reason, "warning confirmed until the end of time")


class MemoryTests(SynchronousTestCase):
    """What is remembered is what would be decided now."""

    def at(self, policy, written):
        return policy.decide(facts(at=local(written))).effect

    def test_boundary(self):
        """At the bell the remembered decision is over, to the second."""
        policy = Policy([rule(when=(LESSONS,)), allow()])
        self.assertEqual(self.at(policy, "2026-11-23T08:29:59"), Effect.ALLOW)
        self.assertEqual(self.at(policy, "2026-11-23T08:30"), Effect.BLOCK)
        self.assertEqual(self.at(policy, "2026-11-23T15:29:59"), Effect.BLOCK)
        self.assertEqual(self.at(policy, "2026-11-23T15:30"), Effect.ALLOW)

    def test_clock_set_back(self):
        """A clock that jumps backwards brings back what held then."""
        policy = Policy([rule(when=(LESSONS,)), allow()])
        for _ in range(2):
            self.assertEqual(self.at(policy, "2026-11-23T16:00"), Effect.ALLOW)
            self.assertEqual(self.at(policy, "2026-11-23T15:00"), Effect.BLOCK)
            self.assertEqual(self.at(policy, "2026-11-23T14:00"), Effect.BLOCK)

    def test_looking_elsewhere(self):
        """A question about another hour changes nothing of what is remembered for this one."""
        policy = Policy([rule(when=(LESSONS,)), allow()])
        self.assertEqual(self.at(policy, "2026-11-23T10:00"), Effect.BLOCK)
        policy.table.first(facts(at=local("2026-11-23T16:00")))
        self.assertEqual(self.at(policy, "2026-11-23T10:00"), Effect.BLOCK)
        self.assertEqual(self.at(policy, "2026-11-23T16:01"), Effect.ALLOW)

    def test_remembered(self):
        """The same facts give the same object; facts that no rule reads make no difference."""
        policy = Policy([GAMES, allow()])
        first = policy.decide(facts("http://a.example/x"))
        self.assertIs(policy.decide(facts("http://b.example/y", client="10.9.9.9")), first)

    def test_bounded(self):
        """However many hosts come, only so many decisions are kept, and those in use stay."""
        self.patch(decide, "REMEMBERED_HALF", 10)
        policy = Policy([rule(what=What(domain=("bad.example",))), allow()])
        for number in range(100):
            self.assertEqual(policy.decide(facts(f"http://h{number}.example/")).effect, Effect.ALLOW)
            self.assertEqual(policy.decide(facts("http://www.bad.example/")).effect, Effect.BLOCK)
            self.assertLessEqual(len(policy._young) + len(policy._old), 20)

    @EXAMPLES
    @given(policies, st.lists(some_facts, min_size=2, max_size=8), instants)
    def test_same_as_fresh(self, written, asked, at):
        """A policy that remembers says what a new one says, whatever was asked before and at what time."""
        remembering = Policy(written, networks=NETWORKS)
        asked = [*asked, *(replace(one, at=at) for one in asked), *asked]
        for one in asked:
            self.assertEqual(remembering.decide(one), Policy(written, networks=NETWORKS).decide(one))


class PropertyTests(SynchronousTestCase):
    """Whatever the rules and whatever is asked."""

    @EXAMPLES
    @given(policies, some_facts, st.sampled_from([frozenset(), frozenset({"games"}), frozenset({"*"})]))
    def test_first_match(self, written, asked, missing):
        """The compiled table finds the rule that a walk over all of them finds."""
        policy = Policy(written, networks=NETWORKS, missing_categories=missing)
        number = slowly.first(written, asked, missing)
        self.assertEqual(policy.table.first(asked), number)
        decision = policy.decide(asked)
        if number < 0:
            self.assertEqual((decision.effect, decision.rule), (Effect.BLOCK, ""))
        elif not decision.rule.startswith("safety: "):
            self.assertEqual((decision.effect, decision.rule), (written[number].effect, written[number].name))
        else:
            self.assertEqual(written[number].effect, Effect.ALLOW)

    @EXAMPLES
    @given(policies, some_facts)
    def test_unconditional_block(self, written, asked):
        """A block without conditions put first blocks everything."""
        decision = Policy([rule("stop"), *written], networks=NETWORKS).decide(asked)
        self.assertEqual((decision.effect, decision.rule), (Effect.BLOCK, "stop"))

    @EXAMPLES
    @given(policies, rules, some_facts)
    def test_what_comes_later(self, written, late, asked):
        """A rule put behind the one that decides changes nothing."""
        before = Policy(written, networks=NETWORKS)
        number = before.table.first(asked)
        if number >= 0:
            after = Policy([*written[: number + 1], late, *written[number + 1 :]], networks=NETWORKS)
            self.assertEqual(after.decide(asked), before.decide(asked))

    @EXAMPLES
    @given(policies, some_facts)
    def test_missing_lists_open_nothing(self, written, asked):
        """Where something is let through while lists are missing, the rule that does so needs no list."""
        policy = Policy(written, networks=NETWORKS, missing_categories=frozenset({"*"}))
        if policy.decide(asked).effect is Effect.ALLOW and not asked.categories:
            what = written[policy.table.first(asked)].what
            self.assertEqual((what.category, what.uncategorised or None), ((), None))

    @EXAMPLES
    @given(policies, some_facts)
    def test_reads_enough(self, written, asked):
        """Facts that are said not to be read do not change the decision, but for where a redirect goes."""
        policy = Policy(written, networks=NETWORKS)
        other = facts(
            "http://else.example/other", CAROL, client="10.2.0.9", listener="x", at=MONDAY - 86_400.0
        )
        names = {field.name for field in fields(Facts)} - policy.reads
        changed = replace(asked, **{name: getattr(other, name) for name in names})
        kept = attrgetter("effect", "rule", "reason", "safety")
        self.assertEqual(kept(policy.decide(changed)), kept(policy.decide(asked)))
