"""Rules that count for some people, for a time, or only as a rehearsal."""

from __future__ import annotations

import math
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.identity.model import ANONYMOUS, Identity
from corpproxy.policy.conditions import What, Who
from corpproxy.policy.decide import Policy
from corpproxy.policy.explain import explain
from corpproxy.policy.model import Effect, Safety
from corpproxy.policy.staged import (
    Mode,
    Period,
    Stage,
    is_in_share,
    parse_end,
    parse_share,
    parse_start,
    share_text,
)
from tests.policy.builders import (
    AMIR,
    LESSONS,
    LONDON,
    MONDAY,
    NETWORKS,
    allow,
    exceptions,
    facts,
    instants,
    local,
    rule,
    some_facts,
    staged_rules,
)
from tests.support.examples import EXAMPLES
from tests.support.rows import rows, tabular

# Of the first forty.
MET = [7, 16, 17, 19, 21, 29]

SHADOW = Stage(mode=Mode.SHADOW)
GAMES = What(category=("games",))
GAME = facts(categories=("games",))


def canary(percent):
    """A stage for a share of the people."""
    return Stage(share=percent * 100)


def person(number):
    """One of many people."""
    return Identity(f"user{number}", ("pupils",))


def decided(policy, asked=GAME):
    """The effect, the rule, and what a rule in shadow would have refused."""
    decision = policy.decide(asked)
    return decision.effect.value, decision.rule, decision.would_block


@tabular
class ShadowTests(SynchronousTestCase):
    """A rule in shadow changes nothing and says what it would have refused."""

    def test_block(self):
        """What it would block goes on as before, and the decision names it."""
        policy = Policy([rule("games", what=GAMES, stage=SHADOW), allow()])
        self.assertEqual(decided(policy), ("allow", "everything else", "games"))
        self.assertEqual(decided(policy, facts()), ("allow", "everything else", ""))

    def test_first(self):
        """Of several the first is named."""
        policy = Policy([rule("a", stage=SHADOW), rule("b", stage=SHADOW), allow()])
        self.assertEqual(decided(policy), ("allow", "everything else", "a"))

    def test_behind(self):
        """One that stands behind the rule that decides would have done nothing."""
        policy = Policy(
            [allow("games are fine", what=GAMES), rule("games", what=GAMES, stage=SHADOW), allow()]
        )
        self.assertEqual(decided(policy), ("allow", "games are fine", ""))

    def test_allowed_in_shadow(self):
        """A rule in shadow that allows keeps those behind it from refusing, as it would in earnest."""
        policy = Policy([allow("homework", stage=SHADOW), rule("games", what=GAMES, stage=SHADOW), allow()])
        self.assertEqual(decided(policy), ("allow", "everything else", ""))

    @rows(
        blocked=(Effect.BLOCK, Effect.BLOCK, ""),
        warned=(Effect.BLOCK, Effect.WARN, "shadow"),
        redirected=(Effect.BLOCK, Effect.REDIRECT, "shadow"),
        warning=(Effect.WARN, Effect.ALLOW, "shadow"),
        redirect=(Effect.REDIRECT, Effect.ALLOW, "shadow"),
        warning_of_warned=(Effect.WARN, Effect.WARN, ""),
        allowing=(Effect.ALLOW, Effect.BLOCK, ""),
    )
    def test_what_counts(self, in_shadow, real, would_block):
        """Only what would be taken away from the person is told."""
        policy = Policy([rule("shadow", in_shadow, stage=SHADOW), rule("real", real)])
        self.assertEqual(policy.decide(GAME).would_block, would_block)

    def test_safety(self):
        """What the safety table refuses anyway is not told of a rule in shadow."""
        policy = Policy([rule("shadow", stage=SHADOW), allow()], Safety())
        self.assertEqual(
            decided(policy, facts("https://example.com:22")),
            ("block", "safety: connect_ports", ""),
        )

    def test_in_force(self):
        """A rule in shadow is rehearsed in its hours."""
        policy = Policy([rule("games", what=GAMES, stage=SHADOW, when=(LESSONS,)), allow()])
        self.assertEqual(policy.decide(GAME).would_block, "games")
        self.assertEqual(policy.decide(replace(GAME, at=local("2026-11-23T18:00"))).would_block, "")


@tabular
class CanaryTests(SynchronousTestCase):
    """A canary counts for a share of the people, always the same."""

    def test_share(self):
        """It counts for about as many people as it says; for the others it is in shadow."""
        policy = Policy([rule("games", stage=canary(10)), allow()])
        outcomes = [decided(policy, replace(GAME, identity=person(n))) for n in range(2_000)]
        met = outcomes.count(("block", "games", ""))
        self.assertEqual(met + outcomes.count(("allow", "everything else", "games")), 2_000)
        self.assertTrue(160 <= met <= 240, met)

    def test_growing(self):
        """A larger share has everybody of a smaller one."""
        shares = [
            {n for n in range(2_000) if is_in_share("games", f"user{n}", share)}
            for share in (50, 1_000, 9_000)
        ]
        self.assertTrue(shares[0] < shares[1] < shares[2])

    def test_everybody(self):
        """The whole share is everybody."""
        self.assertTrue(all(is_in_share("games", f"user{n}", 10_000) for n in range(100)))

    def test_always_the_same(self):
        """The hash is written down: these people, in every process and version."""
        met = [n for n in range(40) if is_in_share("games wait", f"user{n}", 1_000)]
        self.assertEqual(met, MET)

    def test_other_rule(self):
        """Another rule meets other people."""
        one, other = (
            {n for n in range(2_000) if is_in_share(name, f"user{n}", 1_000)} for name in ("a", "b")
        )
        self.assertLess(len(one & other), 60)

    def test_nameless(self):
        """Who did not sign in is told apart by the client's address, however that is spelled."""
        policy = Policy([rule("games", stage=canary(50)), allow()])

        def effects(spelled):
            return [
                policy.decide(facts(identity=ANONYMOUS, client=spelled.format(n))).effect for n in range(40)
            ]

        self.assertEqual(effects("10.1.2.{}"), effects("::ffff:10.1.2.{}"))
        self.assertEqual(len(set(effects("10.1.2.{}"))), 2)

    def test_no_address_as_name(self):
        """A user who is called like an address is somebody else than the client there."""
        policy = Policy([rule("games", stage=canary(50)), allow()])
        for number in range(20):
            address = f"10.1.2.{number}"
            for identity in (Identity(address), ANONYMOUS):
                asked = facts(identity=identity, client=address)
                self.assertEqual(
                    policy.decide(asked).effect,
                    Policy(policy.rules).decide(asked).effect,
                    (address, identity),
                )

    def test_reads(self):
        """Who asks is only read where a canary is."""
        self.assertNotIn("identity", Policy([rule("games", stage=SHADOW), allow()]).reads)
        self.assertLessEqual({"identity", "client"}, Policy([rule("games", stage=canary(10)), allow()]).reads)

    def test_remembered(self):
        """People for whom the same rules count share what is remembered."""
        policy = Policy([rule("games", stage=canary(10)), allow()])
        for number in range(500):
            policy.decide(facts(identity=person(number)))
        self.assertEqual(len(policy._young), 2)

    @rows(
        ten=("10%", 1_000),
        half=("0.5%", 50),
        fine=("33.33%", 3_333),
        all_=("100%", 10_000),
        spaced=("10 %", 1_000),
    )
    def test_parse(self, written, share):
        """A share is written as a percentage."""
        self.assertEqual(parse_share(written), share)
        self.assertEqual(parse_share(share_text(share)), share)

    @rows(
        none=("0%",),
        more=("101%",),
        bare=("10",),
        word=("ten",),
        negative=("-1%",),
        finer=("0.001%",),
        empty=("",),
    )
    def test_refused(self, written):
        """Anything else is refused with a sentence."""
        self.assertIn("is no share of people", str(self.assertRaises(ValueError, parse_share, written)))


class PeriodTests(SynchronousTestCase):
    """Rules that begin and end by themselves."""

    def test_until(self):
        """At its end a rule is gone, to the second, also from what is remembered."""
        end = local("2026-11-23T12:00")
        policy = Policy([rule("games", stage=Stage(period=Period(end=end))), allow()])
        for at, effect in ((end - 1, Effect.BLOCK), (end, Effect.ALLOW), (end - 1, Effect.BLOCK)):
            self.assertEqual(policy.decide(facts(at=at)).effect, effect)

    def test_from(self):
        """Before its beginning a rule is not there yet."""
        start = local("2026-11-23T12:00")
        policy = Policy([rule("games", stage=Stage(period=Period(start=start))), allow()])
        self.assertEqual(
            [policy.decide(facts(at=at)).effect for at in (start - 1, start)], [Effect.ALLOW, Effect.BLOCK]
        )

    def test_next_change(self):
        """Whoever keeps an answer is told when it may change: by hours, a beginning or an end."""
        start, end = local("2026-11-23T11:00"), local("2026-11-23T12:00")
        policy = Policy([rule("games", stage=Stage(period=Period(start, end))), allow()])
        self.assertEqual([policy.next_change(at) for at in (MONDAY, start, end)], [start, end, math.inf])
        self.assertIn("at", policy.reads)

    def test_date(self):
        """A date begins at midnight, and ends when it is over: also where the clock is changed."""
        self.assertEqual(parse_start("2026-12-18", LONDON), local("2026-12-18T00:00"))
        self.assertEqual(parse_end("2026-12-18", LONDON), local("2026-12-19T00:00"))
        self.assertEqual(parse_end("2026-10-25", LONDON), local("2026-10-26T00:00"))
        self.assertEqual(parse_end("2026-12-18T16:00", LONDON), local("2026-12-18T16:00"))


class ExplainedTests(SynchronousTestCase):
    """An explanation tells how far each rule counts."""

    def test_shadow(self):
        """A rule in shadow matches and does not decide."""
        steps = explain(Policy([rule("games", stage=SHADOW), allow()]), GAME).steps
        self.assertEqual([(one.matches, one.decides, one.in_shadow) for one in steps], [
            (True, False, True), (True, True, False),
        ])  # fmt: skip

    def test_ended(self):
        """A rule that ended says so."""
        ended = rule("games", stage=Stage(period=Period(end=local("2026-11-20T16:00"))))
        step = explain(Policy([ended, allow()], time_zone=LONDON), GAME).steps[0]
        self.assertEqual((step.matches, step.words), (False, "ended Fri 2026-11-20 16:00"))

    def test_not_also_refusing(self):
        """Rules in shadow are not among those that would refuse it too."""
        policy = Policy([rule("one"), rule("two", stage=SHADOW), rule("three")])
        self.assertEqual([one.name for one in explain(policy, GAME).also_refusing], ["three"])


class PropertyTests(SynchronousTestCase):
    """Whatever stages rules have and whatever exceptions there are."""

    @EXAMPLES
    @given(
        st.lists(staged_rules, max_size=8), exceptions, st.lists(some_facts, min_size=2, max_size=6), instants
    )
    def test_same_as_fresh(self, written, excepting, asked, at):
        """A policy that remembers says what a new one says, and what an explanation says."""
        remembering = Policy(written, networks=NETWORKS, exceptions=excepting)
        asked = [*asked, *(replace(one, at=at) for one in asked), *asked]
        for one in asked:
            fresh = Policy(written, networks=NETWORKS, exceptions=excepting)
            decision = remembering.decide(one)
            self.assertEqual(decision, fresh.decide(one))
            self.assertEqual(decision, explain(fresh, one).decision)

    @EXAMPLES
    @given(st.lists(staged_rules, max_size=8), exceptions, some_facts)
    def test_shadow_does_nothing(self, written, excepting, asked):
        """Without its rules in shadow a policy decides the same, but for what they would have done."""
        real = [one for one in written if not one.stage.is_shadow]
        with_shadow = Policy(written, networks=NETWORKS, exceptions=excepting).decide(asked)
        without = Policy(real, networks=NETWORKS, exceptions=excepting).decide(asked)
        self.assertEqual(replace(with_shadow, would_block=""), replace(without, would_block=""))

    @EXAMPLES
    @given(st.lists(staged_rules, max_size=8), exceptions, some_facts, instants)
    def test_until_the_next_change(self, written, excepting, asked, at):
        """Until the instant that is named nothing changes."""
        policy = Policy(written, networks=NETWORKS, exceptions=excepting)
        change = policy.next_change(at)
        self.assertGreater(change, at)
        before = min(change - 0.001, at + 86_400)
        if before > at:
            self.assertEqual(policy.in_force(before), policy.in_force(at))

    @EXAMPLES
    @given(st.lists(staged_rules, max_size=8), exceptions, some_facts)
    def test_exceptions_take_nothing(self, written, excepting, asked):
        """An exception never refuses what goes through without it."""
        without = Policy(written, networks=NETWORKS).decide(asked)
        with_them = Policy(written, networks=NETWORKS, exceptions=excepting).decide(asked)
        if without.effect is Effect.ALLOW and with_them.effect is not Effect.ALLOW:
            self.assertEqual((with_them.rule, with_them.exception), (without.rule, ""))

    def test_amir(self):
        """The strategies make exchanges that match."""
        self.assertEqual(Policy([rule(who=Who(user=("amir",)))]).decide(facts(identity=AMIR)).rule, "rule")
