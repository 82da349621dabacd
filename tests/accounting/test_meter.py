"""The meter hands each octet out once."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.meter import Meter


class MeterTests(SynchronousTestCase):
    """Counting octets of one exchange."""

    def test_nothing(self) -> None:
        """An exchange that moved nothing has nothing to count."""
        self.assertEqual(Meter().take(), (0, 0))

    def test_since_the_last_time(self) -> None:
        """What was counted once is not counted again."""
        meter = Meter()
        meter.received += 100
        meter.sent += 7
        self.assertEqual(meter.take(), (100, 7))
        self.assertEqual(meter.take(), (0, 0))
        meter.sent += 5
        self.assertEqual(meter.take(), (0, 5))

    @settings(max_examples=80, deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 2**40), st.integers(0, 2**40), st.booleans())))
    def test_sum(self, moves) -> None:
        """However often it is taken, the parts add up to what moved."""
        meter = Meter()
        parts = []
        for received, sent, is_taken in moves:
            meter.received += received
            meter.sent += sent
            if is_taken:
                parts.append(meter.take())
        parts.append(meter.take())
        self.assertEqual(sum(part[0] for part in parts), meter.received)
        self.assertEqual(sum(part[1] for part in parts), meter.sent)
