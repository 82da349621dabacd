"""The disk, as the reader of policies sees it."""

from __future__ import annotations

import stat
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePath

from corpproxy.config.files import Files
from corpproxy.config.nodes import MAX_OCTETS


class Disk:
    """The files of this machine."""

    def read(self, path: Path) -> bytes:
        """Give the octets of a file, at most one more than a policy may have: a device may never end."""
        with path.open("rb") as file:
            return file.read(MAX_OCTETS + 1)

    def exists(self, path: Path) -> bool:
        """Whether there is a file or folder."""
        try:
            return path.exists()
        except (OSError, ValueError):
            return False

    def glob(self, folder: Path, pattern: str) -> list[Path]:
        """The files below a folder that fit a pattern, sorted."""
        try:
            return sorted(path for path in folder.glob(pattern) if path.is_file())
        except (OSError, ValueError, NotImplementedError):
            return []

    def is_open_to_all(self, path: Path) -> bool:
        """Whether everybody on the machine may read a file."""
        try:
            return bool(path.stat().st_mode & stat.S_IROTH)
        except (OSError, ValueError):
            return False


DISK: Files = Disk()


class Kept:
    """
    The texts of a kept policy in the place of those on the disk; all other files are the disk's.

    ``texts`` go by their paths relative to ``folder``.
    """

    def __init__(self, texts: Mapping[str, bytes], folder: Path, disk: Files = DISK) -> None:
        self._texts = {folder / name: octets for name, octets in texts.items()}
        self._folder = folder
        self._disk = disk
        self.exists: Callable[[Path], bool] = disk.exists
        self.is_open_to_all: Callable[[Path], bool] = disk.is_open_to_all

    def read(self, path: Path) -> bytes:
        """Give the kept octets of a file; those on the disk when none are kept."""
        kept = self._texts.get(path)
        return self._disk.read(path) if kept is None else kept

    def glob(self, folder: Path, pattern: str) -> list[Path]:
        """The kept files that fit a pattern, sorted: what was added since does not belong to this version."""
        return sorted(path for path in self._texts if folder in path.parents and fits(path, folder, pattern))


def fits(path: Path, folder: Path, pattern: str) -> bool:
    """Whether a path below a folder fits a pattern as `Path.glob` has it: ``*`` stops at a slash."""
    parts, wanted = path.relative_to(folder).parts, PurePath(pattern).parts
    return _fit(parts, wanted)


def _fit(parts: Sequence[str], wanted: Sequence[str]) -> bool:
    if not wanted:
        return not parts
    if wanted[0] == "**":
        return any(_fit(parts[skipped:], wanted[1:]) for skipped in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], wanted[0]) and _fit(parts[1:], wanted[1:])
