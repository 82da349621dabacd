"""
Where category lists lie: a file, a folder or a tar archive, plain or compressed, as lines of octets.

Archives are read where they stand and never unpacked.  What is read is hashed on the way, so that a list
has a version.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import os
import stat
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Protocol

from corpproxy.destination.folders import COMPRESSED
from corpproxy.destination.sources import MAX_LINE_OCTETS

# What one list may hold uncompressed: the largest today has 0.2 GiB.  A small file that swells so is a trap.
MAX_LIST_OCTETS = 4 * 1024 * 1024 * 1024

# Folders in folders in folders: squidGuard has two levels.
MAX_DEPTH = 4
MAX_FILES = 10_000

_READ_OCTETS = 256 * 1024

# What broken files make the readers of the standard library raise.
BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError, tarfile.TarError, ValueError)


class Swollen(ValueError):
    """A list holds more than `MAX_LIST_OCTETS`."""


class Meter:
    """Hashes and counts what was read of one list."""

    def __init__(self) -> None:
        self.octets = 0
        self.digest = hashlib.sha256()

    def take(self, octets: bytes) -> None:
        """Take the next octets; raises Swollen."""
        self.octets += len(octets)
        self.digest.update(octets)
        if self.octets > MAX_LIST_OCTETS:
            raise Swollen(f"it holds more than {MAX_LIST_OCTETS // 1024**3} GiB")


class Tree(Protocol):
    """The files of one list by their path in it, and the symbolic links between its folders."""

    links: dict[str, str]

    def paths(self) -> list[str]:
        """The paths of all files, in the order in which they are best read."""

    def lines(self, path: str, meter: Meter) -> Iterator[bytes]:
        """The lines of a file, uncompressed."""

    def close(self) -> None:
        """Let go of what is open."""


class Folder:
    """A folder of category folders."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.links: dict[str, str] = {}
        self._paths: list[str] = []
        self._walk(root, "", 0)

    def _walk(self, folder: Path, prefix: str, depth: int) -> None:
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            path = prefix + entry.name
            if entry.is_symlink() and entry.is_dir():
                self.links[path] = os.readlink(entry.path)
            elif entry.is_dir():
                if depth < MAX_DEPTH:
                    self._walk(Path(entry.path), path + "/", depth + 1)
            elif entry.is_file():
                self._paths.append(path)
            if len(self._paths) > MAX_FILES:
                raise ValueError(f"the folder holds more than {MAX_FILES} files")

    def paths(self) -> list[str]:
        """The paths of all files."""
        return self._paths

    def lines(self, path: str, meter: Meter) -> Iterator[bytes]:
        """The lines of a file, uncompressed."""
        return file_lines(self.root / path, meter)

    def close(self) -> None:
        """Nothing is open."""


class Archive:
    """A tar archive of category folders."""

    def __init__(self, path: Path) -> None:
        self._tar = tarfile.TarFile.open(path, "r:*")
        members = self._tar.getmembers()
        if len(members) > MAX_FILES:
            raise ValueError(f"the archive holds more than {MAX_FILES} files")
        self._members = {member.name: member for member in members if member.isreg()}
        self.links = {member.name: member.linkname for member in members if member.issym()}

    def paths(self) -> list[str]:
        """The paths of all files, in the order of the archive: reading backwards uncompresses it again."""
        return list(self._members)

    def lines(self, path: str, meter: Meter) -> Iterator[bytes]:
        """The lines of a file, uncompressed."""
        octets = self._tar.extractfile(self._members[path])
        if octets is None:
            return iter(())
        return _lines(_uncompressed(octets, path), meter)

    def close(self) -> None:
        """Close the archive."""
        self._tar.close()


def file_lines(path: Path, meter: Meter) -> Iterator[bytes]:
    """The lines of a file, which may be compressed with gzip, bzip2 or xz."""
    # O_NONBLOCK: a pipe in the place of a list must not hold us for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as octets:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is neither a file nor a folder")
        yield from _lines(_uncompressed(octets, path.name), meter)


def is_archive(path: Path) -> bool:
    """Whether a file is a tar archive, by its content."""
    try:
        with tarfile.open(path, "r:*") as tar:
            return tar.next() is not None
    except BROKEN:
        return False


class _Octets(Protocol):
    """What can be read a piece at a time."""

    def read(self, octets: int, /) -> bytes:
        """Give the next octets, none at the end."""


_OPENERS: tuple[tuple[bytes, Callable[[IO[bytes]], _Octets]], ...] = (
    (b"\x1f\x8b", lambda octets: gzip.GzipFile(fileobj=octets)),
    (b"BZh", bz2.BZ2File),
    (b"\xfd7zXZ\x00", lzma.LZMAFile),
)


def opened(octets: IO[bytes]) -> _Octets:
    """Uncompress by the first octets; what is not compressed is given back as it is."""
    beginning = octets.read(6)
    octets.seek(0)
    for magic, opener in _OPENERS:
        if beginning.startswith(magic):
            return opener(octets)
    return octets


def _uncompressed(octets: IO[bytes], name: str) -> _Octets:
    """Uncompress; a name that promises what is not there is that of a broken file."""
    found = opened(octets)
    if found is octets and name.endswith(COMPRESSED) and octets.read(1):
        raise ValueError(f"{name} is not compressed as its name says")
    if found is octets:
        octets.seek(0)
    return found


def _lines(octets: _Octets, meter: Meter) -> Iterator[bytes]:
    """Cut octets into lines; of one that is too long only so much that the reader sees it is."""
    rest = b""
    while piece := octets.read(_READ_OCTETS):
        meter.take(piece)
        first, *others = piece.split(b"\n")
        rest = (rest + first)[: MAX_LINE_OCTETS + 1]
        if others:
            yield rest
            yield from others[:-1]
            rest = others[-1]
    if rest:
        yield rest
