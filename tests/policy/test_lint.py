"""Rules that can never match are told before anything is loaded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.policy.calendar import Hours
from corpproxy.policy.conditions import What, When, Who, parse_url
from corpproxy.policy.decide import Policy
from corpproxy.policy.exceptions import ExceptionEntry
from corpproxy.policy.implication import implies
from corpproxy.policy.lint import lint
from corpproxy.policy.model import Effect
from corpproxy.policy.staged import Mode, Period, Stage
from tests.policy import slowly
from tests.policy.builders import LESSONS, MONDAY, NETWORKS, NIGHT, rule, rules, some_facts
from tests.support.examples import EXAMPLES
from tests.support.rows import rows, tabular

PUPILS = Who(group=("pupils",))


def what(**asked):
    return What(**asked)


def urls(*written):
    return What(url=tuple(map(parse_url, written)))


def said(*written):
    """What lint says of the order of rules."""
    found = lint(Policy(written, networks=NETWORKS))
    return [str(problem) for problem in found if problem.code == "never-matches"]


@tabular
class LintTests(SynchronousTestCase):
    """An earlier rule that asks the same or less leaves nothing for a later one."""

    @rows(
        unconditional=(rule(), rule(who=PUPILS)),
        fewer_keys=(rule(who=PUPILS), rule(who=PUPILS, what=what(port=(80,)))),
        more_values=(rule(what=what(category=("a", "b"))), rule(what=what(category=("b",)))),
        domain_above=(rule(what=what(domain=("bbc.co.uk",))), rule(what=what(domain=("news.bbc.co.uk",)))),
        url_below_domain=(rule(what=what(domain=("bbc.co.uk",))), rule(what=urls("www.bbc.co.uk/news"))),
        shorter_url=(rule(what=urls("bbc.co.uk/news")), rule(what=urls("www.bbc.co.uk:80/news/uk"))),
        hours=(rule(when=(LESSONS, NIGHT)), rule(when=(NIGHT,))),
        same_hours_other_name=(rule(when=(LESSONS,)), rule(when=(When("school", LESSONS.hours),))),
        network=(rule(who=Who(network=("labs",))), rule(who=Who(network=("10.1.2.0/24",)))),
        another_effect=(rule(effect=Effect.ALLOW), rule(who=PUPILS)),
    )
    def test_never_matches(self, earlier, later):
        """The later rule is named with the earlier one and its line."""
        named = [
            rule("first", earlier.effect, who=earlier.who, what=earlier.what, when=earlier.when, line=8),
            rule("second", later.effect, who=later.who, what=later.what, when=later.when, line=31),
        ]
        found = said(*named)
        self.assertEqual(len(found), 1)
        self.assertIn(
            "policy.yaml:31:5: rule 'second' can never match: 'first' at line 8 comes first", found[0]
        )

    @rows(
        more_keys=(rule(who=PUPILS, what=what(port=(80,))), rule(who=PUPILS)),
        other_values=(rule(what=what(category=("a",))), rule(what=what(category=("a", "b")))),
        domain_below=(rule(what=what(domain=("news.bbc.co.uk",))), rule(what=what(domain=("bbc.co.uk",)))),
        part_of_segment=(rule(what=urls("bbc.co.uk/new")), rule(what=urls("bbc.co.uk/news"))),
        one_port=(rule(what=urls("bbc.co.uk:80/news")), rule(what=urls("bbc.co.uk/news"))),
        other_hours=(rule(when=(LESSONS,)), rule(when=(NIGHT,))),
        always=(rule(when=(LESSONS,)), rule()),
        other_network=(rule(who=Who(network=("wifi",))), rule(who=Who(network=("10.1.2.0/24",)))),
        anonymous=(rule(who=Who(anonymous=True)), rule(who=Who(anonymous=False))),
    )
    def test_may_match(self, earlier, later):
        """A rule that something is left for is not complained of."""
        self.assertEqual(said(earlier, later), [])

    def test_duplicate(self):
        """Two rules that ask the same are said to be so."""
        found = said(rule("one", who=PUPILS, line=8), rule("two", who=PUPILS, line=9))
        self.assertEqual(
            found,
            ["policy.yaml:9:5: rule 'two' can never match: 'one' at line 8 comes first and asks the same"],
        )

    def test_contradiction_of_two(self):
        """Two rules that ask the same and do different things contradict each other."""
        (found,) = lint(
            Policy([rule("no", who=PUPILS, line=8), rule("yes", Effect.ALLOW, who=PUPILS, line=9), rule("z")])
        )
        self.assertEqual((found.code, found.place.line, found.severity), ("contradiction", 9, "error"))
        self.assertIn("rule 'yes' has 'do: allow' and 'no' at line 8 'do: block' for the same", found.message)

    @rows(
        shadow=(Stage(mode=Mode.SHADOW), Stage(), 0),
        canary=(Stage(share=1_000), Stage(), 0),
        ends=(Stage(period=Period(end=MONDAY)), Stage(), 0),
        both_in_shadow=(Stage(mode=Mode.SHADOW), Stage(mode=Mode.SHADOW), 1),
        canary_before_shadow=(Stage(share=1_000), Stage(mode=Mode.SHADOW), 1),
        enforced=(Stage(), Stage(share=1_000), 1),
        within=(Stage(period=Period(end=MONDAY)), Stage(period=Period(0, MONDAY)), 1),
        longer=(Stage(period=Period(end=MONDAY)), Stage(period=Period(end=MONDAY + 1)), 0),
    )
    def test_staged(self, first, second, count):
        """An earlier rule leaves nothing for a later one only where it counts whenever the later one does."""
        found = said(rule("a", who=PUPILS, stage=first), rule("b", who=PUPILS, stage=second))
        self.assertEqual(len(found), count)

    def test_gone_past(self):
        """Who goes past the earlier rule by an exception may meet the later one."""
        written = [rule("a", who=PUPILS), rule("b", who=PUPILS), rule("c")]
        excepting = [ExceptionEntry("club", ("a",), who=Who(user=("amir",)))]
        self.assertEqual(len(lint(Policy(written))), 1)
        self.assertEqual(lint(Policy(written, exceptions=excepting)), ())

    @rows(
        category=(
            what(category=("games",), uncategorised=True),
            Who(),
            "what is uncategorised has no category",
        ),
        anonymous=(What(), Who(anonymous=True, group=("staff",)), "somebody who did not sign in has no name"),
    )
    def test_contradiction(self, what, who, why):
        """A rule whose own conditions exclude each other never matches."""
        found = said(rule("odd", what=what, who=who))
        self.assertEqual(len(found), 1)
        self.assertIn(f"rule 'odd' can never match: {why}", found[0])

    def test_open_end(self):
        """A policy that does not say what becomes of the rest is told so, at its last rule."""
        found = lint(Policy([rule("first", who=PUPILS), rule("last", what=what(port=(80,)), line=9)]))
        self.assertEqual([(problem.code, problem.place.line) for problem in found], [("no-last-rule", 9)])
        self.assertIn("after 'last' nothing says what becomes of the rest", found[0].message)
        self.assertEqual(lint(Policy([rule("first", who=PUPILS), rule("last")])), ())

    @EXAMPLES
    @given(st.lists(rules, min_size=6, max_size=12), st.lists(some_facts, min_size=4, max_size=8))
    def test_sound(self, written, asked):
        """Where one rule is said to leave nothing for another, it matches whatever the other matches."""
        pairs = [(one, other) for one in written for other in written if implies(other, one, NETWORKS)]
        for earlier, later in pairs:
            for exchange in asked:
                if exchange.address_classes is not None and slowly.matches(later, exchange):
                    self.assertTrue(slowly.matches(earlier, exchange))

    def test_no_hours_at_all(self):
        """Hours are compared as what they say."""
        always = When("always", Hours())
        self.assertEqual(len(said(rule("a", when=(always,)), rule("b", when=(always,)))), 1)
