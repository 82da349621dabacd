"""Stand-ins for the thread that waits on the disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, execute


class DirectThread:
    """Does its work at once, on the thread of the test."""

    def __init__(self) -> None:
        self.is_stopped = False

    def run(self, work: Callable[[], Any]) -> Deferred[Any]:
        """Do ``work`` now."""
        return execute(work)

    def stop(self) -> None:
        """Note that it is over."""
        self.is_stopped = True


class HeldThread(DirectThread):
    """Does its work, in order, when the test lets it: a slow disk."""

    def __init__(self) -> None:
        super().__init__()
        self.held: list[tuple[Callable[[], Any], Deferred[Any]]] = []

    def run(self, work: Callable[[], Any]) -> Deferred[Any]:
        """Keep ``work`` for later."""
        done: Deferred[Any] = Deferred()
        self.held.append((work, done))
        return done

    def release(self) -> None:
        """Do all that is held, also what that leads to."""
        while self.held:
            work, done = self.held.pop(0)
            execute(work).chainDeferred(done)
