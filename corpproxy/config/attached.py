"""
Files that a policy names and that hold no tables: lists with one entry a line, calendars of other programs.

They are part of the policy as what it includes is: they count into its version, are kept in its history, and
one that cannot be read is a problem at the place that names it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from corpproxy.config.files import Files
from corpproxy.config.icalendar_file import EventsFile
from corpproxy.config.nodes import MAX_OCTETS, Node, Scalar, Sequence, Table
from corpproxy.config.schema.named_lists import KINDS, NamedListTable
from corpproxy.errors import Place, Problem

_FILE = "file"
# The tables in which a file may be named, and those that may hold one in a time that is written in place.
_TABLES = ("lists", "calendars", "rules", "exceptions")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a list: its text, where it stands, and its value or what is wrong with it."""

    text: str
    place: Place
    value: Any = None
    wrong: str = ""


@dataclass(slots=True)
class Attached:
    """
    The attached files of one policy, and what was read in them.

    ``octets``, ``files`` and ``places`` (the first that names it) go by the path as the policy writes it.
    """

    octets: dict[str, bytes] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    _entries: dict[str, tuple[Entry, ...]] = field(default_factory=dict)
    _events: dict[str, EventsFile] = field(default_factory=dict)

    def events(self, file: str) -> EventsFile | None:
        """The calendar in a file, read once; None when the file could not be read."""
        if file not in self.octets:
            return None
        if file not in self._events:
            self._events[file] = EventsFile(self.octets[file], str(self.files[file]), self.places[file])
        return self._events[file]

    def entries(self, name: str, table: NamedListTable, places: Node | None = None) -> tuple[Entry, ...]:
        """The entries of a list of the policy, read once; ``places`` is the node of those in the policy."""
        if name not in self._entries:
            self._entries[name] = tuple(self._read(table, places))
        return self._entries[name]

    def _read(self, table: NamedListTable, places: Node | None) -> Iterator[Entry]:
        nodes = places.items if isinstance(places, Sequence) else [places]
        for text, node in zip(table.entries, nodes, strict=False):
            yield _entry(table.of, text, Place("") if node is None else node.place)
        octets = self.octets.get(table.file or "")
        if octets is not None:
            file = str(self.files[table.file or ""])
            for number, line in enumerate(octets.decode("utf-8", "replace").splitlines(), 1):
                text = line.partition("#")[0].strip() if table.of not in _WITH_HASH else _uncommented(line)
                if text:
                    yield _entry(table.of, text, Place(file, number, line.index(text[0]) + 1))


# In these a "#" may be part of an entry, so that only a whole line is a comment.
_WITH_HASH = ("agent", "expression", "url")


def _uncommented(line: str) -> str:
    return "" if line.lstrip().startswith("#") else line.strip()


def _entry(kind: str, text: str, place: Place) -> Entry:
    _, read, _ = KINDS[kind]
    try:
        return Entry(text, place, read(text))
    except ValueError as error:
        said = str(error)
        return Entry(text, place, wrong=said if "'" in said.partition(" ")[0] else f"this entry {said}")


def read_attached(
    root: Table, folder: Path, files: Files, texts: dict[str, bytes], problems: list[Problem]
) -> Attached:
    """Read every attached file; what stands in the way is told at the place that names it."""
    attached = Attached()
    for node in named_files(root):
        if node.text in attached.files:
            continue
        path = attached.files[node.text] = folder / node.text
        attached.places[node.text] = node.place
        octets = _octets(path, node, files, problems)
        if octets is not None:
            attached.octets[node.text] = octets
            texts[_relative(path, folder)] = octets
    return attached


def named_files(root: Table) -> Iterator[Scalar]:
    """Every place at which a policy names an attached file."""
    for table in _TABLES:
        yield from _files_below(root.fields.get(table))


def _files_below(node: Node | None) -> Iterator[Scalar]:
    if isinstance(node, Sequence):
        for item in node.items:
            yield from _files_below(item)
    elif isinstance(node, Table):
        for key, below in node.fields.items():
            if key == _FILE and isinstance(below, Scalar):
                if below.text.strip():
                    yield below
            else:
                yield from _files_below(below)


def _octets(path: Path, node: Scalar, files: Files, problems: list[Problem]) -> bytes | None:
    try:
        octets = files.read(path)
    except FileNotFoundError:
        problems.append(Problem(node.place, "file-missing", f"there is no file {path}"))
    except (OSError, ValueError) as error:
        said = f"cannot read {path}: {getattr(error, 'strerror', None) or error}"
        problems.append(Problem(node.place, "file-unreadable", said))
    else:
        if len(octets) <= MAX_OCTETS:
            return octets
        said = (
            f"{path} has more than {MAX_OCTETS} octets; names of hosts by the thousand belong in a category"
        )
        problems.append(Problem(node.place, "too-large", said))
    return None


def _relative(path: Path, folder: Path) -> str:
    try:
        return path.relative_to(folder).as_posix()
    except ValueError:
        return path.as_posix()
