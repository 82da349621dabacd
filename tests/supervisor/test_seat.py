"""The seat of a worker: begun, served, died, replaced, stopped."""

from __future__ import annotations

import tempfile
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.supervisor.parcels import Parcels
from corpproxy.supervisor.seat import (
    BEGIN_SECONDS,
    NEXT,
    RESTS_SECONDS,
    SILENCE_SECONDS,
    STEADY_SECONDS,
    Event,
    Seat,
    Stage,
)
from tests.supervisor.pair import FakeOffice, settle


class SeatCase(SynchronousTestCase):
    """One seat, on a clock that stands still."""

    def setUp(self):
        self.clock = Clock()
        self.office = FakeOffice(self.clock, Parcels(Path(tempfile.gettempdir())))
        self.seat = Seat(1, [11], self.office, self.clock, self.clock.seconds)

    def fill(self):
        self.seat.fill()
        settle(self.clock)

    def live(self, seconds):
        """Let the worker live so long, reporting each second."""
        for _ in range(int(seconds)):
            self.seat.heard()
            self.clock.advance(1)

    @property
    def last(self):
        return self.office.employed[-1]


class LifeTests(SeatCase):
    """What a seat does with its workers."""

    def test_serves(self):
        """A worker that has begun serves the sockets of its seat."""
        self.fill()
        self.assertEqual((self.seat.stage, self.office.served), (Stage.SERVING, [1]))
        self.assertEqual(self.last.sockets, (11,))

    def test_first_death(self):
        """A worker that dies is replaced at once."""
        self.fill()
        self.live(1)
        self.last.dies()
        self.assertEqual(self.seat.stage, Stage.RESTING)
        settle(self.clock)
        self.assertEqual((self.seat.stage, len(self.office.employed)), (Stage.SERVING, 2))
        self.assertEqual(self.office.deaths, [(1, 0.0, "by signal 9")])
        self.assertEqual(self.seat.deaths, 1)

    def test_rests_grow(self):
        """Workers that die young are replaced later and later."""
        self.fill()
        for rest in (*RESTS_SECONDS[1:], RESTS_SECONDS[-1]):
            self.last.dies()
            if len(self.office.employed) == 1:
                settle(self.clock)
                self.last.dies()
            before = len(self.office.employed)
            self.clock.advance(rest - 0.1)
            self.assertEqual(len(self.office.employed), before)
            self.clock.advance(0.2)
            settle(self.clock)
            self.assertEqual(len(self.office.employed), before + 1)

    def test_old_worker(self):
        """One that lived long is replaced at once, whatever happened before it."""
        self.fill()
        for _ in range(3):
            self.last.dies()
            self.clock.advance(2)
            settle(self.clock)
        self.live(STEADY_SECONDS)
        self.last.dies()
        settle(self.clock)
        self.assertEqual(self.seat.stage, Stage.SERVING)

    def test_objects(self):
        """A worker that cannot begin is ended, and the next one tried."""
        self.office.prepare = lambda worker: setattr(worker, "objects", "the policy does not load")
        self.fill()
        self.assertEqual(self.last.signals, ["KILL"])
        self.office.prepare = lambda worker: None
        self.clock.advance(RESTS_SECONDS[1] + 0.1)
        settle(self.clock)
        self.assertEqual(self.seat.stage, Stage.SERVING)

    def test_hangs_at_its_beginning(self):
        """A worker that does not serve in time is ended."""
        self.office.prepare = lambda worker: setattr(worker, "hangs", True)
        self.fill()
        self.clock.advance(BEGIN_SECONDS - 1)
        self.assertEqual(self.office.employed[0].signals, [])
        self.clock.advance(2)
        self.assertEqual(self.office.employed[0].signals, ["KILL"])

    def test_silent(self):
        """A worker that says nothing any more is ended; one that speaks is left alone."""
        self.fill()
        self.live(3 * SILENCE_SECONDS)
        self.assertEqual(self.last.signals, [])
        first = self.last
        self.clock.advance(SILENCE_SECONDS + 1)
        self.assertEqual(first.signals, ["KILL"])

    def test_no_process(self):
        """Where the system has no process to give, it is asked again."""
        self.office.cannot_start = True
        self.fill()
        self.office.cannot_start = False
        self.clock.advance(RESTS_SECONDS[1] + 0.1)
        settle(self.clock)
        self.assertEqual(self.seat.stage, Stage.SERVING)


class StopTests(SeatCase):
    """Stopping."""

    def test_serving(self):
        """A worker is told to stop; its end is the end of the seat."""
        self.fill()
        over = self.seat.stop()
        settle(self.clock)
        self.assertEqual(self.last.worker.stops, [False])
        self.assertNoResult(over)
        self.last.dies("in order")
        self.successResultOf(over)
        self.clock.advance(100)
        self.assertEqual(len(self.office.employed), 1)

    def test_resting(self):
        """A seat that rests between two workers begins none any more."""
        self.fill()
        self.last.dies()
        self.successResultOf(self.seat.stop())
        self.clock.advance(100)
        self.assertEqual(len(self.office.employed), 1)

    def test_twice(self):
        """Asked again, with hurry, the worker hears that too."""
        self.fill()
        one, two = self.seat.stop(), self.seat.stop(hurries=True)
        settle(self.clock)
        self.assertEqual(self.last.worker.stops, [False, True])
        self.last.dies()
        self.successResultOf(one)
        self.successResultOf(two)

    def test_every_event(self):
        """What may happen in each stage has a place in the table."""
        dying = {stage for stage, event in NEXT if event is Event.DIES}
        self.assertEqual(dying, {Stage.STARTING, Stage.SERVING, Stage.STOPPING})
        self.assertEqual({stage for stage, event in NEXT if event is Event.STOP}, set(Stage))
