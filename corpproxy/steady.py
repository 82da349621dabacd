"""Clocks that are set while the service runs: what waits does so as long as it should, and it is told."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from twisted.logger import Logger

# Clocks that are kept by NTP are moved by milliseconds; a leap second is one.
JUMP_SECONDS = 2.0
# How often it is looked at.
CLOCK_SECONDS = 1.0

log = Logger()


def keep_steady(reactor: Any) -> None:
    """
    Let the reactor measure by a clock that nobody can set.

    It would measure by that of the machine: set back by an hour, no timer would ring for an hour, nothing
    would be booked or written, and no quota would end anything.  To be called before anything waits.
    """
    reactor.seconds = time.monotonic


class ClockWatch:
    """
    Sees when the clock of the machine is set, and tells, where it ``tells``: workers have the same clock.

    :ivar jumps: how often it was, forward or back.
    """

    def __init__(self, now: Callable[[], float], steady: Callable[[], float], *, tells: bool = True) -> None:
        self._now = now
        self._tells = tells
        self._steady = steady
        self._difference = now() - steady()
        self.jumps = 0

    def look(self) -> None:
        """Compare both clocks; call it each second or so."""
        difference = self._now() - self._steady()
        jump, self._difference = difference - self._difference, difference
        if abs(jump) >= JUMP_SECONDS:
            self.jumps += 1
            if self._tells:
                self._tell(jump)

    def _tell(self, jump: float) -> None:
        log.warn(
            "The clock of this machine was set {way} by {seconds:.0f} s. "
            "Usage and records have the new time from now on.",
            way="forward" if jump > 0 else "back",
            seconds=abs(jump),
        )
