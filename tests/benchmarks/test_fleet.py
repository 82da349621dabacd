"""The simulation of fleets runs the real accounting, and what it measures is measured on a real database."""

from __future__ import annotations

import time
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.fleet import Found, Size, play, show
from benchmarks.fleet_database import Measured, _node
from tests.support.postgresql import do, empty_store

MIB = 1024 * 1024
MEASURED = Measured(
    10.0, 0.08, 6.0, 0.2, 12.0, 1.0, 15.0, 0.0, {"1": 10_000.0, "2": 14_000.0}, {"1": 14.0}, 3.0, 0.05, 330.0
)


class PlayTests(SynchronousTestCase):
    """Short plays of fleets."""

    def play(self, size: Size, measured: Measured = MEASURED) -> Found:
        folder = Path(self.mktemp())
        folder.mkdir()
        return play(size, measured, folder, seconds=24.0, budget=64 * MIB)

    def test_two_nodes(self) -> None:
        """Two nodes use up a common budget and no more, and what waited in an outage is in again."""
        found = self.play(Size(200, 2, 1))
        assert found.budget is not None
        self.assertLessEqual(found.budget, 1.0)
        self.assertGreater(found.budget, 0.98)
        self.assertGreater(found.spool_mib_a_node, 0)
        assert found.in_again_seconds is not None
        self.assertLess(found.in_again_seconds, 12)
        self.assertTrue(found.is_enough)

    def test_one_node(self) -> None:
        """One node has a file of its own, and asks no database for anything."""
        found = self.play(Size(100, 1, 1))
        self.assertEqual((found.load, found.connections_a_database, found.budget), ({}, 0, None))

    def test_too_much(self) -> None:
        """More nodes than a database has time for are told as too much, with how many it serves."""
        found = self.play(Size(1_000_000, 100, 4))
        self.assertFalse(found.is_enough)
        self.assertLess(found.serves, 1_000_000)
        with redirect_stdout(StringIO()) as said:
            show(MEASURED, [found])
        self.assertIn("too much", said.getvalue())


class MeasuredTests(SynchronousTestCase):
    """One batch, one turn and one look at what changed, on a real database."""

    def test_node(self) -> None:
        """What a node does is in the database then."""
        state = Path(self.mktemp()).absolute()
        address = empty_store(state).database
        for what in ("usage", "turns", "follow"):
            self.assertEqual(_node(address, str(state), what, 5, 0.0, 0), 1.0)
        self.assertGreater(do("SELECT count(*) FROM usage")[0][0], 0)
        self.assertEqual(do(f"SELECT count(*) FROM quota WHERE until > {time.time()}")[0][0], 5)
