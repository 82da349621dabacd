"""Files that are not written yet, seen as if they were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from corpproxy.config.files import Files


class Overlay:
    """The files of ``texts`` before those of ``below``."""

    def __init__(self, texts: Mapping[Path, bytes], below: Files) -> None:
        self._texts = texts
        self._below = below

    def read(self, path: Path) -> bytes:
        """Give the octets of a file, or raise OSError."""
        return self._texts[path] if path in self._texts else self._below.read(path)

    def exists(self, path: Path) -> bool:
        """Whether there is a file or folder."""
        return (
            path in self._texts or any(path in one.parents for one in self._texts) or self._below.exists(path)
        )

    def glob(self, folder: Path, pattern: str) -> Sequence[Path]:
        """The files below a folder that fit a pattern, sorted."""
        ours = {
            one for one in self._texts if folder in one.parents and one.relative_to(folder).match(pattern)
        }
        return sorted(ours.union(self._below.glob(folder, pattern)))

    def is_open_to_all(self, path: Path) -> bool:
        """Whether everybody on the machine may read a file."""
        return path not in self._texts and self._below.is_open_to_all(path)
