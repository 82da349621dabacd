"""Finding the line of a list that says an entry, so that an explanation can end at the very line."""

from __future__ import annotations

from collections.abc import Iterator

from corpproxy.backends.lists.read import file_format, is_tree, stem_of, tree_of
from corpproxy.backends.lists.trees import BROKEN, Meter, file_lines
from corpproxy.destination.folders import USAGE, category_aliases, category_files
from corpproxy.destination.model import Match
from corpproxy.destination.sources import ListSource, OddLines, read_lines
from corpproxy.errors import Place


def find_line(source: ListSource, match: Match) -> Place | None:
    """
    Give the place of the line in a list that a match rests on; None when it stands there no more.

    It reads the list up to that line: a second or two in the largest.
    """
    needle = _needle(match.entry)
    try:
        for file, format, lines in _files(source, match.category):
            for number, line in enumerate(lines, 1):
                if needle in line.lower() and match.entry in _said(line, format):
                    return Place(file, number)
    except BROKEN:
        pass
    return None


def _needle(entry: str) -> bytes:
    """
    Give octets that the line has in any spelling, in lower case, to pass over the others quickly.

    A name of another script may stand there as such, and an IPv6 address with more zeros.
    """
    host = entry.partition("/")[0].lower()
    return b"" if "xn--" in host or ":" in host else host.encode("utf-8", "replace")


def _said(line: bytes, format: str) -> list[str]:
    return [entry.text for entry in read_lines([line], format, OddLines(), "", lambda name: False)]


def _files(source: ListSource, category: str) -> Iterator[tuple[str, str, Iterator[bytes]]]:
    """Yield name, format and lines of the files that can say something of a category."""
    if not is_tree(source):
        yield str(source.path), file_format(source), file_lines(source.path, Meter())
        return
    tree = tree_of(source)
    try:
        files = category_files(tree.paths(), stem_of(source))
        meant = category_aliases(tree.links, files).get(category, category)
        for file in files:
            if file.format != USAGE and (source.category or file.category == meant):
                yield f"{source.path}/{file.path}", file.format, tree.lines(file.path, Meter())
    finally:
        tree.close()
