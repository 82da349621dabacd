"""``corpproxy top`` on a terminal: keys come in, screens go out, and the terminal is left as it was."""

from __future__ import annotations

import curses
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from corpproxy.accounting.present import Question
from corpproxy.cli.failed import CommandFailed
from corpproxy.cli.top_asking import Asking, Asks, Told
from corpproxy.cli.top_keys import QUIT, End, State, press, settled
from corpproxy.cli.top_screen import Line, Mark, page_of, rows_of, screen

# How long a key is waited for before it is looked what else there is.
KEY_MILLISECONDS = 100
# Rates are told from the second answer on, which comes sooner than the others.
FIRST_SECONDS = 1.0
# A key that sends an escape sequence sends it at once; over a slow line it takes a little.
ESCAPE_MILLISECONDS = 100

_NAMES = {
    curses.KEY_UP: "UP",
    curses.KEY_DOWN: "DOWN",
    curses.KEY_LEFT: "LEFT",
    curses.KEY_RIGHT: "RIGHT",
    curses.KEY_PPAGE: "PAGE_UP",
    curses.KEY_NPAGE: "PAGE_DOWN",
    curses.KEY_HOME: "HOME",
    curses.KEY_END: "END",
    curses.KEY_BACKSPACE: "BACKSPACE",
    curses.KEY_ENTER: "\n",
    curses.KEY_BTAB: "\t",
}


class _Ended(BaseException):
    """The system wants this to end; the number is that of its signal."""


class Terminal:
    """
    One sitting in front of the terminal.

    ``ask`` gives a command to the service; ``every`` is how many seconds are between two questions.
    """

    def __init__(
        self, ask: Asks, state: State, every: float, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._asking = Asking(ask)
        self._state = state
        self._every = every
        self._seconds = seconds
        self._answer: Mapping[str, Any] | None = None
        self._trouble = ""
        self._next = 0.0
        self._page = 1

    def run(self) -> int:
        """Show what there is until somebody leaves; the terminal is then as it was, however this ends."""
        os.environ.setdefault("ESCDELAY", str(ESCAPE_MILLISECONDS))
        try:
            # What is not known would end the program within the library, past all that tidies up.
            curses.setupterm()
        except curses.error as error:
            name = os.environ.get("TERM", "")
            raise CommandFailed(f"nothing can be drawn on this terminal (TERM={name}); use --once") from error
        with _ended_by(signal.SIGTERM, signal.SIGHUP):
            try:
                curses.wrapper(self._sit)
            except KeyboardInterrupt:
                return 0
            except _Ended as ended:
                return 128 + int(ended.args[0])
        return 0

    def _sit(self, window: curses.window) -> None:
        looks = _looks()
        window.timeout(KEY_MILLISECONDS)
        with suppress(curses.error):
            curses.curs_set(0)
        shown: list[Line] = []
        while True:
            height, width = window.getmaxyx()
            self._page = page_of(height)
            self._look()
            lines = screen(self._state, self._answer, self._trouble, width, height)
            if lines != shown:
                _draw(window, lines, looks)
                shown = lines
            key = _key(window)
            if key == "RESIZED":
                shown = []
            elif key and self._press(key):
                return

    def _look(self) -> None:
        """Take what the service said; ask it again when it is time."""
        for told in self._asking.told():
            self._hear(told)
        if self._seconds() >= self._next and not self._state.still and not self._asking.waits:
            self._ask()

    def _ask(self) -> None:
        question = self._state.question(self._page)
        self._next = self._seconds() + self._every
        self._asking.ask(
            question,
            "present",
            view=question.view,
            sort=question.sort,
            text=question.text,
            limit=question.limit,
            who=question.who,
            backwards=question.backwards,
        )

    def _hear(self, told: Told) -> None:
        """One that is away is asked again, and what it said last stays on the screen."""
        if isinstance(told.about, End):
            self._say(_what_ended(told))
            self._next = 0.0
        elif told.answer is None:
            self._trouble = f"no answer, asked again: {told.problem}"
        elif _is_same(told.about, self._state.question(self._page)):
            if self._trouble:
                self._say("the service answers again")
            self._answer, self._trouble = told.answer, ""
            self._state = settled(self._state, rows_of(self._state, told.answer))
            if not told.answer["seconds"]:
                self._next = self._seconds() + FIRST_SECONDS

    def _say(self, said: str) -> None:
        self._state = replace(self._state, said=said)

    def _press(self, key: str) -> bool:
        """Do what a key says; whether it was to leave."""
        before = self._state
        self._state, act = press(before, key, rows_of(before, self._answer), self._page)
        if isinstance(act, End):
            self._asking.ask(act, "present-end", reference=act.reference, who=act.who, why=act.why)
        after = self._state
        if (after.view, after.who) != (before.view, before.who):
            self._answer = None
        if not _is_same(before.question(self._page), after.question(self._page)):
            self._ask()
        elif after.question(self._page).limit > before.question(self._page).limit or not after.still:
            self._next = min(self._next, self._seconds()) if before.still and not after.still else self._next
        return act == QUIT


def _is_same(asked: object, question: Question) -> bool:
    """Whether an answer is about what is looked at now, however many rows were asked for."""
    return isinstance(asked, Question) and (
        (asked.view, asked.sort, asked.text, asked.who, asked.backwards)
        == (question.view, question.sort, question.text, question.who, question.backwards)
    )


def _what_ended(told: Told) -> str:
    if told.answer is None:
        return told.problem
    return f"{told.answer['count']} ended of {told.answer['whom']}"


def _key(window: curses.window) -> str:
    """The next key by a name or a sign; empty when none was pressed in a while."""
    try:
        pressed = window.get_wch()
    except curses.error:
        return ""
    if isinstance(pressed, str):
        return pressed
    return "RESIZED" if pressed == curses.KEY_RESIZE else _NAMES.get(pressed, "")


def _looks() -> Mapping[Mark, int]:
    """How lines look on this terminal; without colours where nobody wants or has them."""
    warning = curses.A_BOLD
    if not os.environ.get("NO_COLOR") and curses.has_colors():
        with suppress(curses.error):
            curses.use_default_colors()
            curses.init_pair(1, curses.COLOR_YELLOW, -1)
            warning = curses.color_pair(1)
    return {
        Mark.PLAIN: curses.A_NORMAL,
        Mark.STRONG: curses.A_BOLD,
        Mark.HEADING: curses.A_REVERSE,
        Mark.CHOSEN: curses.A_REVERSE | curses.A_BOLD,
        Mark.WARNING: warning,
    }


def _draw(window: curses.window, lines: list[Line], looks: Mapping[Mark, int]) -> None:
    encoding = window.encoding
    window.erase()
    for number, line in enumerate(lines):
        # A terminal that has not a sign shows a question mark.
        text = line.text.encode(encoding, "replace").decode(encoding)
        # The last cell of a screen cannot be written without a complaint.
        with suppress(curses.error):
            window.addstr(number, 0, text, looks[line.mark])
    window.refresh()


@contextmanager
def _ended_by(*signals: signal.Signals) -> Iterator[None]:
    """Let these signals end what is done here with all that tidies up."""
    before = {number: signal.signal(number, _end) for number in signals}
    try:
        yield
    finally:
        for number, was in before.items():
            signal.signal(number, was)


def _end(number: int, frame: object) -> None:
    raise _Ended(number)
