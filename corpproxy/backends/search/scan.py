"""Reading many records fast: segment after segment, in no order but that of each worker, with progress."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from corpproxy.audit.record import Record, UnreadableRecord, decode
from corpproxy.backends.records.reader import Complain
from corpproxy.backends.records.segment_file import DamagedSegment, modified_at, unpacked, where_now
from corpproxy.backends.records.segments import SegmentName, segment_names

# Progress is told each so many lines.
_TOLD_EACH = 5_000

# Told how many octets have been read, of how many.
Progress = Callable[[int, int], None]


def nobody_watches(done: int, total: int) -> None:
    """Take progress that nobody looks at."""


def scan(
    folder: Path, complain: Complain, since: float = 0.0, progress: Progress = nobody_watches
) -> Iterator[Record]:
    """
    Give all records of segments that were last written at ``since`` (POSIX seconds) or later.

    :raises OSError: when the folder or a segment cannot be read.
    """
    names = [name for name in segment_names(folder) if modified_at(name.path) >= since]
    total = sum(where_now(name.path).stat().st_size for name in names)
    done = 0
    for number, name in enumerate(names):
        is_last_of_worker = not any(other.worker == name.worker for other in names[number + 1 :])
        yield from _segment(name, complain, done, total, progress, is_open=is_last_of_worker)
        done += where_now(name.path).stat().st_size
    progress(total, total)


def _segment(
    name: SegmentName, complain: Complain, done: int, total: int, progress: Progress, *, is_open: bool
) -> Iterator[Record]:
    for number, line, position in numbered_lines(name.path, complain):
        if number % _TOLD_EACH == 0:
            progress(done + position(), total)
        if is_open and not line.endswith(b"\n"):
            # The segment may be under the pen just now.
            return
        try:
            yield decode(line)
        except UnreadableRecord as error:
            complain(f"{name.path}:{number}: not a record: {error}")


def numbered_lines(
    path: Path | IO[bytes], complain: Complain
) -> Iterator[tuple[int, bytes, Callable[[], int]]]:
    """
    Give the lines of a file, compressed or not, each with its number and a look at how far the file is read.

    A compressed file that is damaged is read as far as it goes.
    """
    raw = where_now(path).open("rb") if isinstance(path, Path) else path
    position = _position_of(raw)
    try:
        for number, line in enumerate(unpacked(raw), 1):
            yield number, line, position
    except DamagedSegment as error:
        complain(f"{path}: the compressed file is damaged: {error}")
    finally:
        if isinstance(path, Path):
            raw.close()


def _position_of(file: IO[bytes]) -> Callable[[], int]:
    def position() -> int:
        try:
            return file.tell()
        except OSError:
            return 0

    return position
