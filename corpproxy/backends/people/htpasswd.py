"""The people of an htpasswd file: passwords checked in threads or together, changes taken up while we run."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from corpproxy.backends.bounded_threads import Threads
from corpproxy.backends.people.directory import DirectoryDown, failing
from corpproxy.backends.people.htpasswd_lines import Users, read_users
from corpproxy.backends.people.passwords import (
    MOST_TOGETHER,
    BadHash,
    may_go_together,
    verify,
    verify_together,
)
from corpproxy.backends.people.together import Together
from corpproxy.backends.watched_file import WatchedFile
from corpproxy.errors import Problem


class Htpasswd:
    """
    Checks passwords against one htpasswd file.

    ``changed`` is called on the reactor's thread with the names whose lines came, went or are different.
    A file that is gone or cannot be read leaves the people who were known; one that was never read
    fails every check with `DirectoryDown`.
    """

    def __init__(
        self,
        path: Path,
        reactor: IReactorTime,
        threads: Threads,
        changed: Callable[[frozenset[str]], None] = lambda names: None,
        log: Logger | None = None,
    ) -> None:
        self.path = path
        self.changed = changed
        self._threads = threads
        self._together = Together(reactor, verify_together, MOST_TOGETHER)
        self._log = log or Logger()
        self._users: Users | None = None
        self._file = WatchedFile(
            path, read_users, self._take, reactor=reactor, threads=threads, secret=True, log=self._log
        )
        self.load = self._file.load
        self.start = self._file.start
        self.stop = self._file.stop
        self.look = self._file.look

    @property
    def names(self) -> frozenset[str]:
        """The people who can sign in."""
        return frozenset(self._users.hashes if self._users else ())

    def line_of(self, name: str) -> str:
        """The hash that stands for a name now; empty for one that is unknown."""
        return self._users.hashes.get(name, "") if self._users else ""

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with the file, and with its lines."""
        own = (self._file.problem,) if self._file.problem else ()
        return own + (self._users.problems if self._users else ())

    def check(self, name: str, password: str, tell: Callable[[bool | Failure], None]) -> None:
        """
        Call ``tell`` with whether name and password belong together, or with the failure `DirectoryDown`.

        An unknown name takes as long as a known one.
        """
        users = self._users
        if users is None:
            tell(failing(DirectoryDown("directory-down", f"{self.path} was never read")))
            return
        written = users.hashes.get(name)
        against = written or users.decoy
        judged = partial(self._judged, name, password, written, tell)
        if may_go_together(password, against):
            self._together.run((password, against), judged)
        else:
            self._threads.run(partial(verify, password, against)).addBoth(judged)

    def _judged(
        self,
        name: str,
        password: str,
        written: str | None,
        tell: Callable[[bool | Failure], None],
        outcome: bool | Failure,
    ) -> None:
        """Judge by the file as it is now: since it was looked at, the line may have changed or gone."""
        if isinstance(outcome, Failure):
            tell(self._not_verified(outcome, name))
        elif self._users is not None and self._users.hashes.get(name) != written:
            self.check(name, password, tell)
        else:
            tell(outcome and written is not None)

    def _not_verified(self, failure: Failure, name: str) -> bool | Failure:
        """A damaged line lets nobody in; what else goes wrong says nothing about the password."""
        if isinstance(failure.value, DirectoryDown):
            return failure
        self._log.failure("the password of {name} cannot be checked", failure, name=name)
        if isinstance(failure.value, BadHash):
            return False
        said = f"the password of '{name}' cannot be checked; see the log"
        return failing(DirectoryDown("directory-down", said))

    def _take(self, users: Users) -> None:
        before, self._users = self._users or Users(), users
        told = set(before.problems)
        for problem in users.problems:
            if problem not in told:
                self._log.warn("{problem}", problem=str(problem))
        names = users.changed_since(before)
        if names:
            self.changed(names)
