"""
Finding records: by the indexes of closed segments where there are any, by reading what has none.

What is found is the same either way, in the order in which it was written, or the last first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from heapq import merge
from pathlib import Path

from corpproxy.audit.needles import Needles, needles_of
from corpproxy.audit.query import RecordQuery
from corpproxy.audit.record import Record, UnreadableRecord, decode
from corpproxy.audit.times import posix_seconds
from corpproxy.backends.records.reader import Complain, Ends, written_at
from corpproxy.backends.records.segment_file import modified_at
from corpproxy.backends.records.segments import SegmentName, segment_names
from corpproxy.backends.search.blocks import DoesNotFit, read_blocks
from corpproxy.backends.search.index import existing_index
from corpproxy.backends.search.runs import by_worker, line_runs


@dataclass(frozen=True, slots=True)
class Search:
    """
    A search of a folder of records.

    ``key`` is that of the indexes, empty where they are not to be used.  ``complain`` is told of lines that
    are no records, as far as they were read.  ``ends`` are those of a
    :class:`~corpproxy.backends.records.reader.Follower`: what stands behind them is left to it.
    """

    folder: Path
    query: RecordQuery
    complain: Complain
    key: bytes = b""
    ends: Ends | None = None

    def found(self, *, last_first: bool = False) -> Iterator[Record]:
        """
        Give the records that are wanted, in the order in which they were written or the other way.

        :raises OSError: when the folder cannot be read.
        """
        since = posix_seconds(self.query.since) if self.query.since else 0.0
        needles = needles_of(self.query)
        of_workers = [
            self._of_worker(names, needles, since, last_first=last_first)
            for names in by_worker(segment_names(self.folder))
        ]
        if len(of_workers) == 1:
            return of_workers[0]
        return merge(*of_workers, key=written_at, reverse=last_first)

    def _of_worker(
        self, names: list[SegmentName], needles: Needles, since: float, *, last_first: bool
    ) -> Iterator[Record]:
        for name in reversed(names) if last_first else names:
            if self.ends is not None and name.key not in self.ends:
                continue
            try:
                if modified_at(name.path) < since:
                    continue
            except FileNotFoundError:
                continue
            yield from self._of_segment(name, needles, is_open=name == names[-1], last_first=last_first)

    def _of_segment(
        self, name: SegmentName, needles: Needles, *, is_open: bool, last_first: bool
    ) -> Iterator[Record]:
        lines_before = 0
        for octets in self._octets(name, is_open=is_open, last_first=last_first):
            lines: Iterable[bytes] = needles.lines(octets)
            yield from self._decoded(
                name, reversed(list(lines)) if last_first else lines, octets, lines_before
            )
            lines_before += octets.count(b"\n")

    def _octets(self, name: SegmentName, *, is_open: bool, last_first: bool) -> Iterator[bytes]:
        """The parts of a segment that may have what is wanted, each of whole lines."""
        end = self._end(name)
        whole = partial(line_runs, name, self.complain, is_open=is_open, last_first=last_first, end=end)
        index = existing_index(name, self.key) if self.key and not is_open else None
        if index is None or end not in (None, index.header.octets):
            return whole()
        blocks = read_blocks(name, index, index.wanted(self.query, self.key), backwards=last_first)
        return _or_else(blocks, whole)

    def _end(self, name: SegmentName) -> int | None:
        """Where a segment ends for this search; None where all of it was there when the following began."""
        end = self.ends[name.key] if self.ends is not None else None
        return None if name.is_compressed and not end else end

    def _decoded(
        self, name: SegmentName, lines: Iterable[bytes], octets: bytes, lines_before: int
    ) -> Iterator[Record]:
        for line in lines:
            try:
                record = decode(line)
            except UnreadableRecord as error:
                number = lines_before + octets.count(b"\n", 0, octets.find(line)) + 1
                self.complain(f"{name.path}:{number}: not a record: {error}")
                continue
            if self.query.matches(record):
                yield record


def _or_else(blocks: Iterator[bytes], whole: Callable[[], Iterator[bytes]]) -> Iterator[bytes]:
    """
    The blocks of a segment, or all of it where it is not the one of its index.

    A segment that changes while it is read is read to its end: what was given is not given twice.
    """
    given = False
    try:
        for octets in blocks:
            given = True
            yield octets
    except DoesNotFit:
        if not given:
            yield from whole()
