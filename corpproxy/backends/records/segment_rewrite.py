"""
Rewriting closed segments: the new file is written beside the old one and put in its place by one rename.

A crash leaves the old file or the new one, and perhaps what was being written, which the next rewriting takes
away; nothing is ever half done.  A segment that is being written is held by whoever writes it (flock), and
left alone.  Whoever rewrites, packs or deletes segments holds the lock of the folder meanwhile, so that none
brings back what another one took out.
"""

from __future__ import annotations

import fcntl
import gzip
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from corpproxy.backends.records.seekable_zstd import FrameWriter
from corpproxy.backends.records.segment_file import GZIP, PACKED, ZSTD, DamagedSegment, open_segment

LOCK_FILE = ".segments.lock"
BESIDE = ".rewriting-"

# A line, or None where it is to be left out.
Change = Callable[[bytes], bytes | None]


class SegmentIsOpen(Exception):
    """Somebody writes to the segment now."""


class Busy(Exception):
    """Somebody rewrites, packs or deletes segments just now; it is for a later moment."""


@contextmanager
def sole(folder: Path, *, waits: bool = True) -> Iterator[None]:
    """
    Be the only one that rewrites, packs or deletes segments of a folder; waits until that is so.

    What another one left behind that was killed is taken away.

    :raises Busy: when somebody else is just now, and it is not to wait.
    """
    descriptor = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _become_like(descriptor, folder.stat(), 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if waits else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy from None
        for left in folder.glob(f"{BESIDE}*"):
            left.unlink(missing_ok=True)
        yield
    finally:
        os.close(descriptor)


def hold(descriptor: int) -> None:
    """Hold a segment that is written to, for as long as its file is open."""
    fcntl.flock(descriptor, fcntl.LOCK_EX)


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """
    Open a segment to read its lines, compressed or not.

    :raises OSError: when it cannot be read.
    """
    try:
        with open_segment(path) as file:
            yield file
    except DamagedSegment as error:
        raise OSError(f"{path}: the compressed file is damaged: {error}") from error


def rewrite(path: Path, change: Change) -> None:
    """
    Put a segment in the place of itself, line by line as ``change`` gives them; call it inside of `sole`.

    Mode, owner and the time of its last record stay as they are.

    :raises SegmentIsOpen: when somebody writes to it.
    :raises OSError: when it cannot be read or written; then it stands as before.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _ask(descriptor)
        beside = path.with_name(f"{BESIDE}{path.name}")
        try:
            _write(path, beside, os.fstat(descriptor), change)
            os.replace(beside, path)
            if path.suffix not in PACKED:
                # A crash may have left it packed as well, with what was to go.
                path.with_name(path.name + ZSTD).unlink(missing_ok=True)
        except BaseException:
            with suppress(FileNotFoundError):
                beside.unlink()
            raise
        sync_folder(path.parent)
    finally:
        os.close(descriptor)


def _ask(descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SegmentIsOpen from None


def _write(path: Path, beside: Path, like: os.stat_result, change: Change) -> None:
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as raw:
        _become_like(descriptor, like, stat.S_IMODE(like.st_mode))
        with opened(path) as lines, closing(_compressing(path, raw)) as file:
            for line in lines:
                kept = change(line)
                if kept is not None:
                    file.write(kept)
        raw.flush()
        os.utime(descriptor, ns=(like.st_atime_ns, like.st_mtime_ns))
        os.fsync(descriptor)


def _compressing(path: Path, raw: IO[bytes]) -> Any:
    if path.suffix == GZIP:
        return gzip.GzipFile(fileobj=raw, mode="wb", mtime=0)
    if path.suffix == ZSTD:
        return FrameWriter(raw)
    return _Plain(raw)


class _Plain:
    """A file that stays open when it is closed here."""

    def __init__(self, raw: IO[bytes]) -> None:
        self.write = raw.write

    def close(self) -> None:
        """Leave it open."""


def _become_like(descriptor: int, like: os.stat_result, mode: int) -> None:
    mine = os.fstat(descriptor)
    if (mine.st_uid, mine.st_gid) != (like.st_uid, like.st_gid):
        os.fchown(descriptor, like.st_uid, like.st_gid)
    os.fchmod(descriptor, mode)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
