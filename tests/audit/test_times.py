"""Moments in the record sort as text and read back."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.times import UtcText, posix_seconds
from tests.support.rows import rows, tabular

moments = st.floats(0, 4e9, allow_nan=False)


@tabular
class UtcTextTests(SynchronousTestCase):
    """Writing moments."""

    @rows(
        milliseconds=(1_795_428_000.123, "2026-11-23T10:00:00.123Z"),
        whole=(1_795_428_000.0, "2026-11-23T10:00:00.000Z"),
        just_before=(1_795_428_000.9999998, "2026-11-23T10:00:00.999Z"),
        beginning=(0.0, "1970-01-01T00:00:00.000Z"),
    )
    def test_written(self, at, text) -> None:
        """A moment is written in UTC with milliseconds."""
        self.assertEqual(UtcText()(at), text)

    @settings(max_examples=100, deadline=None)
    @given(st.lists(moments, max_size=10))
    def test_order(self, several) -> None:
        """Text sorts as time does, and reads back to the millisecond."""
        write = UtcText()
        texts = [write(at) for at in several]
        self.assertEqual([write(at) for at in sorted(several)], sorted(texts))
        for at, text in zip(several, texts, strict=True):
            self.assertLessEqual(abs(posix_seconds(text) - at), 0.0011)
