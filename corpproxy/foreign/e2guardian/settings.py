"""The files of e2guardian: ``name = 'value'`` lines, and lists with times and further files in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from posixpath import normpath

from corpproxy.config.files import Files
from corpproxy.errors import Place, Problem

# Lists include lists; one that includes itself would never end.
MAX_DEPTH = 8
# All categories of a public collection together; more would not be read in a lifetime of patience.
MAX_ENTRIES = 8_000_000

_SETTING = re.compile(r"\s*([A-Za-z0-9_-]+)\s*=\s*(?:'([^']*)'|([^#]*?))\s*(?:#.*)?")
_INCLUDE = re.compile(r"\.Include<([^>]*)>\s*")
_DEFINE = re.compile(r"\.Define\s+([A-Za-z0-9]+)\s*<([^>]*)>\s*(?:#.*)?")
_TIME = re.compile(r"#time:\s*([0-9]{1,2})\s+([0-9]{1,2})\s+([0-9]{1,2})\s+([0-9]{1,2})\s+([0-6]+)\s*")


@dataclass(frozen=True, slots=True)
class Setting:
    """One line of a settings file."""

    name: str
    value: str
    place: Place
    text: str


@dataclass(frozen=True, slots=True)
class Hours:
    """When a list counts: minutes of the day, and days of which 0 is Monday."""

    first: int
    end: int
    days: frozenset[int]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a list."""

    text: str
    place: Place


@dataclass(slots=True)
class ListFile:
    """One file of a list: its entries, and when they count (None is always)."""

    path: Path
    entries: list[Entry] = field(default_factory=list)
    hours: Hours | None = None


@dataclass(slots=True)
class Folder:
    """
    The folder of a configuration, wherever it was copied to.

    Paths in it are those of the machine that it ran on: ``/etc/e2guardian/lists/x`` is looked for as
    ``lists/x`` here, before it is looked for there.
    """

    path: Path
    files: Files
    problems: list[Problem] = field(default_factory=list)
    read_files: dict[Path, list[str]] = field(default_factory=dict)
    defined: dict[str, str] = field(default_factory=dict)

    def say(self, place: Place, code: str, message: str, severity: str = "error") -> None:
        """Add a problem."""
        self.problems.append(Problem(place, code, message, severity))

    def find(self, written: str) -> Path | None:
        """The file that a path of the configuration means."""
        written = self.expanded(written)
        parts = Path(normpath(written)).parts
        below = [part for part in parts if part not in ("/", "..")]
        for number in range(len(below)):
            path = self.path.joinpath(*below[number:])
            if self.files.exists(path):
                return path
        return Path(written) if self.files.exists(Path(written)) else None

    def expanded(self, written: str) -> str:
        """A text with what ``.Define`` gave a name in the place of ``__NAME__``."""
        for name, value in self.defined.items():
            written = written.replace(f"__{name}__", value)
        return written

    def lines(self, written: str, asked: Place) -> tuple[Path, list[str]] | None:
        """The lines of a file, or None after a problem was told at the place that asks for it."""
        path = self.find(written)
        if path is None:
            self.say(asked, "file-missing", f"there is no file {written}", "warning")
            return None
        if path not in self.read_files:
            try:
                # Lists are in whatever encoding their author had; names of hosts are ASCII.
                self.read_files[path] = self.files.read(path).decode("utf-8", "replace").splitlines()
            except OSError as error:
                said = f"cannot read {path}: {error.strerror or error}"
                self.say(asked, "file-unreadable", said, "warning")
                return None
        return path, self.read_files[path]

    def settings(self, written: str, asked: Place, depth: int = 0) -> list[Setting]:
        """The settings in a file and in those that it includes."""
        found = self.lines(written, asked)
        if found is None or not self._may_go_deeper(depth, asked):
            return []
        path, lines = found
        made: list[Setting] = []
        for number, line in enumerate(lines, 1):
            place = Place(str(path), number, 1)
            bare = line.strip()
            if not bare or bare.startswith("#"):
                continue
            if match := _DEFINE.fullmatch(bare):
                self.defined[match[1]] = match[2]
            elif match := _INCLUDE.fullmatch(bare):
                made += self.settings(match[1], place, depth + 1)
            elif match := _SETTING.fullmatch(line):
                value = match[2] if match[2] is not None else match[3] or ""
                made.append(Setting(match[1].lower(), self.expanded(value.strip()), place, bare))
            else:
                self.say(place, "e2guardian-setting", f"'{bare[:60]}' is no setting; they are name = 'value'")
        return made

    def list_files(self, written: str, asked: Place, depth: int = 0) -> Iterator[ListFile]:
        """A list: its own file, and those that it includes."""
        found = self.lines(written, asked)
        if found is None or not self._may_go_deeper(depth, asked):
            return
        path, lines = found
        made = ListFile(path)
        included: list[ListFile] = []
        for number, line in enumerate(lines, 1):
            place = Place(str(path), number, 1)
            bare = line.strip()
            if match := _INCLUDE.match(bare):
                included += self.list_files(match[1], place, depth + 1)
            elif match := _TIME.match(bare):
                made.hours = self._hours(match, place)
            elif bare and not bare.startswith("#"):
                made.entries.append(Entry(re.sub(r"\s+#.*", "", bare), place))
        yield made
        yield from included

    def _may_go_deeper(self, depth: int, asked: Place) -> bool:
        if depth < MAX_DEPTH:
            return True
        self.say(asked, "e2guardian-include", "files include each other too deep; is it a circle?")
        return False

    def _hours(self, match: re.Match[str], place: Place) -> Hours | None:
        hour, minute, last_hour, last_minute = (int(match[number]) for number in range(1, 5))
        first, end = hour * 60 + minute, last_hour * 60 + last_minute
        if hour > 23 or last_hour > 24 or minute > 59 or last_minute > 59 or end <= first:
            said = (
                "a time is hours and minutes of its beginning and its end, then days: #time: 9 0 17 0 01234"
            )
            self.say(place, "e2guardian-time", said)
            return None
        return Hours(first, end, frozenset(int(day) for day in match[5]))
