"""The disk, as the reader of policies sees it."""

from __future__ import annotations

import stat
from collections.abc import Callable, Mapping
from pathlib import Path

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
        return sorted(
            path
            for path in self._texts
            if _is_below(path, folder) and path.relative_to(folder).match(pattern)
        )


def _is_below(path: Path, folder: Path) -> bool:
    return path != folder and folder in path.parents
