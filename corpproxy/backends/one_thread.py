"""One thread for work that waits on a disk: in the order given, and never on the reactor's thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

_Outcome = TypeVar("_Outcome")


class WorkThread(Protocol):
    """Does one piece of work after the other; tests do theirs at once, or when they say so."""

    def run(self, work: Callable[[], _Outcome]) -> Deferred[_Outcome]:
        """Do ``work`` after all that was given before; the Deferred fires with what it returns or raises."""

    def stop(self) -> None:
        """Wait for the work under way; no more may be given."""


class OneThread:
    """A thread of its own, which ends when :meth:`stop` is called."""

    def __init__(self, reactor: IReactorFromThreads, name: str) -> None:
        self._reactor = reactor
        # A pool of one: its queue is what keeps the order.
        self._pool = ThreadPool(minthreads=0, maxthreads=1, name=name)
        self._pool.start()

    def run(self, work: Callable[[], _Outcome]) -> Deferred[_Outcome]:
        """Do ``work`` after all that was given before; the Deferred fires with what it returns or raises."""
        return deferToThreadPool(self._reactor, self._pool, work)

    def stop(self) -> None:
        """Wait for the work under way; no more may be given."""
        self._pool.stop()
