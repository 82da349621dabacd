"""What keys do in ``corpproxy top``: a state and a key go in, a state and what is to be done come out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from corpproxy.accounting.present import Question, Sort, View
from corpproxy.cli.top_rows import Row

MAX_TYPED = 200

ENTER, ESCAPE, BACKSPACE = ("\n", "\r"), "\x1b", ("\x7f", "\b", "BACKSPACE")

# The letters by which rows are put in order.
SORT_KEYS = {
    "r": Sort.RATE,
    "d": Sort.DOWN,
    "u": Sort.UP,
    "m": Sort.MOVED,
    "a": Sort.AGE,
    "t": Sort.TUNNELS,
    "w": Sort.WHO,
    "h": Sort.HOST,
}

HELP = (
    "Tab     people, or what runs for them",
    "Enter   what runs for the person of the row",
    "/       show only what has a text in it; Esc shows all again",
    "Space   stand still, and go on",
    "e       end what the row shows, with a reason for the record",
    "arrows  choose a row (or k and j; Page Up and Down, Home and End)",
    "order   r rate  d down  u up  m moved  t tunnels  a age  w who  h host",
    "q       leave",
)


class Typing(Enum):
    """What is being typed."""

    NOTHING = ""
    TEXT = "show only: "
    WHY = "why (for the record): "


@dataclass(frozen=True, slots=True)
class End:
    """Something is to be ended: one exchange, or all of a person."""

    reference: str
    who: str
    why: str


QUIT = "quit"


@dataclass(frozen=True, slots=True)
class State:
    """What is looked at, and how: ``chosen`` is the number of the row; ``said`` is a message to show."""

    view: View = View.PEOPLE
    sort: Sort = Sort.RATE
    text: str = ""
    chosen: int = 0
    still: bool = False
    helps: bool = False
    typing: Typing = Typing.NOTHING
    typed: str = ""
    # What is to end once the reason is typed: a reference and whose.
    ending: tuple[str, str] = ("", "")
    said: str = ""

    def question(self, limit: int) -> Question:
        """What is to be asked of the service."""
        return Question(self.view, self.sort, self.text, limit)


Act = End | str | None


def press(state: State, key: str, rows: Sequence[Row], page: int) -> tuple[State, Act]:
    """Do what a key says; ``rows`` are those that are shown, ``page`` is how many fit."""
    state = replace(state, said="")
    if state.typing is not Typing.NOTHING:
        return _type(state, key)
    if state.helps:
        return replace(state, helps=False), (QUIT if key == "q" else None)
    if key in _MOVES:
        chosen = _MOVES[key](state.chosen, page, len(rows))
        return replace(state, chosen=max(0, min(chosen, len(rows) - 1))), None
    if key in SORT_KEYS:
        return replace(state, sort=SORT_KEYS[key], chosen=0), None
    return _command(state, key, rows)


def _command(state: State, key: str, rows: Sequence[Row]) -> tuple[State, Act]:
    row = rows[state.chosen] if state.chosen < len(rows) else None
    if key == "q":
        return state, QUIT
    if key == "\t":
        view = View.RUNNING if state.view is View.PEOPLE else View.PEOPLE
        return replace(state, view=view, chosen=0), None
    if key == " ":
        return replace(state, still=not state.still), None
    if key == "?":
        return replace(state, helps=True), None
    if key == "/":
        return replace(state, typing=Typing.TEXT, typed=state.text), None
    if key == ESCAPE:
        return replace(state, text="", chosen=0), None
    if key in ENTER and row is not None and state.view is View.PEOPLE:
        return replace(state, view=View.RUNNING, text=row["who"], chosen=0), None
    if key == "e" and row is not None:
        ending = (row["reference"], row["who"]) if state.view is View.RUNNING else ("", row["who"])
        return replace(state, typing=Typing.WHY, typed="", ending=ending, still=True), None
    return state, None


def _type(state: State, key: str) -> tuple[State, Act]:
    """A text is being typed."""
    done = replace(state, typing=Typing.NOTHING, typed="", ending=("", ""))
    if key == ESCAPE:
        return (replace(done, still=False) if state.typing is Typing.WHY else done), None
    if key in BACKSPACE:
        return replace(state, typed=state.typed[:-1]), None
    if key not in ENTER:
        typed = state.typed + key if len(key) == 1 and key.isprintable() else state.typed
        return replace(state, typed=typed[:MAX_TYPED]), None
    if state.typing is Typing.TEXT:
        return replace(done, text=state.typed.strip(), chosen=0), None
    if not state.typed.strip():
        return replace(state, said="say why: the reason stands in the record"), None
    reference, who = state.ending
    return replace(done, still=False), End(reference, "" if reference else who, state.typed.strip())


_MOVES: Mapping[str, Callable[[int, int, int], int]] = {
    "UP": lambda at, page, count: at - 1,
    "k": lambda at, page, count: at - 1,
    "DOWN": lambda at, page, count: at + 1,
    "j": lambda at, page, count: at + 1,
    "PAGE_UP": lambda at, page, count: at - page,
    "PAGE_DOWN": lambda at, page, count: at + page,
    "HOME": lambda at, page, count: 0,
    "END": lambda at, page, count: count - 1,
}
