"""Tables of text whose columns stand below each other, in whatever script their names are."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

# Between two columns.
GAP = 2


def cells(text: str) -> int:
    """How many cells of a terminal a text takes: letters of East Asia take two, marks on letters none."""
    if text.isascii():
        return len(text)
    return sum(map(_cells, text))


def padded(text: str, width: int, *, right: bool = False) -> str:
    """Give a text at least so many cells, filled up at its end, or at its beginning."""
    space = " " * (width - cells(text))
    return space + text if right else text + space


def fitted(text: str, width: int, *, right: bool = False) -> str:
    """Give a text so many cells, cut or filled up; where it is cut stands a sign."""
    if cells(text) > width:
        kept, taken = "", 0
        for sign in text:
            if taken + _cells(sign) > width - 1:
                break
            kept, taken = kept + sign, taken + _cells(sign)
        text = kept + "~" if width else ""
    return padded(text, width, right=right)


def aligned(lines: Iterable[Sequence[str]], texts: Sequence[bool], indent: str = "") -> str:
    """
    Write lines as columns.

    ``texts`` says of each column whether it is of texts, which begin below each other, or of numbers, which
    end so.
    """
    rows = list(lines)
    if not rows:
        return ""
    widths = [max(map(cells, column)) for column in zip(*rows, strict=True)]
    columns = list(zip(widths, texts, strict=True))
    return "".join(f"{indent}{_line(row, columns)}".rstrip() + "\n" for row in rows)


def _line(row: Sequence[str], columns: Sequence[tuple[int, bool]]) -> str:
    return (" " * GAP).join(
        padded(cell, width, right=not is_text) for cell, (width, is_text) in zip(row, columns, strict=True)
    )


def _cells(sign: str) -> int:
    # Marks that stand on the sign before, and what joins signs or chooses how they look.
    if unicodedata.combining(sign) or unicodedata.category(sign) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(sign) in "WF" else 1
