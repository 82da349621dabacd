"""What keys do in ``corpproxy top``: a state and a key go in, a state and what is to be done come out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from corpproxy.accounting.present import SORTS, Question, Sort, View
from corpproxy.cli.top_rows import Row

MAX_TYPED = 200

ENTER, ESCAPE, BACKSPACE = ("\n", "\r"), "\x1b", ("\x7f", "\b", "BACKSPACE")

# The letters by which rows are put in order; the rest is reached with < and >.
SORT_KEYS = {
    "r": Sort.RATE,
    "d": Sort.DOWN,
    "u": Sort.UP,
    "m": Sort.MOVED,
    "a": Sort.AGE,
    "t": Sort.TUNNELS,
    "o": Sort.QUOTA,
    "s": Sort.SLOWED,
    "w": Sort.WHO,
    "h": Sort.HOST,
}

HELP = (
    "Tab     people, or what runs for them",
    "Enter   what runs for the person of the row; Backspace leads back to all",
    "/       show only what has a text in it; Esc shows all again",
    "Space   stand still, and go on",
    "e       end what the row shows; a reason for the record is asked for",
    "E       end all that runs for the person of the row, in the same way",
    "arrows  choose a row (or k and j; Page Up and Down, Home and End)",
    "< >     order by the column before, behind;  - turns the order round",
    "order   r rate  d down  u up  m moved  t tunnels  a age",
    "        o quota  s slowed  w who  h host",
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
    """
    What is looked at, and how.

    ``chosen`` names the row that is chosen, by what stays the same when rows change their places; ``at`` is
    where it was, for when it has gone.  ``who`` is one person whose rows alone are shown.  ``said`` is a
    message to show.  ``ending`` is what ends once the reason is typed: a reference and whose.
    """

    view: View = View.PEOPLE
    sort: Sort = Sort.RATE
    text: str = ""
    who: str = ""
    backwards: bool = False
    chosen: str = ""
    at: int = 0
    still: bool = False
    helps: bool = False
    typing: Typing = Typing.NOTHING
    typed: str = ""
    ending: tuple[str, str] = ("", "")
    said: str = ""

    def question(self, page: int) -> Question:
        """What is to be asked of the service: so many rows that one can go a page on."""
        return Question(self.view, self.sort, self.text, self.at + 2 * page, self.who, self.backwards)


Act = End | str | None


def key_of(view: View, row: Row) -> str:
    """What names a row for as long as it is there."""
    return str(row["who"] if view is View.PEOPLE else row["reference"])


def settled(state: State, rows: Sequence[Row]) -> State:
    """Stay on the row that was chosen when rows have changed their places, or near where it was."""
    for number, row in enumerate(rows):
        if state.chosen and key_of(state.view, row) == state.chosen:
            return replace(state, at=number)
    return _moved_to(state, rows, state.at) if state.chosen else state


def press(state: State, key: str, rows: Sequence[Row], page: int) -> tuple[State, Act]:
    """Do what a key says; ``rows`` are those that are shown, ``page`` is how many fit."""
    state = replace(state, said="")
    if state.typing is not Typing.NOTHING:
        return _type(state, key)
    if state.helps:
        return replace(state, helps=False), (QUIT if key == "q" else None)
    if key in _MOVES:
        return _moved_to(state, rows, _MOVES[key](state.at, page, len(rows))), None
    if key in SORT_KEYS:
        return _in_order_of(state, SORT_KEYS[key]), None
    if key in _STEPS:
        return _in_order_of(state, _beside(state, _STEPS[key])), None
    return _command(state, key, rows)


def _moved_to(state: State, rows: Sequence[Row], at: int) -> State:
    at = max(0, min(at, len(rows) - 1))
    return replace(state, at=at, chosen=key_of(state.view, rows[at]) if rows else "")


def _in_order_of(state: State, sort: Sort) -> State:
    if sort not in SORTS[state.view]:
        return replace(state, said=f"these rows have no order by {sort}")
    return replace(state, sort=sort, at=0, chosen="")


def _beside(state: State, step: int) -> Sort:
    sorts = SORTS[state.view]
    return sorts[(sorts.index(state.sort) + step) % len(sorts)]


def _turned_to(state: State, view: View, who: str = "") -> State:
    """Look at rows of another kind; an order that they have not becomes the usual one."""
    sort = state.sort if state.sort in SORTS[view] else Sort.RATE
    return replace(state, view=view, sort=sort, who=who, at=0, chosen="")


def _command(state: State, key: str, rows: Sequence[Row]) -> tuple[State, Act]:
    row = rows[state.at] if state.at < len(rows) else None
    if key == "q":
        return state, QUIT
    if row is not None and key in ENTER:
        return _turned_to(replace(state, text=""), View.RUNNING, row["who"]), None
    if row is not None and key in ("e", "E"):
        reference = row["reference"] if key == "e" and state.view is View.RUNNING else ""
        return replace(state, typing=Typing.WHY, typed="", ending=(reference, row["who"])), None
    change = _CHANGES.get(key)
    return (change(state) if change is not None else state), None


def _back(state: State) -> State:
    return _turned_to(state, View.PEOPLE) if state.who else state


def _all_again(state: State) -> State:
    return replace(state, text="", who="", at=0, chosen="")


def _other_view(state: State) -> State:
    return _turned_to(state, View.RUNNING if state.view is View.PEOPLE else View.PEOPLE)


def _type(state: State, key: str) -> tuple[State, Act]:
    """A text is being typed."""
    done = replace(state, typing=Typing.NOTHING, typed="", ending=("", ""))
    if key == ESCAPE:
        return done, None
    if key in BACKSPACE:
        return replace(state, typed=state.typed[:-1]), None
    if key not in ENTER:
        typed = state.typed + key if len(key) == 1 and key.isprintable() else state.typed
        return replace(state, typed=typed[:MAX_TYPED]), None
    if state.typing is Typing.TEXT:
        return replace(done, text=state.typed.strip(), at=0, chosen=""), None
    if not state.typed.strip():
        return replace(state, said="say why: the reason stands in the record; Esc ends nothing"), None
    reference, who = state.ending
    return done, End(reference, "" if reference else who, state.typed.strip())


_CHANGES: Mapping[str, Callable[[State], State]] = {
    "\t": _other_view,
    " ": lambda state: replace(state, still=not state.still),
    "?": lambda state: replace(state, helps=True),
    "/": lambda state: replace(state, typing=Typing.TEXT, typed=state.text),
    "-": lambda state: replace(state, backwards=not state.backwards, at=0, chosen=""),
    ESCAPE: _all_again,
    **dict.fromkeys(BACKSPACE, _back),
}
_STEPS = {"<": -1, "LEFT": -1, ">": 1, "RIGHT": 1}
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
