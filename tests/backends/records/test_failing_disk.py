"""Records while the disk takes nothing: they wait, or are counted as lost, and the reason is told."""

from __future__ import annotations

import errno

from hypothesis import given, settings
from hypothesis import strategies as st

from corpproxy.audit.proof import read
from corpproxy.audit.settings import AuditSettings, WhenFull
from corpproxy.backends.records import segments
from corpproxy.backends.records.files import BATCH_RECORDS
from tests.backends.records.test_files import NOW, FakeDisk, WriterTestCase


class FailingTests(WriterTestCase):
    """Full and broken disks."""

    def test_full_in_a_line(self) -> None:
        """A disk that fills in the middle of a line keeps whole lines, and gets the rest when it has room."""
        self.write(3)
        self.clock.advance(1)
        self.disk.room = 200
        self.write(10)
        self.clock.advance(1)
        self.assertEqual(self.disk.numbers(), [0, 1, 2])
        self.assertTrue(self.writer.is_failing)
        self.assertEqual(self.writer.failing_since, NOW + 2)
        self.assertIn("No space left", self.writer.failing_reason)
        self.assertFalse(self.writer.accepts())
        self.assertEqual(self.writer.waiting, 10)
        self.disk.room = 10**6
        self.write(2)
        self.clock.pump([1, 1])
        self.assertEqual(self.disk.numbers(), list(range(15)))
        self.assertEqual((self.writer.is_failing, self.writer.waiting, self.writer.lost), (False, 0, 0))
        self.assertTrue(self.writer.accepts())
        self.assertEqual(self.levels(), ["critical", "warn"])

    def test_tried_each_second(self) -> None:
        """A full disk is tried once a second, not with every record."""
        self.disk.broken = errno.ENOSPC
        self.write(BATCH_RECORDS * 4)
        before = self.disk.attempts
        self.clock.pump([0.25] * 12)
        self.write(BATCH_RECORDS * 4)
        self.assertEqual(self.disk.attempts - before, 3)
        self.assertEqual(self.levels(), ["critical"])

    def test_continue(self) -> None:
        """Where the policy says so, the service goes on and counts the records it could not keep."""
        self.writer = self.make(when_full=WhenFull.CONTINUE, max_held_octets=5000)
        self.disk.broken = errno.EIO
        self.write(10)
        self.clock.advance(1)
        self.assertTrue(self.writer.is_failing)
        self.assertTrue(self.writer.accepts())
        self.write(200)
        self.assertGreater(self.writer.lost, 100)
        self.disk.broken = 0
        self.clock.pump([1, 1])
        self.assertEqual(self.disk.numbers(), list(range(210 - self.writer.lost)))
        self.assertEqual(self.writer.written + self.writer.lost, 210)

    def test_taken_up(self) -> None:
        """A policy that is reloaded while the disk is full decides from then on."""
        self.disk.broken = errno.ENOSPC
        self.write()
        self.clock.advance(1)
        self.assertFalse(self.writer.accepts())
        self.writer.take_up(AuditSettings(when_full=WhenFull.CONTINUE))
        self.assertTrue(self.writer.accepts())

    def test_full_between_pieces(self) -> None:
        """A batch that is written in pieces is there whole or not at all, and one chain in the end."""
        self.patch(segments, "PIECE_OCTETS", 100)
        self.write(3)
        self.clock.advance(1)
        self.disk.room = 5 * max(map(len, self.disk.lines()))
        self.write(20)
        self.clock.advance(1)
        self.assertEqual((self.disk.numbers(), self.writer.is_failing), ([0, 1, 2], True))
        self.disk.room = 10**6
        self.clock.advance(1)
        self.assertEqual(self.disk.numbers(), list(range(23)))
        lines = self.disk.lines()
        befores = [read(line).before for line in lines]
        self.assertEqual(befores[1:], [read(line).digest for line in lines[:-1]])

    def test_unmendable(self) -> None:
        """Where half a batch cannot be cut off at once, it is before the next one: no record stands twice."""
        self.write()
        self.clock.advance(1)
        self.disk.room, self.disk.unmendable = 300, errno.EIO
        self.write(10)
        self.clock.advance(1)
        self.assertGreater(len(self.disk.lines()), 1)
        self.disk.room = 10**6
        self.clock.advance(1)
        self.assertTrue(self.writer.is_failing)
        self.disk.unmendable = 0
        self.clock.advance(1)
        self.assertEqual(self.disk.numbers(), list(range(11)))

    def test_sync_fails(self) -> None:
        """What could not be synced does not count as written, and is written again."""
        self.disk.sync_fails = errno.EIO
        self.write(5)
        self.clock.advance(1)
        self.assertEqual((self.writer.written, self.disk.lines()), (0, []))
        self.disk.sync_fails = 0
        self.clock.advance(1)
        self.assertEqual((self.writer.written, self.disk.numbers()), (5, list(range(5))))

    def test_close_while_failing(self) -> None:
        """What cannot be written at the end is counted as lost and the log says so."""
        self.disk.broken = errno.EIO
        self.write(5)
        self.clock.advance(1)
        self.write(2)
        self.successResultOf(self.writer.close())
        self.assertEqual((self.writer.lost, self.levels()), (7, ["critical", "critical"]))

    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(
            st.sampled_from(
                ["write", "batch", "second", "full", "room", "sync", "unmend", "reopen", "moved"]
            ),
            max_size=40,
        )
    )
    def test_any_order(self, steps) -> None:
        """Whatever fails in whatever order: in the end each record is there once, whole and in order."""
        self.disk, self.next = FakeDisk(), 0
        self.writer = self.make(rotate_octets=30_000)
        for step in steps:
            if step in ("write", "batch"):
                self.write(1 if step == "write" else BATCH_RECORDS)
            elif step == "second":
                self.clock.advance(1)
            elif step == "full":
                self.disk.room = 700
            elif step == "room":
                self.disk.room, self.disk.sync_fails, self.disk.unmendable = 10**9, 0, 0
            elif step == "sync":
                self.disk.sync_fails = errno.EIO
            elif step == "unmend":
                self.disk.unmendable = errno.EIO
            elif step == "reopen" and not self.disk.unmendable:
                self.writer.reopen()
            elif step == "moved" and not self.disk.unmendable:
                self.disk.moved.update(self.disk.files)
        self.disk.room, self.disk.sync_fails, self.disk.unmendable = 10**9, 0, 0
        self.clock.pump([1, 1, 1])
        self.assertEqual(self.disk.numbers(), list(range(self.next)))
        self.assertEqual((self.writer.written, self.writer.lost), (self.next, 0))
