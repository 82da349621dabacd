"""
Giving memory back that nobody uses any more.

What imports leave behind is of two kinds: pieces that the C library has free, and pages of libraries that
their import touched once and nothing touches again (cryptography alone has 8 MB of them).  The kernel would
take the latter away when memory is short; until then they count as ours, in every figure that anybody looks
at.  Nothing is lost with them: they are the file's, and come back from the kernel's cache when touched.
"""

from __future__ import annotations

import contextlib
import ctypes
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from corpproxy import twins

# From <sys/mman.h>; the same on all machines that Linux runs on but Alpha, where it does nothing to them.
MADV_DONTNEED = 4

# From <malloc.h>.
M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
M_ARENA_MAX = -8

# How the C library (glibc) is to keep memory.  What is large has pages of its own, and gives them back when
# freed: left to itself the library takes large pieces from its heap once one was freed, and records that
# waited for a disk, or a list that was read, leave a hole of their size there for ever.  Threads share a
# heap: they wait on disks, and a heap for each would hold what its thread needed once.
KEEPING = {M_MMAP_THRESHOLD: 512 * 1024, M_TRIM_THRESHOLD: 1024 * 1024, M_ARENA_MAX: 1}

_SMAPS = Path("/proc/self/smaps")
# Mapped from a file, and nobody may write: its start and end.
_OF_FILE = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) r-[x-][ps] \S+ \S+ [1-9]\d* +/")
# Memory that anything is kept in, of no file.
_OF_NOBODY = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) rw-p \S+ \S+ 0 *(\[heap\])?$")
# What the kernel may say of such memory without there being anything special about it: other memory must not
# be copied with a process, or must never reach a disk.
_PLAIN = frozenset("rd wr mr mw me ac sd nr hg nh mg um uw".split())
# Shorter pieces are not worth a mapping.
_SHORTEST = 256 * 1024


def keep_little() -> None:
    """Have the C library give back what was large, where it is glibc; call it before there are threads."""
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        for what, value in KEEPING.items():
            library.mallopt(what, value)


def give_back_free() -> None:
    """
    Give free memory back to the system, where the C library knows how (glibc).

    For a process that is going to be copied, before it is: this writes to pages, and what a copy has written
    to is no longer shared.  Or after work that took much and is done seldom.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def give_back_files() -> None:
    """Give pages of files back to the system, where it is Linux."""
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        # Line by line: what reads it all at once writes to as much memory as the whole is about.
        with _SMAPS.open(encoding="utf-8", errors="surrogateescape") as lines:
            found = list(untouched(lines))
        for start, octets in found:
            library.madvise(ctypes.c_void_p(start), ctypes.c_size_t(octets), MADV_DONTNEED)


def untouched(smaps: Iterable[str]) -> Iterator[tuple[int, int]]:
    """
    Give start and octets of each mapping, as the kernel tells them, that has nothing that its file has not.

    A library's table of addresses is mapped from it, too, was written by the linker and protected then: of
    that some pages are *anonymous*, and there the file has something else.
    """
    mapping: tuple[int, int] | None = None
    for line in smaps:
        if (found := _OF_FILE.match(line)) is not None:
            mapping = int(found[1], 16), int(found[2], 16) - int(found[1], 16)
        elif mapping is not None and line.startswith("Anonymous:"):
            if line.split()[1] == "0":
                yield mapping
            mapping = None
        elif "-" in line.partition(" ")[0]:
            mapping = None


def rest(file: int) -> int:
    """
    Put what this process has alone in its memory into a file, and have it from there; gives how many octets.

    For one that has one thread and waits, perhaps for ever.  ``file`` is a descriptor to read and write.

    :raises OSError: when not all could be put there; all is in memory, or there, as it was.
    """
    if twins.rest is None:
        return 0
    with _SMAPS.open(encoding="utf-8", errors="surrogateescape") as lines:
        ranges = tuple(of_nobody(lines))
    moved: int = twins.rest.rest(file, ranges)
    return moved


def of_nobody(smaps: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Give start and octets of each long piece of plain memory, as the kernel tells them."""
    piece: tuple[int, int] | None = None
    for line in smaps:
        if (found := _OF_NOBODY.match(line.rstrip("\n"))) is not None:
            piece = int(found[1], 16), int(found[2], 16) - int(found[1], 16)
        elif piece is not None and line.startswith("VmFlags:"):
            if piece[1] >= _SHORTEST and _PLAIN.issuperset(line.split()[1:]):
                yield piece
            piece = None
        elif "-" in line.partition(" ")[0]:
            piece = None
