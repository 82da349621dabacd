"""The news fragments: what a release tells the people who run the proxy."""

from __future__ import annotations

import re

from twisted.trial.unittest import SynchronousTestCase

from tests.docs.manual import CHECKOUT

FOLDER = CHECKOUT / "newsfragments"
TYPES = ("feature", "bugfix", "removal", "security", "doc")
NAME = re.compile(rf"(\+[a-z0-9]+(-[a-z0-9]+)*|[0-9]+)\.({'|'.join(TYPES)})\.rst")
MAX_SENTENCES = 4


class FragmentTests(SynchronousTestCase):
    """Each fragment has a name that the release understands, and says something."""

    def fragments(self) -> list[tuple[str, str]]:
        return [
            (path.name, path.read_text(encoding="utf-8"))
            for path in sorted(FOLDER.iterdir())
            if path.name != "README.rst" and not path.name.startswith(".")
        ]

    def test_names(self) -> None:
        """A name is ``+what-it-is-about.TYPE.rst``, or the number of an issue in the place of the slug."""
        self.assertEqual([name for name, _ in self.fragments() if not NAME.fullmatch(name)], [])

    def test_texts(self) -> None:
        """A text is a few whole sentences, one to a line."""
        for name, text in self.fragments():
            self.assertTrue(text.endswith(".\n") and not text.endswith("\n\n"), name)
            self.assertLessEqual(len(re.findall(r"\.(\s|$)", text)), MAX_SENTENCES, name)

    def test_types_are_written_down(self) -> None:
        """The page about fragments names every type."""
        said = (FOLDER / "README.rst").read_text(encoding="utf-8")
        self.assertEqual([one for one in TYPES if f"``{one}``" not in said], [])
