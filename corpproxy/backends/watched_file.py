"""
A small file that is taken up again when it changes, and whose last content stays when it cannot be read.

An editor that writes in place is not interrupted: a change is read when two looks in a row find the file
the same.  Looking is a ``stat`` once a second on the reactor's thread; reading happens elsewhere.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from corpproxy.backends.bounded_threads import Threads
from corpproxy.backends.people.directory import DirectoryDown
from corpproxy.errors import Place, Problem

LOOK_SECONDS = 1.0
# A hundred thousand people fit in a sixth of it.
MAX_FILE_OCTETS = 64 * 1024 * 1024

_Content = TypeVar("_Content")
_Stamp = tuple[int, int, int, int, int]


class Unreadable(Exception):
    """The file cannot be read now; carries the problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Reading(Generic[_Content]):
    """What one reading of the file gave, how the file looked, and whether it looked the same afterwards."""

    content: _Content
    stamp: _Stamp
    whole: bool
    problem: Problem | None = None


class WatchedFile(Generic[_Content]):
    """
    Reads a file with ``read``, and again whenever it changes, giving each content to ``taken``.

    ``secret`` files are told as a problem while others than owner and group may read them.
    ``problem`` is what is wrong with the file itself, or None.
    """

    def __init__(
        self,
        path: Path,
        read: Callable[[bytes, str], _Content],
        taken: Callable[[_Content], None],
        *,
        reactor: IReactorTime,
        threads: Threads,
        secret: bool,
        log: Logger | None = None,
    ) -> None:
        self.path = path
        self.problem: Problem | None = None
        self._read = read
        self._taken = taken
        self._threads = threads
        self._secret = secret
        self._log = log or Logger()
        self._loop = LoopingCall(self._look_again)
        self._loop.clock = reactor
        self._held: _Stamp | None = None
        self._seen: _Stamp | None = None
        self._reading = False

    def load(self) -> None:
        """Read the file now, on this thread: at start, before anybody is served."""
        try:
            self._take(self._read_file())
        except Unreadable as unreadable:
            self._tell(unreadable.problem)

    def start(self) -> None:
        """Look for changes every `LOOK_SECONDS` from now on."""
        self._loop.start(LOOK_SECONDS, now=False)

    def stop(self) -> None:
        """Look no more."""
        if self._loop.running:
            self._loop.stop()

    def look(self, *, at_once: bool = False) -> Deferred[None]:
        """
        Look whether the file changed; fires when what it now says is taken.

        ``at_once`` is for a change that we made ourselves, which is whole from the first moment.
        """
        try:
            stamp = _stamp(os.stat(self.path))
        except OSError as error:
            self._seen = None
            self._tell(_unreadable(self.path, error))
            return succeed(None)
        settled = at_once or stamp == self._seen
        self._seen = stamp
        if not settled or self._reading or (stamp == self._held and not self._is_lost()):
            return succeed(None)
        return self._read_elsewhere()

    def _look_again(self) -> Deferred[None]:
        """Look; a bug of ours in taking one content must not end the watch over the next."""
        looked: Deferred[None] = maybeDeferred(self.look)
        return looked.addErrback(self._log_failure)

    def _log_failure(self, failure: Failure) -> None:
        self._log.failure("taking up {path} failed", failure, path=str(self.path))

    def _is_lost(self) -> bool:
        """Whether the file was gone or unreadable at the last look, and may be back as it was."""
        return self.problem is not None and self.problem.code == "file-unreadable"

    def _read_elsewhere(self) -> Deferred[None]:
        self._reading = True
        done = self._threads.run(self._read_file)
        done.addBoth(self._read_ended)
        return done.addCallbacks(self._take_whole, self._not_read)

    def _read_ended(self, outcome: object) -> object:
        self._reading = False
        return outcome

    def _not_read(self, failure: Failure) -> None:
        reason = failure.value
        if isinstance(reason, Unreadable):
            self._tell(reason.problem)
        elif not isinstance(reason, DirectoryDown):
            # Ours to mend, and no reason to let go of the content that works.
            self._log_failure(failure)
            said = "the file cannot be understood; what it said before stays in force; see the log"
            self._tell(Problem(Place(str(self.path)), "file-not-understood", said))
            self._held = self._seen

    def _read_file(self) -> Reading[_Content]:
        try:
            octets, found, whole = _octets(self.path)
        except OSError as error:
            raise Unreadable(_unreadable(self.path, error)) from error
        open_to_all = self._secret and found.st_mode & stat.S_IROTH
        problem = _world_readable(self.path) if open_to_all else None
        return Reading(self._read(octets, str(self.path)), _stamp(found), whole, problem)

    def _take_whole(self, reading: Reading[_Content]) -> None:
        """Leave out what somebody wrote into while it was read; the next look finds it changed."""
        if reading.whole:
            self._take(reading)

    def _take(self, reading: Reading[_Content]) -> None:
        self._held = reading.stamp
        self._tell(reading.problem)
        self._taken(reading.content)

    def _tell(self, problem: Problem | None) -> None:
        if problem is not None and problem != self.problem:
            self._log.error("{problem}", problem=str(problem))
        self.problem = problem


def _octets(path: Path) -> tuple[bytes, os.stat_result, bool]:
    # O_NONBLOCK: a pipe in the place of the file must not hold the thread for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise OSError(0, "it is not a file")
        octets = file.read(MAX_FILE_OCTETS + 1)
        whole = _stamp(os.fstat(descriptor)) == _stamp(before)
    if len(octets) > MAX_FILE_OCTETS:
        raise OSError(0, f"it is longer than {MAX_FILE_OCTETS} octets")
    return octets, before, whole


def _stamp(found: os.stat_result) -> _Stamp:
    return (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_dev)


def _unreadable(path: Path, error: OSError) -> Problem:
    said = f"the file cannot be read ({error.strerror or error}); what it said before stays in force"
    return Problem(Place(str(path)), "file-unreadable", said)


def _world_readable(path: Path) -> Problem:
    said = f"everybody on this machine can read the file; run 'chmod o-rwx {path}'"
    return Problem(Place(str(path)), "file-world-readable", said, "warning")
