"""Times of other proxies as calendars: days of the week, and minutes of the day."""

from __future__ import annotations

from dataclasses import dataclass

from corpproxy.foreign.yaml_text import Value

EVERY_DAY = frozenset(range(7))
_NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES_OF_DAY = 24 * 60


@dataclass(frozen=True, slots=True)
class Span:
    """Days, of which 0 is Monday, and minutes of the day from ``first`` to before ``end``."""

    days: frozenset[int]
    first: int = 0
    end: int = MINUTES_OF_DAY

    @property
    def is_whole_day(self) -> bool:
        """Whether it has no hours."""
        return (self.first, self.end) == (0, MINUTES_OF_DAY)

    def days_value(self) -> Value:
        """The days as our calendars write them."""
        return days_value(self.days)

    def hours_text(self) -> str:
        """The hours as our calendars write them."""
        return f"{_clock(self.first)}-{_clock(self.end)}"


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def days_value(days: frozenset[int]) -> Value:
    """Days as ``mon-fri`` or ``[mon, wed]``."""
    runs: list[list[int]] = []
    for day in sorted(days):
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    texts: list[Value] = [
        _NAMES[run[0]] if len(run) == 1 else f"{_NAMES[run[0]]}-{_NAMES[run[-1]]}" for run in runs
    ]
    return texts[0] if len(texts) == 1 else texts
