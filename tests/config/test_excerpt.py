"""The line that a problem is in, and a ruler under the place."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.config.excerpt import SHOWN_COLUMNS, Excerpts
from corpproxy.errors import Place
from tests.support.rows import rows, tabular

LONG = "a" * 200


@tabular
class ExcerptTests(SynchronousTestCase):
    """What is shown of a place."""

    def shown(self, text, column, width=0, line=1):
        return Excerpts({"policy.yaml": text.encode()}, Path("/site")).of(
            Place("/site/policy.yaml", line, column, width)
        )

    @rows(
        width=("site: Hill # ours", 7, 4, ("site: Hill # ours", "      ^^^^")),
        rest=("site: Hill  # ours", 7, 0, ("site: Hill  # ours", "      ^^^^")),
        behind=("site:", 6, 0, ("site:", "     ^")),
        too_wide=("site: Hill", 7, 40, ("site: Hill", "      ^^^^")),
        tab=("\tsite: Hill", 1, 1, (" site: Hill", "^")),
        wide_letters=("名前: Hill", 5, 4, ("名前: Hill", "      ^^^^")),
        unseen=("a\x1b[31m: b", 9, 1, ("a?[31m: b", "        ^")),
        windows=("site: Hill\r\nb: c", 7, 4, ("site: Hill", "      ^^^^")),
    )
    def test_ruler(self, text, column, width, expected):
        """The ruler is as wide as what is wrong, and stands under it on the terminal."""
        self.assertEqual(self.shown(text, column, width), expected)

    @rows(
        no_line=(5, 1),
        no_column=(1, 0),
        behind=(1, 40),
    )
    def test_nowhere(self, line, column):
        """Where there is no such place nothing is shown."""
        self.assertIsNone(self.shown("site: Hill", column, line=line))

    def test_other_file(self):
        """Nor of a file that was not read."""
        self.assertIsNone(Excerpts({}, Path("/site")).of(Place("/site/policy.yaml", 1, 1)))

    @rows(begin=(1,), middle=(100,), end=(200,))
    def test_long(self, column):
        """Of a long line the part around the place is shown."""
        line, ruler = self.shown(LONG[: column - 1] + "b" + LONG[column:], column, 1)
        self.assertLessEqual(len(line), SHOWN_COLUMNS)
        self.assertEqual(line[ruler.index("^")], "b")
        self.assertEqual(ruler.strip(), "^")

    def test_broken_octets(self):
        """A file that is no UTF-8 is shown as far as it can be."""
        excerpts = Excerpts({"policy.yaml": b"site: \xff\xfe\n"}, Path("/site"))
        self.assertEqual(excerpts.of(Place("/site/policy.yaml", 1, 7, 1))[1], "      ^")

    def test_end(self):
        """Editors are told where it ends."""
        excerpts = Excerpts({"policy.yaml": b"site: Hill\n"}, Path("/site"))
        self.assertEqual(excerpts.end(Place("/site/policy.yaml", 1, 7, 4)), 11)
        self.assertEqual(excerpts.end(Place("/site/policy.yaml")), 0)
