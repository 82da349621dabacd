"""Slices: long work is done a little at a time, so that nobody waits for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Cooperator

# How long one slice goes on before others have their turn.
SLICE_SECONDS = 0.001

_Outcome = TypeVar("_Outcome")


class Slices:
    """
    Takes the steps of generators until a slice is over, and goes on when others had their turn.

    ``seconds`` is the clock of slices.
    """

    def __init__(self, reactor: Any, seconds: Callable[[], float] = time.perf_counter) -> None:
        self._seconds = seconds
        self._cooperator = Cooperator(
            terminationPredicateFactory=self._slice, scheduler=lambda go_on: reactor.callLater(0, go_on)
        )

    def take(self, steps: Generator[None, None, _Outcome]) -> Deferred[_Outcome]:
        """Take all steps of a generator; fires with what it returns."""
        outcome: list[_Outcome] = []

        def run() -> Iterator[None]:
            outcome.append((yield from steps))

        return self._cooperator.coiterate(run()).addCallback(lambda _: outcome[0])

    def _slice(self) -> Callable[[], bool]:
        until = self._seconds() + SLICE_SECONDS
        return lambda: self._seconds() >= until
