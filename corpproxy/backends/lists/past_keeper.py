"""Has what the lists say kept for the records that will cite it, each time that a new index is in force."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from corpproxy.backends.lists.child import ListChild
from corpproxy.backends.lists.past import is_kept, leave
from corpproxy.backends.lists.past_job import PastJob
from corpproxy.destination.index import CategoryIndex
from corpproxy.destination.sources import ListSource

# Five million names take half a minute; what takes so long hangs.
LIMIT_SECONDS = 900.0


class PastKeeper:
    """
    Keeps versions of lists.

    ``reactor`` spawns processes and keeps time; ``sources`` are the lists of the policy in force.
    """

    log = Logger()

    def __init__(self, reactor: Any, state: Path, sources: Sequence[ListSource]) -> None:
        self._reactor = reactor
        self._state = state
        self._of_one_category = [one.name for one in sources if one.category]
        self._child: ListChild | None = None
        self._is_due = False
        self._is_failing = False

    def note(self, index: CategoryIndex) -> None:
        """An index is in force, a new one or that of before."""
        if is_kept(self._state, index, self._of_one_category):
            return
        try:
            leave(self._state)
        except OSError as error:
            self._tell(error.strerror or str(error))
            return
        self._is_due = True
        self._start()

    def stop(self) -> Deferred[None]:
        """End; what waits is kept after the next start.  The Deferred fires when nothing runs any more."""
        child, self._child, self._is_due = self._child, None, False
        return child.abandon() if child is not None else succeed(None)

    def _start(self) -> None:
        if self._child is not None or not self._is_due:
            return
        self._is_due = False
        self._child = ListChild(self._ended)
        job = PastJob(str(self._state), self._of_one_category)
        self._child.start(self._reactor, msgspec.json.encode(job), LIMIT_SECONDS, "lists.past_job")

    def _ended(self, failed: str) -> None:
        self._child = None
        self._is_failing = self._is_failing and bool(failed)
        if failed:
            self._tell(failed)
        self._start()

    def _tell(self, why: str) -> None:
        """Say what goes wrong, once; the lists themselves are in force."""
        if not self._is_failing:
            said = "versions of the category lists cannot be kept for the records that cite them: {why}"
            self.log.error(said, why=why)
        self._is_failing = True
