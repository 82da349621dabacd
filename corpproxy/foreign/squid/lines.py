"""
The lines of a Squid configuration: comments, continued lines, included files, conditions, quoted files.

What is read here is what Squid 5 and 6 read: a word that begins with ``#`` ends a line, ``\\`` at the end
of a line continues it, ``include`` takes patterns, and ``"..."`` around a word names a file of values unless
``configuration_includes_quoted_values`` is on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from corpproxy.config.files import Files
from corpproxy.errors import Place, Problem

# Squid itself stops at 16; a file that includes itself gets there.
MAX_DEPTH = 16
# The documented configuration has 10,000 lines, nearly all of them comments.
MAX_LINES = 200_000
# Comments right above a line are its author's words; longer ones are pages of the manual.
MAX_COMMENT_LINES = 4

_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')
_MACRO = re.compile(r"\$\{(process_name|process_number|service_name)\}")
_CONDITION = re.compile(r"if\s+(.*?)\s*")


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a line; ``is_quoted`` says that it stood in double quotes, which names a file of values."""

    text: str
    place: Place
    is_quoted: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """
    One directive with its words.

    ``text`` is the line as it stands, for reports; ``comment`` are the words of its author: those above it
    and those behind it.
    """

    name: str
    words: tuple[Word, ...]
    place: Place
    text: str
    comment: tuple[str, ...] = ()


@dataclass(slots=True)
class Lines:
    """All lines in their order, and what is wrong with the files."""

    lines: list[Line] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def say(self, place: Place, code: str, message: str, severity: str = "error") -> None:
        """Add a problem."""
        self.problems.append(Problem(place, code, message, severity))


def read_lines(path: Path, files: Files) -> Lines:
    """Read a configuration and everything that it includes."""
    reader = _Reader(files, path.parent)
    reader.read(path, Place(str(path)), 0)
    return reader.found


@dataclass(slots=True)
class _Reader:
    """Reads files into one list of lines; ``quoted_is_text`` is as the directive before it said."""

    files: Files
    folder: Path
    found: Lines = field(default_factory=Lines)
    quoted_is_text: bool = False

    def read(self, path: Path, asked: Place, depth: int) -> None:
        text = text_of(path, self.files, asked, self.found)
        if text is None:
            return
        # For each `if` that is open: whether its lines count.
        open_ifs: list[bool] = []
        for line in _joined(text, str(path)):
            if len(self.found.lines) >= MAX_LINES:
                self.found.say(line.place, "too-large", f"more than {MAX_LINES} lines are no configuration")
                return
            if not self._is_condition(line, open_ifs) and all(open_ifs):
                self._take(line, depth)
        if open_ifs:
            self.found.say(Place(str(path)), "squid-if", "an 'if' has no 'endif'; the file ends before it")

    def _take(self, line: Line, depth: int) -> None:
        if line.name == "include":
            self._include(line, depth)
            return
        if line.name == "configuration_includes_quoted_values":
            self.quoted_is_text = [word.text for word in line.words] == ["on"]
        if self.quoted_is_text:
            line = replace(line, words=tuple(replace(word, is_quoted=False) for word in line.words))
        self.found.lines.append(line)

    def _include(self, line: Line, depth: int) -> None:
        if depth >= MAX_DEPTH:
            self.found.say(line.place, "squid-include", "files include each other too deep; is it a circle?")
            return
        for word in line.words:
            paths = self._paths(word.text)
            if not paths:
                self.found.say(word.place, "file-missing", f"there is no file {word.text}")
            for path in paths:
                self.read(path, word.place, depth + 1)

    def _paths(self, written: str) -> Sequence[Path]:
        """The files that an ``include`` means; in a copy of ``/etc/squid`` those beside the configuration."""
        path = self.folder / written
        if not any(character in written for character in "*?["):
            return [found] if (found := find_file(written, self.folder, self.files)) else []
        return self.files.glob(path.parent, path.name) or self.files.glob(self.folder, path.name)

    def _is_condition(self, line: Line, open_ifs: list[bool]) -> bool:
        """Whether a line is part of ``if ... else ... endif``, which is taken account of."""
        if line.name == "if":
            open_ifs.append(self._holds(line))
        elif line.name in ("else", "endif") and not line.words:
            if not open_ifs:
                self.found.say(line.place, "squid-if", f"'{line.name}' has no 'if' before it")
            elif line.name == "else":
                open_ifs[-1] = not open_ifs[-1]
            else:
                open_ifs.pop()
        else:
            return False
        return True

    def _holds(self, line: Line) -> bool:
        """Whether a condition holds in a single process, which is number 1."""
        words = [word.text for word in line.words]
        if words in (["true"], ["false"]):
            return words == ["true"]
        if len(words) == 3 and words[1] == "=" and all(re.fullmatch("-?[0-9]+", one) for one in words[::2]):
            return int(words[0]) == int(words[2])
        said = "after 'if' comes true, false, or two numbers with = between them"
        self.found.say(line.place, "squid-if", said)
        return False


def text_of(path: Path, files: Files, asked: Place, found: Lines) -> str | None:
    """The text of a file, or None after a problem was told at the place that asks for it."""
    try:
        octets = files.read(path)
    except FileNotFoundError:
        found.say(asked, "file-missing", f"there is no file {path}")
    except OSError as error:
        found.say(asked, "file-unreadable", f"cannot read {path}: {error.strerror or error}")
    else:
        if b"\0" in octets:
            found.say(Place(str(path)), "control-character", "this is no text: there are NUL octets in it")
            return None
        # Comments are in whatever encoding their author had; nothing that decides is beyond ASCII.
        return octets.decode("utf-8", "replace").removeprefix("\ufeff")
    return None


def find_file(written: str, folder: Path, files: Files) -> Path | None:
    """
    The file that a configuration names.

    In a copy that lies elsewhere, ``/etc/squid/blocked.txt`` is ``blocked.txt`` beside it.
    """
    path = folder / written
    for place in (path, folder / path.name):
        if files.exists(place):
            return place
    return None


def words_of(text: str, file: str, number: int, column: int = 1) -> tuple[list[Word], str]:
    """The words of a line and the comment behind them."""
    words: list[Word] = []
    for match in _WORD.finditer(text):
        if match[0].startswith("#"):
            return words, text[match.start() :].lstrip("#").strip()
        place = Place(file, number, column + match.start())
        quoted = match[1]
        plain = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else match[2]
        words.append(Word(_MACRO.sub(_expanded, plain), place, quoted is not None))
    return words, ""


def _expanded(macro: re.Match[str]) -> str:
    return {"process_name": "squid", "process_number": "1", "service_name": "squid"}[macro[1]]


def _joined(text: str, file: str) -> Iterator[Line]:
    """The lines of a text with continued ones joined, each with the comment above it."""
    above: list[str] = []
    waiting = ""
    began = 0
    words: list[Word] = []
    for number, raw in enumerate(text.splitlines(), 1):
        bare = raw.strip()
        if not waiting and (not bare or bare.startswith("#")):
            above = [*above, bare.lstrip("#").strip()] if bare else []
            continue
        began = began or number
        is_continued = raw.endswith("\\")
        piece = raw.removesuffix("\\") if is_continued else raw
        more, behind = words_of(piece, file, number)
        words += more
        waiting = f"{waiting} {' '.join(piece.split())}".strip() or " "
        if is_continued:
            continue
        if words:
            yield _line(words, waiting.strip(), above, behind)
        waiting, began, words, above = "", 0, [], []
    if words:
        yield _line(words, waiting.strip(), above, "")


def _line(words: list[Word], text: str, above: list[str], behind: str) -> Line:
    said = [one for one in above if one] if len(above) <= MAX_COMMENT_LINES else []
    comment = (*said, behind) if behind else tuple(said)
    return Line(words[0].text, tuple(words[1:]), words[0].place, text, comment)
