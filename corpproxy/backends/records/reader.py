"""
Reading the record back, segment by segment, also while it is being written.

A line that is no record (cut by a crash, damaged, of a later format) is told to ``complain``, a function that
takes one sentence, and passed over: the lines around it are still good.

Workers write at the same time, each into its own segments, in the order in which exchanges ended; read
together, their records come in that order too.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import merge
from pathlib import Path
from typing import IO

from corpproxy.audit.record import Record, UnreadableRecord, decode
from corpproxy.audit.times import posix_seconds
from corpproxy.backends.records.segment_file import DamagedSegment, modified_at, open_segment, reads_anywhere
from corpproxy.backends.records.segments import SegmentName, segment_names

# What is read at once when a segment is read from its end.
_BLOCK = 64 * 1024

Complain = Callable[[str], None]

Ends = dict[tuple[str, int, int], int]


def records(folder: Path, complain: Complain, since: float = 0.0) -> Iterator[Record]:
    """
    Give all records, in the order they were written.

    Segments that were last written before ``since``, POSIX seconds, are passed over: nothing in them can
    have begun later.

    :raises OSError: when the folder cannot be read.
    """
    mine = _by_worker(segment_names(folder))
    if len(mine) == 1:
        return _forwards(mine[0], complain, since)
    return merge(*(_forwards(names, complain, since) for names in mine), key=written_at)


def lines(folder: Path, complain: Complain, since: float = 0.0) -> Iterator[tuple[str, bytes]]:
    """
    Give all lines with where they stand, one segment after the other: for whoever counts and needs no order.

    Segments that were last written before ``since``, POSIX seconds, are passed over.

    :raises OSError: when the folder cannot be read.
    """
    for names in _by_worker(segment_names(folder)):
        for name in names:
            if modified_at(name.path) < since:
                continue
            for number, line in enumerate(_lines(name, complain, is_open=name == names[-1]), 1):
                yield f"{name.path}:{number}", line


def written_at(record: Record) -> float:
    """When a record was written, in POSIX seconds; one whose moment cannot be read comes first."""
    try:
        return posix_seconds(record.at) + record.seconds
    except ValueError:
        return 0.0


def _by_worker(names: Iterable[SegmentName]) -> list[list[SegmentName]]:
    """The segments of each worker, in their order."""
    found: dict[int, list[SegmentName]] = {}
    for name in names:
        found.setdefault(name.worker, []).append(name)
    return list(found.values())


def _forwards(names: Sequence[SegmentName], complain: Complain, since: float) -> Iterator[Record]:
    for name in names:
        if modified_at(name.path) < since:
            continue
        lines = enumerate(_lines(name, complain, is_open=name == names[-1]), 1)
        yield from _decoded(name, ((f":{number}", line) for number, line in lines), complain)


def segment_records(name: SegmentName, complain: Complain) -> Iterator[Record]:
    """Give the records of one segment in their order; what it ends with may be under the pen just now."""
    lines = enumerate(_lines(name, complain, is_open=True), 1)
    return _decoded(name, ((f":{number}", line) for number, line in lines), complain)


def backwards(names: Sequence[SegmentName], complain: Complain, ends: Ends | None = None) -> Iterator[Record]:
    """Give the records of one worker's segments, the last first; ``ends`` say where each is to end."""
    for name in reversed(names):
        end = None if ends is None else ends.get(name.key, 0)
        lines = _lines_backwards(name, complain, is_open=name == names[-1], end=end)
        yield from _decoded(name, (("", line) for line in lines), complain)


def last_records(
    folder: Path,
    count: int,
    wanted: Callable[[Record], bool],
    complain: Complain,
    ends: Ends | None = None,
) -> list[Record]:
    """
    Give the last ``count`` records that are wanted, in order, reading no more than it takes.

    ``ends`` are those of a :class:`Follower`: what stands behind them is left to it.
    """
    found: deque[Record] = deque()
    mine = [backwards(names, complain, ends) for names in _by_worker(segment_names(folder))]
    for record in mine[0] if len(mine) == 1 else merge(*mine, key=written_at, reverse=True):
        if len(found) >= count:
            break
        if wanted(record):
            found.appendleft(record)
    return list(found)


class Follower:
    """
    Gives the records that are added from now on, over the ends of segments.

    :ivar ends: how far each segment has been read.
    """

    def __init__(self, folder: Path, complain: Complain) -> None:
        self._folder = folder
        self._complain = complain
        self.ends: Ends = {name.key: _whole_lines(name) for name in segment_names(folder)}
        self._files: dict[tuple[str, int, int], int] = {}

    def added(self) -> Iterator[Record]:
        """Give what was added since the last time; half a line waits for its other half."""
        mine = _by_worker(segment_names(self._folder))
        if len(mine) == 1:
            return self._added(mine[0])
        # What came since the last time is little: it is put into its order.
        return iter(sorted((record for names in mine for record in self._added(names)), key=written_at))

    def _added(self, names: Iterable[SegmentName]) -> Iterator[Record]:
        for name in names:
            if name.is_compressed:
                continue
            lines = self._new_lines(name)
            yield from _decoded(name, (("", line) for line in lines), self._complain)

    def _new_lines(self, name: SegmentName) -> list[bytes]:
        try:
            with name.path.open("rb") as file:
                if self._is_another(name, file):
                    # It was closed, and something of it was erased since: there is nothing new in it.
                    self.ends[name.key] = file.seek(0, 2)
                file.seek(self.ends.get(name.key, 0))
                octets = file.read()
        except FileNotFoundError:
            return []
        whole = octets[: octets.rfind(b"\n") + 1]
        self.ends[name.key] = self.ends.get(name.key, 0) + len(whole)
        return whole.splitlines(keepends=True)

    def _is_another(self, name: SegmentName, file: IO[bytes]) -> bool:
        """Whether another file has come in the place of the one that was read before."""
        inode = os.fstat(file.fileno()).st_ino
        before, self._files[name.key] = self._files.get(name.key, inode), inode
        return before != inode


def _decoded(name: SegmentName, lines: Iterable[tuple[str, bytes]], complain: Complain) -> Iterator[Record]:
    for where, line in lines:
        try:
            yield decode(line)
        except UnreadableRecord as error:
            complain(f"{name.path}{where}: not a record: {error}")


def _lines(name: SegmentName, complain: Complain, *, is_open: bool) -> Iterator[bytes]:
    try:
        with open_segment(name.path) as file:
            for line in file:
                if line.endswith(b"\n"):
                    yield line
                else:
                    _say_cut(name, line, complain, is_open=is_open)
    except DamagedSegment as error:
        complain(f"{name.path}: the compressed file is damaged: {error}")


def _lines_backwards(
    name: SegmentName, complain: Complain, *, is_open: bool, end: int | None
) -> Iterator[bytes]:
    with open_segment(name.path) as file:
        if reads_anywhere(file):
            yield from _blocks_backwards(name, file, complain, is_open=is_open, end=end)
            return
    # From its end, it can be read only when all of it has been unpacked.
    yield from reversed(list(_lines(name, complain, is_open=is_open)))


def _blocks_backwards(
    name: SegmentName, file: IO[bytes], complain: Complain, *, is_open: bool, end: int | None
) -> Iterator[bytes]:
    try:
        position = file.seek(0, 2) if end is None else end
        rest = b""
        is_last = True
        while position:
            start = max(0, position - _BLOCK)
            file.seek(start)
            rest = file.read(position - start) + rest
            position = start
            first, *lines = rest.split(b"\n")
            # The first piece may be the end of a longer line, unless the file begins with it.
            if position:
                rest = first
            else:
                lines.insert(0, first)
            for line in reversed(lines):
                if is_last and line:
                    _say_cut(name, line, complain, is_open=is_open)
                elif not is_last:
                    yield line
                is_last = False
    except DamagedSegment as error:
        complain(f"{name.path}: the compressed file is damaged: {error}")


def _whole_lines(name: SegmentName) -> int:
    """Give the length of a segment up to its last line end; half a line may stand behind it."""
    if name.is_compressed:
        return 0
    with name.path.open("rb") as file:
        size = file.seek(0, 2)
        start = file.seek(max(0, size - _BLOCK))
        return start + file.read(size - start).rfind(b"\n") + 1


def _say_cut(name: SegmentName, line: bytes, complain: Complain, *, is_open: bool) -> None:
    # The last segment may be under the pen just now.
    if not is_open:
        complain(f"{name.path}: its last line is cut after {len(line)} octets, as a crash leaves it")
