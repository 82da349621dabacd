"""The groups file of a site: taken up while we run, and edited by ``corpproxy users``."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from corpproxy.backends.atomic_file import edited_alone, read_whole, replace_file
from corpproxy.backends.bounded_threads import Threads
from corpproxy.backends.watched_file import WatchedFile
from corpproxy.errors import Problem
from corpproxy.identity.group_lines import Groups, read_groups, with_groups


class GroupFile:
    """
    The groups of people by name.

    ``changed`` is called on the reactor's thread with all of them when the file says something new.
    """

    def __init__(
        self,
        path: Path,
        reactor: IReactorTime,
        threads: Threads,
        changed: Callable[[Mapping[str, tuple[str, ...]]], None] = lambda groups: None,
        log: Logger | None = None,
    ) -> None:
        self.path = path
        self.changed = changed
        self._log = log or Logger()
        self._groups = Groups()
        self._file = WatchedFile(
            path, read_groups, self._take, reactor=reactor, threads=threads, secret=False, log=self._log
        )
        self.load = self._file.load
        self.start = self._file.start
        self.stop = self._file.stop
        self.look = self._file.look

    @property
    def groups(self) -> Mapping[str, tuple[str, ...]]:
        """Each name with its groups."""
        return self._groups.of

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with the file, and with its lines."""
        own = (self._file.problem,) if self._file.problem else ()
        return own + self._groups.problems

    def _take(self, groups: Groups) -> None:
        before, self._groups = self._groups, groups
        for problem in groups.problems:
            if problem not in before.problems:
                self._log.warn("{problem}", problem=str(problem))
        if groups.of != before.of:
            self.changed(groups.of)


def set_groups(path: Path, groups: Mapping[str, Collection[str]]) -> None:
    """Give all these names their groups in one edit; none at all takes a name out.  Raises OSError."""
    with edited_alone(path):
        octets = read_whole(path)
        written = with_groups(octets or b"", groups)
        if written != (octets or b""):
            replace_file(path, written)
