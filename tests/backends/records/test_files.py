"""Records reach the disk in order, whole, once; and what a failing disk does is what the policy says."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase, TestCase

from corpproxy.audit.record import UnreadableRecord, decode, encode
from corpproxy.audit.settings import AuditSettings
from corpproxy.backends.records.files import BATCH_RECORDS, RecordWriter
from corpproxy.backends.records.segments import FileSegment, Segments, segment_names
from tests.audit.test_record import a_record
from tests.backends.killing import killed_children
from tests.support.threads import DirectThread, HeldThread

NOW = 1_795_428_000.0


def a_line(number: int) -> bytes:
    """A record as it comes to the segments."""
    return encode(a_record(id=str(number)))


def ids_in(folder: Path) -> list[list[str]]:
    """The ids of the records in each segment."""
    files = [name.path.read_bytes().splitlines() for name in segment_names(folder)]
    return [[decode(line).id for line in lines] for lines in files]


class FakeDisk:
    """
    Files in memory on a disk that may fail.

    ``room`` is how many octets still fit; ``broken`` is an error number that everything answers with;
    ``unmendable`` refuses to shorten files, too.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytearray] = {}
        self.moved: set[str] = set()
        self.room = 10**9
        self.broken = 0
        self.unmendable = 0
        self.sync_fails = 0
        self.syncs = 0
        self.attempts = 0

    def begin(self, path: Path):
        self.attempts += 1
        if path.name in self.files:
            raise FileExistsError(path)
        if self.broken:
            raise OSError(self.broken, os.strerror(self.broken))
        return FakeSegment(self, path)

    def lines(self) -> list[bytes]:
        """All that stands in the files, in order."""
        return b"".join(bytes(self.files[name]) for name in sorted(self.files)).splitlines()

    def numbers(self) -> list[int]:
        """The ids of the records in the files."""
        return [int(decode(line).id) for line in self.lines()]


class FakeSegment:
    """A file on the disk above; a write takes at most 1000 octets at once."""

    def __init__(self, disk: FakeDisk, path: Path) -> None:
        self.disk = disk
        self.path = path
        self.octets = disk.files[path.name] = bytearray()

    def write(self, octets: memoryview) -> int:
        if self.disk.broken:
            raise OSError(self.disk.broken, os.strerror(self.disk.broken))
        fits = min(len(octets), self.disk.room, 1000)
        if not fits:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.octets += octets[:fits]
        self.disk.room -= fits
        return fits

    def sync(self) -> None:
        self.disk.syncs += 1
        if self.disk.sync_fails:
            raise OSError(self.disk.sync_fails, os.strerror(self.disk.sync_fails))

    def cut(self, length: int) -> None:
        if self.disk.unmendable:
            raise OSError(self.disk.unmendable, os.strerror(self.disk.unmendable))
        self.disk.room += len(self.octets) - length
        del self.octets[length:]

    def is_in_place(self) -> bool:
        return self.path.name not in self.disk.moved

    def close(self) -> None:
        pass


class WriterTestCase(SynchronousTestCase):
    """A writer on a fake disk, with a clock."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.disk = FakeDisk()
        self.thread = DirectThread()
        self.next = 0
        self.writer = self.make()
        self.seen: list[dict] = []
        globalLogPublisher.addObserver(self.seen.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.seen.append)

    def make(self, max_held_octets: int = 10**6, **audit) -> RecordWriter:
        return RecordWriter(
            self.clock,
            Path(self.mktemp()),
            AuditSettings(**audit),
            thread=self.thread,
            begin=self.disk.begin,
            now=self.clock.seconds,
            max_held_octets=max_held_octets,
        )

    def write(self, count: int = 1) -> None:
        for _ in range(count):
            self.writer.write(a_record(id=str(self.next), path="/" + "x" * 50))
            self.next += 1

    def levels(self) -> list[str]:
        return [
            event["log_level"].name
            for event in self.seen
            if event.get("log_namespace", "").startswith("corpproxy")
        ]


class BatchTests(WriterTestCase):
    """When records go to the disk."""

    def test_second(self) -> None:
        """A record is on the disk a second later, synced."""
        self.write()
        self.assertEqual((self.disk.numbers(), self.writer.waiting), ([], 1))
        self.clock.advance(1)
        self.assertEqual((self.disk.numbers(), self.writer.waiting, self.writer.written), ([0], 0, 1))
        self.assertEqual(self.disk.syncs, 1)

    def test_full_batch(self) -> None:
        """A full batch does not wait for the second."""
        self.write(BATCH_RECORDS + 1)
        self.assertEqual(self.disk.numbers(), list(range(BATCH_RECORDS)))
        self.clock.advance(1)
        self.assertEqual(self.disk.numbers(), list(range(BATCH_RECORDS + 1)))

    def test_quiet(self) -> None:
        """Nothing is scheduled while nothing is waiting, and no file is made."""
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.write()
        self.clock.pump([1] * 3)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_slow_disk(self) -> None:
        """While a batch is under way the others wait, and go as one when it is done, in order."""
        self.thread = HeldThread()
        self.writer = self.make()
        self.write(BATCH_RECORDS * 3)
        self.clock.pump([1] * 5)
        self.assertEqual(len(self.thread.held), 1)
        self.assertEqual(self.writer.waiting, BATCH_RECORDS * 3)
        self.thread.release()
        self.assertEqual(self.disk.numbers(), list(range(BATCH_RECORDS * 3)))
        self.assertEqual(self.disk.syncs, 2)

    def test_too_slow_disk(self) -> None:
        """A disk that does not keep up at all stops the service before records are lost."""
        self.thread = HeldThread()
        self.writer = self.make(max_held_octets=40_000)
        while self.writer.accepts():
            self.write()
        self.assertEqual(self.writer.lost, 0)
        self.write(100)
        self.assertEqual(self.writer.lost, 0)
        self.write(1000)
        self.assertGreater(self.writer.lost, 0)
        self.thread.release()
        self.assertTrue(self.writer.accepts())
        self.assertEqual(self.disk.numbers(), list(range(self.next - self.writer.lost)))

    def test_close(self) -> None:
        """At the end everything goes to the disk, that under way first, and the thread ends."""
        self.thread = HeldThread()
        self.writer = self.make()
        self.write(BATCH_RECORDS + 5)
        closing = self.writer.close()
        self.assertNoResult(closing)
        self.thread.release()
        self.successResultOf(closing)
        self.assertEqual(self.disk.numbers(), list(range(BATCH_RECORDS + 5)))
        self.assertTrue(self.thread.is_stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.write()
        self.assertEqual((self.writer.lost, self.clock.getDelayedCalls()), (1, []))

    def test_bug(self) -> None:
        """A bug in the thread stops the service like a failing disk, and its trace is in the log."""
        self.disk.begin = None
        self.writer = self.make()
        self.write()
        self.clock.advance(1)
        self.assertTrue(self.writer.is_failing)
        self.assertFalse(self.writer.accepts())
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)


class SegmentTests(WriterTestCase):
    """When a new segment begins."""

    def test_name(self) -> None:
        """A segment is named after the moment it was begun."""
        self.write()
        self.clock.advance(1)
        self.assertEqual(list(self.disk.files), ["records-20261123T100001Z-0001.jsonl"])

    def test_size(self) -> None:
        """A segment that reached its size is followed by another, also within the same second."""
        self.writer = self.make(rotate_octets=1000)
        self.write(BATCH_RECORDS * 2)
        self.assertEqual(
            list(self.disk.files),
            ["records-20261123T100000Z-0001.jsonl", "records-20261123T100000Z-0002.jsonl"],
        )

    def test_never_by_size(self) -> None:
        """Where the policy says so, size does not matter."""
        self.writer = self.make(rotate_octets=0)
        self.write(BATCH_RECORDS * 2)
        self.assertEqual(len(self.disk.files), 1)

    def test_day(self) -> None:
        """A new day begins a new segment, unless the policy says otherwise."""
        for rotate_daily, count in ((True, 2), (False, 1)):
            self.disk = FakeDisk()
            self.writer = self.make(rotate_daily=rotate_daily)
            self.write()
            self.clock.advance(1)
            self.write()
            self.clock.advance(86_400)
            self.assertEqual(len(self.disk.files), count)

    def test_moved(self) -> None:
        """When logrotate has moved the segment away, the next batch begins another."""
        self.write()
        self.clock.advance(1)
        self.disk.moved.update(self.disk.files)
        self.write()
        self.clock.advance(1)
        self.assertEqual([len(octets.splitlines()) for octets in self.disk.files.values()], [1, 1])

    def test_reopen(self) -> None:
        """On command the next batch begins another segment."""
        self.write()
        self.clock.advance(1)
        self.writer.reopen()
        self.write()
        self.clock.advance(1)
        self.assertEqual(len(self.disk.files), 2)


class FileTests(TestCase):
    """Real files and a real thread."""

    async def test_written(self) -> None:
        """Records are in a private file in a private folder."""
        from twisted.internet import reactor

        folder = Path(self.mktemp()) / "records"
        writer = RecordWriter(reactor, folder, AuditSettings(), flush_seconds=0.01)
        for number in range(1000):
            writer.write(a_record(id=str(number)))
        await writer.close()
        (segment,) = segment_names(folder)
        numbers = [int(decode(line).id) for line in segment.path.read_bytes().splitlines()]
        self.assertEqual(numbers, list(range(1000)))
        self.assertEqual(stat.S_IMODE(segment.path.stat().st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(folder.stat().st_mode), 0o700)
        self.assertEqual(writer.written, 1000)

    def segments(self, **audit) -> tuple[Path, Segments]:
        folder = Path(self.mktemp())
        folder.mkdir()
        return folder, Segments(folder, AuditSettings(**audit))

    def test_logrotate(self) -> None:
        """What follows a segment that logrotate moved away is in a new one; both are found."""
        folder, segments = self.segments()
        segments.append(a_line(1), NOW)
        (first,) = segment_names(folder)
        first.path.rename(first.path.with_name(first.path.name + ".1"))
        segments.append(a_line(2), NOW)
        segments.close()
        self.assertEqual(ids_in(folder), [["1"], ["2"]])

    def test_other_settings(self) -> None:
        """Settings of a reloaded policy hold from the next batch on."""
        folder, segments = self.segments()
        segments.append(a_line(1), NOW)
        segments.settings = AuditSettings(rotate_octets=1)
        segments.append(a_line(2), NOW)
        self.assertEqual(len(segment_names(folder)), 2)

    def test_deleted(self) -> None:
        """A segment that was deleted is followed by a new one."""
        folder, segments = self.segments()
        segments.append(a_line(1), NOW)
        segment_names(folder)[0].path.unlink()
        segments.append(a_line(2), NOW)
        self.assertEqual(ids_in(folder), [["2"]])

    def test_never_continued(self) -> None:
        """A segment that is there already is left as it is, cut last line and all."""
        folder, segments = self.segments()
        (folder / "records-20261123T100000Z-0001.jsonl").write_bytes(b'1\n{"v":1,"i')
        segments.append(a_line(2), NOW)
        self.assertEqual([name.number for name in segment_names(folder)], [1, 2])

    def test_other_files(self) -> None:
        """Other files in the folder are left alone."""
        folder, _ = self.segments()
        for name in ("notes.txt", "records-x.jsonl", "records-20261123T100000Z-0001.jsonl~"):
            (folder / name).write_bytes(b"")
        self.assertEqual(segment_names(folder), [])

    def test_real_full_disk(self) -> None:
        """The device that is always full refuses as a full disk does."""
        segment = FileSegment.__new__(FileSegment)
        segment._descriptor = os.open("/dev/full", os.O_WRONLY)
        self.addCleanup(segment.close)
        self.assertEqual(self.assertRaises(OSError, segment.write, memoryview(b"1\n")).errno, errno.ENOSPC)


class KilledTests(SynchronousTestCase):
    """Kill -9 under load; slow, some seconds."""

    def test_instants(self) -> None:
        """What was confirmed is there, nothing twice or out of order, and at most the last line is cut."""
        folder = Path(self.mktemp())
        folder.mkdir()
        late = 0
        for told in killed_children("records", str(folder), 20):
            lines = [line for name in segment_names(folder) for line in self.whole_lines(name.path)]
            numbers = [int(decode(line).id) for line in lines]
            mine = [number for number in numbers if number >= told["first"]]
            self.assertEqual(mine, list(range(told["first"], told["first"] + len(mine))))
            self.assertEqual(numbers, sorted(set(numbers)))
            self.assertLessEqual(told["acknowledged"], len(mine))
            self.assertLessEqual(len(mine), told["said"])
            late += len(mine) < told["before"]
        self.assertLessEqual(late, 2)

    def whole_lines(self, path: Path) -> list[bytes]:
        *lines, rest = path.read_bytes().split(b"\n")
        if rest:
            self.assertRaises(UnreadableRecord, decode, rest)
        return lines
