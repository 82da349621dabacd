"""The files that a policy needs, as the reader of policies sees them; what is behind is handed in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol


class Files(Protocol):
    """A disk, or what stands in for one."""

    def read(self, path: Path) -> bytes:
        """Give the octets of a file, or raise OSError."""

    def exists(self, path: Path) -> bool:
        """Whether there is a file or folder."""

    def glob(self, folder: Path, pattern: str) -> Sequence[Path]:
        """The files below a folder that fit a pattern, sorted."""

    def is_open_to_all(self, path: Path) -> bool:
        """Whether everybody on the machine may read a file; False when there is none."""
