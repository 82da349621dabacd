"""A few threads and a bound on what waits for them."""

from __future__ import annotations

import threading

from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.trial.unittest import TestCase

from corpproxy.backends.bounded_threads import BoundedThreads
from corpproxy.backends.people.directory import DirectoryBusy, DirectoryDown


class BoundedThreadsTests(TestCase):
    """With real threads; each test waits for its own work only."""

    def setUp(self):
        self.threads = BoundedThreads(reactor, threads=2, waiting=3)
        self.gate = threading.Event()
        self.addCleanup(self.threads.stop)
        self.addCleanup(self.gate.set)

    async def test_elsewhere(self):
        """Work is done, and not on the reactor's thread."""
        self.assertIsNot(await self.threads.run(threading.current_thread), threading.current_thread())

    async def test_failure(self):
        """What the work raises comes back, and its place is free again."""
        with self.assertRaises(ZeroDivisionError):
            await self.threads.run(lambda: 1 / 0)
        self.assertEqual(self.threads.pending, 0)

    async def test_full(self):
        """Past the bound work is refused at once, with its own failure; the rest is done."""
        taken = [self.threads.run(self.gate.wait) for _ in range(5)]
        failure = self.failureResultOf(self.threads.run(self.gate.wait), DirectoryBusy)
        self.assertEqual(failure.value.code, "directory-busy")
        self.gate.set()
        self.assertEqual(await gatherResults(taken), [True] * 5)
        self.assertIs(await self.threads.run(lambda: True), True)

    async def test_stop(self):
        """Stopping waits for the work under way and lets go of what only waits."""
        started = threading.Semaphore(0)
        done = []

        def work():
            started.release()
            self.gate.wait()
            done.append(1)

        taken = [self.threads.run(work) for _ in range(4)]
        started.acquire()
        started.acquire()
        self.threads._stopped = True
        self.gate.set()
        self.threads.stop()
        self.assertEqual(done, [1, 1])
        for dropped in taken[2:]:
            with self.assertRaises(DirectoryDown):
                await dropped
        await gatherResults(taken[:2])
        self.failureResultOf(self.threads.run(work), DirectoryDown)
