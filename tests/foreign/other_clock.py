"""Programs that believe in another time: ``faketime``, and what it leaves when it is killed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

# Where it keeps the clock that a program and its children share.
_SHARED = Path("/dev/shm")


def at_that_time(at: str, command: Sequence[str]) -> list[str]:
    """Give the command that runs another one at a time; without a time it is the same."""
    return ["faketime", at, *command] if at else list(command)


def forget_clock(pid: int) -> None:
    """
    Take away the clock of a ``faketime`` that was killed.

    Left there, it would keep another one from starting that gets the same number.
    """
    for name in (f"faketime_shm_{pid}", f"sem.faketime_sem_{pid}"):
        (_SHARED / name).unlink(missing_ok=True)
