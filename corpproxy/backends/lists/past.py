"""
What the lists said on another day: an index of every version of every list that a kept record may cite.

Each stands below ``state/lists-past/`` in a folder of its list, named after its version.  The versions of one
list that is read anew each hour cost no more than themselves, whatever other lists there are.  The
index of all lists, once it is in force, waits there as a second name of the same file (`leave`), until
a child process has taken out of it what is not kept yet (`corpproxy.backends.lists.past_job`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import msgspec

from corpproxy.backends.lists.files import index_path
from corpproxy.backends.lists.opening import map_index
from corpproxy.destination.fetched_place import folder_name
from corpproxy.destination.index import CategoryIndex
from corpproxy.destination.index_file import BadIndex
from corpproxy.destination.index_meta import MISSING, ListReport
from corpproxy.destination.overlay import Layer, Relabelled
from corpproxy.destination.sources import EVERY_CATEGORY, ListSource

PAST_FOLDER = "lists-past"

# Where indexes wait in that folder, and what is known of the versions.
WAITING = ".waiting"
KNOWN_FILE = "known.json"

# What a version is called, and one that was read as a single category whatever its own ones are.
_OWN_CATEGORIES = ".index"
_ONE_CATEGORY = ".one.index"


class Known(msgspec.Struct, frozen=True):
    """Until when each kept version was in force, POSIX seconds, by its path below the folder; 0 is still."""

    until: dict[str, float] = {}


def known_versions(state: Path) -> Known:
    """What is known of the versions; what stands there and is not known was in force until just now."""
    folder = state / PAST_FOLDER
    try:
        known = msgspec.json.decode((folder / KNOWN_FILE).read_bytes(), type=Known)
    except (OSError, msgspec.MsgspecError):
        known = Known()
    return Known({name: known.until.get(name, 0.0) for name in map(str, _there(folder))})


def is_kept(state: Path, index: CategoryIndex, of_one_category: Collection[str]) -> bool:
    """Whether all versions in an index are kept, and known to be those in force."""
    in_force = {name for name, ended in known_versions(state).until.items() if not ended}
    return in_force == {str(path) for path, _ in versions_in(index, of_one_category)}


def versions_in(index: CategoryIndex, of_one_category: Collection[str]) -> Iterator[tuple[Path, ListReport]]:
    """Where each list of an index is kept, below the folder."""
    for report in index.meta.lists:
        if report.state != MISSING:
            suffix = _ONE_CATEGORY if report.name in of_one_category else _OWN_CATEGORIES
            yield _path(report.name, report.version, suffix), report


def leave(state: Path) -> None:
    """
    Have the index in force wait until its versions are kept; it costs no copy.

    Raises OSError where there is none, or no room for a name.
    """
    waiting = state / PAST_FOLDER / WAITING
    waiting.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.link(index_path(state), waiting / f"{time.time_ns():020}.index")


def _path(name: str, version: str, suffix: str) -> Path:
    return Path(folder_name(name)) / f"{version}{suffix}"


def _there(folder: Path) -> Iterator[Path]:
    """Every index that is kept, below the folder."""
    found = (path.relative_to(folder) for path in folder.glob("*/*.index"))
    return (path for path in found if path.parent.name != WAITING)


class PastLists:
    """Gives what a version of a list said."""

    def __init__(self, state: Path) -> None:
        self._folder = state / PAST_FOLDER
        self._opened: dict[Path, CategoryIndex | None] = {}

    def __call__(self, source: ListSource, version: str) -> Layer | None:
        """A version of a list, with the categories that ``source`` gives it; None where it is not kept."""
        suffixes = _OWN_CATEGORIES, _ONE_CATEGORY
        own, one = (self._open(_path(source.name, version, suffix)) for suffix in suffixes)
        if source.categories == {EVERY_CATEGORY}:
            return own
        kept = own or one
        return Relabelled(kept, *source.categories) if kept is not None else None

    def _open(self, kept: Path) -> CategoryIndex | None:
        path = self._folder / kept
        if path not in self._opened:
            self._opened[path] = _mapped(path)
        return self._opened[path]


def kept_octets(state: Path) -> Mapping[str, tuple[int, int]]:
    """How many versions of each list are kept, by the name of its folder, and how many octets they take."""
    found: dict[str, tuple[int, int]] = {}
    folder = state / PAST_FOLDER
    for path in _there(folder):
        count, octets = found.get(path.parent.name, (0, 0))
        found[path.parent.name] = count + 1, octets + (folder / path).stat().st_size
    return found


def _mapped(path: Path) -> CategoryIndex | None:
    try:
        return map_index(path)
    except (OSError, BadIndex):
        return None
