"""
The fetched lists of a running service: asked for when it is time, in a child process, one after the other.

What the child does is in `corpproxy.backends.lists.update`; here is when, and what is told of it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from corpproxy.backends.lists.child import ListChild
from corpproxy.backends.lists.removed import RemovedLists
from corpproxy.backends.lists.shelf import (
    FAILED,
    HELD,
    STATE_FILE,
    TAKEN,
    UNCHANGED,
    Kept,
    Shelf,
    ShelfError,
    ShelfState,
    read_shelf,
)
from corpproxy.backends.lists.status import Status, problems_of, status_of_list
from corpproxy.backends.lists.update_job import Outcome, UpdateJob
from corpproxy.destination.sources import ListSource
from corpproxy.errors import Problem
from corpproxy.repeating import every

LOOK_SECONDS = 10.0
CLEAN_SECONDS = 3600.0

# Ten lists from slow servers, each with half an hour and a minute of reading; what takes longer hangs.
CHILD_SECONDS = 4 * 3600.0

# A child that failed as a whole (no memory, a policy that cannot be read) is not started again at once.
RETRY_SECONDS = 300.0


class ListUpdates:
    """
    Keeps fetched lists up to date.

    ``reactor`` spawns processes and keeps time; ``job`` makes the job for some names; ``taken`` is called
    when a version came into force; ``clock`` gives POSIX seconds; ``removed`` looks after what is left of
    lists that are gone.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        sources: Sequence[ListSource],
        job: Callable[[list[str]], UpdateJob],
        taken: Callable[[], None],
        clock: Callable[[], float],
        removed: RemovedLists,
    ) -> None:
        self._removed = removed
        self._cleaning: LoopingCall | None = None
        self._reactor = reactor
        self.sources = tuple(one for one in sources if one.fetch is not None)
        self._job = job
        self._taken = taken
        self._clock = clock
        self._loop = LoopingCall(self.look)
        self._loop.clock = reactor
        self._child: ListChild | None = None
        self._waiting: list[tuple[list[str], Deferred[list[Outcome]]]] = []
        # Who waits for the child that is at work.
        self._served: list[Deferred[list[Outcome]]] = []
        self._states: dict[str, ShelfState] = {}
        self._stamps: dict[str, tuple[int, int] | None] = {}
        self._stale: set[str] = set()
        self._not_before = 0.0
        self.outcomes = dict.fromkeys((TAKEN, UNCHANGED, HELD, FAILED), 0)

    def start(self) -> None:
        """Look from now on which lists are due."""
        if self.sources:
            self._loop.start(LOOK_SECONDS)
        self.clean()
        self._cleaning = every(CLEAN_SECONDS, self.clean, self._reactor)

    def clean(self) -> None:
        """Look after what was fetched of lists that are gone from the policy."""
        self._removed.look(self.sources, self._clock())

    def take(self, sources: Sequence[ListSource]) -> None:
        """Keep other lists up to date from now on; a child that is at work goes on."""
        self.sources = tuple(one for one in sources if one.fetch is not None)
        self._states = {one.name: self._states[one.name] for one in self.sources if one.name in self._states}
        if self.sources and not self._loop.running:
            self._loop.start(LOOK_SECONDS)
        elif not self.sources and self._loop.running:
            self._loop.stop()
        self.clean()

    def stop(self) -> Deferred[None]:
        """
        Look no more; a child that is at work is ended, and goes on where it was another time.

        The Deferred fires when it has ended.
        """
        for loop in (self._loop, self._cleaning):
            if loop is not None and loop.running:
                loop.stop()
        over: Deferred[None] = succeed(None) if self._child is None else self._child.abandon()
        self._child = None
        waiting = [*self._served, *(waits for _, waits in self._waiting)]
        self._served, self._waiting = [], []
        for waits in waiting:
            waits.errback(ShelfError("stopping", "corpproxy stops; the lists are fetched another time"))
        return over

    @property
    def is_updating(self) -> bool:
        """Whether a child is at work."""
        return self._child is not None

    def look(self) -> None:
        """Start a child for the lists that are due; tell of those that became stale."""
        self._read()
        self._tell_stale()
        if self._child is not None:
            return
        now = self._clock()
        due = [one.name for one in self.sources if self._states[one.name].next_at <= now]
        if due and now >= self._not_before:
            self._start(due)

    def update(self, names: Iterable[str]) -> Deferred[list[Outcome]]:
        """Update some lists now, or when the child that is at work is done; gives what came of each."""
        wanted = list(names)
        if not wanted:
            return succeed([])
        waits: Deferred[list[Outcome]] = Deferred()
        self._waiting.append((wanted, waits))
        if self._child is None:
            self._start_waiting()
        return waits

    def known(self, name: str) -> bool:
        """Whether a list of this name is fetched."""
        return any(one.name == name for one in self.sources)

    # What administrators do with versions; these block for a moment.

    def accept(self, name: str, version: str, by: str, uid: int) -> Kept:
        """Put a version into force that is held or kept; raises ShelfError."""
        return self._shelf(name).accept(version, self._clock(), by, uid)

    def reject(self, name: str, by: str, uid: int) -> Kept:
        """Throw away what is held; raises ShelfError."""
        return self._shelf(name).reject(self._clock(), by, uid)

    def roll_back(self, name: str, by: str, uid: int) -> tuple[Kept, Kept]:
        """Put the version of before into force; raises ShelfError."""
        return self._shelf(name).roll_back(self._clock(), by, uid)

    def changed(self) -> None:
        """Take notice of what an administrator did."""
        self._read()
        self._taken()

    def _shelf(self, name: str) -> Shelf:
        for one in self.sources:
            if one.name == name and one.fetch is not None:
                return Shelf(one.path, one.fetch.keep)
        known = ", ".join(one.name for one in self.sources) or "none"
        raise ShelfError("unknown-list", f"no list '{name}' is fetched; those that are: {known}")

    # What is known.

    @property
    def statuses(self) -> list[Status]:
        """How each list is."""
        now = self._clock()
        return [status_of_list(one, self._states.get(one.name, ShelfState()), now) for one in self.sources]

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What somebody should know: lists that are held, stale, or cannot be fetched."""
        by_name = {one.name: one for one in self.sources}
        return tuple(
            problem for status in self.statuses for problem in problems_of(status, by_name[status.name].place)
        )

    @property
    def ages(self) -> Mapping[str, float]:
        """How long ago each list was last known to be the newest."""
        return {one.name: one.checked_seconds for one in self.statuses if one.checked_seconds is not None}

    def _read(self) -> None:
        """Read what is known of each list, where it changed."""
        for one in self.sources:
            stamp = _stamp(one.path.parent / STATE_FILE)
            if one.name not in self._states or stamp != self._stamps.get(one.name):
                self._stamps[one.name] = stamp
                self._states[one.name] = read_shelf(one.path.parent)

    def _tell_stale(self) -> None:
        stale = {one.name: one for one in self.statuses if one.is_stale}
        for name in stale.keys() - self._stale:
            self.log.error("list '{name}' is stale: {said}", name=name, said=stale[name].stale_text)
        self._stale = set(stale)

    # The child.

    def _start_waiting(self) -> None:
        names = list(dict.fromkeys(name for wanted, _ in self._waiting for name in wanted))
        self._served, self._waiting = [waits for _, waits in self._waiting], []
        self._start(names)

    def _start(self, names: list[str]) -> None:
        outcomes: list[Outcome] = []

        def came(line: bytes) -> None:
            outcomes.append(msgspec.json.decode(line, type=Outcome))
            self._came(outcomes[-1])

        self._child = ListChild(lambda said: self._ended(outcomes, said), came)
        self._child.start(self._reactor, msgspec.json.encode(self._job(names)), CHILD_SECONDS, "lists.update")

    def _came(self, outcome: Outcome) -> None:
        self.outcomes[outcome.result] += 1
        name, said = outcome.name, outcome.said
        if outcome.result == HELD:
            self.log.error("list '{name}': {said}", name=name, said=said)
        elif outcome.result == FAILED:
            self.log.warn("list '{name}' could not be fetched: {said}", name=name, said=said)
        else:
            self.log.info("list '{name}' was fetched: {said}", name=name, said=said)
        if outcome.result == TAKEN:
            self._taken()

    def _ended(self, outcomes: list[Outcome], said: str) -> None:
        self._child = None
        if said:
            self._not_before = self._clock() + RETRY_SECONDS
            self.log.error("the lists could not be updated: {said}", said=said)
        self._read()
        served, self._served = self._served, []
        for waits in served:
            waits.callback(outcomes)
        if self._waiting and self._child is None:
            self._start_waiting()


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
