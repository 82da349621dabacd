"""
Deeds that commands leave for the service: it alone writes records, so that the chain of the record stays
whole.

A deed is a file of its own in the state folder, there at once and whole.  The service takes it within
seconds, or when it starts next, and takes the file away once the record is on the disk.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from corpproxy.audit.deeds import Deed
from corpproxy.audit.reference import References
from corpproxy.backends.records.segment_file import DamagedSegment, modified_at, open_segment
from corpproxy.backends.records.segments import RECORDS_FOLDER, segment_names
from corpproxy.backends.state_folder import put_file

# In the state folder.
DEEDS_FOLDER = "deeds"

_ENDING = ".json"


def leave(state: Path, deed: Deed) -> None:
    """
    Leave a deed for the service that writes the record of this state folder.

    :raises OSError: when there is no such folder, or it cannot be written to.
    """
    owner = state.stat()
    folder = state / DEEDS_FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    # Names sort by the moment, so that deeds are recorded in their order.
    path = folder / f"{time.time_ns():020d}-{secrets.token_hex(4)}{_ENDING}"
    put_file(path, msgspec.json.encode(deed), 0o600)
    if not os.geteuid():
        for one in (folder, path):
            os.chown(one, owner.st_uid, owner.st_gid)


def new_reference(now: float) -> str:
    """A reference for the record of a deed; any number may stand for this process."""
    return References(secrets.randbelow(1 << 20)).next(now)


def left(state: Path) -> list[tuple[Path, Deed | None]]:
    """
    The deeds that were left, the first first, each with its file; None for what is no deed.

    :raises OSError: when they cannot be read.
    """
    try:
        paths = sorted((state / DEEDS_FOLDER).glob(f"[0-9]*{_ENDING}"))
    except FileNotFoundError:
        return []
    return [(path, _read(path)) for path in paths]


def recorded(state: Path, deeds: Sequence[tuple[Path, Deed]]) -> frozenset[str]:
    """
    The references of those among some deeds that the record has already.

    A crash between their record and the end of their files leaves them here.  Only segments that were written
    to after a deed was left can have it: as a rule that is none of them, or the last one.

    :raises OSError: when the record cannot be read.
    """
    marks = {f'"id":"{deed.request}"'.encode(): deed.request for _, deed in deeds if deed.request}
    folder = state / RECORDS_FOLDER
    if not marks or not folder.is_dir():
        return frozenset()
    since = min(path.stat().st_mtime for path, _ in deeds)
    found: set[str] = set()
    for name in segment_names(folder):
        with contextlib.suppress(FileNotFoundError, DamagedSegment):
            if modified_at(name.path) >= since:
                with open_segment(name.path) as lines:
                    found.update(_found(lines, marks))
    return frozenset(found)


def _found(lines: Iterable[bytes], marks: Mapping[bytes, str]) -> Iterator[str]:
    for line in lines:
        # A line that a crash cut is no record.
        if line.endswith(b"\n"):
            yield from (reference for mark, reference in marks.items() if mark in line)


def _read(path: Path) -> Deed | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Deed)
    except msgspec.DecodeError:
        return None
