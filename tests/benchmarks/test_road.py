"""What an exchange costs in calls of ours: counted, not timed, so that it holds on any machine."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.road import calls, make_proxy
from corpproxy import twins

# Two or three may be added for a good reason; a station that is taken again by every exchange is none.
# The compiled twins take some of them over.
IS_COMPILED = len(twins.running()) == len(twins.PARTS)
MOST_CALLS = 35 if IS_COMPILED else 54


class RoadCostTests(SynchronousTestCase):
    """A small GET with sign-in and rules, one of which reads paths, when its like came before."""

    def test_calls(self) -> None:
        """The calls of functions that it takes stay few, and no station is asked what is known already."""
        folder = Path(self.mktemp())
        folder.mkdir()
        counted = calls(make_proxy(folder))
        self.assertLessEqual(sum(counted.values()), MOST_CALLS)
        self.assertEqual(counted["exchange/known.py"], 0 if IS_COMPILED else 1)
        for station in ("exchange/classify.py", "exchange/identify.py", "exchange/may.py", "http1/target.py"):
            self.assertEqual(counted[station], 0)
