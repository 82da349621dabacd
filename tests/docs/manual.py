"""The manual as tests read it: its pages, their examples and their prose."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import corpproxy

CHECKOUT = Path(corpproxy.__file__).parents[1]
DOCS = CHECKOUT / "docs"

_DIRECTIVE = re.compile(r"( *)\.\. ([a-z-]+)::(.*)")
_LITERAL = re.compile(r"``[^`]*``|`[^`<]*<[^`>]*>`_|:[a-z:]+:`[^`]*`")
# Directives whose content is not prose of ours.
_VERBATIM = {"code-block", "toctree", "include", "parsed-literal"}


@dataclass(frozen=True, slots=True)
class Directive:
    """One directive of a page: ``line`` is that of its first line of content."""

    page: str
    line: int
    name: str
    argument: str
    options: dict[str, str]
    content: str

    @property
    def label(self) -> str:
        """A name for a test method."""
        return re.sub(r"\W+", "_", f"{self.page.removesuffix('.rst')}_{self.line}")


def pages() -> dict[str, str]:
    """The text of every page by its path below docs/, and README.rst."""
    found = {
        path.relative_to(DOCS).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(DOCS.rglob("*.rst"))
        if "_build" not in path.parts
    }
    readme = CHECKOUT / "README.rst"
    return found | {"README.rst": readme.read_text(encoding="utf-8")}


def written() -> dict[str, str]:
    """All that people read of us in files: pages, the parts that are included in them, news."""
    parts = [*DOCS.rglob("*.inc"), *(CHECKOUT / "newsfragments").glob("*.rst")]
    return pages() | {
        path.relative_to(CHECKOUT).as_posix(): path.read_text(encoding="utf-8") for path in sorted(parts)
    }


def directives(page: str, text: str) -> Iterator[Directive]:
    """Each directive of a page with what is indented below it."""
    lines = text.split("\n")
    for number, line in enumerate(lines):
        match = _DIRECTIVE.fullmatch(line)
        if match is None:
            continue
        first, last = number + 1, _end(lines, number + 1, len(match[1]))
        options = {}
        while first < last and (option := re.fullmatch(r" +:([a-z-]+):(.*)", lines[first])):
            options[option[1]] = option[2].strip()
            first += 1
        while first < last and not lines[first].strip():
            first += 1
        content = dedent("\n".join(lines[first:last])).rstrip() + "\n"
        yield Directive(page, first + 1, match[2], match[3].strip(), options, content)


def code_blocks(language: str) -> dict[str, Directive]:
    """The code blocks of the manual in one language, by their labels."""
    return {
        block.label: block
        for page, text in pages().items()
        for block in directives(page, text)
        if block.name == "code-block" and block.argument == language
    }


def prose(text: str) -> Iterator[tuple[int, str]]:
    """The lines of a page that are prose, with their numbers; literals and code are left out."""
    lines = text.split("\n")
    resume = 0
    for number, line in enumerate(lines):
        if number < resume:
            continue
        match = _DIRECTIVE.fullmatch(line)
        if match is not None and match[2] in _VERBATIM:
            resume = _end(lines, number + 1, len(match[1]))
            continue
        yield number + 1, _LITERAL.sub("", line)
        if line.endswith("::") and match is None:
            resume = _end(lines, number + 1, len(line) - len(line.lstrip()))


def _end(lines: list[str], start: int, indent: int) -> int:
    """The number of the first line, from ``start``, that is not indented more than ``indent``."""
    for number in range(start, len(lines)):
        line = lines[number]
        if line.strip() and len(line) - len(line.lstrip()) <= indent:
            return number
    return len(lines)
