"""
Storyboards: e2guardian's small language in which lists are asked, followed in all ways that it can go.

A storyboard is a program.  It is run here once for each way that a request can take through it; what comes
out is a list of conditions with what then happens, of which the first that holds decides, which is what our
rules are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from corpproxy.errors import NOWHERE, Place
from corpproxy.foreign.e2guardian.settings import Folder

MAX_DEPTH = 40
# A storyboard as it is shipped has some twenty ways through it.
MAX_WAYS = 2_000

_FUNCTION = re.compile(r"function\(\s*([A-Za-z0-9_-]+)\s*\)")
_STATEMENT = re.compile(r"(if|ifnot)\(\s*([^)]*?)\s*\)\s*(?:(return|returnif)\s+)?([A-Za-z0-9_-]*)\s*")
_INCLUDE = re.compile(r"\.Include<([^>]*)>\s*")


@dataclass(frozen=True, slots=True)
class Statement:
    """One line: ``if(sitein, banned) return setblock``."""

    wants: bool
    state: str
    list: str
    how: str
    action: str
    place: Place


@dataclass(frozen=True, slots=True)
class Test:
    """What a way asks of a request: a state (``sitein``, ``urlin``, ``clientin``) and the name of a list."""

    state: str
    list: str
    place: Place


@dataclass(frozen=True, slots=True)
class Way:
    """One way through a storyboard: what it asks, and what happens (``allow``, ``block``, ``goes on``)."""

    tests: tuple[Test, ...]
    outcome: str
    place: Place


Story = Mapping[str, Sequence[Statement]]


def read_story(folder: Folder, written: str, asked: Place) -> dict[str, list[Statement]]:
    """Read a storyboard and what it includes; a function that comes again takes the place of the first."""
    return _read(folder, written, asked, {})


def _read(
    folder: Folder, written: str, asked: Place, known: dict[Path, dict[str, list[Statement]] | None]
) -> dict[str, list[Statement]]:
    """Read one file of it; ``known`` are those that were read, None while they are."""
    found = folder.lines(written, asked)
    if found is None:
        return {}
    path, lines = found
    if path in known:
        before = known[path]
        if before is None:
            folder.say(
                asked, "e2guardian-story", f"'{written}' includes itself here; that is left out", "warning"
            )
        return before or {}
    known[path] = None
    story = known[path] = _functions(folder, path, lines, known)
    return story


def _functions(
    folder: Folder, path: Path, lines: Sequence[str], known: dict[Path, dict[str, list[Statement]] | None]
) -> dict[str, list[Statement]]:
    story: dict[str, list[Statement]] = {}
    current: list[Statement] | None = None
    for number, line in enumerate(lines, 1):
        bare = line.partition("#")[0].strip()
        place = Place(str(path), number, 1)
        if not bare:
            continue
        if match := _INCLUDE.fullmatch(bare):
            story |= _read(folder, match[1], place, known)
        elif match := _FUNCTION.fullmatch(bare):
            current = story[match[1]] = []
        elif (match := _STATEMENT.fullmatch(bare)) and current is not None:
            state, _, rest = match[2].partition(",")
            name = rest.partition(",")[0].strip()
            current.append(Statement(match[1] == "if", state.strip(), name, match[3] or "", match[4], place))
        else:
            folder.say(place, "e2guardian-story", f"'{bare[:60]}' is no line of a storyboard")
    return story


@dataclass(frozen=True, slots=True)
class _State:
    """What is set at one point of a way."""

    flags: frozenset[str] = frozenset()
    tests: tuple[Test, ...] = ()
    returned: bool = False
    place: Place = NOWHERE


# Goes on with the state after a function, and what it gave.
_Then = Callable[[_State, bool], Iterator[Way]]

_SETS = {
    "setexception": "exceptionset",
    "setgrey": "greyset",
    "setblock": "blockset",
    "setredirect": "redirectset",
    "setdone": "doneset",
}
# What cannot be set here gives no.
_NEVER_SET = frozenset({"setgomitm", "setautomitm", "setconnectsite", "setmodurl", "setmodheader"})


class Storyboard:
    """
    Follows a storyboard.

    ``asks`` says of a test whether it is always so (True), never (False), or depends on the request (None).
    Raises ValueError when there are too many ways.
    """

    def __init__(self, story: Story, asks: Callable[[Test], bool | None]) -> None:
        self._story = story
        self._asks = asks
        self._count = 0

    def ways(self, function: str, *, connect: bool) -> list[Way]:
        """All ways from a function to its end, in the order in which they are to be tried."""
        self._count = 0
        start = _State(frozenset({"connect"} if connect else ()))
        return list(self._call(function, start, 0, _ended))

    def _call(self, function: str, state: _State, depth: int, then: _Then) -> Iterator[Way]:
        if depth > MAX_DEPTH:
            raise ValueError(f"function '{function}' calls itself")
        yield from self._from(self._story.get(function, ()), 0, state, depth, then)

    def _from(
        self, lines: Sequence[Statement], number: int, state: _State, depth: int, then: _Then
    ) -> Iterator[Way]:
        """The ways from one line of a function on."""
        if number >= len(lines):
            yield from then(state, False)
            return
        line = lines[number]
        holds = self._holds(line, state)

        def next_line(after: _State) -> Iterator[Way]:
            return self._from(lines, number + 1, after, depth, then)

        if holds is None:
            self._count += 1
            if self._count > MAX_WAYS:
                raise ValueError("it can go too many ways")
            test = Test(line.state, line.list, line.place)
            if line.wants:
                yield from self._act(line, replace(state, tests=(*state.tests, test)), depth, next_line, then)
                yield from next_line(state)
            else:
                yield from next_line(replace(state, tests=(*state.tests, test)))
                yield from self._act(line, state, depth, next_line, then)
        elif holds == line.wants:
            yield from self._act(line, state, depth, next_line, then)
        else:
            yield from next_line(state)

    def _holds(self, line: Statement, state: _State) -> bool | None:
        if line.state == "true":
            return True
        if line.state == "returnset":
            return state.returned
        if line.state.endswith("set") or line.state == "connect":
            return line.state in state.flags
        return self._asks(Test(line.state, line.list, line.place))

    def _act(
        self,
        line: Statement,
        state: _State,
        depth: int,
        next_line: Callable[[_State], Iterator[Way]],
        then: _Then,
    ) -> Iterator[Way]:
        def after(done: _State, gave: bool) -> Iterator[Way]:
            if line.how == "return" or (line.how == "returnif" and gave):
                return then(done, gave)
            return next_line(replace(done, returned=gave))

        state = replace(state, place=line.place)
        if line.action in self._story:
            yield from self._call(line.action, state, depth + 1, after)
        elif line.action in _SETS:
            yield from after(replace(state, flags=state.flags | {_SETS[line.action]}), True)
        else:
            yield from after(state, line.action not in _NEVER_SET | {"false", ""})


def _ended(state: _State, gave: bool) -> Iterator[Way]:
    if "blockset" in state.flags:
        outcome = "block"
    elif "exceptionset" in state.flags:
        outcome = "allow"
    else:
        outcome = "goes on"
    yield Way(state.tests, outcome, state.place)
