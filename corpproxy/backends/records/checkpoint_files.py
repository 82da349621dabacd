"""The files of checkpoints, one for each month, beside the records."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from pathlib import Path

from corpproxy.audit.checkpoint import BadCheckpoint, Checkpoint, line_hash, read_checkpoint

# A checkpoint of a thousand workers is shorter.
MAX_LINE_OCTETS = 1024 * 1024

_NAME = re.compile(r"checkpoints-\d{6}\.jsonl")


def checkpoint_files(folder: Path) -> list[Path]:
    """
    Give the files of checkpoints in a folder, the oldest first.

    :raises OSError: when the folder cannot be read.
    """
    return sorted(entry for entry in folder.iterdir() if _NAME.fullmatch(entry.name))


def last_checkpoint(folder: Path) -> tuple[Checkpoint, str] | None:
    """
    Give the last checkpoint in a folder and the hash of its line; None where there is none.

    What stands behind it, half a line that a crash left, is passed over.

    :raises OSError: when the files cannot be read.
    """
    for path in reversed(checkpoint_files(folder)):
        for line in reversed(path.read_bytes().splitlines(keepends=True)):
            try:
                if line.endswith(b"\n"):
                    return read_checkpoint(line), line_hash(line)
            except BadCheckpoint:
                continue
    return None


def append_checkpoint(folder: Path, line: bytes, now: float) -> None:
    """
    Append a checkpoint for good; ``now`` is POSIX seconds.

    :raises OSError: when it cannot be written.
    """
    path = folder / f"checkpoints-{datetime.fromtimestamp(now, UTC):%Y%m}.jsonl"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        length = _whole_lines(descriptor)
        # A crash left half a line, which signs nothing: it must not become the beginning of this one.
        os.ftruncate(descriptor, length)
        try:
            _write(descriptor, line)
            os.fdatasync(descriptor)
        except OSError:
            os.ftruncate(descriptor, length)
            raise
    finally:
        os.close(descriptor)


def _whole_lines(descriptor: int) -> int:
    """The length of the file up to its last line end."""
    size = os.fstat(descriptor).st_size
    start = max(0, size - MAX_LINE_OCTETS)
    return start + os.pread(descriptor, size - start, start).rfind(b"\n") + 1


def _write(descriptor: int, octets: bytes) -> None:
    rest = memoryview(octets)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
