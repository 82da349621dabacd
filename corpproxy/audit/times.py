"""Moments as the record writes them: UTC, milliseconds, always the same length, so that they sort as text."""

from __future__ import annotations

from datetime import UTC, datetime

# The end of the calendar: from here on moments cannot be written.
UTC_END = 253_402_300_800.0

_ENDINGS = tuple(f"{millisecond:03d}Z" for millisecond in range(1000))


class UtcText:
    """
    Writes moments as ``2026-11-23T10:00:00.123Z``.

    The text of the last second is remembered: all records of one second share it.
    """

    __slots__ = ("_second", "_text")

    def __init__(self) -> None:
        self._second = -1
        self._text = ""

    def __call__(self, at: float) -> str:
        """Write ``at``, POSIX seconds, cut to milliseconds."""
        second = int(at)
        if second != self._second:
            self._text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S.")
            self._second = second
        # A double of this size is off by 0.0001 ms: without the addition .123 would be cut to .122.
        return self._text + _ENDINGS[int((at - second) * 1000 + 0.0002)]


utc_text = UtcText()


def posix_seconds(text: str) -> float:
    """
    Read back what :data:`utc_text` wrote, in POSIX seconds.

    :raises ValueError: when it is no moment.
    """
    return datetime.fromisoformat(text).timestamp()
