"""A segment in runs of many whole lines, from its beginning or from its end: what a search looks through."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import IO

from corpproxy.backends.records.reader import Complain
from corpproxy.backends.records.segment_file import GZIP, DamagedSegment, open_segment, where_now
from corpproxy.backends.records.segments import SegmentName

RUN_OCTETS = 1024 * 1024


def by_worker(names: Iterable[SegmentName]) -> list[list[SegmentName]]:
    """Give the segments of each worker, in their order."""
    found: dict[int, list[SegmentName]] = {}
    for name in names:
        found.setdefault(name.worker, []).append(name)
    return list(found.values())


def line_runs(
    name: SegmentName,
    complain: Complain,
    *,
    is_open: bool,
    last_first: bool = False,
    begin: int = 0,
    end: int | None = None,
) -> Iterator[bytes]:
    """
    Give a segment in runs; the last run first where that is asked for.

    ``begin`` is the octet of a line to begin with.  ``end`` is where an open segment ends for this reader:
    what comes behind it is left to others.
    """
    if last_first and where_now(name.path).suffix != GZIP:
        return _backwards(name, complain, is_open=is_open, end=end)
    # From its end, gzip can be read only when all of it has been unpacked.
    runs = _forwards(name, complain, is_open=is_open, begin=begin, end=end)
    return reversed(list(runs)) if last_first else runs


def _forwards(
    name: SegmentName, complain: Complain, *, is_open: bool, begin: int, end: int | None
) -> Iterator[bytes]:
    rest = b""
    left = end
    try:
        with open_segment(name.path) as file:
            file.seek(begin)
            while octets := file.read(RUN_OCTETS if left is None else min(left, RUN_OCTETS)):
                left = None if left is None else left - len(octets)
                whole, ending, rest = (rest + octets).rpartition(b"\n")
                if ending:
                    yield whole + ending
    except FileNotFoundError:
        return
    except DamagedSegment as error:
        complain(f"{name.path}: the compressed file is damaged: {error}")
        return
    _say_cut(name, rest, complain, is_open=is_open)


def _backwards(name: SegmentName, complain: Complain, *, is_open: bool, end: int | None) -> Iterator[bytes]:
    try:
        with open_segment(name.path) as file:
            yield from _runs_from_end(name, file, complain, is_open=is_open, end=end)
    except FileNotFoundError:
        return
    except DamagedSegment as error:
        complain(f"{name.path}: the compressed file is damaged: {error}")


def _runs_from_end(
    name: SegmentName, file: IO[bytes], complain: Complain, *, is_open: bool, end: int | None
) -> Iterator[bytes]:
    position = file.seek(0, 2) if end is None else end
    rest = b""
    is_last = True
    while position:
        start = max(0, position - RUN_OCTETS)
        file.seek(start)
        octets = file.read(position - start) + rest
        if is_last:
            # What is under the pen, or was cut by a crash.
            whole = octets.rfind(b"\n") + 1
            _say_cut(name, octets[whole:], complain, is_open=is_open)
            octets, is_last = octets[:whole], False
        position = start
        begins = octets.find(b"\n") + 1 if position else 0
        rest, octets = octets[:begins], octets[begins:]
        if octets:
            yield octets


def _say_cut(name: SegmentName, line: bytes, complain: Complain, *, is_open: bool) -> None:
    # The last segment may be under the pen just now.
    if line and not is_open:
        complain(f"{name.path}: its last line is cut after {len(line)} octets, as a crash leaves it")
