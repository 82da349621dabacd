"""
Category lists as the policy names them, and what was read of one: entries, odd lines, its version.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from corpproxy.destination.entries import Entry, IsPublicSuffix, OddLine
from corpproxy.destination.fetching import Fetch
from corpproxy.destination.formats import AUTO, LINE_READERS, UT1
from corpproxy.errors import NOWHERE, Place, Problem

BLOCK = "block"
IGNORE = "ignore"

# In the place of a category: any, because a list is missing of which nobody knows the categories.
EVERY_CATEGORY = "*"

# Odd lines that are kept with their text; the others are counted.
ODD_LINES_SHOWN = 10
ODD_TEXT_SHOWN = 120

# No format has longer lines; longer ones are something else, and would be held in memory whole.
MAX_LINE_OCTETS = 16 * 1024


@dataclass(frozen=True, slots=True)
class ListSource:
    """
    One list of ``categories: lists:``.

    ``path`` is a file, an archive or a folder; ``format`` one of `corpproxy.destination.formats.FORMATS`.
    ``category`` is that of every entry; empty, it is the folder's name in a ``ut1`` list and the list's name
    in others.  ``when_missing`` says whether rules that block by its categories block everything
    (``block``) or nothing (``ignore``) while it cannot be read.  ``refresh`` is the age in seconds at
    which it counts as stale; 0 is never.  ``fetch`` is set for a list that the service fetches itself;
    ``path`` is then where the version in force stands.
    """

    name: str
    format: str
    path: Path
    category: str = ""
    when_missing: str = BLOCK
    licence: str = ""
    refresh: float = 0.0
    place: Place = NOWHERE
    fetch: Fetch | None = None

    @property
    def categories(self) -> frozenset[str]:
        """The categories it gives, without reading it; `EVERY_CATEGORY` when only its content tells."""
        if self.category:
            return frozenset({self.category})
        if self.format == UT1 or (self.format == AUTO and looks_like_folder(self.path)):
            return frozenset({EVERY_CATEGORY})
        return frozenset({self.name})


def looks_like_folder(path: Path) -> bool:
    """Whether a path, by its name alone, is that of an archive or a folder of categories."""
    name = path.name.lower()
    return not path.suffix or ".tar" in name or name.endswith((".tgz", ".tbz2", ".txz"))


class OddLineSeen(msgspec.Struct, frozen=True):
    """An odd line: where it stands, its text and what is odd about it."""

    file: str
    line: int
    text: str
    reason: str

    @property
    def problem(self) -> Problem:
        """It as a hint to the administrator, at its place."""
        return Problem(Place(self.file, self.line), "odd-list-line", f"{self.reason}: {self.text}", "hint")


class OddLines:
    """Counts odd lines and keeps the first few."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[OddLineSeen] = []

    def add(self, file: str, line: int, text: str, reason: str) -> None:
        """Count one more."""
        self.count += 1
        if len(self.first) < ODD_LINES_SHOWN:
            shown = "".join(c if c.isprintable() else "\ufffd" for c in text[:ODD_TEXT_SHOWN])
            self.first.append(OddLineSeen(file, line, shown, reason))


def read_lines(
    lines: Iterable[bytes], format: str, odd: OddLines, file: str, is_public_suffix: IsPublicSuffix
) -> Iterator[Entry]:
    """
    Give the entries of the lines of one file in one format.

    ``file`` names it in ``odd``, which takes the lines that say nothing.  Any octets are read: nothing but
    what ``lines`` itself raises is raised.
    """
    reader = LINE_READERS[format]
    for number, octets in enumerate(lines, 1):
        try:
            yield from reader(_text(octets, is_first=number == 1), is_public_suffix)
        except OddLine as reason:
            odd.add(
                file, number, octets[: 4 * ODD_TEXT_SHOWN].decode("utf-8", "replace").strip(), str(reason)
            )


def _text(octets: bytes, *, is_first: bool) -> str:
    if len(octets) > MAX_LINE_OCTETS:
        raise OddLine("the line is too long to be of a list")
    if is_first:
        octets = octets.removeprefix(b"\xef\xbb\xbf")
    try:
        return octets.decode()
    except UnicodeDecodeError:
        if octets.lstrip()[:1] in (b"#", b"!"):
            return ""
        raise OddLine("it is not UTF-8") from None
