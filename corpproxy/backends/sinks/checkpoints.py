"""Following the checkpoints for a sink: each goes to it once it was signed, in order."""

from __future__ import annotations

from pathlib import Path

from corpproxy.audit.checkpoint import BadCheckpoint, read_checkpoint
from corpproxy.backends.records.checkpoint_files import checkpoint_files, last_checkpoint


class CheckpointFollower:
    """
    Gives the checkpoints that a sink has not got; a sink that is new begins with the last one.

    ``file`` keeps the number of the last that was sent.
    """

    def __init__(self, folder: Path, file: Path) -> None:
        self._folder = folder
        self._file = file
        self._sent = self._kept()
        # The file that was read last, and how far: a month of checkpoints is not read each second.
        self._path: Path | None = None
        self._octets = 0
        self._waiting: list[tuple[int, bytes]] = []

    def next(self) -> bytes | None:
        """Give the next checkpoint, as it stands beside the records; None when there is none."""
        if not self._waiting:
            self._look()
        return self._waiting[0][1] if self._waiting else None

    def sent(self, line: bytes) -> None:
        """The sink has this one."""
        number, _ = self._waiting.pop(0)
        self._sent = number
        beside = self._file.with_name(self._file.name + ".new")
        beside.write_text(str(number))
        beside.replace(self._file)

    def _look(self) -> None:
        for path in checkpoint_files(self._folder):
            if self._path is not None and path < self._path:
                continue
            if path != self._path:
                self._path, self._octets = path, 0
            with path.open("rb") as file:
                file.seek(self._octets)
                octets = file.read()
            whole = octets[: octets.rfind(b"\n") + 1]
            self._octets += len(whole)
            for line in whole.splitlines(keepends=True):
                self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            number = read_checkpoint(line).number
        except BadCheckpoint:
            return
        if number > self._sent:
            self._waiting.append((number, line))

    def _kept(self) -> int:
        try:
            return int(self._file.read_text())
        except (FileNotFoundError, ValueError):
            last = last_checkpoint(self._folder)
            return last[0].number - 1 if last else 0
