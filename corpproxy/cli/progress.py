"""How far a long command has come, on a terminal, and nowhere else."""

from __future__ import annotations

import sys
import time

_EACH_SECONDS = 0.2
_CLEAR = "\r\x1b[K"


class Progress:
    """A line at the foot of the terminal that is written over; ``what`` is being done."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._is_shown = sys.stderr.isatty()
        self._next = 0.0

    def __call__(self, done: int, total: int) -> None:
        """Tell how much of all is done."""
        if not self._is_shown or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _EACH_SECONDS
        share = f"{min(100, 100 * done // total)} %" if total else ""
        sys.stderr.write(f"{_CLEAR}{self._what} {share}")
        sys.stderr.flush()

    def end(self) -> None:
        """Take the line away."""
        if self._is_shown:
            sys.stderr.write(_CLEAR)
            sys.stderr.flush()
