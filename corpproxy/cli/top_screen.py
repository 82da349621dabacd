"""The whole screen of ``corpproxy top``, as marked lines: pure, so that it can be looked at in tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, NamedTuple

from corpproxy.accounting.present import View
from corpproxy.audit.line import printable
from corpproxy.cli.top_keys import HELP, State, Typing
from corpproxy.cli.top_rows import Row, detail, heading, is_marked, row_line, summary
from corpproxy.reports.aligned import fitted

# The lines around the rows: three above, the heading, the row that is chosen in full, and the foot.
OTHER_LINES = 6

KEYS = "q leave  Tab people/running  Enter theirs  / find  <> order  e end  ? all keys"


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
    page, rows = page_of(height), rows_of(state, answer)
    lines = _top(state, answer, width)
    if state.helps:
        lines += [Line(fitted(f"  {one}", width).rstrip()) for one in HELP[: height - len(lines) - 1]]
    elif answer is not None:
        lines += _rows(state, rows, answer["now"], width, page)
    below = [_chosen(state, rows, answer, width), _foot(state, trouble, width)][-height:]
    lines = lines[: max(0, height - len(below))]
    return [*lines, *[Line("")] * (height - len(lines) - len(below)), *below]


def rows_of(state: State, answer: Mapping[str, Any] | None) -> Sequence[Row]:
    """The rows of an answer, of the kind that is looked at."""
    rows: Sequence[Row] = answer["people" if state.view is View.PEOPLE else "running"] if answer else ()
    return rows


def _top(state: State, answer: Mapping[str, Any] | None, width: int) -> list[Line]:
    rates, counts = (
        (fitted("asking the service ...", width).rstrip(), "") if answer is None else summary(answer, width)
    )
    above = [Line(rates, Mark.STRONG), Line(counts), Line(fitted(_looked_at(state, answer), width).rstrip())]
    titles = fitted(heading(state.view, state.sort, width, backwards=state.backwards), width)
    return [*above, Line(titles, Mark.HEADING)]


def _looked_at(state: State, answer: Mapping[str, Any] | None) -> str:
    what = "people" if state.view is View.PEOPLE else "exchanges"
    parts = [f"{answer['found']} {what}" if answer is not None else what]
    parts += [f"of {state.who}"] if state.who else []
    parts += [f"with '{state.text}'"] if state.text else []
    parts += [f"by {state.sort}{', turned round' if state.backwards else ''}"]
    parts += ["with pseudonyms, as in the record"] if answer is not None and answer["pseudonyms"] else []
    parts += ["STANDING STILL"] if state.still else []
    return printable("  ".join(parts))


def _rows(state: State, rows: Sequence[Row], now: float, width: int, page: int) -> list[Line]:
    if not rows:
        return [Line(fitted(_nothing(state), width).rstrip())]
    first = max(0, min(state.at - page + 1, len(rows) - page))
    shown = []
    for number, row in enumerate(rows[first : first + page], first):
        line = row_line(state.view, row, now, width)
        chosen = number == state.at
        mark = Mark.CHOSEN if chosen else Mark.WARNING if is_marked(row) else Mark.PLAIN
        shown.append(Line(fitted(line, width) if chosen else line, mark))
    return shown


def _nothing(state: State) -> str:
    if state.text:
        return "nothing has this text in it; Esc shows all"
    if state.who:
        return "nothing runs for them now; Backspace leads back to all"
    return "nobody is there now" if state.view is View.PEOPLE else "nothing runs now"


def _chosen(state: State, rows: Sequence[Row], answer: Mapping[str, Any] | None, width: int) -> Line:
    if answer is None or state.helps or state.at >= len(rows):
        return Line("")
    return Line(fitted(detail(state.view, rows[state.at], answer["now"]), width).rstrip(), Mark.STRONG)


def _foot(state: State, trouble: str, width: int) -> Line:
    if state.typing is Typing.NOTHING:
        said = state.said or trouble
        return Line(fitted(printable(said) or KEYS, width).rstrip(), Mark.WARNING if said else Mark.PLAIN)
    if state.said:
        return Line(fitted(printable(state.said), width).rstrip(), Mark.WARNING)
    return Line(_typed(f"{_asked(state)}{state.typing.value}", state.typed, width), Mark.STRONG)


def _asked(state: State) -> str:
    """What is to end, where a reason is asked for."""
    reference, who = state.ending
    if state.typing is not Typing.WHY:
        return ""
    return printable(f"end {reference} of {who}; " if reference else f"end all that runs for {who}; ")


def _typed(before: str, typed: str, width: int) -> str:
    """A line in which somebody types: its end is seen, where there is no room for all of it."""
    room = max(1, width - len(before) - 2)
    return fitted(f"{before}{typed[-room:]}_", width).rstrip()
