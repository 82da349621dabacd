"""
The segments of the record: their names in the folder, and how lines are appended to them for good.

A segment is named after the moment it was begun, ``records-20261123T100000Z-0001.jsonl``; the
number tells apart those of one second.  Each worker has its own, ``records-20261123T100000Z-w2-0001.jsonl``.
No segment is ever continued by another process: a
crash leaves at most a cut last line in the one that was open, and the next start begins a new one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from corpproxy.audit.proof import SEED_OCTETS, End, Head, Unproven, beginning, count_lines, link, read
from corpproxy.audit.settings import AuditSettings
from corpproxy.backends.records.segment_file import PACKED, DamagedSegment, open_segment
from corpproxy.backends.records.segment_rewrite import hold

# Below the state folder of the policy.
RECORDS_FOLDER = "records"

_MOMENT = "%Y%m%dT%H%M%SZ"

# Octets that are chained and written in one go, with the rest of the line that they end in.
PIECE_OCTETS = 64 * 1024

# Names that logrotate makes of ours (a number, compression) are still ours.
_NAME = re.compile(r"records-(\d{8}T\d{6}Z)-(?:w(\d+)-)?(\d{4,})\.jsonl(?:\.\d+|-\d+)?(?:\.gz|\.zst)?")


@dataclass(frozen=True, slots=True, order=True)
class SegmentName:
    """A segment in its folder; they sort by the moment they were begun.  ``worker`` is 0 without workers."""

    begun: str
    number: int
    worker: int
    path: Path

    @property
    def key(self) -> tuple[str, int, int]:
        """What a segment keeps when it is moved away or compressed."""
        return self.begun, self.number, self.worker

    @property
    def canonical(self) -> str:
        """The name that it had when it was begun."""
        return segment_name(self.begun, self.worker, self.number)

    @property
    def begun_at(self) -> float:
        """When it was begun, in POSIX seconds."""
        try:
            return datetime.strptime(self.begun, _MOMENT).replace(tzinfo=UTC).timestamp()
        except ValueError:
            # Digits in the place of a moment: somebody named the file by hand.
            return 0.0

    @property
    def is_compressed(self) -> bool:
        """Whether it was compressed since."""
        return self.path.suffix in PACKED


def segment_names(folder: Path) -> list[SegmentName]:
    """
    Give the segments in a folder, the oldest first.

    :raises OSError: when the folder cannot be read.
    """
    matches = ((entry, _NAME.fullmatch(entry.name)) for entry in folder.iterdir())
    found: dict[tuple[str, int, int], SegmentName] = {}
    for entry, match in matches:
        if match is not None:
            name = SegmentName(match[1], int(match[3]), int(match[2] or 0), entry)
            there = found.setdefault(name.key, name)
            if there.is_compressed and not name.is_compressed:
                # It is being packed just now, or a crash came in between: the plain one is whole.
                found[name.key] = name
    return sorted(found.values())


def segment_name(begun: str, worker: int, number: int) -> str:
    """The name of a segment in its folder."""
    whose = f"w{worker}-" if worker else ""
    return f"records-{begun}-{whose}{number:04d}.jsonl"


class Segment(Protocol):
    """One open segment."""

    path: Path

    def write(self, octets: memoryview) -> int:
        """Write octets at the end, perhaps not all of them; give how many."""

    def sync(self) -> None:
        """Wait until what was written is on the disk."""

    def cut(self, length: int) -> None:
        """Shorten to ``length`` octets."""

    def is_in_place(self) -> bool:
        """Whether the file still has its name: nobody moved it away or deleted it."""

    def close(self) -> None:
        """Let go of the file."""


class FileSegment:
    """A segment in a file, which only its owner may read (0600)."""

    def __init__(self, path: Path) -> None:
        """
        Begin a new file.

        :raises FileExistsError: when there is one of that name.
        """
        self.path = path
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(path, flags, 0o600)
        # For as long as it is open nobody else rewrites it, whatever becomes of this process.
        hold(self._descriptor)
        _sync_folder(path.parent)

    def write(self, octets: memoryview) -> int:
        """Write octets at the end, perhaps not all of them; give how many."""
        return os.write(self._descriptor, octets)

    def sync(self) -> None:
        """Wait until what was written is on the disk."""
        os.fdatasync(self._descriptor)

    def cut(self, length: int) -> None:
        """Shorten to ``length`` octets."""
        os.ftruncate(self._descriptor, length)

    def is_in_place(self) -> bool:
        """Whether the file still has its name: nobody moved it away or deleted it."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), self.path.stat())
        except FileNotFoundError:
            return False

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)


class Segments:
    """
    Appends batches of lines, each whole or not at all, and begins a new segment when it is time.

    When a batch fails half-way, what was written of it is cut off again, so that the batch can be tried
    once more: no record is lost, none stands twice, and no line stays half.  Everything here waits on
    the disk and belongs into a thread.
    """

    def __init__(
        self,
        folder: Path,
        settings: AuditSettings,
        begin: Callable[[Path], Segment] = FileSegment,
        worker: int = 0,
    ) -> None:
        self._folder = folder
        self._worker = worker
        self.settings = settings
        self._begin = begin
        self._segment: Segment | None = None
        self._length = 0
        self._begun = ""
        self._number = 0
        self._is_torn = False
        # The chain of this process: all its segments, one behind the other.
        self._head: Head | None = None
        self._records = 0
        self.end: End | None = None

    def append(self, lines: bytes | bytearray, now: float) -> None:
        """
        Append whole lines and wait until they are on the disk; ``now`` is POSIX seconds.

        :raises OSError: when that fails; the lines then are not in the record.
        """
        segment = self._current(now)
        head, octets = self._head or beginning(segment.path.name), 0
        before = head.count if self._head is not None else 0
        try:
            for piece in _pieces(lines):
                chained, head = _chained(piece, head)
                self._write(segment, chained)
                octets += len(chained)
            segment.sync()
        except OSError:
            self._is_torn = True
            self._mend(segment)
            raise
        self._length += octets
        self._records += head.count - before
        self._head = head
        self.end = End(self._worker, segment.path.name, self._records, head.digest.hex())

    def close(self) -> None:
        """Close the open segment; the next batch begins a new one."""
        segment, self._segment = self._segment, None
        if segment is None:
            return
        if self._is_torn:
            self._mend(segment)
            self._is_torn = False
        # Every batch was synced when it was written: an error that comes only now loses nothing.
        with suppress(OSError):
            segment.close()

    def _current(self, now: float) -> Segment:
        if self._segment is not None and self._is_done(self._segment, now):
            self.close()
        if self._segment is None:
            return self._begin_next(now)
        if self._is_torn:
            self._segment.cut(self._length)
            self._is_torn = False
        return self._segment

    def _is_done(self, segment: Segment, now: float) -> bool:
        limit = self.settings.rotate_octets
        return (
            bool(limit and self._length >= limit)
            or (self.settings.rotate_daily and self._begun[:8] != _moment(now)[:8])
            or not segment.is_in_place()
        )

    def _begin_next(self, now: float) -> Segment:
        begun = _moment(now)
        # A name is not used twice, even where the segment that had it was moved away.
        number = self._number + 1 if begun == self._begun else 1
        while True:
            try:
                self._segment = self._begin(self._folder / segment_name(begun, self._worker, number))
                break
            except FileExistsError:
                number += 1
        self._begun, self._number = begun, number
        self._length = self._records = 0
        return self._segment

    def _write(self, segment: Segment, lines: bytes | bytearray) -> None:
        rest = memoryview(lines)
        while rest:
            rest = rest[segment.write(rest) :]

    def _mend(self, segment: Segment) -> None:
        """Cut off half a batch; a disk that refuses even that is asked again before the next one."""
        with suppress(OSError):
            segment.cut(self._length)
            self._is_torn = False


def begins_with(name: SegmentName) -> str:
    """The hash that the first record of a segment begins with, in hex; empty where there is none."""
    try:
        with open_segment(name.path) as file:
            return read(file.readline()).before.hex()
    except (OSError, DamagedSegment, Unproven):
        return ""


def _pieces(lines: bytes | bytearray) -> Iterator[bytes]:
    """
    Cut a batch into pieces of whole lines.

    While the disk was busy there may have come thousands, and the loop waits for what the interpreter does to
    one piece at a time.
    """
    start = 0
    while start < len(lines):
        end = lines.find(b"\n", min(start + PIECE_OCTETS, len(lines)) - 1) + 1 or len(lines)
        yield bytes(lines[start:end])
        start = end


def _chained(lines: bytes, head: Head) -> tuple[bytes, Head]:
    """
    Chain lines to those that are before them.

    A batch that has to be tried again is chained anew: what was written of it is not there any more.
    """
    return link(lines, head, os.urandom(SEED_OCTETS * count_lines(lines)))


def _moment(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).strftime(_MOMENT)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
