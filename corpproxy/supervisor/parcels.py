"""Values on their way between supervisor and workers; what does not fit into a box of AMP goes as a file."""

from __future__ import annotations

import os
import re
import secrets
from contextlib import suppress
from pathlib import Path

# A value in a box has at most 65,535 octets, and ours has a mark before it.
MAX_INLINE_OCTETS = 65_000

_INLINE, _FILE = b"=", b"@"
_NAME = re.compile(rb"[0-9a-f]{32}")


class BadParcel(Exception):
    """A value cannot be read: nothing we would have sent."""


class Parcels:
    """
    Wraps octets for a box, and opens what came in one.

    ``folder`` belongs to the service alone; a file in it is read once, and taken away by who reads it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def clear(self) -> None:
        """Make the folder, empty: what a service that died left there is for nobody."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in self.folder.iterdir():
            left.unlink(missing_ok=True)

    def wrap(self, octets: bytes) -> bytes:
        """
        Give what goes into the box.

        :raises OSError: when the file cannot be written.
        """
        if len(octets) <= MAX_INLINE_OCTETS:
            return _INLINE + octets
        name = secrets.token_hex(16)
        path = self.folder / name
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(octets)
        except OSError:
            with suppress(OSError):
                path.unlink()
            raise
        return _FILE + name.encode()

    def opened(self, wrapped: bytes) -> bytes:
        """
        Give back what was wrapped.

        :raises BadParcel: when it cannot be read.
        """
        mark, rest = wrapped[:1], wrapped[1:]
        if mark == _INLINE:
            return rest
        if mark != _FILE or not _NAME.fullmatch(rest):
            raise BadParcel("a value begins with neither of our marks")
        path = self.folder / rest.decode()
        try:
            octets = path.read_bytes()
            path.unlink()
        except OSError as error:
            raise BadParcel(f"the file of a value cannot be read: {error}") from error
        return octets
