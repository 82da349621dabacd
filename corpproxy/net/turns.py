"""Turns: long work of many small steps is done for a millisecond at a time, so that nobody waits for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Cooperator

# How long one turn goes on before others have theirs.
TURN_SECONDS = 0.001

_Outcome = TypeVar("_Outcome")


class Turns:
    """
    Takes the steps of generators until a turn is over, and goes on when others had theirs.

    ``seconds`` is the clock of turns.
    """

    def __init__(self, reactor: Any, seconds: Callable[[], float] = time.perf_counter) -> None:
        self._seconds = seconds
        self._cooperator = Cooperator(
            terminationPredicateFactory=self._turn, scheduler=lambda go_on: reactor.callLater(0, go_on)
        )

    def take(self, steps: Generator[None, None, _Outcome]) -> Deferred[_Outcome]:
        """Take all steps of a generator; fires with what it returns."""
        outcome: list[_Outcome] = []

        def run() -> Iterator[None]:
            outcome.append((yield from steps))

        return self._cooperator.coiterate(run()).addCallback(lambda _: outcome[0])

    def _turn(self) -> Callable[[], bool]:
        until = self._seconds() + TURN_SECONDS
        return lambda: self._seconds() >= until
