"""
The category lists of a running service: taken up as they change, while what was read before stays in force.

Looking is a ``stat`` of each file every few seconds; building happens in a child process.  A change is taken
up when two looks in a row find the lists the same, because a download may be under way.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from corpproxy.backends.lists.build import Job
from corpproxy.backends.lists.child import ListChild
from corpproxy.backends.lists.files import (
    BUILD_SECONDS,
    existing_index,
    index_path,
    is_current,
    list_problems,
    not_built,
)
from corpproxy.backends.lists.past_keeper import PastKeeper
from corpproxy.backends.lists.read import signature
from corpproxy.destination.index import CategoryIndex
from corpproxy.destination.sources import ListSource
from corpproxy.errors import Problem

LOOK_SECONDS = 5.0

# A build that failed for another reason than a list (a full disk) is tried again after so long.
RETRY_SECONDS = 300.0


class ListKeeper:
    """
    Keeps the index of some lists current, giving each new one to ``changed``.

    ``reactor`` spawns processes and keeps time (IReactorProcess, IReactorTime), ``state`` is the state
    folder, ``clock`` gives POSIX seconds.  ``index`` is the one in force, None until the first is built;
    ``past`` keeps what it says for the records that will cite it.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        sources: Sequence[ListSource],
        state: Path,
        changed: Callable[[CategoryIndex], None],
        clock: Callable[[], float],
        past: PastKeeper | None = None,
    ) -> None:
        self._past = past
        self.index: CategoryIndex | None = None
        self._reactor = reactor
        self._sources = tuple(sources)
        self._state = state
        self._changed = changed
        self._clock = clock
        self._loop = LoopingCall(self.look)
        self._loop.clock = reactor
        self._build: ListChild | None = None
        self._problem: Problem | None = None
        self._opened: tuple[int, int, int] | None = None
        self._seen: tuple[str, ...] | None = None
        self._tried: tuple[str, ...] | None = None
        self._retry_at = 0.0
        self._is_kept_on_disk = False

    @property
    def is_building(self) -> bool:
        """Whether a child is at work."""
        return self._build is not None

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with the lists now, at their places."""
        own = [self._problem] if self._problem is not None else []
        return (*own, *list_problems(self._sources, self.index, self._clock()))

    @property
    def ages(self) -> dict[str, float]:
        """How old the content of each list in force is, in seconds."""
        now = self._clock()
        lists = self.index.meta.lists if self.index is not None else []
        return {report.name: max(0.0, now - report.modified) for report in lists if report.modified}

    @property
    def entries(self) -> dict[str, int]:
        """How many entries each list in force has."""
        return (
            {report.name: report.total for report in self.index.meta.lists} if self.index is not None else {}
        )

    def start(self) -> None:
        """Take up the index of before, if there is one, and look after the lists from now on."""
        if self._sources:
            self._open()
            self._loop.start(LOOK_SECONDS)

    def stop(self) -> Deferred[None]:
        """Look no more, and end a build that is under way; the Deferred fires when it has ended."""
        if self._loop.running:
            self._loop.stop()
        over = [self._past.stop()] if self._past is not None else []
        if self._build is not None:
            over.append(self._build.abandon())
        self._build = None
        return gatherResults(over).addCallback(lambda _: None)

    def look(self) -> None:
        """Look whether the lists changed, or somebody else built the index."""
        if self._build is not None:
            return
        if self._stamp() != self._opened:
            self._open()
        seen = tuple(signature(source) for source in self._sources)
        settled = self._seen in (None, seen)
        self._seen = seen
        if not settled or (self._is_kept_on_disk and is_current(self._sources, self.index)):
            return
        if seen != self._tried or self._clock() >= self._retry_at:
            self._start_build()

    def build(self) -> None:
        """Build now, whatever the lists look like; a build under way is let go on."""
        if self._build is None and self._sources:
            self._start_build()

    def _start_build(self) -> None:
        self._tried, self._retry_at = self._seen, self._clock() + RETRY_SECONDS
        self._build = ListChild(self._ended)
        job = msgspec.json.encode(Job.of(self._sources, index_path(self._state)))
        self._build.start(self._reactor, job, BUILD_SECONDS)

    def _ended(self, failed: str) -> None:
        self._build = None
        if failed:
            self._tell(not_built(self._state, failed))
            return
        self._tried = None
        self._open()
        for problem in list_problems(self._sources, self.index):
            self.log.warn("{problem}", problem=str(problem))

    def _open(self) -> None:
        """Open the index that stands in the state folder; a bad one leaves the one in force alone."""
        self._opened = self._stamp()
        index, problem = existing_index(self._state)
        self._is_kept_on_disk = index is not None
        self._tell(problem)
        if index is not None:
            self.index = index
            self._changed(index)
            if self._past is not None:
                self._past.note(index)

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            found = os.stat(index_path(self._state))
        except OSError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns

    def _tell(self, problem: Problem | None) -> None:
        if problem is not None and problem != self._problem:
            self.log.error("{problem}", problem=str(problem))
        self._problem = problem
