"""
Editing a small file so that a reader finds it whole at every moment, whatever happens to us.

The new text is written beside the old, forced to the disk, and put in its place by one rename.  Editors
wait for each other with a lock on the folder, because the file itself is another one after each edit.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import stat
import time
from collections.abc import Iterator
from pathlib import Path

# An edit takes milliseconds; who waits longer waits for a program that hangs.
LOCK_SECONDS = 10.0
_LOCK_PAUSE_SECONDS = 0.02
# Secrets and names of people: the owner writes, the group (the service's) reads.
NEW_FILE_MODE = 0o640


@contextlib.contextmanager
def edited_alone(path: Path, seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Hold the lock of the folder of ``path``; raises TimeoutError when another editor keeps it."""
    folder = os.open(_real(path).parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _lock(folder, path, seconds)
        yield
    finally:
        os.close(folder)


def read_whole(path: Path) -> bytes | None:
    """Give the octets of a file, or None when there is none yet."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def replace_file(path: Path, octets: bytes) -> None:
    """
    Put ``octets`` in the place of the file's content, keeping its mode and its owner.

    A symbolic link stays and its target is replaced.  Raises OSError, and then the old file stands untouched.
    """
    path = _real(path)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        _write(beside, octets, path)
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            beside.unlink()
        raise
    _sync_folder(path.parent)


def _write(beside: Path, octets: bytes, like: Path) -> None:
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as written:
        _become_like(descriptor, like)
        written.write(octets)
        written.flush()
        os.fsync(descriptor)


def _become_like(descriptor: int, like: Path) -> None:
    """Take mode and owner from the file that is replaced; a new one belongs to whom its folder belongs to."""
    try:
        model = os.stat(like)
        mode = stat.S_IMODE(model.st_mode)
    except FileNotFoundError:
        model = os.stat(like.parent)
        mode = NEW_FILE_MODE
        if os.geteuid() != 0:
            os.fchmod(descriptor, mode)
            return
    mine = os.fstat(descriptor)
    if (mine.st_uid, mine.st_gid) != (model.st_uid, model.st_gid):
        _give_to(descriptor, model, like)
    os.fchmod(descriptor, mode)


def _give_to(descriptor: int, model: os.stat_result, like: Path) -> None:
    try:
        os.fchown(descriptor, model.st_uid, model.st_gid)
    except PermissionError as error:
        said = "the file belongs to another user, who would lose it; edit it as that user or as root"
        raise PermissionError(errno.EPERM, said, str(like)) from error


def _lock(folder: int, path: Path, seconds: float) -> None:
    ends = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= ends:
                raise TimeoutError(
                    errno.ETIMEDOUT, "another program is editing in this folder", str(path)
                ) from None
            time.sleep(_LOCK_PAUSE_SECONDS)


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
