"""
How long attempts to connect may take: one coarse timer for all of them.

What is done for each attempt stands here in Python, and compiled in ``native/patience.c``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.interfaces import IDelayedCall

from corpproxy import twins

# A timer of the reactor for each attempt would cost a tenth of the attempt.  Time-outs are seconds; a quarter
# of one more does not matter.
TICK_SECONDS = 0.25


class Impatient(Protocol):
    """Something that may take too long."""

    def late(self) -> None:
        """It has."""


class _Patience:
    """Tells those that wait too long; what it knows is for classes below this one."""

    __slots__ = twins.BELOW

    _call: IDelayedCall | None
    _reactor: Any
    _seconds: Callable[[], float]
    # Who waits, and until when: in the order in which they began.
    _waiting: dict[Impatient, float]

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._seconds = reactor.seconds
        self._waiting = {}
        self._call = None

    def wait(self, one: Impatient, seconds: float) -> None:
        """Tell this one after so many seconds, or up to a tick later."""
        self._waiting[one] = self._seconds() + seconds
        if self._call is None:
            self._begin()

    def over(self, one: Impatient) -> None:
        """It need not be told any more."""
        self._waiting.pop(one, None)

    def stop(self) -> None:
        """Tell nobody any more."""
        self._waiting.clear()
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _begin(self) -> None:
        """Tick: somebody waits."""
        self._call = self._reactor.callLater(TICK_SECONDS, self._tick)

    def _tick(self) -> None:
        now = self._seconds()
        for one in [one for one, until in self._waiting.items() if until <= now]:
            # What happened to those before it may have been the end of it.
            if self._waiting.pop(one, None) is not None:
                one.late()
        self._call = None
        if self._waiting:
            self._begin()


class PatienceInPython(_Patience):
    """It without the compiled part."""

    __slots__ = ("_call", "_reactor", "_seconds", "_waiting")


if twins.wire is None or TYPE_CHECKING:
    Patience = PatienceInPython
else:

    class Patience(twins.wire.Patience, _Patience):
        """The compiled twin."""

        __slots__ = ()
