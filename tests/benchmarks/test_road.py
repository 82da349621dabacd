"""What an exchange costs in calls of ours: counted, not timed, so that it holds on any machine."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.road import Unseen, calls, make_proxy
from corpproxy import twins

# Two or three may be added for a good reason; a station that is taken again by every exchange is none.
# The compiled twins take some of them over.
IS_COMPILED = len(twins.running()) == len(twins.PARTS)
MOST_CALLS = 7 if IS_COMPILED else 62
# To a host that nobody asked for before: all stations, and a new connection.
MOST_CALLS_UNSEEN = 67 if IS_COMPILED else 171


class RoadCostTests(SynchronousTestCase):
    """A small GET with sign-in and rules, one of which reads paths, when its like came before."""

    def test_calls(self) -> None:
        """The calls of functions that it takes stay few, and no station is asked what is known already."""
        folder = Path(self.mktemp())
        folder.mkdir()
        counted = calls(make_proxy(folder))
        self.assertLessEqual(sum(counted.values()), MOST_CALLS)
        self.assertLessEqual(counted["exchange/known.py"], 0 if IS_COMPILED else 2)
        for station in ("exchange/classify.py", "exchange/identify.py", "exchange/may.py", "http1/target.py"):
            self.assertEqual(counted[station], 0)

    def test_unseen(self) -> None:
        """To an unseen host each station is taken once, and nothing is made that only a next one uses."""
        folder = Path(self.mktemp())
        folder.mkdir()
        counted = calls(make_proxy(folder), Unseen())
        self.assertLessEqual(sum(counted.values()), MOST_CALLS_UNSEEN)
        self.assertEqual(counted["exchange/may.py"], 1)
        self.assertEqual(counted["http1/recipe.py"], 0)
