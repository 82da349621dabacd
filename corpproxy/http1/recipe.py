"""
Recipes: how the fields for the next hop are cut from a section, so that nothing of it need be remembered.

Nearly all lines of a head travel as they came.  What is remembered of a head that was written once is
where those lines stand in the section, and the few that we wrote ourselves between them.
"""

from __future__ import annotations

from operator import itemgetter
from typing import Any

from corpproxy.http1.fields import Fields

_CRLF = b"\r\n"


class Recipe:
    """
    How ``written``, all that follows a start-line, was made of ``fields``.

    ``written`` begins with CR LF and ends with the empty line.
    """

    __slots__ = ("_cut", "_template")

    def __init__(self, fields: Fields, written: bytes) -> None:
        parts, cuts = _parts(fields, written[:-4].split(_CRLF)[1:])
        self._template = b"".join(b"\r\n" + part for part in parts) + b"\r\n\r\n"
        # One cut gives octets, several a tuple of them; a template takes both.
        self._cut: Any = itemgetter(*(cuts or [slice(0, 0)]))
        if not cuts:
            self._template += b"%b"

    def write(self, section: bytes) -> bytes:
        """Write the same fields again from the same section."""
        written: bytes = self._template % self._cut(section)
        return written


def _parts(fields: Fields, written: list[bytes]) -> tuple[list[bytes], list[slice]]:
    """Give the lines of the template, where ``%b`` stands for lines that came, and the cuts of those."""
    parts: list[bytes] = []
    cuts: list[slice] = []
    places = _places(fields.lines)
    at = 0
    follows = False  # whether the next line of the section would go on with the last cut
    for line in written:
        try:
            found = fields.lines.index(line, at)
        except ValueError:
            parts.append(line.replace(b"%", b"%%"))
            follows = False
            continue
        start, end = places[found]
        if follows and found == at:
            cuts[-1] = slice(cuts[-1].start, end)
        else:
            parts.append(b"%b")
            cuts.append(slice(start, end))
        at, follows = found + 1, True
    return parts, cuts


def _places(lines: list[bytes]) -> list[tuple[int, int]]:
    """Give where each line begins and ends."""
    places = []
    start = 0
    for line in lines:
        places.append((start, start + len(line)))
        start += len(line) + 2
    return places
