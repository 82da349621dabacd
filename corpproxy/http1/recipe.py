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


# Recipes that sections share: those of one browser differ from person to person by their credentials alone,
# which do not travel.
MAX_SHARED = 2048
_shared: dict[tuple[bytes, tuple[tuple[int, int], ...]], Recipe] = {}


def recipe_of(fields: Fields, written: bytes) -> Recipe:
    """
    Say how ``written``, all that follows a start-line, was made of ``fields``.

    ``written`` begins with CR LF and ends with the empty line.
    """
    parts, cuts = _parts(fields, written[:-4].split(_CRLF)[1:])
    template = b"".join(b"\r\n" + part for part in parts) + b"\r\n\r\n"
    if not cuts:
        template, cuts = template + b"%b", [(0, 0)]
    key = template, tuple(cuts)
    recipe = _shared.get(key)
    if recipe is None:
        recipe = Recipe(*key)
        if len(_shared) >= MAX_SHARED:
            _shared.clear()
        _shared[key] = recipe
    return recipe


class Recipe:
    """How the fields for the next hop are made of a section."""

    __slots__ = ("_cut", "_template")

    def __init__(self, template: bytes, cuts: tuple[tuple[int, int], ...]) -> None:
        """``template`` has a ``%b`` for each of the ``cuts``, of which there is one at least."""
        self._template = template
        # One cut gives octets, several a tuple of them; a template takes both.
        self._cut: Any = itemgetter(*(slice(start, end) for start, end in cuts))

    def write(self, section: bytes) -> bytes:
        """Write the same fields again from the same section."""
        written: bytes = self._template % self._cut(section)
        return written


def _parts(fields: Fields, written: list[bytes]) -> tuple[list[bytes], list[tuple[int, int]]]:
    """Give the lines of the template, where ``%b`` stands for lines that came, and the cuts of those."""
    parts: list[bytes] = []
    cuts: list[tuple[int, int]] = []
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
            cuts[-1] = cuts[-1][0], end
        else:
            parts.append(b"%b")
            cuts.append((start, end))
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
