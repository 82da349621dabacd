"""A file in another format beside the record: for log tools that read files."""

from __future__ import annotations

import fcntl
import glob
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from corpproxy.audit.sinks import SinkSettings
from corpproxy.backends.sinks.delivery import Entry, SinkFailure
from corpproxy.backends.sinks.follow import Positions


@contextmanager
def held(path: Path) -> Iterator[int]:
    """
    Hold a file, so that nobody appends to it, and give its descriptor.

    :raises OSError: when it cannot be opened.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


class FileSink:
    """
    Appends records to a file; one that is full, or of yesterday, is put aside under a name with its moment.

    Those that the policy keeps no longer are deleted then.
    Whoever moves the file away finds a new one there with the next record, as log rotation wants it.
    """

    confirm_seconds = 0.0

    def __init__(self, settings: SinkSettings) -> None:
        self._settings = settings
        self._path = Path(settings.to)
        self._descriptor = -1
        self._day = ""

    def send(self, entries: Sequence[Entry], positions: Positions) -> int:
        """
        Append records, all or none.

        :raises SinkFailure: when they cannot be written.
        """
        octets = b"".join(one.line + b"\n" for one in entries)
        try:
            self._hold()
            try:
                self._append(octets)
            finally:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        except OSError as error:
            raise SinkFailure(f"{self._path} cannot be written: {error.strerror}") from error
        return 0

    def _append(self, octets: bytes) -> None:
        length = os.fstat(self._descriptor).st_size
        try:
            rest = memoryview(octets)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            os.fdatasync(self._descriptor)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._descriptor, length)
            raise

    def send_checkpoint(self, line: bytes) -> None:
        """A folder is the place for checkpoints in files."""

    def positions(self) -> Positions:
        """They stand elsewhere."""
        return {}

    def is_taken(self) -> bool:
        """What was written is on the disk."""
        return True

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1

    def _hold(self) -> None:
        """Open the file, and hold it while it is written to: somebody may erase in it."""
        while True:
            self._open()
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            if self._is_in_place():
                return

    def _open(self) -> None:
        if self._descriptor >= 0 and not self._is_in_place():
            self.close()
        if self._descriptor >= 0 and self._is_done():
            self.close()
            self._put_aside()
        if self._descriptor < 0:
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._descriptor = os.open(self._path, flags, 0o600)
            _cut_half_a_line(self._descriptor)
            self._day = _day(os.fstat(self._descriptor).st_mtime)

    def _is_in_place(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._descriptor), self._path.stat())
        except FileNotFoundError:
            return False

    def _is_done(self) -> bool:
        limit, length = self._settings.rotate_octets, os.fstat(self._descriptor).st_size
        if not length:
            return False
        is_old = self._settings.rotate_daily and self._day != _day(datetime.now(UTC).timestamp())
        return bool(limit and length >= limit) or is_old

    def _put_aside(self) -> None:
        begun = f"{self._path.name}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        aside, number = self._path.with_name(begun), 1
        while aside.exists():
            number += 1
            aside = self._path.with_name(f"{begun}-{number}")
        self._path.rename(aside)
        self._delete_old()

    def _delete_old(self) -> None:
        """Delete what the policy keeps no longer of the files that we put aside."""
        keep, seconds = self._settings.keep_files, self._settings.keep_seconds
        oldest = datetime.now(UTC).timestamp() - seconds
        for number, (written, path) in enumerate(sorted(_aside(self._path), reverse=True)):
            if (keep and number >= keep) or (seconds and written < oldest):
                # Somebody else may have been quicker, and the record goes on in any case.
                with suppress(OSError):
                    path.unlink()


def _aside(path: Path) -> Iterator[tuple[float, Path]]:
    """The files that were put aside, with the time of the last line in each; not those of log rotation."""
    ours = re.compile(re.escape(path.name) + r"-\d{8}T\d{6}Z(-\d+)?")
    for one in path.parent.glob(f"{glob.escape(path.name)}-*"):
        if ours.fullmatch(one.name):
            with suppress(FileNotFoundError):
                yield one.stat().st_mtime, one


def _cut_half_a_line(descriptor: int) -> None:
    """A crash may have left half a line; the record that it was comes once more."""
    size = os.fstat(descriptor).st_size
    start = max(0, size - 65536)
    tail = os.pread(descriptor, size - start, start)
    if tail and not tail.endswith(b"\n"):
        os.ftruncate(descriptor, start + tail.rfind(b"\n") + 1)


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y%m%d")
