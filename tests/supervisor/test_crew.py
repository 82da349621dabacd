"""The crew: what reaches all workers, and versions that come into force in all or in none."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.erasure import Erasure
from corpproxy.net.crowd import Crowd
from corpproxy.reload import Objection
from corpproxy.supervisor.crew import SETTLE_SECONDS
from corpproxy.supervisor.messages import Edition, LookAgain, Report
from corpproxy.supervisor.parcels import Parcels
from corpproxy.supervisor.seat import Stage
from tests.supervisor.pair import SECOND, FakeOffice, crew_of, settle


class CrewCase(SynchronousTestCase):
    """Two workers that serve."""

    def setUp(self):
        self.clock = Clock()
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(lambda: [path.unlink() for path in self.folder.iterdir()] and None)
        self.office = FakeOffice(self.clock, Parcels(self.folder))
        self.crew = crew_of(self.office)
        self.crew.start()
        settle(self.clock)
        self.workers = [employment.worker for employment in self.office.employed]
        self.taken = []

    def take(self, edition=SECOND):
        taking = self.crew.take(edition, lambda: self.taken.append(self.versions()))
        settle(self.clock)
        return taking

    def versions(self):
        return [worker.version for worker in self.workers]


class TakeTests(CrewCase):
    """A new version."""

    def test_all(self):
        """It is prepared by all, then taken here, then swapped by all."""
        self.successResultOf(self.take())
        self.assertEqual(self.taken, [["first", "first"]])
        self.assertEqual(self.versions(), ["second", "second"])
        self.assertEqual([seat.edition for seat in self.crew.seats], ["second", "second"])

    def test_one_begins(self):
        """One that is just beginning is waited for, and has the new version when the others have it."""
        self.office.employed[0].dies()
        self.clock.advance(0)
        taking = self.crew.take(SECOND, lambda: None)
        self.assertNoResult(taking)
        settle(self.clock)
        self.successResultOf(taking)
        self.assertEqual(self.office.employed[-1].worker.version, "second")
        self.assertEqual([seat.edition for seat in self.crew.seats], ["second", "second"])

    def test_one_never_begins(self):
        """One that does not come to serve in time is not waited for."""
        self.office.prepare = lambda worker: setattr(worker, "hangs", True)
        self.office.employed[0].dies()
        self.clock.advance(0)
        taking = self.take()
        self.assertNoResult(taking)
        self.clock.advance(self.crew.begin_seconds)
        settle(self.clock)
        self.successResultOf(taking)
        self.assertEqual(self.workers[1].version, "second")

    def test_one_objects(self):
        """When one objects none has it, and the reason names the worker."""
        self.workers[1].objects = "no memory"
        failure = self.failureResultOf(self.take(), Objection)
        self.assertEqual(failure.getErrorMessage(), "worker 2: no memory")
        self.assertEqual((self.versions(), self.taken), (["first", "first"], []))
        self.assertEqual([one.signals for one in self.office.employed], [[], []])

    def test_one_hangs(self):
        """One that does not answer in time objects by that; its late answer changes nothing."""
        self.workers[0].hangs = True
        taking = self.take()
        self.assertNoResult(taking)
        self.clock.advance(self.crew.prepare_seconds + 1)
        failure = self.failureResultOf(taking, Objection)
        self.assertEqual(failure.getErrorMessage(), "worker 1 did not answer in time")
        self.assertEqual((self.versions(), self.taken), (["first", "first"], []))

    def test_one_dies(self):
        """One that dies while all prepare objects to nothing; its successor is brought to the new version."""
        self.workers[0].hangs = True
        taking = self.take()
        self.office.employed[0].dies()
        settle(self.clock)
        self.successResultOf(taking)
        self.assertEqual(self.workers[1].version, "second")
        # Begun before the swap: the supervisor brings it to the new version.
        self.assertEqual(self.crew.seats[0].edition, "first")
        self.successResultOf(self.caught_up(0))
        self.assertEqual(self.office.employed[-1].worker.version, "second")

    def caught_up(self, place):
        catching = self.crew.catch_up(self.crew.seats[place], SECOND)
        settle(self.clock)
        return catching

    def test_swap_fails(self):
        """One that prepared and cannot swap is ended: it must not decide by the old version."""
        self.workers[0].locateResponder = self.forgetting(self.workers[0])
        self.successResultOf(self.take())
        self.assertEqual(self.office.employed[0].signals, ["KILL"])
        self.assertEqual(self.workers[1].version, "second")

    def forgetting(self, worker):
        locate = type(worker).locateResponder

        def located(name):
            if name == b"Swap":
                worker.prepared = "lost"
            return locate(worker, name)

        return located

    def test_supervisor_fails(self):
        """When the supervisor itself cannot take it no worker is told to."""
        taking = self.crew.take(SECOND, lambda: 1 / 0)
        settle(self.clock)
        self.failureResultOf(taking, ZeroDivisionError)
        self.assertEqual(self.versions(), ["first", "first"])

    def test_long(self):
        """A policy that is longer than a box goes as a file, which is gone afterwards."""
        long = Edition("second", SECOND.policy, {"policy.yaml": os.urandom(300_000)})
        self.successResultOf(self.take(long))
        self.assertEqual(self.versions(), ["second", "second"])
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_disk_full(self):
        """A long policy that cannot be handed over is objected to."""
        self.folder.rmdir()
        self.addCleanup(self.folder.mkdir)
        long = Edition("second", SECOND.policy, {"policy.yaml": os.urandom(300_000)})
        failure = self.failureResultOf(self.take(long), Objection)
        self.assertIn("No such file", failure.getErrorMessage())
        self.assertEqual(self.versions(), ["first", "first"])


class TellTests(CrewCase):
    """What reaches all."""

    def test_hear(self):
        """What one worker learned reaches the others, and not itself."""
        self.crew.hear((LookAgain(),), self.crew.seats[0])
        settle(self.clock)
        self.assertEqual([worker.heard for worker in self.workers], [[], [LookAgain()]])

    def test_crowds(self):
        """Each is told what the others have open, once for each change."""
        self.crew.seats[0].report = Report(crowd=Crowd(3, {"10.1.4.9": 3}))
        self.crew.spread_crowds()
        settle(self.clock)
        self.assertEqual([worker.others for worker in self.workers], [None, Crowd(3, {"10.1.4.9": 3})])
        self.workers[1].others = None
        self.crew.spread_crowds()
        settle(self.clock)
        self.assertIsNone(self.workers[1].others)
        self.office.employed[0].dies()
        self.crew.spread_crowds()
        settle(self.clock)
        self.assertEqual(self.workers[1].others, Crowd())

    def test_does_not_forget(self):
        """A worker that does not do what an erasure asks of it is told in the log; the erasure goes on."""
        for worker in self.workers:
            worker.hangs = True
        forgetting = self.crew.forget(Erasure(user="amir"))
        self.clock.advance(SETTLE_SECONDS + 1)
        settle(self.clock)
        self.successResultOf(forgetting)
        self.assertEqual(len(self.flushLoggedErrors()), 2)


class StopTests(CrewCase):
    """The end."""

    def test_in_order(self):
        """Workers that end in time are not killed."""
        stopping = self.crew.stop(30)
        settle(self.clock)
        for employment in self.office.employed:
            employment.dies("in order")
        self.successResultOf(stopping)
        self.assertEqual([one.signals for one in self.office.employed], [[], []])
        self.assertEqual({seat.stage for seat in self.crew.seats}, {Stage.OVER})

    def test_late(self):
        """One that does not end is killed at the deadline."""
        stopping = self.crew.stop(30)
        settle(self.clock)
        self.office.employed[0].dies("in order")
        # Both report while they drain: neither is silent.
        for _ in range(34):
            self.crew.seats[1].heard()
            self.clock.advance(1)
        self.assertNoResult(stopping)
        self.clock.advance(2)
        self.successResultOf(stopping)
        self.assertEqual(self.office.employed[1].signals, ["KILL"])

    def test_hurry(self):
        """Who asks for the end once more is heard by every worker."""
        self.crew.stop(30)
        self.crew.hurry()
        settle(self.clock)
        self.assertEqual([worker.stops for worker in self.workers], [[False, True], [False, True]])
        for employment in self.office.employed:
            employment.dies("in order")
