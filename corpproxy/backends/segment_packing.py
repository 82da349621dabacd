"""Packing closed segments: each becomes a file a seventh as long, and is never missing in between."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from corpproxy.backends.record_segments import SegmentName
from corpproxy.backends.segment_file import ZSTD, create_segment

# A segment that was written to just now may be read to its end by somebody who follows it.
REST_SECONDS = 60.0

LOCK = "closed-segments.lock"

_BLOCK = 256 * 1024


class Busy(Exception):
    """Somebody else rewrites or deletes closed segments just now; it is for a later moment."""


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """
    Be the only one who rewrites, packs or deletes closed segments of a folder.

    Without it, what was erased in one process could come back from the copy that another one makes.

    :raises Busy: when somebody else is just now.
    """
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy from None
        yield
    finally:
        os.close(descriptor)


def closed(names: list[SegmentName]) -> list[SegmentName]:
    """The segments that nobody writes to any more: all but the newest of each worker."""
    newest = {name.worker: name for name in names}
    return [name for name in names if newest[name.worker] is not name]


def to_pack(names: list[SegmentName], now: float) -> list[SegmentName]:
    """The closed segments that should be packed; those that log rotation has renamed are left to it."""
    return [name for name in closed(names) if name.path.suffix == ".jsonl" and _rests(name.path, now)]


def pack(path: Path) -> Path:
    """
    Put a packed file into the place of a segment; whoever has it open reads on.

    It is whole and on the disk before the plain one goes; what a crash left half is made anew.

    :raises OSError: when that fails; the plain one is then still there.
    """
    packed, unfinished = path.with_name(path.name + ZSTD), path.with_name(f"packing-{path.name}{ZSTD}")
    unfinished.unlink(missing_ok=True)
    try:
        with path.open("rb") as source, create_segment(unfinished) as file:
            shutil.copyfileobj(source, file, _BLOCK)
            written = os.fstat(source.fileno())
        # Readers pass over what was last written before the time that they look for.
        os.utime(unfinished, ns=(written.st_atime_ns, written.st_mtime_ns))
        unfinished.rename(packed)
    except OSError:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
    path.unlink()
    return packed


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _rests(path: Path, now: float) -> bool:
    try:
        return now - path.stat().st_mtime >= REST_SECONDS
    except FileNotFoundError:
        return False
