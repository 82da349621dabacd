"""Where an exception stands at a time: still to come, running, ending soon, ended."""

from __future__ import annotations

import enum

from corpproxy.policy.exceptions import ExceptionEntry


class ExceptionState(enum.StrEnum):
    """Where an exception stands."""

    ENDING = "ending soon"
    RUNNING = "running"
    COMING = "still to come"
    ENDED = "ended"


def state_of(entry: ExceptionEntry, at: float, soon_seconds: float) -> ExceptionState:
    """Where an exception stands at a time; its end is soon within so many seconds."""
    if at >= entry.period.end:
        return ExceptionState.ENDED
    if at < entry.period.start:
        return ExceptionState.COMING
    return ExceptionState.ENDING if entry.period.end - at <= soon_seconds else ExceptionState.RUNNING
