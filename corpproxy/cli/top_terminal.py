"""``corpproxy top`` on a terminal: keys come in, screens go out, and the terminal is left as it was."""

from __future__ import annotations

import curses
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from corpproxy.accounting.present import MAX_ROWS
from corpproxy.cli.top_keys import ESCAPE, QUIT, End, State, press
from corpproxy.cli.top_screen import Line, Mark, page_of, rows_of, screen
from corpproxy.net.ask import ControlError

# How long a key is waited for before it is looked whether it is time to ask again.
KEY_MILLISECONDS = 100
# Rates are told from the second answer on, which comes sooner than the others.
FIRST_SECONDS = 1.0
# A key that sends an escape sequence sends it at once.
ESCAPE_MILLISECONDS = 50

_NAMES = {
    curses.KEY_UP: "UP",
    curses.KEY_DOWN: "DOWN",
    curses.KEY_PPAGE: "PAGE_UP",
    curses.KEY_NPAGE: "PAGE_DOWN",
    curses.KEY_HOME: "HOME",
    curses.KEY_END: "END",
    curses.KEY_BACKSPACE: "BACKSPACE",
    curses.KEY_ENTER: "\n",
    curses.KEY_BTAB: "\t",
}

Asks = Callable[..., dict[str, Any]]


class Terminal:
    """
    One sitting in front of the terminal.

    ``ask`` gives a command to the service; ``every`` is how many seconds are between two questions.
    """

    def __init__(self, ask: Asks, state: State, every: float) -> None:
        self._ask = ask
        self._state = state
        self._every = every
        self._answer: Mapping[str, Any] | None = None
        self._trouble = ""
        self._next = 0.0

    def run(self) -> None:
        """Show what there is until somebody leaves; the terminal is then as it was, however this ends."""
        os.environ.setdefault("ESCDELAY", str(ESCAPE_MILLISECONDS))
        before = signal.signal(signal.SIGTERM, _leave)
        try:
            curses.wrapper(self._sit)
        except KeyboardInterrupt:
            pass
        finally:
            signal.signal(signal.SIGTERM, before)

    def _sit(self, window: curses.window) -> None:
        looks = _looks()
        window.timeout(KEY_MILLISECONDS)
        with _quietly():
            curses.curs_set(0)
        while True:
            now = time.monotonic()
            if now >= self._next and not self._state.still:
                self._look()
            height, width = window.getmaxyx()
            _draw(window, screen(self._state, self._answer, self._trouble, width, height), looks)
            key = _key(window)
            if key and self._press(key, page_of(height)):
                return

    def _look(self) -> None:
        """Ask the service; one that is away is asked again, and what it said last stays on the screen."""
        first = self._answer is None or not self._answer["seconds"]
        question = self._state.question(MAX_ROWS)
        try:
            self._answer = self._ask(
                "present", view=question.view, sort=question.sort, text=question.text, limit=question.limit
            )
            self._trouble = ""
        except ControlError as error:
            self._trouble = error.message
            first = False
        rows = rows_of(self._state, self._answer)
        self._state = replace(self._state, chosen=max(0, min(self._state.chosen, len(rows) - 1)))
        self._next = time.monotonic() + (FIRST_SECONDS if first else self._every)

    def _press(self, key: str, page: int) -> bool:
        """Do what a key says; whether it was to leave."""
        before = self._state
        self._state, act = press(before, key, rows_of(before, self._answer), page)
        if isinstance(act, End):
            self._end(act)
        after = self._state
        if (after.view, after.sort, after.text) != (before.view, before.sort, before.text):
            self._look()
        elif before.still and not after.still:
            self._next = 0.0
        return act == QUIT

    def _end(self, act: End) -> None:
        try:
            ended = self._ask("present-end", reference=act.reference, who=act.who, why=act.why)
            said = f"{ended['count']} ended of {ended['whom']}"
        except ControlError as error:
            said = error.message
        self._state = replace(self._state, said=said)
        self._next = 0.0


def _key(window: curses.window) -> str:
    """The next key by a name or a sign; empty when none was pressed in a while."""
    try:
        pressed = window.get_wch()
    except curses.error:
        return ""
    if isinstance(pressed, str):
        return pressed
    return _NAMES.get(pressed, "")


def _looks() -> Mapping[Mark, int]:
    """How lines look on this terminal; without colours where nobody wants or has them."""
    warning = curses.A_BOLD
    if not os.environ.get("NO_COLOR") and curses.has_colors():
        with _quietly():
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
    window.erase()
    for number, line in enumerate(lines):
        # The last cell of a screen cannot be written without a complaint.
        with _quietly():
            window.addstr(number, 0, line.text, looks[line.mark])
    window.refresh()


class _quietly:  # noqa: N801 - reads as a statement
    """What a terminal cannot do, it does without."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        return kind is not None and issubclass(kind, curses.error)


def _leave(number: int, frame: object) -> None:
    raise KeyboardInterrupt


__all__ = ["ESCAPE", "Terminal"]
