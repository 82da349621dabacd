"""
One file of records or of lines, however it is stored: plain, compressed with gzip, or with Zstandard.

Everybody who reads a segment opens it here.  A closed segment is packed with Zstandard while the service
runs; a reader that has the name from before finds it all the same.
"""

from __future__ import annotations

import gzip
import io
import os
import zlib
from pathlib import Path
from typing import IO, Any, cast

from corpproxy.backends.records.seekable_zstd import FrameReader, FrameWriter, NotInFrames, zstd

GZIP = ".gz"
ZSTD = ".zst"
PACKED = (GZIP, ZSTD)

_READ_OCTETS = 128 * 1024

_MAGICS = {b"\x1f\x8b": GZIP, b"\x28\xb5\x2f\xfd": ZSTD}
_LONGEST_MAGIC = max(map(len, _MAGICS))


class DamagedSegment(Exception):
    """A compressed file is cut or damaged; what stands before the damage has been read."""


def open_segment(path: Path) -> IO[bytes]:
    """
    Open a file for reading; what is compressed is unpacked as it is read.

    ``seek`` and ``tell`` are about octets that are not compressed; where this service packed the file,
    a part of it is read without what stands before.  Reading raises `DamagedSegment` where a compressed file
    is cut or damaged.

    :raises OSError: when there is no such file, whether as it is named or packed since.
    """
    try:
        return _opened(path)
    except FileNotFoundError:
        return _opened(where_now(path))


def reads_anywhere(file: IO[bytes]) -> bool:
    """Whether an open segment can be read at any place without reading what stands before."""
    raw = getattr(file, "raw", None)
    return not isinstance(raw, _Unpacked) or isinstance(raw.source, FrameReader)


def inode_of(file: IO[bytes]) -> int:
    """Which file an open segment is: another one once it was packed or rewritten."""
    raw = getattr(file, "raw", None)
    return os.fstat((raw.file if isinstance(raw, _Unpacked) else file).fileno()).st_ino


def where_now(path: Path) -> Path:
    """The name of a file that may have been packed since it was named so."""
    packed = path.with_name(path.name + ZSTD)
    return packed if path.suffix not in PACKED and not path.exists() and packed.exists() else path


def modified_at(path: Path) -> float:
    """
    When a segment was last written, in POSIX seconds, also when it was packed since.

    :raises OSError: when there is no such file.
    """
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return where_now(path).stat().st_mtime


def unpacked(file: IO[bytes]) -> IO[bytes]:
    """
    Read a file whose contents say how it is packed, whatever its name.

    ``file`` must be able to look ahead (``peek``), or is wrapped so that it can.
    """
    looking: Any = file if hasattr(file, "peek") else io.BufferedReader(cast(Any, file))
    begins = looking.peek(_LONGEST_MAGIC)
    for magic, kind in _MAGICS.items():
        if begins.startswith(magic):
            return _unpacking(looking, kind)
    return cast(IO[bytes], looking)


def create_segment(path: Path) -> IO[bytes]:
    """
    Make a new file that only its owner may read, packed as its name says; closing it makes it whole.

    :raises FileExistsError: when there is one of that name.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    file = os.fdopen(descriptor, "wb")
    if path.suffix == GZIP:
        return cast(IO[bytes], _ForGood(gzip.GzipFile(fileobj=file, mode="wb"), file))
    if path.suffix == ZSTD:
        return cast(IO[bytes], _ForGood(FrameWriter(file), file))
    return cast(IO[bytes], _ForGood(file, file))


def _opened(path: Path) -> IO[bytes]:
    file = path.open("rb")
    if path.suffix not in PACKED:
        return file
    try:
        return _unpacking(file, path.suffix)
    except BaseException:
        file.close()
        raise


def _unpacking(file: IO[bytes], kind: str) -> IO[bytes]:
    return cast(IO[bytes], io.BufferedReader(_Unpacked(_source(file, kind), file), _READ_OCTETS))


def _source(file: IO[bytes], kind: str) -> Any:
    if kind == GZIP:
        return gzip.GzipFile(fileobj=file)
    try:
        return FrameReader(file)
    except NotInFrames:
        return zstd().ZstdFile(file, "r")


class _Unpacked(io.RawIOBase):
    """What a packed file unpacks to; damage is told as `DamagedSegment`, whatever the format calls it."""

    def __init__(self, source: Any, file: IO[bytes]) -> None:
        self.source = source
        self.file = file
        self._damage = (EOFError, zlib.error, gzip.BadGzipFile, zstd().ZstdError)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self.source.seekable())

    def readinto(self, buffer: Any) -> int | None:
        try:
            return cast("int | None", self.source.readinto(buffer))
        except self._damage as error:
            raise DamagedSegment(str(error)) from error

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return int(self.source.seek(offset, whence))
        except self._damage as error:
            raise DamagedSegment(str(error)) from error

    def tell(self) -> int:
        return int(self.source.tell())

    def close(self) -> None:
        if not self.closed:
            self.source.close()
            self.file.close()
        super().close()


class _ForGood(io.RawIOBase):
    """Writes a new file; it is on the disk when `close` comes back."""

    def __init__(self, packer: Any, file: IO[bytes]) -> None:
        self._packer = packer
        self._file = file

    def writable(self) -> bool:
        return True

    def write(self, octets: Any) -> int:
        return int(self._packer.write(octets))

    def close(self) -> None:
        if not self.closed:
            if self._packer is not self._file:
                self._packer.close()
            self._file.flush()
            os.fdatasync(self._file.fileno())
            self._file.close()
        super().close()
