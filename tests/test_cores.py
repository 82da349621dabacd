"""How many workers there are where the policy names no number."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from corpproxy import cores
from corpproxy.cores import workers_for


class WorkersForTests(SynchronousTestCase):
    """One for each core."""

    def test_left_out(self) -> None:
        """Without a number there is a worker for each core that the service may use."""
        self.patch(os, "sched_getaffinity", lambda pid: {0, 5, 7})
        self.assertEqual(workers_for(None), 3)

    def test_named(self) -> None:
        """A number is taken as it is, nought as well."""
        self.assertEqual([workers_for(0), workers_for(8)], [0, 8])

    def test_elsewhere(self) -> None:
        """Where the kernel does not spread connections, one process does everything."""
        self.patch(cores, "sys", type("sys", (), {"platform": "darwin"}))
        self.assertEqual(workers_for(None), 0)
