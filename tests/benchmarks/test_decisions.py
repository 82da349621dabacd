"""The policy that decisions are measured with, and what a decision over it costs."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from benchmarks import decisions
from benchmarks.decisions import figures, mixed_rules, some_facts
from corpproxy.policy.decide import Policy


class DecisionTests(SynchronousTestCase):
    """Many rules cost what few do."""

    def test_last_matches(self):
        """Of the mixed rules the last alone matches, whatever is asked for."""
        policy = Policy(mixed_rules(200))
        self.assertEqual({policy.decide(one).rule for one in some_facts(50)}, {"everything else"})
        self.assertEqual(len({rule.name for rule in policy.rules}), 200)

    def test_many_rules(self):
        """Ten times the rules cost less than three times as much: they are asked all at once."""
        self.patch(decisions, "ROUNDS", 5)
        few, many = figures(20), figures(200)
        self.assertLess(many.first, 3 * few.first)
        self.assertLess(many.ratio, 150)
