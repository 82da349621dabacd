"""
A few threads for work that costs processor time, with a bound on what may wait for them.

The reactor's own pool also looks up names; a class that signs in at half past eight must not stop those.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from corpproxy.backends.people.directory import DirectoryBusy, DirectoryDown
from corpproxy.counted import counted

# One argon2 check takes 30 ms of one core: two threads check sixty people a second.
THREADS = 2
# With two threads the last in the queue waits four seconds, which a browser bears.
MAX_WAITING = 256

_Outcome = TypeVar("_Outcome")


class Threads(Protocol):
    """Does work elsewhere; tests do it at once, or when they say so."""

    def run(self, work: Callable[[], _Outcome]) -> Deferred[_Outcome]:
        """Do ``work``; the Deferred fires with its outcome, or fails with `DirectoryBusy`."""


class BoundedThreads:
    """Threads of its own, started with the first work and ended by :meth:`stop`."""

    def __init__(
        self,
        reactor: IReactorFromThreads,
        threads: int = THREADS,
        waiting: int = MAX_WAITING,
        name: str = "passwords",
    ) -> None:
        self._reactor = reactor
        self._pool = ThreadPool(minthreads=0, maxthreads=threads, name=name)
        self._limit = threads + waiting
        self._stopped = False
        self.pending = 0
        self._pool.start()

    def run(self, work: Callable[[], _Outcome]) -> Deferred[_Outcome]:
        """
        Do ``work`` in a thread; the Deferred fires with its outcome, or fails with `DirectoryBusy`.

        Cancelling it does not take the work out of the queue, so that it goes on to count.
        """
        if self._stopped:
            return fail(DirectoryDown("directory-stopped", "the proxy is stopping"))
        if self.pending >= self._limit:
            said = f"{counted(self.pending, 'password check waits', 'password checks wait')} already"
            return fail(DirectoryBusy("directory-busy", said))
        self.pending += 1
        done = deferToThreadPool(self._reactor, self._pool, partial(self._unless_stopped, work))
        done.addBoth(self._count_down)
        told: Deferred[_Outcome] = Deferred()
        done.chainDeferred(told)
        return told

    def stop(self) -> None:
        """Wait for the work under way; what still waits is not done any more."""
        self._stopped = True
        if not self._pool.joined:
            self._pool.stop()

    def _unless_stopped(self, work: Callable[[], _Outcome]) -> _Outcome:
        if self._stopped:
            raise DirectoryDown("directory-stopped", "the proxy is stopping")
        return work()

    def _count_down(self, outcome: _Outcome) -> _Outcome:
        self.pending -= 1
        return outcome
