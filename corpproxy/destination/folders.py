"""
Folders and archives of categories, as UT1 and squidGuard publish them: what each file in them is.

``blacklists/gambling/domains`` holds the names of the category ``gambling``, ``urls`` and ``expressions``
beside it the rest; a symbolic link ``ads`` to ``publicite`` makes the one another name of the other.
"""

from __future__ import annotations

import itertools
import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

# A file's name without the suffix of its compression, and the format of its lines.
FILE_FORMATS = {"domains": "names", "urls": "urls", "expressions": "expressions"}
USAGE = "usage"
COMPRESSED = (".gz", ".bz2", ".xz")

# Words of ``usage`` files: more than a page of them is something else.
MAX_USAGE_WORDS = 16


@dataclass(frozen=True, slots=True)
class CategoryFile:
    """One file of a folder of categories; ``format`` is that of its lines, or `USAGE`."""

    path: str
    category: str
    format: str


def category_files(paths: Iterable[str], fallback: str) -> list[CategoryFile]:
    """
    Give what the files are, in the order of ``paths`` (relative, with slashes); others are left out.

    A category has the name of its folder below the folder that all have in common; ``fallback`` names one
    whose files stand in no folder.
    """
    kinds = {path: kind for path in paths if (kind := _kind(path))}
    top = _top(kinds)
    return [CategoryFile(path, _category(path, top) or fallback, kind) for path, kind in kinds.items()]


def category_aliases(links: Mapping[str, str], files: Iterable[CategoryFile]) -> dict[str, str]:
    """Give the category that each symbolic link (path to target) is another name of."""
    folders = {posixpath.dirname(posixpath.normpath(file.path)): file.category for file in files}
    top = _top(file.path for file in files)
    aliases = {}
    for link, target in links.items():
        meant = posixpath.normpath(posixpath.join(posixpath.dirname(link), target))
        alias = _category(posixpath.join(link, "domains"), top)
        if meant in folders and alias and alias not in folders.values():
            aliases[alias] = folders[meant]
    return aliases


def usage_words(text: str) -> list[str]:
    """Give the words of a ``usage`` file, such as ``black``; comments are left out."""
    words = [word for line in text.splitlines() for word in line.partition("#")[0].split()]
    return [word for word in words if word.isprintable()][:MAX_USAGE_WORDS]


def _kind(path: str) -> str:
    name = posixpath.basename(path)
    bare = next((name.removesuffix(end) for end in COMPRESSED if name.endswith(end)), name)
    return FILE_FORMATS.get(bare, USAGE if bare == USAGE else "")


def _top(paths: Iterable[str]) -> tuple[str, ...]:
    """The folders above that all categories have in common."""
    parents = {tuple(_parts(path)[:-2]) for path in paths}
    if not parents:
        return ()
    first, last = min(parents), max(parents)
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return tuple(one for one, _ in same)


def _category(path: str, top: tuple[str, ...]) -> str:
    return "/".join(_parts(path)[len(top) : -1])


def _parts(path: str) -> list[str]:
    return [part for part in posixpath.normpath(path).split("/") if part not in (".", "")]
