"""Opening the index of category lists: mapped, so that all processes share one copy of it in memory."""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from weakref import WeakValueDictionary

from corpproxy.destination.index import CategoryIndex
from corpproxy.destination.index_file import BadIndex

# What tells a file from the one that stood there before: its device, its inode, its octets, its change.
Stamp = tuple[int, int, int, int]

# The indexes that somebody in this process has open, or in the one that it is a copy of.  Nothing writes to
# an index that stands: another one is put in its place.  A start asks for it five times, and each time its
# checksum would touch all of it.
_open: WeakValueDictionary[Stamp, CategoryIndex] = WeakValueDictionary()


def map_index(path: Path) -> CategoryIndex:
    """
    Map an index, or give it once more where it is open; what replaces the file later changes nothing in it.

    Raises FileNotFoundError, OSError, or BadIndex when it must be built again.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        stamp = _stamp(descriptor)
        index = _open.get(stamp)
        if index is None:
            index = _open[stamp] = _mapped(descriptor, stamp[2])
        return index
    finally:
        os.close(descriptor)


def _stamp(descriptor: int) -> Stamp:
    seen = os.fstat(descriptor)
    return seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns


def _mapped(descriptor: int, octets: int) -> CategoryIndex:
    if not octets:
        raise BadIndex("it is empty")
    mapped = mmap.mmap(descriptor, octets, access=mmap.ACCESS_READ)
    index = CategoryIndex(memoryview(mapped))
    # The checksum has touched all of it; what look-ups touch comes back from the kernel's cache.
    mapped.madvise(mmap.MADV_DONTNEED)
    return index
