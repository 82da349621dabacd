"""
The sheet: records on their way to the disk, in the order in which they came.

Records stand on it as lines, as :func:`corpproxy.audit.record.encode` writes them.  Those that came as
records are encoded together, which costs a third of encoding each for itself; the compiled twin of the books
writes most of them as lines at once, without a record (``native/blank.c``).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from corpproxy import twins
from corpproxy.audit.record import Record, encode_all


class LinesInPython:
    """
    Lines that wait, and records that are no lines yet; ``native/lines.c`` is made after it.

    ``when_due`` is called once as many of both wait as ``due`` says.

    :ivar bound: as many octets of lines wait at most; what comes then is not taken.
    :ivar count: how many lines wait.
    :ivar fresh: records that came behind the lines, and are no lines yet.
    :ivar most: with as many octets of lines no new exchange may begin.
    """

    __slots__ = ("_lines", "bound", "count", "due", "fresh", "most", "when_due")

    def __init__(self, when_due: Callable[[], None]) -> None:
        self._lines = bytearray()
        self.fresh: list[Record] = []
        self.when_due = when_due
        self.count = 0
        self.due = 1
        self.most = self.bound = sys.maxsize

    @property
    def octets(self) -> int:
        """How many octets of lines wait."""
        return len(self._lines)

    def put(self, octets: bytes, many: int) -> None:
        """Write so many lines behind those that are there."""
        self._lines += octets
        self.count += many

    def pull(self) -> bytes:
        """Give all lines, and begin anew."""
        octets, self._lines, self.count = bytes(self._lines), bytearray(), 0
        return octets

    def accepts(self) -> bool:
        """Whether a new exchange may begin: its record can be kept."""
        return len(self._lines) < self.most


if TYPE_CHECKING or twins.books is None:
    Lines = LinesInPython
else:
    Lines = twins.books.Lines


class Sheet(Lines):
    """
    Records that wait for their batch.

    :ivar bad: how many could not be written down at all, which is a bug of ours.
    """

    __slots__ = ("bad",)

    def __init__(self, when_due: Callable[[], None]) -> None:
        super().__init__(when_due)
        self.bad = 0

    @property
    def waiting(self) -> int:
        """How many records wait."""
        return self.count + len(self.fresh)

    def add(self, record: Record) -> None:
        """Take a record behind all that are there."""
        self.fresh.append(record)
        if self.count + len(self.fresh) >= self.due:
            self.when_due()

    def encode(self) -> None:
        """Make lines of all records."""
        fresh, self.fresh = self.fresh, []
        if not fresh:
            return
        lines, bad = encode_all(fresh)
        self.put(lines, len(fresh) - bad)
        self.bad += bad

    def take(self) -> tuple[bytes, int]:
        """Give all that waits as lines, and how many these are."""
        self.encode()
        count = self.count
        return self.pull(), count
