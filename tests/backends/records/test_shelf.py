"""Closed segments are packed, and the oldest go when the disk budget is used up; the rest still verifies."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

from twisted.internet.defer import Deferred, fail

from corpproxy.audit.settings import AuditSettings
from corpproxy.backends.records import shelf as record_shelf
from corpproxy.backends.records.reader import records
from corpproxy.backends.records.segment_file import open_segment
from corpproxy.backends.records.segment_packing import REST_SECONDS
from corpproxy.backends.records.segment_rewrite import BESIDE, rewrite, sole
from corpproxy.backends.records.segments import segment_names
from corpproxy.backends.records.shelf import RecordShelf
from tests.backends.records.test_verify import RecordCase
from tests.support.threads import DirectThread


class ShelfCase(RecordCase):
    """The shelf of a record of two workers."""

    def setUp(self) -> None:
        super().setUp()
        for path in self.folder.iterdir():
            os.utime(path, (self.now, self.now))
        self.now += REST_SECONDS
        self.recorded: list[str] = []
        self.shelf = self.a_shelf(AuditSettings())
        self.patch(record_shelf, "_stand_back", lambda: None)

    def a_shelf(self, settings: AuditSettings) -> RecordShelf:
        def record(names, why) -> None:
            self.recorded += names

        sign = self.checkpoints.sign_dropped
        return RecordShelf(self.folder, settings, DirectThread(), lambda: self.now, sign, record)

    def ids(self) -> list[str]:
        return sorted(one.id for one in records(self.folder, self.fail))

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob("records-*"))


class PackingTests(ShelfCase):
    """Packing."""

    def test_packed(self) -> None:
        """All but the newest segment of each worker are packed; every record is there, and it verifies."""
        before, names = self.ids(), self.names()
        self.shelf.look()
        self.assertEqual(len(self.names()), len(names))
        plain = [name for name in self.names() if name.endswith(".jsonl")]
        newest = {name.worker: name.path.name for name in segment_names(self.folder)}
        self.assertEqual(plain, sorted(newest.values()))
        self.assertEqual(self.shelf.packed, len(names) - 2)
        self.assertEqual(self.ids(), before)
        verdict = self.verdict()
        self.assertEqual((verdict.findings, verdict.records), ([], len(before)))

    def test_rests(self) -> None:
        """A segment that was written to just now stays as it is: somebody may follow it."""
        self.now -= REST_SECONDS / 2
        self.shelf.look()
        self.assertEqual(self.shelf.packed, 0)

    def test_switched_off(self) -> None:
        """Who wants plain files keeps them."""
        self.shelf.settings = AuditSettings(compress=False)
        self.shelf.look()
        self.assertEqual(self.shelf.packed, 0)

    def test_renamed(self) -> None:
        """What log rotation has renamed is left to it."""
        first = segment_names(self.folder)[0].path
        first.rename(first.with_name(first.name + ".1"))
        self.shelf.look()
        self.assertTrue(first.with_name(first.name + ".1").exists())

    def test_times(self) -> None:
        """A packed segment is as old as the plain one was."""
        first = segment_names(self.folder)[0].path
        os.utime(first, (1000, 2000))
        self.shelf.look()
        self.assertEqual(first.with_name(first.name + ".zst").stat().st_mtime, 2000)

    def test_crash(self) -> None:
        """After a crash between the packed file and the end of the plain one, no record stands twice."""
        before, first = self.ids(), segment_names(self.folder)[0].path
        octets = first.read_bytes()
        self.shelf.look()
        first.write_bytes(octets)
        os.utime(first, (self.now - REST_SECONDS,) * 2)
        (self.folder / f"{BESIDE}{first.name}.zst").write_bytes(b"half of it")
        self.assertEqual(self.ids(), before)
        self.assertEqual(self.verdict().findings, [])
        self.shelf.look()
        self.assertFalse(first.exists())
        self.assertEqual(list(self.folder.glob(f"{BESIDE}*")), [])
        self.assertEqual(self.ids(), before)

    def test_being_erased(self) -> None:
        """While somebody rewrites segments nothing is packed: what was erased would come back."""
        with sole(self.folder):
            self.shelf.look()
        self.assertEqual((self.shelf.packed, self.shelf.failing_reason), (0, ""))
        self.shelf.look()
        self.assertGreater(self.shelf.packed, 0)

    def test_no_room(self) -> None:
        """A disk without room for the packed file leaves the plain one, and is told once."""

        def full(*_: object) -> Path:
            raise OSError(errno.ENOSPC, "No space left on device")

        with_room = record_shelf.pack
        before = self.names()
        self.patch(record_shelf, "pack", full)
        self.shelf.look()
        self.shelf.look()
        self.assertIn("No space left", self.shelf.failing_reason)
        self.assertEqual(self.names(), before)
        self.patch(record_shelf, "pack", with_room)
        self.shelf.look()
        self.assertEqual(self.shelf.failing_reason, "")

    def test_erased_when_packed(self) -> None:
        """A packed segment is rewritten as a packed one, from which other programs read the same."""
        self.shelf.look()
        first = segment_names(self.folder)[0].path
        with open_segment(first) as file:
            lines = list(file)
        with sole(self.folder):
            rewrite(first, lambda line: line if b'"n":2,' not in line else None)
        told = subprocess.run(["zstd", "-dc", str(first)], capture_output=True, check=True)
        self.assertEqual(told.stdout, b"".join(line for line in lines if b'"n":2,' not in line))


class BudgetTests(ShelfCase):
    """The disk budget."""

    def whole(self) -> int:
        return sum(path.stat().st_size for path in self.folder.glob("records-*"))

    def budget(self, octets: int) -> None:
        self.shelf.settings = AuditSettings(compress=False, disk_octets=octets)
        self.shelf.look()

    def test_oldest_first(self) -> None:
        """The oldest go until the rest is within the budget; the rest verifies, and it is recorded."""
        before, names = self.whole(), [name.path.name for name in segment_names(self.folder)]
        self.budget(before * 2 // 3)
        left = [name.path.name for name in segment_names(self.folder)]
        gone = names[: len(names) - len(left)]
        self.assertEqual(left, names[len(gone) :])
        self.assertTrue(0 < self.whole() <= before * 2 // 3)
        self.assertEqual(self.recorded, gone)
        self.assertEqual(self.shelf.deleted, len(gone))
        self.assertEqual(self.verdict().findings, [])

    def test_within(self) -> None:
        """Nothing goes within the budget, or without one."""
        before = self.names()
        self.budget(self.whole())
        self.budget(0)
        self.assertEqual(self.names(), before)
        self.assertEqual(self.shelf.octets, self.whole())

    def test_open_ones_stay(self) -> None:
        """Segments that are written to stay, however small the budget."""
        self.budget(1)
        self.assertEqual(len(self.names()), 2)
        self.assertEqual(self.verdict().findings, [])

    def test_packed_ones(self) -> None:
        """What was packed goes in the same way."""
        self.shelf.look()
        self.budget(1)
        self.assertEqual(len(self.names()), 2)
        self.assertEqual(self.verdict().findings, [])

    def test_unsigned(self) -> None:
        """While no checkpoint can be written nothing is deleted."""
        before = self.names()
        self.patch(self.checkpoints, "_thread", FullThread())
        self.budget(1)
        self.assertEqual(self.names(), before)
        self.assertIn("no checkpoint can be written", self.shelf.failing_reason)
        self.assertEqual(self.recorded, [])

    def test_crash(self) -> None:
        """After a crash between signing and deleting, the next look deletes the same, and it verifies."""
        delete = record_shelf._delete
        self.patch(record_shelf, "_delete", lambda *_: None)
        self.budget(1)
        self.assertEqual(self.verdict().findings, [])
        self.patch(record_shelf, "_delete", delete)
        self.budget(1)
        self.assertEqual(len(self.names()), 2)
        self.assertEqual(self.verdict().findings, [])


class FullThread(DirectThread):
    """A thread whose disk is full, for checkpoints."""

    def run(self, work) -> Deferred:
        if getattr(work, "func", None) is None:
            return super().run(work)
        return fail(OSError(errno.ENOSPC, "No space left on device"))


class CountTests(ShelfCase):
    """So many closed segments of each worker."""

    def keep(self, count: int) -> None:
        self.shelf.settings = AuditSettings(compress=False, keep_segments=count)
        self.shelf.look()

    def test_each_worker(self) -> None:
        """It is counted for each worker: the newest closed ones stay, and the one that is written."""
        before = [name.path.name for name in segment_names(self.folder)]
        self.keep(1)
        left = segment_names(self.folder)
        self.assertEqual([name.worker for name in left].count(1), 2)
        self.assertEqual([name.worker for name in left].count(2), 2)
        self.assertEqual(sorted(self.recorded), sorted(set(before) - {name.path.name for name in left}))
        self.assertEqual(self.verdict().findings, [])

    def test_all(self) -> None:
        """Without a number all stay."""
        before = self.names()
        self.keep(0)
        self.assertEqual(self.names(), before)

    def test_crash(self) -> None:
        """A crash between signing and deleting leaves a record that verifies, and the next look goes on."""
        delete = record_shelf._delete
        self.patch(record_shelf, "_delete", lambda *_: None)
        self.keep(1)
        self.assertEqual(self.verdict().findings, [])
        self.patch(record_shelf, "_delete", delete)
        self.keep(1)
        self.assertEqual(len(self.names()), 4)
        self.assertEqual(self.verdict().findings, [])
