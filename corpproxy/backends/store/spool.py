"""
What waits for a database that is away: one entry a line, in a file of the state folder.

An entry is on the disk when it is said to be; one that was cut off by a crash was not.  The file is bounded:
beyond it nothing more is taken, and whoever has something to keep is told so.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from corpproxy.accounting.ledger import Usage
from corpproxy.accounting.quotas import Charge
from corpproxy.backends.store.interface import StoreError
from corpproxy.identity.grants import Grant
from corpproxy.identity.requests import AccessRequest

SPOOL_FILE = "store-spool"


class Added(msgspec.Struct, frozen=True, tag=True):
    """Sums of usage."""

    rows: list[Usage]


class Given(msgspec.Struct, frozen=True, tag=True):
    """A grant that was given."""

    grant: Grant


class Ended(msgspec.Struct, frozen=True, tag=True):
    """A grant that was ended before its time."""

    id: str


class Asked(msgspec.Struct, frozen=True, tag=True):
    """What became of a request."""

    request: AccessRequest


class Charged(msgspec.Struct, frozen=True, tag=True):
    """What members of quotas used, or got more."""

    charges: list[Charge]


class Entry(msgspec.Struct, frozen=True):
    """Something to be kept, and its identity: the number that its writer gave it, in its order."""

    writer: str
    number: int
    what: Added | Given | Ended | Asked | Charged


class Spool:
    """The file; one thread alone uses it."""

    def __init__(self, path: Path, max_octets: int) -> None:
        self._path = path
        self._max_octets = max_octets
        self._descriptor = -1
        self._end = self._at = 0
        self.entries = 0

    @property
    def octets(self) -> int:
        """How much waits."""
        return self._end - self._at

    def add(self, entry: Entry) -> None:
        """
        Have an entry wait; it is on the disk then.

        :raises StoreError: when there is no room for it.
        """
        line = msgspec.json.encode(entry) + b"\n"
        if self._end + len(line) > self._max_octets:
            said = f"{self._path} is full ({self._end} octets wait for the database)"
            raise StoreError("store-failed", said)
        try:
            self._open()
            os.pwrite(self._descriptor, line, self._end)
            os.fsync(self._descriptor)
        except OSError as error:
            raise StoreError("store-failed", f"{self._path} cannot be written: {error.strerror}") from error
        self._end += len(line)
        self.entries += 1

    def first(self) -> Entry | None:
        """
        Give the entry that waits longest; None when none does.

        :raises StoreError: when it cannot be read; it is set aside with all that stands behind it.
        """
        self._open()
        if self._at >= self._end:
            return None
        line = self._line()
        try:
            return msgspec.json.decode(line, type=Entry)
        except msgspec.DecodeError as error:
            aside = self.set_aside()
            said = f"{self._path} was damaged; what had to wait for the database is in {aside}"
            raise StoreError("store-failed", said) from error

    def drop_first(self) -> None:
        """Forget the entry that waited longest: it is kept elsewhere."""
        self._at += len(self._line())
        self.entries -= 1
        if self._at >= self._end:
            os.ftruncate(self._descriptor, 0)
            self._at = self._end = self.entries = 0

    def set_aside(self) -> Path:
        """Begin anew; gives where the old file is."""
        aside = self._path.with_name(f"{self._path.name}.damaged-{os.getpid()}-{self._end}")
        os.replace(self._path, aside)
        self.close()
        return aside

    def close(self) -> None:
        """Close the file."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
        self._at = self._end = self.entries = 0

    def _line(self) -> bytes:
        octets = b""
        while b"\n" not in octets:
            more = os.pread(self._descriptor, 1 << 20, self._at + len(octets))
            if not more:
                return octets
            octets += more
        return octets[: octets.index(b"\n") + 1]

    def _open(self) -> None:
        """Open the file; what a run before left waits on, up to its last whole line."""
        if self._descriptor >= 0:
            return
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        whole = lines = at = 0
        while octets := os.pread(self._descriptor, 1 << 20, at):
            if b"\n" in octets:
                whole = at + octets.rindex(b"\n") + 1
            lines += octets.count(b"\n")
            at += len(octets)
        os.ftruncate(self._descriptor, whole)
        self._at, self._end, self.entries = 0, whole, lines
