"""
The fetched lists of a running service: asked for when it is time, in a child process, one after the other.

What the child does is in `corpproxy.backends.list_update`; here is when, and what is told of it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import IDelayedCall, IProcessTransport
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from corpproxy.backends.list_files import build_command, failure_in_words
from corpproxy.backends.list_shelf import (
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
from corpproxy.backends.list_status import Status, problems_of, status_of_list
from corpproxy.backends.list_update_job import Outcome, UpdateJob
from corpproxy.destination.sources import ListSource
from corpproxy.errors import Problem

LOOK_SECONDS = 10.0

# Ten lists from slow servers, each with half an hour and a minute of reading; what takes longer hangs.
CHILD_SECONDS = 4 * 3600.0

# A child that failed as a whole (no memory, a policy that cannot be read) is not started again at once.
RETRY_SECONDS = 300.0

_MAX_SAID_OCTETS = 64 * 1024


class ListUpdates:
    """
    Keeps fetched lists up to date.

    ``reactor`` spawns processes and keeps time; ``job`` makes the job for some names; ``taken`` is called
    when a version came into force; ``clock`` gives POSIX seconds.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        sources: Sequence[ListSource],
        job: Callable[[list[str]], UpdateJob],
        taken: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        self._reactor = reactor
        self.sources = tuple(one for one in sources if one.fetch is not None)
        self._job = job
        self._taken = taken
        self._clock = clock
        self._loop = LoopingCall(self.look)
        self._loop.clock = reactor
        self._child: _Child | None = None
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

    def take(self, sources: Sequence[ListSource]) -> None:
        """Keep other lists up to date from now on; a child that is at work goes on."""
        self.sources = tuple(one for one in sources if one.fetch is not None)
        self._states = {one.name: self._states[one.name] for one in self.sources if one.name in self._states}
        if self.sources and not self._loop.running:
            self._loop.start(LOOK_SECONDS)
        elif not self.sources and self._loop.running:
            self._loop.stop()

    def stop(self) -> Deferred[None]:
        """
        Look no more; a child that is at work is ended, and goes on where it was another time.

        The Deferred fires when it has ended.
        """
        if self._loop.running:
            self._loop.stop()
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
        self._child = child = _Child(self._came, lambda said: self._ended(child, said))
        child.start(self._reactor, msgspec.json.encode(self._job(names)))

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

    def _ended(self, child: _Child, said: str) -> None:
        self._child = None
        if said:
            self._not_before = self._clock() + RETRY_SECONDS
            self.log.error("the lists could not be updated: {said}", said=said)
        self._read()
        served, self._served = self._served, []
        for waits in served:
            waits.callback(child.outcomes)
        if self._waiting and self._child is None:
            self._start_waiting()


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


class _Child(ProcessProtocol):
    """A child that updates lists; ``ended`` is told why it failed, or an empty text."""

    transport: IProcessTransport

    def __init__(self, came: Callable[[Outcome], None], ended: Callable[[str], None]) -> None:
        self.outcomes: list[Outcome] = []
        self._came = came
        self._ended: Callable[[str], None] | None = ended
        self._line = b""
        self._said = b""
        self._limit: IDelayedCall | None = None
        self._over: Deferred[None] = Deferred()

    def start(self, reactor: Any, job: bytes) -> None:
        """Start the child and give it its job."""
        argv, environment = build_command("list_update")
        self._limit = reactor.callLater(CHILD_SECONDS, self._kill)
        reactor.spawnProcess(self, argv[0], argv, environment)
        self.transport.writeToChild(0, job)
        self.transport.closeStdin()

    def abandon(self) -> Deferred[None]:
        """End the child, of which nobody is told any more; the Deferred fires when it has ended."""
        self._ended = None
        self._stop_waiting()
        self._kill()
        return self._over

    def outReceived(self, data: bytes) -> None:
        """Take the outcomes, a line each."""
        *lines, self._line = (self._line + data).split(b"\n")
        for line in lines:
            outcome = msgspec.json.decode(line, type=Outcome)
            self.outcomes.append(outcome)
            if self._ended is not None:
                self._came(outcome)

    def errReceived(self, data: bytes) -> None:
        """Keep the end of what the child complains of."""
        self._said = (self._said + data)[-_MAX_SAID_OCTETS:]

    def processEnded(self, reason: Failure) -> None:
        """Tell how it went."""
        self._stop_waiting()
        self._over.callback(None)
        ended, self._ended = self._ended, None
        if ended is None:
            return
        died = reason.value
        if isinstance(died, ProcessTerminated):
            ended(failure_in_words(died.exitCode or died.signal, self._said))
        else:
            ended("")

    def _stop_waiting(self) -> None:
        if self._limit is not None and self._limit.active():
            self._limit.cancel()

    def _kill(self) -> None:
        try:
            self.transport.signalProcess("KILL")
        except ProcessExitedAlready:
            pass
