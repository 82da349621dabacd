"""The whole screen of ``corpproxy top``, as marked lines: pure, so that it can be looked at in tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, NamedTuple

from corpproxy.accounting.present import View
from corpproxy.audit.line import printable
from corpproxy.cli.top_keys import HELP, State, Typing
from corpproxy.cli.top_rows import Row, fitted, heading, is_marked, row_line, summary

# The lines around the rows: two above, the heading, and the one at the foot.
OTHER_LINES = 4

KEYS = "q leave   Tab people/running   / find   e end   space stand still   ? keys"


class Mark(Enum):
    """How a line looks."""

    PLAIN = "plain"
    STRONG = "strong"
    HEADING = "heading"
    CHOSEN = "chosen"
    WARNING = "warning"


class Line(NamedTuple):
    """One line, and how it looks."""

    text: str
    mark: Mark = Mark.PLAIN


def page_of(height: int) -> int:
    """How many rows a screen has room for."""
    return max(1, height - OTHER_LINES)


def screen(
    state: State, answer: Mapping[str, Any] | None, trouble: str, width: int, height: int
) -> list[Line]:
    """
    Give the lines of a screen, as many as it is high.

    ``answer`` is what the service said last, None before it did; ``trouble`` is why it says nothing now.
    """
    lines = _top(state, answer, width)
    page = page_of(height)
    if state.helps:
        lines += [Line(fitted(f"  {one}", width).rstrip()) for one in HELP[:page]]
    elif answer is not None:
        lines += _rows(state, rows_of(state, answer), answer["now"], width, page)
    lines = lines[: max(0, height - 1)]
    lines += [Line("")] * (height - 1 - len(lines))
    return [*lines, _foot(state, trouble, width)][:height]


def rows_of(state: State, answer: Mapping[str, Any] | None) -> Sequence[Row]:
    """The rows of an answer, of the kind that is looked at."""
    rows: Sequence[Row] = answer["people" if state.view is View.PEOPLE else "running"] if answer else ()
    return rows


def _top(state: State, answer: Mapping[str, Any] | None, width: int) -> list[Line]:
    if answer is None:
        above = [Line("asking the service ..."), Line("")]
    else:
        rates, counts = summary(answer, width)
        what = f"   {answer['found']} {'people' if state.view is View.PEOPLE else 'exchanges'}"
        only = f" with '{printable(state.text)}'" if state.text else ""
        still = "   STANDING STILL" if state.still else ""
        above = [
            Line(rates, Mark.STRONG),
            Line(fitted(f"{counts}{what}{only}{still}", width).rstrip()),
        ]
    return [*above, Line(fitted(heading(state.view, state.sort, width), width), Mark.HEADING)]


def _rows(state: State, rows: Sequence[Row], now: float, width: int, page: int) -> list[Line]:
    if not rows:
        return [Line("nothing with this text" if state.text else "nobody is there now")]
    first = max(0, min(state.chosen - page + 1, len(rows) - page))
    shown = []
    for number, row in enumerate(rows[first : first + page], first):
        line = row_line(state.view, row, now, width)
        chosen = number == state.chosen
        mark = Mark.CHOSEN if chosen else Mark.WARNING if is_marked(row) else Mark.PLAIN
        shown.append(Line(fitted(line, width) if chosen else line, mark))
    return shown


def _foot(state: State, trouble: str, width: int) -> Line:
    if state.typing is Typing.WHY:
        reference, who = state.ending
        what = f"end {reference} of {who}" if reference else f"end all that runs for {who}"
        said = state.said or f"{printable(what)}; {state.typing.value}{state.typed}_"
        return Line(fitted(said, width).rstrip(), Mark.STRONG)
    if state.typing is Typing.TEXT:
        return Line(fitted(f"{state.typing.value}{state.typed}_", width).rstrip(), Mark.STRONG)
    said = state.said or trouble
    return Line(fitted(printable(said) or KEYS, width).rstrip(), Mark.WARNING if said else Mark.PLAIN)
