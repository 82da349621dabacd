"""The benchmark of accounting runs, and no step of the loop grows with the people who are known."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.limits import POLICIES, cost, steps

PEOPLE = 300


class LimitsTests(SynchronousTestCase):
    """A site of some hundreds of people."""

    def test_cost(self) -> None:
        """It tells what an exchange costs, for each kind of limits."""
        folder = Path(self.mktemp())
        folder.mkdir()
        found = cost(PEOPLE, folder)
        self.assertEqual([row["limits"] for row in found], list(POLICIES))
        self.assertTrue(all(row["own_us"] > 0 for row in found))

    def test_steps(self) -> None:
        """It tells the longest step of whatever is about all people."""
        found = steps(PEOPLE, Path(self.mktemp()))
        self.assertEqual(len(found), 7)
