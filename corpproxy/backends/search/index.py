"""
The indexes of closed segments: made beside the records, in ``index/``, and left out where they do not fit.

An index fits its segment as long as that has the length it was made from, however it is stored.  One that is
missing, damaged, old or made with another key is no index: the segment is then read as a whole.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from corpproxy.audit.index import BadIndex, Index, IndexMaker, key_name
from corpproxy.backends.records.segment_rewrite import sole
from corpproxy.backends.records.segments import SegmentName, segment_names
from corpproxy.backends.search.blocks import fits
from corpproxy.backends.state_folder import put_file

INDEX_FOLDER = "index"
# Below the state folder, beside the folder of records.
INDEX_KEY = "index.key"

_ENDING = ".idx"


def index_path(folder: Path, segment: str) -> Path:
    """Where the index of a segment of this (canonical) name is, whose records are in ``folder``."""
    return folder / INDEX_FOLDER / (segment + _ENDING)


def existing_index(name: SegmentName, key: bytes) -> Index | None:
    """The index of a segment, where there is one that fits it."""
    try:
        with index_path(name.path.parent, name.canonical).open("rb") as file:
            index = Index(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        return index if index.header.key == key_name(key) and fits(name, index) else None
    except (OSError, ValueError, BadIndex):
        return None


def make_index(name: SegmentName, key: bytes, lines: Iterable[bytes]) -> None:
    """
    Make the index of a closed segment from its lines.

    :raises OSError: when it cannot be written.
    """
    before = name.path.stat().st_ino
    maker = IndexMaker(key)
    for line in lines:
        maker.take(line)
    path = index_path(name.path.parent, name.canonical)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with sole(name.path.parent):
        # What somebody was erased from meanwhile is not what was read.
        if name.path.exists() and name.path.stat().st_ino == before:
            put_file(path, maker.finish(name.canonical), 0o600)


def drop_index(path: Path) -> None:
    """
    Take away the index of a segment whose content is about to change; ``path`` is that of the segment.

    Whoever erases does this first: a crash in between then leaves a segment without an index, never an
    index of what should be forgotten.

    :raises OSError: when that fails.
    """
    canonical = path.name[: path.name.index(".jsonl") + len(".jsonl")]
    index_path(path.parent, canonical).unlink(missing_ok=True)


def without_index(folder: Path, key: bytes) -> list[SegmentName]:
    """
    The closed segments that have no index that fits, the last first: those are asked for most.

    :raises OSError: when the folder cannot be read.
    """
    return [name for name in reversed(closed_segments(folder)) if existing_index(name, key) is None]


def closed_segments(folder: Path) -> list[SegmentName]:
    """The segments that are not written to any more: all but the last of each worker, the oldest first."""
    names = segment_names(folder)
    last = {name.worker: name for name in names}
    return [name for name in names if name != last[name.worker] or name.is_compressed]


def drop_orphans(folder: Path) -> None:
    """Take away indexes whose segments are gone."""
    kept = {name.canonical for name in segment_names(folder)}
    with suppress(FileNotFoundError):
        for path in (folder / INDEX_FOLDER).iterdir():
            if path.name.removesuffix(_ENDING) not in kept:
                path.unlink(missing_ok=True)
