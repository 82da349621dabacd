"""So many of something, in words that are right for one of it, too."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.counted import counted
from tests.support.rows import rows, tabular


@tabular
class CountedTests(SynchronousTestCase):
    """Messages that tell how many there are."""

    @rows(
        none=((0, "row"), "0 rows"),
        one=((1, "row"), "1 row"),
        many=((1200, "row"), "1,200 rows"),
        one_person=((1, "person", "people"), "1 person"),
        people=((2, "person", "people"), "2 people"),
        with_a_verb=((1, "more row is", "more rows are"), "1 more row is"),
    )
    def test_words(self, given, expected):
        """One of something is not told as many."""
        self.assertEqual(counted(*given), expected)
