"""Reading category lists from the disk: their entries by category, and a report of what was read."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from corpproxy.backends.lists.trees import BROKEN, Archive, Folder, Meter, Tree, file_lines, is_archive
from corpproxy.destination.entries import Entry, IsPublicSuffix
from corpproxy.destination.folders import (
    USAGE,
    CategoryFile,
    category_aliases,
    category_files,
    usage_words,
)
from corpproxy.destination.formats import AUTO, RECOGNISED_BY_LINES, UT1, recognise
from corpproxy.destination.index_build import IndexBuilder, Members
from corpproxy.destination.index_meta import READ, ListReport, Membership
from corpproxy.destination.sources import ListSource, OddLines, read_lines

# A ``usage`` file has a few words; of one that has more only the beginning is read.
_USAGE_LINES = 32


class SourceBroken(Exception):
    """A list cannot be read; the text says why, in words for the administrator."""


Take = Callable[[str, Entry], None]


def signature(source: ListSource) -> str:
    """
    Give a text that changes when the list, or how it is read, changes; empty when there is nothing to read.

    It rests on names, sizes and times alone, so that it can be asked for every few seconds.
    """
    try:
        seen = sorted(_stamps(source.path))
    except (OSError, ValueError):
        return ""
    said = repr((str(source.path), source.format, source.category, seen))
    return hashlib.sha256(said.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _stamps(path: Path) -> Iterator[tuple[str, int, int, str]]:
    if not path.is_dir():
        yield _stamp("", path)
        return
    folder = Folder(path)
    yield from (_stamp(name, path / name) for name in folder.paths())
    yield from ((link, 0, 0, target) for link, target in folder.links.items())


def _stamp(name: str, path: Path) -> tuple[str, int, int, str]:
    found = os.stat(path)
    return name, found.st_size, found.st_mtime_ns, ""


@dataclass(slots=True)
class _Reading:
    """One list while it is read."""

    source: ListSource
    is_public_suffix: IsPublicSuffix
    take: Take
    meter: Meter = field(default_factory=Meter)
    odd: OddLines = field(default_factory=OddLines)
    entries: int = 0

    def read(self, lines: Iterable[bytes], format: str, file: str, category: str) -> None:
        """Take the entries of one file."""
        for entry in read_lines(lines, format, self.odd, file, self.is_public_suffix):
            self.take(category, entry)
            self.entries += 1

    def check(self) -> None:
        """Refuse a list in which nothing is said: a failed download, another format."""
        if self.entries:
            return
        if not self.meter.octets:
            raise SourceBroken("it is empty")
        if self.odd.count:
            first = self.odd.first[0]
            count = self.odd.count
            none = "its one line says nothing" if count == 1 else f"none of its {count:,} lines says anything"
            raise SourceBroken(f"{none}; the first is {first.file}:{first.line}: {first.reason}")


def read_source(
    source: ListSource,
    is_public_suffix: IsPublicSuffix,
    take: Take,
    aliases: Callable[[dict[str, str]], None],
) -> ListReport:
    """
    Read a list, giving each category and entry to ``take``, and report it.

    ``aliases`` is called first with the names that stand for others.  Raises SourceBroken; what was
    given until then is of no use.
    """
    reading = _Reading(source, is_public_suffix, take)
    before = signature(source)
    try:
        modified = _modified(source.path)
        report = (_read_tree if is_tree(source) else _read_file)(reading, aliases)
    except FileNotFoundError as error:
        raise SourceBroken(f"there is no file or folder {error.filename or source.path}") from error
    except BROKEN as error:
        raise SourceBroken(_in_words(error)) from error
    reading.check()
    format, alias_of, usage = report
    return ListReport(
        name=source.name,
        format=format,
        state=READ,
        version=reading.meter.digest.hexdigest()[:12],
        modified=modified,
        octets=reading.meter.octets,
        signature=before,
        aliases=alias_of,
        usage=usage,
        odd_count=reading.odd.count,
        odd_lines=reading.odd.first,
    )


class Taking:
    """Takes the entries of one list into a builder, with the other names of their categories."""

    def __init__(self, builder: IndexBuilder, name: str) -> None:
        self._builder = builder
        self._name = name
        self._names: dict[str, list[str]] = {}
        self._members: dict[str, Members] = {}

    def know_aliases(self, aliases: dict[str, str]) -> None:
        """Learn which categories have other names."""
        for alias, meant in aliases.items():
            self._names.setdefault(meant, []).append(alias)

    def take(self, category: str, entry: Entry) -> None:
        """Take one entry."""
        members = self._members.get(category)
        if members is None:
            names = [category, *self._names.get(category, ())]
            members = self._builder.members(*(Membership(self._name, name) for name in names))
            self._members[category] = members
        self._builder.add(members, entry)


def is_tree(source: ListSource) -> bool:
    """Whether a list is a folder or an archive of categories."""
    return source.path.is_dir() or source.format == UT1 or (source.format == AUTO and is_archive(source.path))


def tree_of(source: ListSource) -> Tree:
    """Open the folder or archive of a list."""
    return Folder(source.path) if source.path.is_dir() else Archive(source.path)


def stem_of(source: ListSource) -> str:
    """The category of files that stand in no folder of their own."""
    return source.path.name.split(".")[0]


def file_format(source: ListSource) -> str:
    """The format of a single file: as the policy says, or as its first lines tell."""
    if source.format != AUTO:
        return source.format
    beginning = itertools.islice(file_lines(source.path, Meter()), RECOGNISED_BY_LINES)
    return recognise(line.decode("utf-8", "replace") for line in beginning)


_Found = tuple[str, dict[str, str], dict[str, list[str]]]


def _read_file(reading: _Reading, aliases: Callable[[dict[str, str]], None]) -> _Found:
    source = reading.source
    aliases({})
    format = file_format(source)
    lines = file_lines(source.path, reading.meter)
    reading.read(lines, format, str(source.path), source.category or source.name)
    return format, {}, {}


def _read_tree(reading: _Reading, aliases: Callable[[dict[str, str]], None]) -> _Found:
    source = reading.source
    tree = tree_of(source)
    try:
        files = category_files(tree.paths(), stem_of(source))
        if not files:
            raise ValueError("it holds no file named domains, urls or expressions")
        alias_of = {} if source.category else category_aliases(tree.links, files)
        aliases(alias_of)
        usage = {}
        for file in files:
            if file.format == USAGE:
                usage[file.category] = _usage(tree.lines(file.path, reading.meter))
            else:
                _read_category(reading, tree, file)
        return UT1, alias_of, usage
    finally:
        tree.close()


def _read_category(reading: _Reading, tree: Tree, file: CategoryFile) -> None:
    lines = tree.lines(file.path, reading.meter)
    place = f"{reading.source.path}/{file.path}"
    reading.read(lines, file.format, place, reading.source.category or file.category)


def _usage(lines: Iterator[bytes]) -> list[str]:
    text = b"\n".join(itertools.islice(lines, _USAGE_LINES))
    return usage_words(text.decode("utf-8", "replace"))


def _modified(path: Path) -> float:
    """When the newest of the list's files was written, in POSIX seconds."""
    if not path.is_dir():
        return os.stat(path).st_mtime
    return max((os.stat(path / name).st_mtime for name in Folder(path).paths()), default=0.0)


def _in_words(error: BaseException) -> str:
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return f"it cannot be read: {said}"
