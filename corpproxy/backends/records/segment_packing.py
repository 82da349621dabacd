"""Packing closed segments: each becomes a file a seventh as long, and is never missing in between."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from corpproxy.backends.records.segment_file import ZSTD, create_segment
from corpproxy.backends.records.segment_rewrite import BESIDE, sync_folder
from corpproxy.backends.records.segments import SegmentName

# A segment that was written to just now may be read to its end by somebody who follows it.
REST_SECONDS = 60.0

_BLOCK = 256 * 1024


def closed(names: list[SegmentName]) -> list[SegmentName]:
    """The segments that nobody writes to any more: all but the newest of each worker."""
    newest = {name.worker: name for name in names}
    return [name for name in names if newest[name.worker] is not name]


def to_pack(names: list[SegmentName], now: float) -> list[SegmentName]:
    """The closed segments that should be packed; those that log rotation has renamed are left to it."""
    return [name for name in closed(names) if name.path.suffix == ".jsonl" and _rests(name.path, now)]


def pack(path: Path) -> Path:
    """
    Put a packed file into the place of a segment; whoever has it open reads on.  Call it inside of `sole`.

    It is whole and on the disk before the plain one goes; what a crash left half is made anew.

    :raises OSError: when that fails; the plain one is then still there.
    """
    packed, unfinished = path.with_name(path.name + ZSTD), path.with_name(f"{BESIDE}{path.name}{ZSTD}")
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


def _rests(path: Path, now: float) -> bool:
    try:
        return now - path.stat().st_mtime >= REST_SECONDS
    except FileNotFoundError:
        return False
