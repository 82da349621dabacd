"""Events with a beginning and an end, such as another program keeps: a calendar of theirs as one of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from corpproxy.policy.calendar import LOOK_AHEAD_DAYS, Calendar

# Events are worked out for so long at once, and so many of these windows are remembered: two years.
WINDOW_SECONDS = 31 * 86_400
MAX_WINDOWS = 24


@dataclass(frozen=True, slots=True, order=True)
class Event:
    """One time that an event takes place, in POSIX seconds, its end not included."""

    start: float
    end: float
    summary: str = ""


# Gives the events that overlap with the time from one instant to another.
Occurrences = Callable[[float, float], Sequence[Event]]


class Events(Calendar):
    """
    The times of some events; an event may come again and again without end.

    What happens in a month is worked out when somebody asks for a time in it, and remembered.
    """

    __slots__ = ("_occurrences", "_windows")

    def __init__(self, occurrences: Occurrences) -> None:
        self._occurrences = occurrences
        self._windows: dict[int, tuple[Event, ...]] = {}

    def contains(self, at: float) -> bool:
        """Whether an event takes place."""
        return any(event.start <= at < event.end for event in self._window(at))

    def edges(self, at: float) -> Iterator[float]:
        """Where events begin and end in the days ahead, and where what is known of them ends."""
        for instant in (at, at + LOOK_AHEAD_DAYS * 86_400):
            for event in self._window(instant):
                yield event.start
                yield event.end

    def names_at(self, at: float) -> tuple[str, ...]:
        """What the events that take place at a time are called."""
        found = (event.summary for event in self._window(at) if event.start <= at < event.end)
        return tuple(dict.fromkeys(summary for summary in found if summary))

    def _window(self, at: float) -> tuple[Event, ...]:
        """The events that take place in the month or so around a time."""
        number = int(at // WINDOW_SECONDS)
        found = self._windows.get(number)
        if found is None:
            if len(self._windows) >= MAX_WINDOWS:
                self._windows.clear()
            start = float(number * WINDOW_SECONDS)
            found = tuple(sorted(self._occurrences(start, start + WINDOW_SECONDS)))
            self._windows[number] = found
        return found
