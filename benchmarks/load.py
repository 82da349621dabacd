"""The load, as load.c makes it: started with options, watched, and read."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.place import Place
from benchmarks.programs import Program


@dataclass(frozen=True, slots=True)
class Seen:
    """
    What the load saw.

    ``count`` exchanges were answered with 200 and ``refused`` with 403, in ``seconds``; ``octets`` came back
    for those that were ``sent``;
    ``longest_ms`` is the slowest answer and ``gap_ms`` the longest time without any.
    """

    count: int
    refused: int
    seconds: float
    octets: int
    sent: int
    opened: int
    stale: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    longest_ms: float
    gap_ms: float
    cpu_seconds: float
    errors: dict[str, int]

    @property
    def lost(self) -> int:
        """Exchanges that failed."""
        return sum(self.errors.values())


class Load:
    """One run of the load."""

    def __init__(self, binary: Path, place: Place, port: int, options: dict[str, Any]) -> None:
        words = [f"{name}={value}" for name, value in options.items()]
        command = [str(binary), f"proxy=127.0.0.1:{port}", *words]
        log = place.folder / "load.log"
        pipe = subprocess.PIPE
        self.program = Program(command, place.load_core, log, stdin=pipe, stdout=pipe)

    def line(self) -> dict[str, Any]:
        """The next line that it prints."""
        assert self.program.root.stdout is not None
        text = self.program.root.stdout.readline()
        if not text:
            raise RuntimeError("the load ended early; its reasons are in load.log")
        line: dict[str, Any] = json.loads(text)
        return line

    def end(self) -> Seen:
        """Make it end now; gives what it saw."""
        assert self.program.root.stdin is not None
        self.program.root.stdin.close()
        return Seen(**self.line())

    def stop(self) -> None:
        """Leave nothing behind."""
        self.program.stop()


def counted(load: Load, look: Callable[[], Any]) -> tuple[Seen, Any, Any]:
    """Let a load run to its end; gives what it saw, and what ``look`` gave before and after."""
    try:
        load.line()
        before = look()
        seen = Seen(**load.line())
        return seen, before, look()
    finally:
        load.stop()
