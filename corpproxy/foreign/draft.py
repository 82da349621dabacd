"""A policy on its way to being written: its lines, and which line of the source each came from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from textwrap import wrap

from corpproxy.errors import Place, Problem
from corpproxy.foreign.yaml_text import WIDTH


@dataclass(frozen=True, slots=True)
class Came:
    """
    What became of one line of a source.

    ``line`` is where it stands in the policy, ``is_comment`` says that it stands there as a comment only.
    """

    source: Place
    line: int
    is_comment: bool = False


@dataclass(slots=True)
class Draft:
    """The lines of a policy, and where they came from."""

    lines: list[str] = field(default_factory=list)
    came: list[Came] = field(default_factory=list)

    def add(self, *lines: str, sources: Iterable[Place] = (), is_comment: bool = False) -> None:
        """Add lines; ``sources`` are the places whose meaning stands in the first of them."""
        self.came += [Came(place, len(self.lines) + 1, is_comment) for place in dict.fromkeys(sources)]
        self.lines += lines

    def comment(self, said: str, indent: int = 0, *, sources: Iterable[Place] = ()) -> None:
        """Add a comment, in lines that are not too wide."""
        head = " " * indent + "# "
        made = [head + one for one in wrap(said, WIDTH - len(head), break_long_words=False)] or [
            head.rstrip()
        ]
        self.add(*made, sources=sources, is_comment=True)

    def blank(self) -> None:
        """Add an empty line, never two, and none at the beginning."""
        if self.lines and self.lines[-1]:
            self.add("")

    @property
    def text(self) -> str:
        """The whole policy."""
        return "\n".join(self.lines).rstrip() + "\n"


@dataclass(frozen=True, slots=True)
class Mapped:
    """One line of a source with its text, and where in the policy it went."""

    place: Place
    text: str
    came: tuple[Came, ...]


@dataclass(frozen=True, slots=True)
class Imported:
    """
    What came of an import.

    ``files`` go by their paths below the folder, the policy itself as ``policy.yaml``; there are none when
    the source has an error.  ``open`` are the problems that change decisions: what the source refuses and
    the policy does not, or cannot know.
    """

    files: dict[str, bytes]
    problems: tuple[Problem, ...]
    mapped: tuple[Mapped, ...]
    open: tuple[Problem, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)


def report(mapped: Iterable[Mapped], policy: str) -> str:
    """Each line of the source, and below it the line of the policy that it became."""
    lines: list[str] = []
    for one in mapped:
        lines.append(f"{one.place.file}:{one.place.line}: {one.text}")
        for came in one.came:
            kind = "comment" if came.is_comment else "line"
            lines.append(f"    {policy}:{came.line} ({kind})")
        if not one.came:
            lines.append("    nothing: it changes nothing here")
    return "\n".join(lines) + "\n"
