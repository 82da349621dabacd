"""
One exchange found in the record by its reference, without reading all of it.

A reference tells the second in which its exchange began, and a segment the moment from which it was written.
So the search begins in the segments that were open then, and goes on with later ones: a tunnel is closed
hours after it was opened.  Lines are looked for as octets; only what is found is decoded.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from corpproxy.audit.record import Record, UnreadableRecord, decode
from corpproxy.audit.reference import begun_at
from corpproxy.audit.results import Kind
from corpproxy.backends.records.reader import Complain
from corpproxy.backends.records.segment_file import PACKED, DamagedSegment, open_segment, where_now
from corpproxy.backends.records.segments import SegmentName, segment_names

# A clock that was set back leaves references that are ahead of the segments.
SLACK_SECONDS = 3600.0

_BLOCK = 1 << 20
_ENDS = frozenset({Kind.EXCHANGE, Kind.CLOSING})


def find_exchange(folder: Path, reference: str, complain: Complain) -> list[Record]:
    """
    Give the records of one exchange, in the order in which they were written; empty when there is none.

    :raises ValueError: for a text that is no reference.
    :raises OSError: when the folder cannot be read.
    """
    found: list[Record] = []
    for name in _likeliest_first(segment_names(folder), begun_at(reference) - SLACK_SECONDS):
        for line in _lines_with(name, b'"id":"%b"' % reference.encode(), complain):
            try:
                found.append(decode(line))
            except UnreadableRecord as error:
                complain(f"{name.path}: not a record: {error}")
        if any(record.kind in _ENDS for record in found):
            break
    return [record for record in found if record.id == reference]


def _likeliest_first(names: Sequence[SegmentName], at: float) -> Iterator[SegmentName]:
    """The segments that were written from ``at`` on, as they were begun; then the others, the last first."""
    by_worker: dict[int, list[SegmentName]] = {}
    for name in names:
        by_worker.setdefault(name.worker, []).append(name)
    late: set[SegmentName] = set()
    for mine in by_worker.values():
        before = sum(name.begun_at <= at for name in mine)
        late.update(mine[max(0, before - 1) :])
    yield from sorted(late)
    yield from (name for name in reversed(names) if name not in late)


def _lines_with(name: SegmentName, wanted: bytes, complain: Complain) -> Iterator[bytes]:
    try:
        path = where_now(name.path)
        if path.suffix in PACKED:
            yield from _compressed_lines(path, wanted)
        else:
            yield from _mapped_lines(path, wanted)
    except FileNotFoundError:
        # It was deleted while we looked.
        return
    except DamagedSegment as error:
        complain(f"{name.path}: the compressed file is damaged: {error}")


def _mapped_lines(path: Path, wanted: bytes) -> Iterator[bytes]:
    with path.open("rb") as file:
        if not file.seek(0, 2):
            return
        with closing(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) as octets:
            at = octets.find(wanted)
            while at >= 0:
                begin = octets.rfind(b"\n", 0, at) + 1
                end = octets.find(b"\n", at)
                if end < 0:
                    return  # half a line, under the pen or cut by a crash
                yield octets[begin:end]
                at = octets.find(wanted, end)


def _compressed_lines(path: Path, wanted: bytes) -> Iterator[bytes]:
    rest = b""
    with open_segment(path) as file:
        while block := file.read(_BLOCK):
            whole, end, rest_of_block = (rest + block).rpartition(b"\n")
            rest = rest_of_block
            if end and wanted in whole:
                yield from (line for line in whole.split(b"\n") if wanted in line)
