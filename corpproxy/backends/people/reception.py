"""The reception: who may come in, by the files that the policy names, over all reloads of the policy."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from corpproxy.backends.bounded_threads import BoundedThreads
from corpproxy.backends.people.directory import DirectoryDown
from corpproxy.backends.people.group_file import GroupFile
from corpproxy.backends.people.htpasswd import Htpasswd
from corpproxy.backends.people.recognition import Recognition, set_twins
from corpproxy.backends.people.sign_in import Learned, Refused, SignIn, SignInCounts
from corpproxy.errors import Problem
from corpproxy.exchange.refusal import SignInRefused, SignInUnavailable
from corpproxy.identity.attempts import Attempts
from corpproxy.identity.memory import SignInMemory
from corpproxy.identity.model import Identity
from corpproxy.identity.people import Groups, People
from corpproxy.identity.settings import IdentitySettings

# Right and wrong credentials held at once: several browsers and programs of each of ten thousand people.
MAX_REMEMBERED = 50_000
NO_SIGN_IN = "no-sign-in"


class Reception:
    """
    Holds the password file, the groups file and what is remembered of sign-ins.

    `take` puts a policy into force: what it does not change (an open password file, remembered credentials)
    stays.  ``people`` are the people of the policy in force; ``counts`` say how sign-ins went.
    ``tell`` and ``tell_change`` are called with what other processes with the same ``key`` should know: what
    a check taught, and that the password file changed.  ``accounts_changed`` is called with the names whose
    password is another one now, or that have none any more, each with a sentence that says so.
    """

    __slots__ = (
        "_attempts",
        "_groups",
        "_htpasswd",
        "_key",
        "_memory",
        "_now",
        "_reactor",
        "_remember_seconds",
        "_sign_in",
        "_started",
        "_tell",
        "_tell_change",
        "_threads",
        "accounts_changed",
        "counts",
        "people",
    )

    def __init__(
        self,
        reactor: Any,
        now: Callable[[], float],
        settings: IdentitySettings,
        key: bytes = b"",
        tell: Callable[[Learned], None] | None = None,
        tell_change: Callable[[], None] | None = None,
    ) -> None:
        self._reactor = reactor
        self._now = now
        self._threads = BoundedThreads(reactor)
        self._key = key or secrets.token_bytes(32)
        self._tell, self._tell_change = tell, tell_change
        self._attempts = Attempts()
        self._memory = SignInMemory(settings.remember_seconds, MAX_REMEMBERED, self._key)
        self._remember_seconds = settings.remember_seconds
        self._htpasswd: Htpasswd | None = None
        self._groups: GroupFile | None = None
        self._sign_in: SignIn | None = None
        self._started = False
        self.counts = SignInCounts()
        self.accounts_changed: Callable[[Mapping[str, str]], None] = lambda reasons: None
        self.people = People(settings)
        self.take(settings)

    @property
    def remembered(self) -> int:
        """How many credentials are remembered."""
        return len(self._memory)

    @property
    def names(self) -> frozenset[str]:
        """The people who can sign in with a password."""
        return self._htpasswd.names if self._htpasswd is not None else frozenset()

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with the files."""
        files = [one for one in (self._htpasswd, self._groups) if one is not None]
        return tuple(problem for file in files for problem in file.problems)

    def take(self, settings: IdentitySettings) -> People:
        """Put the settings of a policy into force, and give its people."""
        if settings.remember_seconds != self._remember_seconds:
            self._remember_seconds = settings.remember_seconds
            self._memory = SignInMemory(settings.remember_seconds, MAX_REMEMBERED, self._key)
            self._sign_in = None
        self._take_groups(settings.groups_file)
        self.people = People(settings, self._groups.groups if self._groups is not None else None)
        self._take_htpasswd(settings.htpasswd)
        return self.people

    def start(self) -> None:
        """Read the files, and look for changes from now on."""
        self._started = True
        for file in (self._htpasswd, self._groups):
            if file is not None:
                file.start()

    def stop(self) -> None:
        """Look no more, and end the threads."""
        for file in (self._htpasswd, self._groups):
            if file is not None:
                file.stop()
        self._threads.stop()

    # As the road asks.

    def recall(self, value: bytes, now: float) -> Identity | None:
        """Give the identity behind credentials that were checked before."""
        return self._sign_in.recall(value, now) if self._sign_in is not None else None

    def recognise(self, value: bytes) -> Callable[[float], Identity | None]:
        """Give what recalls the same credentials later; it holds a digest of them and not their value."""
        return Recognition(self, self._memory.digest(value))

    def check(self, value: bytes, address: str) -> Deferred[Identity]:
        """Give the identity behind credentials; fails with SignInRefused or SignInUnavailable."""
        if self._sign_in is None:
            return fail(SignInRefused(NO_SIGN_IN, "nobody can sign in here"))
        checked = self._sign_in.check(value, address)
        checked.addCallbacks(_admitted, _unavailable)
        return checked  # type: ignore[return-value]

    def change_password(self, name: str, address: str, old: str, new: str) -> Deferred[str]:
        """Change a person's own password; gives what is wrong, or nothing."""
        if self._sign_in is None:
            return fail(SignInUnavailable(NO_SIGN_IN, "nobody can sign in here"))
        changed = self._sign_in.change_password(name, address, old, new)
        changed.addCallbacks(_told, _unavailable)
        return changed  # type: ignore[return-value]

    # As other processes tell.

    def hear(self, learned: Learned) -> None:
        """Know what another process learned."""
        if self._sign_in is not None:
            self._sign_in.hear(learned)

    def look(self) -> None:
        """Somebody knows that a file has changed, and is whole: look now, not within a second."""
        for file in (self._htpasswd, self._groups):
            if file is not None:
                file.look(at_once=True)

    def _take_htpasswd(self, path: Path | None) -> None:
        before = self._htpasswd
        if path is None or before is None or before.path != path:
            if before is not None:
                before.stop()
                # A new one, not an emptied one: a check by the old file may still be under way.
                self._memory = SignInMemory(self._remember_seconds, MAX_REMEMBERED, self._key)
            self._htpasswd = (
                None if path is None else self._opened(Htpasswd(path, self._reactor, self._threads))
            )
            self._sign_in = None
            self._compare(before, self._htpasswd)
        if self._htpasswd is None:
            self._sign_in = None
        elif self._sign_in is None:
            self._sign_in = SignIn(
                self.people,
                self._htpasswd,
                self._memory,
                self._attempts,
                clock=self._now,
                reactor=self._reactor,
                threads=self._threads,
            )
            self._sign_in.counts = self.counts
            self._sign_in.when_changed = self._tell_accounts
            if self._tell is not None:
                self._sign_in.tell = self._tell
            if self._tell_change is not None:
                self._sign_in.tell_change = self._tell_change
        else:
            self._sign_in.people = self.people

    def _compare(self, before: Htpasswd | None, now: Htpasswd | None) -> None:
        """Another password file: people whose line is the same in both have the account that they had."""
        if before is not None and now is not None:
            names = before.names | now.names
            self._tell_accounts(frozenset(one for one in names if before.line_of(one) != now.line_of(one)))

    def _tell_accounts(self, names: frozenset[str]) -> None:
        assert self._htpasswd is not None
        has_one = self._htpasswd.line_of
        self.accounts_changed(
            {
                name: f"the password of '{name}' is another one" if has_one(name) else f"'{name}' is gone"
                for name in names
            }
        )

    def _take_groups(self, path: Path | None) -> None:
        if self._groups is not None and self._groups.path == path:
            return
        if self._groups is not None:
            self._groups.stop()
        self._groups = None
        if path is not None:
            self._groups = self._opened(GroupFile(path, self._reactor, self._threads, self._regrouped))

    def _opened(self, file: Any) -> Any:
        file.load()
        if self._started:
            file.start()
        return file

    def _regrouped(self, groups: Groups) -> None:
        self.people.take_groups(groups)


def _admitted(judged: Identity | Refused) -> Identity:
    if isinstance(judged, Refused):
        raise SignInRefused(judged.reason, "the credentials let nobody in")
    return judged


def _unavailable(failure: Failure) -> None:
    down = failure.value
    if not isinstance(down, DirectoryDown):
        failure.raiseException()
    raise SignInUnavailable("directory-down", str(down)) from down


def _told(problem: Problem | None) -> str:
    return problem.message if problem is not None else ""


set_twins({"reception": Reception, "sign_in": SignIn, "counts": SignInCounts, "people": People})
