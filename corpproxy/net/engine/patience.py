"""How long attempts to connect may take: one coarse timer for all of them."""

from __future__ import annotations

from typing import Any, Protocol

from twisted.internet.interfaces import IDelayedCall

# A timer of the reactor for each attempt would cost a tenth of the attempt.  Time-outs are seconds; a quarter
# of one more does not matter.
TICK_SECONDS = 0.25


class Impatient(Protocol):
    """Something that may take too long."""

    def late(self) -> None:
        """It has."""


class Patience:
    """Tells those that wait too long; it ticks only while somebody waits."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._waiting: dict[Impatient, float] = {}
        self._call: IDelayedCall | None = None

    def wait(self, one: Impatient, seconds: float) -> None:
        """Tell this one after so many seconds, or up to a tick later."""
        self._waiting[one] = self._reactor.seconds() + seconds
        if self._call is None:
            self._call = self._reactor.callLater(TICK_SECONDS, self._tick)

    def over(self, one: Impatient) -> None:
        """It need not be told any more."""
        self._waiting.pop(one, None)

    def stop(self) -> None:
        """Tell nobody any more."""
        self._waiting.clear()
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _tick(self) -> None:
        now = self._reactor.seconds()
        for one in [one for one, until in self._waiting.items() if until <= now]:
            del self._waiting[one]
            one.late()
        self._call = self._reactor.callLater(TICK_SECONDS, self._tick) if self._waiting else None
