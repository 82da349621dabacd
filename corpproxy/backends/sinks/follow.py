"""
Following the record for a sink: what stands in the segments and was not delivered yet.

The segments are the spool.  How far a sink is in each of them stands in a small file, so that it goes on from
there after whatever restart; what was on its way then is delivered once more.  A segment may be packed, or
rewritten by an erasing, while it is followed: then the place is found again by counting lines.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO

import msgspec

from corpproxy.audit.checkpoint import BadCheckpoint, read_checkpoint
from corpproxy.backends.records.checkpoint_files import checkpoint_files
from corpproxy.backends.records.segment_file import DamagedSegment, inode_of, open_segment, where_now
from corpproxy.backends.records.segments import SegmentName, segment_names

# What is read, and delivered, at once.
MAX_RECORDS = 2000
MAX_OCTETS = 1024 * 1024


class Position(msgspec.Struct, frozen=True):
    """How far a sink is in a segment: ``lines``, ``octets`` of the file ``inode``, or the ``whole`` of it."""

    lines: int = 0
    octets: int = 0
    inode: int = 0
    whole: bool = False


Positions = dict[str, Position]
_POSITIONS = msgspec.json.Decoder(Positions)


@dataclass(slots=True)
class Batch:
    """Lines to deliver, without their ends, and the positions behind them."""

    lines: list[bytes] = field(default_factory=list)
    positions: Positions = field(default_factory=dict)


class RecordFollower:
    """
    Gives what one sink has not got yet.

    ``file`` is where its positions are kept.  A sink that is new begins with what comes from now on.

    :ivar dropped: records that it will never get.
    """

    def __init__(self, folder: Path, file: Path, spool_octets: int) -> None:
        self._folder = folder
        self._file = file
        self._spool = spool_octets
        self.dropped = 0
        kept = _kept(file)
        self.kept: Positions = self._ends() if kept is None else kept
        self._read: Positions = dict(self.kept)
        if kept is None:
            self._save()

    def batch(self) -> Batch | None:
        """
        Give what comes next, of all workers by turns; None when there is nothing now.

        A batch without lines says that segments have come to their ends.
        """
        names = self._pending()
        newest = {name.worker: name for name in names}
        batch, octets = Batch(), 0
        for name in _first_of_each(names):
            is_open = name is newest[name.worker]
            lines, position = self._lines(name, MAX_RECORDS - len(batch.lines), is_open=is_open)
            if position is not None:
                batch.positions[name.canonical] = position
            batch.lines += lines
            octets += sum(map(len, lines))
            if len(batch.lines) >= MAX_RECORDS or octets >= MAX_OCTETS:
                break
        self._read |= batch.positions
        return batch if batch.positions else None

    def deliver(self, positions: Positions) -> None:
        """What came up to these positions was delivered."""
        self.kept |= positions
        self._save()

    def rewind(self) -> None:
        """What was not delivered for sure comes once more."""
        self._read = dict(self.kept)

    def adopt(self, positions: Positions) -> None:
        """The sink itself says how far it is."""
        self.kept |= {name: one for name, one in positions.items() if one.lines > self._lines_kept(name)}
        self.rewind()

    def waiting(self) -> int:
        """How many octets the sink is behind; what is too far behind is dropped, and counted."""
        self._note_gone()
        names = [name for name in segment_names(self._folder) if not self._is_whole(name)]
        sizes = {name: max(0, size_of(name.path) - self._octets_kept(name)) for name in names}
        waiting = sum(sizes.values())
        for name in names:
            if waiting <= self._spool:
                break
            waiting -= self._drop(name, waiting - self._spool)
        return waiting

    def _pending(self) -> list[SegmentName]:
        return [
            name
            for name in segment_names(self._folder)
            if not self._read.get(name.canonical, Position()).whole
        ]

    def _lines(self, name: SegmentName, most: int, *, is_open: bool) -> tuple[list[bytes], Position | None]:
        """Some lines of a segment from where it was read to; None as the position when nothing changed."""
        position = self._read.get(name.canonical, Position())
        found: list[bytes] = []
        octets = 0
        try:
            with open_segment(name.path) as file:
                inode = inode_of(file)
                position = _moved_to(file, position, inode)
                for line in islice(file, most):
                    if not line.endswith(b"\n"):
                        break
                    found.append(line[:-1])
                    octets += len(line)
                    if octets >= MAX_OCTETS:
                        break
        except FileNotFoundError:
            return [], None
        except DamagedSegment:
            return found, Position(position.lines + len(found), position.octets + octets, whole=True)
        # Only where a later segment was there before we read to the end, nothing more can come.
        whole = not found and not is_open
        if not found and not whole:
            return [], None
        return found, Position(position.lines + len(found), position.octets + octets, inode, whole)

    def _drop(self, name: SegmentName, octets: int) -> int:
        """Drop so many of the octets of a segment that wait, in whole lines; gives how many."""
        position = self.kept.get(name.canonical, Position())
        dropped, gone = 0, 0
        try:
            with open_segment(name.path) as file:
                inode = inode_of(file)
                position = _moved_to(file, position, inode)
                for line in file:
                    if gone >= octets or not line.endswith(b"\n"):
                        break
                    gone += len(line)
                    dropped += 1
        except (DamagedSegment, FileNotFoundError):
            return gone
        self.dropped += dropped
        self.deliver({name.canonical: Position(position.lines + dropped, position.octets + gone, inode)})
        self.rewind()
        return gone

    def _note_gone(self) -> None:
        """Segments that were deleted before all of them was delivered: the rest is dropped."""
        there = {name.canonical for name in segment_names(self._folder)}
        gone = {name: one for name, one in self.kept.items() if name not in there}
        unfinished = {name: one for name, one in gone.items() if not one.whole}
        if unfinished:
            records = _records_of(self._folder, unfinished)
            self.dropped += sum(
                max(0, records.get(name, one.lines) - one.lines) for name, one in unfinished.items()
            )
        for name in gone:
            self.kept.pop(name)
            self._read.pop(name, None)
        if gone:
            self._save()

    def _is_whole(self, name: SegmentName) -> bool:
        return self.kept.get(name.canonical, Position()).whole

    def _octets_kept(self, name: SegmentName) -> int:
        return self.kept.get(name.canonical, Position()).octets

    def _lines_kept(self, name: str) -> int:
        return self.kept.get(name, Position(-1)).lines

    def _ends(self) -> Positions:
        """The ends of all segments that are there."""
        names = segment_names(self._folder)
        newest = {name.worker: name for name in names}
        ends = {name.canonical: Position(whole=True) for name in names}
        for name in newest.values():
            try:
                with open_segment(name.path) as file:
                    lengths = [len(line) for line in file if line.endswith(b"\n")]
                    ends[name.canonical] = Position(len(lengths), sum(lengths), inode_of(file))
            except (DamagedSegment, FileNotFoundError):
                continue
        return ends

    def _save(self) -> None:
        beside = self._file.with_name(self._file.name + ".new")
        beside.write_bytes(msgspec.json.encode(self.kept))
        beside.replace(self._file)


def size_of(path: Path) -> int:
    """How long a segment is when it is unpacked; of one that another program packed, as it lies there."""
    try:
        place = where_now(path)
        if place.suffix == ".zst":
            with open_segment(place) as file:
                return file.seek(0, os.SEEK_END)
        return place.stat().st_size
    except (FileNotFoundError, DamagedSegment):
        return 0


def _kept(file: Path) -> Positions | None:
    try:
        return _POSITIONS.decode(file.read_bytes())
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _moved_to(file: IO[bytes], position: Position, inode: int) -> Position:
    """Go to a position in a segment, by counting lines where it is another file now."""
    octets = position.octets
    if position.inode != inode and position.lines:
        octets = sum(len(line) for line in islice(file, position.lines))
    file.seek(octets)
    return Position(position.lines, octets, inode)


def _first_of_each(names: Iterable[SegmentName]) -> Iterable[SegmentName]:
    """The oldest segment of each worker."""
    found: dict[int, SegmentName] = {}
    for name in names:
        found.setdefault(name.worker, name)
    return found.values()


def _records_of(folder: Path, names: Iterable[str]) -> dict[str, int]:
    """How many records segments had, as the checkpoints say."""
    wanted, found = set(names), dict[str, int]()
    for path in checkpoint_files(folder):
        for line in path.read_bytes().splitlines():
            try:
                ends = read_checkpoint(line).chains
            except BadCheckpoint:
                continue
            found |= {end.segment: end.records for end in ends if end.segment in wanted}
    return found
