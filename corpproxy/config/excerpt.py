"""The line that a problem is in, and a ruler under the place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from unicodedata import east_asian_width

from corpproxy.errors import Place
from corpproxy.masked import masked_in_place

# A line is shown as far as a terminal is wide; a rule on one line may have a hundred hosts.
SHOWN_COLUMNS = 100
# How much of a long line stands before the place.
BEFORE_COLUMNS = 60

CUT = "..."


class Excerpts:
    """Shows places in the texts of a policy, which are given by their paths relative to its folder."""

    def __init__(self, texts: Mapping[str, bytes], folder: Path) -> None:
        self._texts = {str(folder / name): octets for name, octets in texts.items()}
        self._lines: dict[str, list[str]] = {}

    def of(self, place: Place) -> tuple[str, str] | None:
        """The line at a place and the ruler under it; None where there is no such place to show."""
        line = self._line(place)
        if not line or line.isspace() or not 0 < place.column <= len(line) + 1:
            return None
        start = place.column - 1
        # The column is that of the line as it stands; a mask keeps the length.
        return _shown(masked_in_place(line), start, width_at(line, place))

    def end(self, place: Place) -> int:
        """The column behind what stands at a place, counted from 1; 0 where this is not known."""
        line = self._line(place)
        if line is None or not 0 < place.column <= len(line) + 1:
            return 0
        return place.column + width_at(line, place)

    def _line(self, place: Place) -> str | None:
        lines = self._lines.get(place.file)
        if lines is None:
            octets = self._texts.get(place.file)
            if octets is None:
                return None
            # Line ends as YAML has them, not all that Python knows.
            lines = self._lines[place.file] = octets.decode("utf-8", "replace").split("\n")
        return lines[place.line - 1].rstrip("\r") if 0 < place.line <= len(lines) else None


def width_at(line: str, place: Place) -> int:
    """How many characters of a line a place takes: what it says, else up to the end of what is written."""
    start = place.column - 1
    if place.width:
        return max(1, min(place.width, len(line) - start))
    written = line[start:].partition(" #")[0].rstrip()
    return max(1, len(written))


def _shown(line: str, start: int, width: int) -> tuple[str, str]:
    """The part of a line around a place that fits, and the ruler."""
    begin = max(0, start - BEFORE_COLUMNS) if len(line) > SHOWN_COLUMNS else 0
    before = (CUT if begin else "") + line[begin:start]
    room = max(1, SHOWN_COLUMNS - len(before))
    marked, after = line[start : start + width], line[start + width :]
    rest = marked + after
    if len(rest) > room:
        rest = rest[: room - len(CUT)] + CUT
        marked = rest[:width]
    before, rest, marked = (_printable(text) for text in (before, rest, marked))
    return before + rest, " " * _columns(before) + "^" * max(1, _columns(marked))


def _printable(text: str) -> str:
    """A text that a terminal shows and does not obey, a character for each."""
    return "".join(one if one.isprintable() else " " if one == "\t" else "?" for one in text)


def _columns(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return sum(2 if east_asian_width(one) in "WF" else 1 for one in text)


def below(excerpts: Excerpts, place: Place) -> Iterator[str]:
    """The lines to print under a problem."""
    shown = excerpts.of(place)
    if shown is not None:
        yield from (f"    {part}".rstrip() for part in shown)
