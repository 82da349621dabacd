"""Opening the index of category lists: mapped, so that all processes share one copy of it in memory."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

from corpproxy.destination.index import CategoryIndex
from corpproxy.destination.index_file import BadIndex


def map_index(path: Path) -> CategoryIndex:
    """
    Map an index; what replaces the file later changes nothing in it.

    Raises FileNotFoundError, OSError, or BadIndex when it must be built again.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        octets = os.fstat(descriptor).st_size
        if not octets:
            raise BadIndex("it is empty")
        mapped = mmap.mmap(descriptor, octets, access=mmap.ACCESS_READ)
    finally:
        os.close(descriptor)
    index = CategoryIndex(memoryview(mapped))
    # The checksum has touched all of it; what look-ups touch comes back from the kernel's cache.
    mapped.madvise(mmap.MADV_DONTNEED)
    return index
