"""A disk in memory, and the cases that are files: YAML, a ruler, then the problems expected."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path

from corpproxy.backends.policies.files import fits
from corpproxy.config.excerpt import Excerpts, below
from corpproxy.config.load import Loaded, load_policy
from corpproxy.objections import objections
from corpproxy.policy.calendar import parse_instant
from corpproxy.policy.unreached import unreached

FOLDER = Path("/site")
POLICY = FOLDER / "policy.yaml"
RULER = re.compile(rb"^=====(?: (.*))?\n", re.MULTILINE)

SOUND = """\
listen: [{name: proxy, forward: "127.0.0.1:3128"}]
rules: [{name: everything, do: allow}]
"""


@dataclass
class MemoryFiles:
    """Files by their paths; everybody may read those in ``open_to_all``, nobody those in ``broken``."""

    texts: dict[Path, bytes] = field(default_factory=dict)
    open_to_all: set[Path] = field(default_factory=set)
    broken: set[Path] = field(default_factory=set)

    def read(self, path: Path) -> bytes:
        if path in self.broken:
            raise PermissionError(13, "Permission denied", str(path))
        if path not in self.texts:
            raise FileNotFoundError(2, "No such file or directory", str(path))
        return self.texts[path]

    def exists(self, path: Path) -> bool:
        return path in self.texts or any(path in one.parents for one in self.texts)

    def glob(self, folder: Path, pattern: str) -> list[Path]:
        return sorted(one for one in self.texts if folder in one.parents and fits(one, folder, pattern))

    def is_open_to_all(self, path: Path) -> bool:
        return path in self.open_to_all


def load(text: str | bytes, more: Mapping[str, str | bytes] | None = None, **options) -> Loaded:
    """Load a policy from memory, with more files beside it."""
    return load_policy(POLICY, files_of({"policy.yaml": text, **(more or {})}), **options)


def files_of(texts: Mapping[str, str | bytes]) -> MemoryFiles:
    """A disk with these files in the folder of the policy."""
    encoded = {
        FOLDER / name: text.encode() if isinstance(text, str) else text for name, text in texts.items()
    }
    return MemoryFiles(encoded)


@dataclass(frozen=True)
class ProblemCase:
    """
    One case file.

    ``lines`` are the problems expected, as written, each with the line that it is in and a ruler under the
    place.  Between the policy and the last ruler may stand further
    files (``===== file NAME``) and circumstances (``===== with``): ``open NAME``, ``broken NAME``, ``gone
    NAME``, ``bound NAME NUMBER``, ``categories A B``, ``now TIME`` (in UTC: the policy's tests are run then),
    ``reached NAME`` (of a rule or exception: the record of the month before has it),
    ``needs MODULE`` (else the case is skipped) and ``without MODULE`` (which cannot be imported then).
    """

    name: str
    files: MemoryFiles
    bounds: dict[str, int]
    categories: frozenset[str] | None
    lines: list[str]
    now: float | None = None
    reached: frozenset[str] = frozenset()
    needs: str = ""
    without: str = ""

    @property
    def codes(self) -> set[str]:
        """The kinds of problems that are expected."""
        return {line.split()[2].rstrip(":") for line in self.lines if not line.startswith(" ")}

    @property
    def ruled_codes(self) -> set[str]:
        """Those of them that stand at a place with a ruler under it."""
        ruled = (
            one
            for one, _, ruler in zip(self.lines, self.lines[1:], self.lines[2:], strict=False)
            if not one.startswith(" ") and ruler.strip(" ^") == ""
        )
        return {line.split()[2].rstrip(":") for line in ruled}

    def load(self) -> Loaded:
        loaded = load_policy(POLICY, self.files, known_categories=lambda state: self.categories)
        if self.now is None or loaded.configuration is None:
            return loaded
        found = tuple(objections(loaded.configuration, None, self.now))
        if self.reached:
            since = self.now - 30 * 86_400
            policy = loaded.configuration.policy
            found += tuple(unreached(policy, self.reached, self.reached, since, self.now))
        broken = any(problem.is_error for problem in found)
        return Loaded(None if broken else loaded.configuration, loaded.problems + found, loaded.texts)


def read_case(path: Path) -> ProblemCase:
    """Read a case file."""
    policy, *parts = RULER.split(path.read_bytes())
    texts: dict[str, str | bytes] = {"policy.yaml": policy}
    bounds: dict[str, int] = {}
    categories, now = None, None
    modules: dict[str, str] = {}
    reached: set[str] = set()
    expected: list[str] = []
    circumstances: list[list[str]] = []
    for title, text in zip(parts[::2], parts[1::2], strict=True):
        words = (title or b"").decode().split()
        if not words:
            expected = text.decode().splitlines()
        elif words[0] == "file":
            texts[words[1]] = text
        else:
            circumstances += [line.split() for line in text.decode().splitlines()]
    files = files_of(texts)
    for what, *words in circumstances:
        if what == "bound":
            bounds[words[0]] = int(words[1])
        elif what == "categories":
            categories = frozenset(words)
        elif what == "now":
            now = parse_instant(words[0], UTC)
        elif what in ("needs", "without"):
            modules[what] = words[0]
        elif what == "reached":
            reached.add(" ".join(words))
        elif what == "gone":
            del files.texts[FOLDER / words[0]]
        else:
            {"open": files.open_to_all, "broken": files.broken}[what].add(FOLDER / words[0])
    return ProblemCase(path.stem, files, bounds, categories, expected, now, frozenset(reached), **modules)


def told(loaded: Loaded) -> list[str]:
    """The problems of a policy as case files have them, without their lines."""
    return [line for line in shown(loaded) if not line.startswith(" ")]


def shown(loaded: Loaded) -> list[str]:
    """The problems of a policy as case files have them, each with its line and a ruler under the place."""
    prefix = f"{FOLDER}/"
    excerpts = Excerpts(loaded.texts, FOLDER)
    lines = []
    for one in loaded.problems:
        place, message = str(one.place).removeprefix(prefix), one.message.replace(prefix, "")
        lines += [f"{place} {one.severity} {one.code}: {message}", *below(excerpts, one.place)]
    return lines
