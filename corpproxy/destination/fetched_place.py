"""Where a list that the service fetches itself stands: a folder of its own below the state folder."""

from __future__ import annotations

import hashlib
from pathlib import Path
from urllib.parse import quote, urlsplit

from corpproxy.destination.formats import AUTO, UT1

LISTS_FOLDER = "lists"

# What a name of a folder can hold with what is put behind it.
_MAX_NAME = 100


def fetched_folder(state: Path, name: str) -> Path:
    """The folder of a list, whatever its name is."""
    return state / LISTS_FOLDER / folder_name(name)


def folder_name(name: str) -> str:
    """A list's name such that it can be that of a folder and leads nowhere else."""
    quoted = quote(name, safe=" ()+,=@")
    if quoted.startswith("."):
        quoted = "%2E" + quoted[1:]
    if len(quoted) > _MAX_NAME:
        quoted = f"{quoted[: _MAX_NAME - 17]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
    return quoted


def fetched_path(state: Path, name: str, format: str, url: str) -> Path:
    """
    The file of the version in force.

    Its name says what kind of thing it is before the first is there, and never promises compression: what a
    server calls ``.gz`` may come unpacked.
    """
    tree = format == UT1 or (format == AUTO and is_tree_name(urlsplit(url).path))
    return fetched_folder(state, name) / f"{folder_name(name)}.{'tar' if tree else 'txt'}"


def is_tree_name(path: str) -> bool:
    """Whether a path in a URL is that of an archive."""
    name = path.lower()
    return ".tar" in name.rpartition("/")[2] or name.endswith((".tgz", ".tbz2", ".txz"))
