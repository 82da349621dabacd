"""Threads that are none: work waits until the test does it."""

from __future__ import annotations

from twisted.internet.defer import Deferred, execute


class ByHand:
    """Holds work until :meth:`do` is called."""

    def __init__(self):
        self.jobs = []
        self.failure = None

    def run(self, work):
        if self.failure is not None:
            return execute(self._fail)
        done = Deferred()
        self.jobs.append((work, done))
        return done

    def do(self, count=None):
        """Do the work that waits, or so many pieces of it."""
        while self.jobs and count != 0:
            work, done = self.jobs.pop(0)
            execute(work).addBoth(done.callback)
            count = None if count is None else count - 1

    def _fail(self):
        raise self.failure


class AtOnce(ByHand):
    """Does work when it is given."""

    def run(self, work):
        done = super().run(work)
        self.do()
        return done
