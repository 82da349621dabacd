"""The blocks of a segment, read one by one however the segment is stored."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from corpproxy.audit.index import Index
from corpproxy.backends.records.segment_file import (
    GZIP,
    DamagedSegment,
    open_segment,
    reads_anywhere,
    where_now,
)
from corpproxy.backends.records.segments import SegmentName

# Blocks that follow one another are read together, up to so many octets.
_AT_ONCE = 4 * 1024 * 1024


class DoesNotFit(Exception):
    """A segment is not the one that its index is about."""


def fits(name: SegmentName, index: Index) -> bool:
    """
    Whether an index is about the segment as it is now, as far as can be told without reading it.

    :raises OSError: when the segment cannot be looked at.
    """
    path = where_now(name.path)
    if path.suffix == GZIP:
        with path.open("rb") as file:
            # The trailer of gzip ends with the length of what was compressed (RFC 1952), modulo 2**32.
            file.seek(-4, os.SEEK_END)
            return int.from_bytes(file.read(4), "little") == index.header.octets & 0xFFFFFFFF
    with open_segment(path) as segment:
        # One that another program packed says how long it is only when all of it is read.
        return reads_anywhere(segment) and segment.seek(0, os.SEEK_END) == index.header.octets


def read_blocks(
    name: SegmentName, index: Index, wanted: Iterable[int], *, backwards: bool = False
) -> Iterator[bytes]:
    """
    Give the octets of blocks in their order, several at a time where they follow one another.

    :raises DoesNotFit: when they are not what the index says.
    :raises OSError: when the segment cannot be read.
    """
    runs = list(_runs(index, wanted))
    if backwards:
        runs.reverse()
    try:
        with open_segment(name.path) as file:
            for first, behind in runs:
                begins, ends = index.span(first, behind)
                file.seek(begins)
                octets = file.read(ends - begins)
                if len(octets) != ends - begins or not octets.endswith(b"\n"):
                    raise DoesNotFit(str(name.path))
                yield octets
    except DamagedSegment as error:
        raise DoesNotFit(str(error)) from error


def _runs(index: Index, wanted: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Blocks that follow one another, as the first and the one behind the last."""
    first = behind = -1
    for number in wanted:
        if number != behind or index.span(first, number)[1] - index.span(first, number)[0] > _AT_ONCE:
            if first >= 0:
                yield first, behind
            first = number
        behind = number + 1
    if first >= 0:
        yield first, behind
