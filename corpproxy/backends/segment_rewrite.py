"""
Rewriting closed segments: the new file is written beside the old one and put in its place by one rename.

A crash leaves the old file or the new one, and perhaps what was being written, which the next rewriting takes
away; nothing is ever half done.  A segment that is being written is held by whoever writes it, and is left
alone.  Whoever rewrites, packs or deletes segments holds the lock of the folder meanwhile, so that none
brings back what another one took out.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from corpproxy.backends.segment_file import create_segment, open_segment
from corpproxy.backends.segment_hold import is_held
from corpproxy.backends.segment_packing import Busy, folder_lock, sync_folder

BESIDE = ".rewriting-"

# Packing a segment takes seconds.
_PAUSE_SECONDS = 0.05

# A line, or None where it is to be left out.
Change = Callable[[bytes], bytes | None]


class SegmentIsOpen(Exception):
    """Somebody writes to the segment now."""


@contextmanager
def sole(folder: Path) -> Iterator[None]:
    """
    Be the only one that rewrites, packs or deletes segments of a folder; waits until that is so.

    What another one left behind that was killed is taken away.
    """
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(folder_lock(folder))
                break
            except Busy:
                time.sleep(_PAUSE_SECONDS)
        for left in folder.glob(f"{BESIDE}*"):
            left.unlink(missing_ok=True)
        yield


def rewrite(path: Path, change: Change) -> None:
    """
    Put a segment in the place of itself, line by line as ``change`` gives them; call it inside of `sole`.

    Mode, owner and the time of its last record stay as they are.

    :raises SegmentIsOpen: when somebody writes to it.
    :raises OSError: when it cannot be read or written; then it stands as before.
    :raises DamagedSegment: when it is packed and damaged; then it stands as before, too.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if is_held(descriptor):
            raise SegmentIsOpen
        beside = path.with_name(f"{BESIDE}{path.name}")
        try:
            _write(path, beside, change)
            _become_like(beside, os.fstat(descriptor))
            os.replace(beside, path)
        except BaseException:
            with suppress(FileNotFoundError):
                beside.unlink()
            raise
        sync_folder(path.parent)
    finally:
        os.close(descriptor)


def _write(path: Path, beside: Path, change: Change) -> None:
    with open_segment(path) as lines, create_segment(beside) as file:
        for line in lines:
            kept = change(line)
            if kept is not None:
                file.write(kept)


def _become_like(path: Path, like: os.stat_result) -> None:
    """Take mode, owner and time from the file that is replaced, and wait until all is on the disk."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        mine = os.fstat(descriptor)
        if (mine.st_uid, mine.st_gid) != (like.st_uid, like.st_gid):
            os.fchown(descriptor, like.st_uid, like.st_gid)
        os.fchmod(descriptor, stat.S_IMODE(like.st_mode))
        os.utime(descriptor, ns=(like.st_atime_ns, like.st_mtime_ns))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
