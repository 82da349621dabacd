"""What is in force at a moment of the past, whatever the order of the moments."""

from __future__ import annotations

import random

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.times import utc_text
from corpproxy.policy.decide import Policy
from corpproxy.replay.windows import Windows
from tests.policy.builders import LESSONS, MONDAY, NIGHT, allow, rule


class WindowTests(SynchronousTestCase):
    """A policy with hours."""

    def test_any_order(self):
        """Each moment has the rules that the policy itself has in force then."""
        policy = Policy([rule(when=(LESSONS,)), rule(when=(NIGHT,)), allow()])
        windows = Windows(policy)
        dice = random.Random(4)
        for _ in range(300):
            at = int(MONDAY + dice.uniform(-40, 40) * 86_400)
            self.assertEqual(windows.in_force(utc_text(at)), policy.in_force(at), at)

    def test_edges(self):
        """A rule is in force from the first instant of its hours, and not at their end."""
        policy = Policy([rule(when=(LESSONS,)), allow()])
        windows = Windows(policy)
        for written in ("2026-11-23T08:29:59.999Z", "2026-11-23T08:30:00.000Z", "2026-11-23T15:30:00.000Z"):
            rules, _ = windows.in_force(written)
            self.assertEqual(rules & 1, written.startswith("2026-11-23T08:30"), written)

    def test_without_hours(self):
        """Without hours there is one window for all time."""
        windows = Windows(Policy([allow()]))
        self.assertEqual(
            windows.in_force("1970-01-02T00:00:00.000Z"), windows.in_force("2200-01-01T00:00:00.000Z")
        )

    def test_no_moment(self):
        """What is no moment is refused."""
        self.assertRaises(ValueError, Windows(Policy([allow()])).in_force, "soon")
