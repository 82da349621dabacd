"""
Deadlines: one coarse timer for everything that must not last for ever.

A timer of the reactor for each wait would cost more than the exchange: here a connection writes a number
into an attribute, and once a second all connections are looked through.  A deadline is thus kept to
within a second, which is exact enough for anything that waits for people or servers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

TICK_SECONDS = 1.0

NEVER = float("inf")


class Watched(Protocol):
    """Something with a deadline: a moment of the reactor's clock, in seconds."""

    deadline: float

    def deadline_passed(self) -> None:
        """The moment has passed; a new deadline, or the end of being watched, is expected."""


class InLine(Watched, Protocol):
    """
    Something with a deadline of which thousands are watched for hours: tunnels.

    They stand in a line and know their ``place`` there, -1 while they do not.  A dictionary into which others
    come and go takes ten times the memory for each.
    """

    place: int


class Deadlines:
    """
    Looks through all that is watched, once a second.

    ``now`` is the reactor's clock at the last tick: what sets deadlines reads it instead of asking
    the clock each time.
    """

    __slots__ = ("_call", "_clock", "_watched", "drop", "line", "now", "watch")

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        # A dictionary, because a set of thousands takes up to four times the memory.
        self._watched: dict[Watched, None] = {}
        # Look at one from now on: the dictionary's own, called often enough to matter.
        self.watch: Callable[[Watched], None] = self._watched.setdefault
        # Look at one no more, if it was looked at: called with the one and None.
        self.drop: Callable[[Watched, None], None] = self._watched.pop
        self.line: list[InLine] = []
        self._call: IDelayedCall | None = None
        self.now = clock.seconds()

    def __len__(self) -> int:
        return len(self._watched) + len(self.line)

    def line_up(self, one: InLine) -> None:
        """Look at one from now on; ``native/tunnel.c`` does it as well."""
        one.place = len(self.line)
        self.line.append(one)

    def step_out(self, one: InLine) -> None:
        """Look at one no more, if it was looked at: the last one takes its place."""
        place, one.place = one.place, -1
        if place >= 0:
            last = self.line.pop()
            if last is not one:
                self.line[place] = last
                last.place = place

    def release(self, one: Watched) -> None:
        """Look at one no more."""
        self._watched.pop(one, None)

    def start(self) -> None:
        """Begin to tick."""
        self.now = self._clock.seconds()
        self._call = self._clock.callLater(TICK_SECONDS, self._tick)

    def stop(self) -> None:
        """Tick no more."""
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _tick(self) -> None:
        self._call = self._clock.callLater(TICK_SECONDS, self._tick)
        now = self.now = self._clock.seconds()
        for one in [one for one in self._watched if one.deadline <= now]:
            # What happened to those before it may have ended it, or given it more time.
            if one.deadline <= now and one in self._watched:
                one.deadline = NEVER
                one.deadline_passed()
        for another in [another for another in self.line if another.deadline <= now]:
            if another.deadline <= now and another.place >= 0:
                another.deadline = NEVER
                another.deadline_passed()
