"""The people of an htpasswd file: passwords checked in threads, changes taken up while we run."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from corpproxy.backends.bounded_threads import Threads
from corpproxy.backends.people.directory import DirectoryDown
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
        self._together = Together(threads, verify_together, MOST_TOGETHER)
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

    def check(self, name: str, password: str) -> Deferred[bool]:
        """
        Fire with whether name and password belong together, or fail with `DirectoryDown`.

        An unknown name takes as long as a known one.
        """
        users = self._users
        if users is None:
            return fail(DirectoryDown("directory-down", f"{self.path} was never read"))
        written = users.hashes.get(name)
        against = written or users.decoy
        if may_go_together(password, against):
            done = self._together.run((password, against))
        else:
            done = self._threads.run(partial(verify, password, against))
        return done.addCallbacks(
            self._verified, self._not_verified, callbackArgs=(name, password, written), errbackArgs=(name,)
        )

    def _verified(self, right: bool, name: str, password: str, written: str | None) -> bool | Deferred[bool]:
        """Judge by the file as it is now: while the thread was at work, the line may have changed or gone."""
        if self._users is not None and self._users.hashes.get(name) != written:
            return self.check(name, password)
        return right and written is not None

    def _not_verified(self, failure: Failure, name: str) -> bool:
        """A damaged line lets nobody in; what else goes wrong says nothing about the password."""
        if isinstance(failure.value, DirectoryDown):
            raise failure.value
        self._log.failure("the password of {name} cannot be checked", failure, name=name)
        if isinstance(failure.value, BadHash):
            return False
        raise DirectoryDown("directory-down", f"the password of '{name}' cannot be checked; see the log")

    def _take(self, users: Users) -> None:
        before, self._users = self._users or Users(), users
        told = set(before.problems)
        for problem in users.problems:
            if problem not in told:
                self._log.warn("{problem}", problem=str(problem))
        names = users.changed_since(before)
        if names:
            self.changed(names)
