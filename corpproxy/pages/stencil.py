"""
Stencils: a page like one before is that page with other values put in.

One browser brings thirty blocked trackers, and each of their pages differs from the last in the address, the
time and the reference alone.  To render the template for each takes fifteen times as long as to put these in.
A sheet is therefore rendered once with marks where such values stand; what lies between the marks is kept,
by all else that the sheet says.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace

from markupsafe import escape

from corpproxy.pages.sheet import Sheet

# Pages remembered: a rule, a category, a language and a kind of person each have their own.
MAX_STENCILS = 512

Key = tuple[object, ...]
# Pieces of a page, with an empty one for each value, and which values these are.
Stencil = tuple[list[str], tuple[int, ...]]
Render = Callable[[Sheet, str], str]


class Stencils:
    """
    Writes sheets in HTML, from what is remembered of sheets like them.

    ``render`` writes one from the beginning: a sheet and the mailto: URI of whom to ask, empty for none.
    """

    def __init__(self, render: Render) -> None:
        self._render = render
        self._known: dict[Key, Stencil] = {}
        # Nobody can send what splits a page at another place: the mark is this process's own.
        self._mark = f"mark{secrets.token_hex(16)}"

    def write(self, sheet: Sheet, mail: str) -> str:
        """Write a sheet as ``render`` does."""
        if sheet.form is not None or sheet.sections:
            return self._render(sheet, mail)
        key = _key(sheet, mail)
        pieces, order = self._known.get(key) or self._learn(key, sheet, mail)
        values = [escape(value) for value in _values(sheet, mail)]
        written: list[str] = pieces.copy()
        written[1::2] = [values[number] for number in order]
        return "".join(written)

    def _learn(self, key: Key, sheet: Sheet, mail: str) -> Stencil:
        """Render a sheet with marks for its values, and remember what stands between these."""
        numbers = iter(range(len(_values(sheet, mail))))
        marked = _with_values(sheet, lambda: f"{self._mark}-{next(numbers)}-")
        page = self._render(marked, f"{self._mark}-{next(numbers)}-" if mail else "")
        first, *others = page.split(f"{self._mark}-")
        pieces, order = [first], []
        for other in others:
            number, _, behind = other.partition("-")
            order.append(int(number))
            pieces += ["", behind]
        if len(self._known) >= MAX_STENCILS:
            self._known.clear()
        stencil = self._known[key] = (pieces, tuple(order))
        return stencil


def _key(sheet: Sheet, mail: str) -> Key:
    """All that a page without forms and sections says but for its values."""
    return (
        sheet.tone,
        sheet.lead,
        sheet.quote,
        sheet.ask,
        bool(mail),
        *((fact.label, fact.exact) for fact in sheet.facts),
        None,
        *((fact.label, fact.exact) for fact in sheet.small),
        None,
        *(link.text for link in sheet.links),
    )


def _values(sheet: Sheet, mail: str) -> list[str]:
    """What differs between pages that are alike, in the order of `_with_values`."""
    values = [sheet.title]
    values += [fact.value for fact in sheet.facts]
    values += [fact.value for fact in sheet.small]
    values += [link.uri for link in sheet.links]
    values.append(mail)
    return values


def _with_values(sheet: Sheet, value: Callable[[], str]) -> Sheet:
    """The same sheet with these values."""
    return replace(
        sheet,
        title=value(),
        facts=tuple([replace(fact, value=value()) for fact in sheet.facts]),
        small=tuple([replace(fact, value=value()) for fact in sheet.small]),
        links=tuple([replace(link, uri=value()) for link in sheet.links]),
    )
