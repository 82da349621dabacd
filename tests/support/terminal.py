"""A terminal in memory: a program runs in it, keys go in, and what stands on its screen is read."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
# A loaded machine starts Python slowly.
WAIT_SECONDS = 30.0

_SEQUENCE = re.compile(rb"\x1b(?:\[([0-9;?>!]*)([@-~])|[()][0-9A-B]|[=>78MDEHc])")
_NOT_WHOLE = re.compile(rb"\x1b(?:\[[0-9;?>!]*|[()])?$")


class Screen:
    """
    What a terminal shows of the octets that are written to it.

    It knows what curses writes for ``TERM=vt100`` and ``linux``, and no more.
    """

    def __init__(self, width: int, height: int) -> None:
        self.resize(width, height)

    def resize(self, width: int, height: int) -> None:
        """Another size; what stood there is gone until it is written anew."""
        self.width, self.height = width, height
        self.cells = [[" "] * width for _ in range(height)]
        self.row = self.column = 0
        self._left = b""

    @property
    def lines(self) -> list[str]:
        """The lines without the space behind them."""
        return ["".join(line).rstrip() for line in self.cells]

    def write(self, octets: bytes) -> None:
        """Octets come from the program."""
        octets, at = self._left + octets, 0
        if unfinished := _NOT_WHOLE.search(octets):
            octets, self._left = octets[: unfinished.start()], octets[unfinished.start() :]
        else:
            self._left = b""
        while at < len(octets):
            sequence = _SEQUENCE.match(octets, at)
            if sequence is not None:
                self._obey(sequence)
                at = sequence.end()
            else:
                until = octets.find(b"\x1b", at)
                end = len(octets) if until < 0 else max(until, at + 1)
                for sign in octets[at:end].decode("utf-8", "replace"):
                    self._put(sign)
                at = end

    def _put(self, sign: str) -> None:
        if sign == "\r":
            self.column = 0
        elif sign == "\n":
            self.row = min(self.row + 1, self.height - 1)
        elif sign == "\b":
            self.column = max(0, self.column - 1)
        elif sign.isprintable():
            self.cells[self.row][min(self.column, self.width - 1)] = sign
            self.column += 1

    def _obey(self, sequence: re.Match[bytes]) -> None:
        written, name = sequence[1] or b"", sequence[2]
        if name is None or (written and written[:1] in b"?>!"):
            return
        numbers = [int(one or 0) for one in written.split(b";")]
        first = numbers[0]
        if name in b"Hf":
            self._go(max(1, first) - 1, max(1, numbers[1] if len(numbers) > 1 else 1) - 1)
        elif name in _MOVES:
            down, right = _MOVES[name]
            self._go(self.row + down * max(1, first), self.column + right * max(1, first))
        elif name == b"G":
            self._go(self.row, max(1, first) - 1)
        elif name == b"d":
            self._go(max(1, first) - 1, self.column)
        elif name == b"K":
            begin = 0 if first else self.column
            end = self.column + 1 if first == 1 else self.width
            self._clear(self.row, begin, end)
        elif name == b"J":
            self._clear(self.row, self.column if not first else 0, self.width)
            for row in range(0 if first else self.row + 1, self.height):
                self._clear(row, 0, self.width)
        elif name == b"X":
            self._clear(self.row, self.column, self.column + max(1, first))
        elif name in b"@PLM":
            self._shift(name, max(1, first))

    def _go(self, row: int, column: int) -> None:
        self.row, self.column = max(0, min(row, self.height - 1)), max(0, min(column, self.width - 1))

    def _clear(self, row: int, begin: int, end: int) -> None:
        for column in range(begin, min(end, self.width)):
            self.cells[row][column] = " "

    def _shift(self, name: bytes, count: int) -> None:
        """Signs or lines go away, or come in between."""
        line = self.cells[self.row]
        if name == b"P":
            self.cells[self.row] = (line[: self.column] + line[self.column + count :] + [" "] * count)[
                : self.width
            ]
        elif name == b"@":
            self.cells[self.row] = (line[: self.column] + [" "] * count + line[self.column :])[: self.width]
        elif name == b"M":
            del self.cells[self.row : self.row + count]
            self.cells += [[" "] * self.width for _ in range(self.height - len(self.cells))]
        else:
            self.cells[self.row : self.row] = [[" "] * self.width for _ in range(count)]
            del self.cells[self.height :]


_MOVES = {b"A": (-1, 0), b"B": (1, 0), b"C": (0, 1), b"D": (0, -1)}


class Sitting:
    """
    A ``corpproxy`` command that runs on a terminal.

    :ivar screen: what is seen.
    :ivar written: all octets that came from it.
    """

    def __init__(
        self, words: Sequence[str], environment: Mapping[str, str], size: tuple[int, int] = (80, 24)
    ):
        self.screen = Screen(*size)
        self.written = b""
        self._near, far = pty.openpty()
        self._resize(*size)
        self.modes = termios.tcgetattr(far)
        # Whoever leads a session and opens a terminal has its keys, also those that send signals.
        opening = ["sh", "-c", 'exec "$@" <"$0" >"$0" 2>&1', os.ttyname(far)]
        self.process = subprocess.Popen(
            [*opening, sys.executable, "-m", "corpproxy", *words],
            env={
                **os.environ,
                "PYTHONPATH": str(CHECKOUT),
                "TERM": "linux",
                "LC_ALL": "C.UTF-8",
                **environment,
            },
            start_new_session=True,
        )
        self._far = far

    def keys(self, keys: str) -> None:
        """Press keys."""
        os.write(self._near, keys.encode())

    def resize(self, width: int, height: int) -> None:
        """Make the window larger, or smaller."""
        self.screen.resize(width, height)
        self._resize(width, height)

    def _resize(self, width: int, height: int) -> None:
        fcntl.ioctl(self._near, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def until(self, seen: Callable[[list[str]], object]) -> list[str]:
        """Read until the screen shows something; gives its lines."""
        until = time.monotonic() + WAIT_SECONDS
        while not seen(self.screen.lines):
            if time.monotonic() > until or not self._read(0.05):
                raise AssertionError("not seen on the screen:\n" + "\n".join(self.screen.lines))
        return self.screen.lines

    def shows(self, text: str) -> list[str]:
        """Read until a text stands somewhere."""
        return self.until(lambda lines: any(text in line for line in lines))

    def ended(self) -> int:
        """Wait for its end; gives its exit code."""
        until = time.monotonic() + WAIT_SECONDS
        while self.process.poll() is None and time.monotonic() < until:
            self._read(0.05)
        while select.select([self._near], [], [], 0)[0] and self._read(0):
            pass
        return self.process.wait(1)

    def is_as_it_was(self) -> bool:
        """Whether the terminal has the modes that it had before."""
        return termios.tcgetattr(self._far) == self.modes

    def close(self) -> None:
        """End it, if it has not ended."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        os.close(self._near)
        os.close(self._far)

    def _read(self, seconds: float) -> bool:
        """Read what there is; whether more can come."""
        if not select.select([self._near], [], [], seconds)[0]:
            return self.process.poll() is None
        octets = os.read(self._near, 65536)
        self.written += octets
        self.screen.write(octets)
        return bool(octets)
