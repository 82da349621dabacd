"""
The journal of erasures: what was asked for and is not done yet, so that a crash in the middle is made good.

One small file in the state folder for each, which only its owner may read: it has the name of the person, and
is gone when the erasure is done.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from corpproxy.audit.erasure import Erasure, Reached
from corpproxy.backends.state_folder import put_file

ERASING_FOLDER = "erasing"


class Asked(msgspec.Struct, frozen=True):
    """
    An erasure that somebody asked for.

    ``id`` is a reference; ``by`` asked ``at``, POSIX seconds, and said ``why``.  ``reached`` is what was done
    before a crash.  ``pseudonyms`` are those of the person in periods that keepers opened, ``sealed`` the
    lines of the tables that say so.
    """

    id: str
    by: str
    at: float
    why: str
    erasure: Erasure
    reached: tuple[Reached, ...] = ()
    pseudonyms: tuple[str, ...] = ()
    sealed: tuple[str, ...] = ()


class Journal:
    """The erasures of a state folder that are not done."""

    def __init__(self, state: Path) -> None:
        self._folder = state / ERASING_FOLDER

    def note(self, asked: Asked) -> None:
        """
        Note an erasure, or how far it is.

        :raises OSError: when that cannot be written.
        """
        self._folder.mkdir(mode=0o700, exist_ok=True)
        put_file(self._path(asked), msgspec.json.encode(asked), 0o600)

    def done(self, asked: Asked) -> None:
        """Forget one that is done."""
        self._path(asked).unlink(missing_ok=True)

    def unfinished(self) -> list[Asked]:
        """Give those that are not done, the oldest first."""
        found = []
        for path in sorted(self._folder.glob("*.json")):
            try:
                found.append(msgspec.json.decode(path.read_bytes(), type=Asked))
            except (OSError, msgspec.MsgspecError):
                continue
        return found

    def _path(self, asked: Asked) -> Path:
        return self._folder / f"{asked.id}.json"
