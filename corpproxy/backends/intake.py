"""The intake of the store: active minutes are told here, once for all workers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from corpproxy.accounting.activity import Activity
from corpproxy.accounting.ledger import Usage
from corpproxy.backends.store.interface import Store


class Intake:
    """Takes batches of usage into a store, in the process that has it; ``now`` is POSIX seconds."""

    def __init__(self, store: Store, now: Callable[[], float]) -> None:
        self._store = store
        self._now = now
        self._activity = Activity(now())

    def add_usage(self, batch: Sequence[Usage]) -> Deferred[None]:
        """Add a batch of sums for good: all of it, or, when the Deferred fails, nothing."""
        judged = self._activity.judge(batch, self._now())
        adding = self._store.add_usage([*batch, *judged] if judged else batch)

        def undo(failure: Failure) -> Failure:
            self._activity.undo(batch, judged)
            return failure

        def settle(stored: None) -> None:
            self._activity.settle(judged)

        return adding.addCallbacks(settle, undo)
