"""The benchmark of exchanges below their limits plays what it says."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.below import BETWEEN, Played
from benchmarks.lending import LIMITS
from corpproxy.net import ahead, first
from tests.support.rows import rows, tabular


@tabular
class BelowTests(SynchronousTestCase):
    """Each of its policies."""

    @rows(**{name.replace(" ", "_"): (name,) for name in LIMITS})
    def test_ahead(self, name: str) -> None:
        """All exchanges that are timed go ahead of their road."""
        played = Played(Path(self.mktemp()), LIMITS[name])
        begins = AssertionError("a road begins")
        with (
            patch.object(first, "live", side_effect=begins),
            patch.object(ahead, "live", side_effect=begins),
        ):
            self.assertGreater(played.play(BETWEEN), 0)
