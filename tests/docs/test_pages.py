"""The pages of the manual: each is reached from the first, and leads only to pages that there are."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from twisted.trial.unittest import SynchronousTestCase

from tests.docs.manual import DOCS, Directive, directives, pages

FIRST = "index.rst"


def listed(page: str, tree: Directive, others: set[str]) -> set[str]:
    """The pages that a toctree leads to; a pattern stops at a slash, as Sphinx has it."""
    folder = PurePosixPath(page).parent
    found = set()
    for entry in tree.content.split():
        wanted = f"{(folder / entry).as_posix()}.rst"
        found |= {
            other for other in others if fnmatchcase(other, wanted) and other.count("/") == wanted.count("/")
        }
    return found


def reached() -> set[str]:
    """The pages that are reached from the first by toctrees."""
    texts = pages()
    seen, new = set(), {FIRST}
    while new:
        page = new.pop()
        seen.add(page)
        for directive in directives(page, texts[page]):
            if directive.name == "toctree":
                new |= listed(page, directive, set(texts)) - seen
    return seen


class PageTests(SynchronousTestCase):
    """Every page is there, and found."""

    def test_reached(self) -> None:
        """Every page of the manual stands in a table of contents."""
        self.assertEqual(set(pages()) - reached() - {"README.rst"}, set())

    def test_led_to(self) -> None:
        """A reference to a page leads to one."""
        lost = []
        for page, text in pages().items():
            folder = PurePosixPath("/") / PurePosixPath(page).parent
            for written in re.findall(r":doc:`(?:[^`<]*<)?([^`>]+)>?`", text):
                target = (folder / written).as_posix().lstrip("/")
                if not (DOCS / f"{target}.rst").is_file():
                    lost.append(f"docs/{page}: {written}")
        self.assertEqual(lost, [])

    def test_title(self) -> None:
        """Every page begins with a title and its underline."""
        for page, text in pages().items():
            title, line, *_ = text.split("\n")
            self.assertTrue(title and line == "=" * len(title), page)

    def test_decisions_are_numbered(self) -> None:
        """Decisions count from 1 without a gap, and each says context, choice and consequences."""
        found = sorted((DOCS / "decisions").glob("0*.rst"))
        numbers = [int(path.name[:4]) for path in found]
        self.assertEqual(numbers, list(range(1, len(found) + 1)))
        for path in found:
            text = path.read_text(encoding="utf-8")
            self.assertTrue(text.startswith(f"{path.name[:4]}: "), path.name)
            headings = re.findall(r"^(\w+)\n-+$", text, re.MULTILINE)
            self.assertEqual(headings, ["Context", "Choice", "Consequences"], path.name)

    def test_nothing_loaded_from_elsewhere(self) -> None:
        """The manual is built without the network."""
        conf = (DOCS / "conf.py").read_text(encoding="utf-8")
        self.assertNotIn("intersphinx", conf)
        self.assertNotIn("http", conf)
