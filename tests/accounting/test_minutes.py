"""A minute that counts on two nodes is one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.minutes import KNOWN, Minutes

NUMBERS = st.lists(st.integers(1000, 1000 + KNOWN - 1), max_size=20)


def minutes(*numbers: int) -> Minutes:
    made = Minutes()
    for number in numbers:
        made.count(number)
    return made


class MinutesTests(SynchronousTestCase):
    """Minutes by their numbers."""

    @given(NUMBERS, NUMBERS)
    def test_once(self, ours: list[int], theirs: list[int]) -> None:
        """However many count a minute, in whatever order, it is one."""
        made = minutes(*ours)
        self.assertEqual(made.take_in(minutes(*theirs)), len(set(theirs) - set(ours)))
        self.assertEqual(made.bits.bit_count(), len({*ours, *theirs}))
        self.assertEqual(made.take_in(minutes(*theirs)), 0)

    def test_long_ago(self) -> None:
        """What is too long ago to be compared counts: nobody gets a minute twice because it is told late."""
        made = minutes(5000)
        self.assertEqual(made.take_in(minutes(10, 11)), 2)
        self.assertEqual(made, Minutes(5000, 1))

    def test_since(self) -> None:
        """Those that came after one that was told are left to be told."""
        self.assertEqual(minutes(1, 2, 4, 5).since(2), Minutes(5, 0b11))
        self.assertEqual(minutes(1, 2).since(2), Minutes(2, 0))
        self.assertEqual(minutes(1000, 1001).since(0), minutes(1000, 1001))

    def test_fits(self) -> None:
        """However long it goes on it fits into a number of a database."""
        self.assertLess(minutes(*range(500)).bits, 1 << 63)
