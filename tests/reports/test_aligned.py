"""Tables of text on a terminal: columns stand below each other in any script."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.reports.aligned import aligned, cells, fitted, padded
from tests.support.rows import rows, tabular


@tabular
class CellTests(SynchronousTestCase):
    """How many cells a text takes."""

    @rows(
        letters=("amir", 4),
        nothing=("", 0),
        accent=("Zo\u00eb", 3),
        combining=("Zoe\u0308", 3),
        east_asian=("\u5c71\u7530\u592a\u90ce", 8),
        wide_latin=("\uff21", 2),
        joined=("\U0001f469\u200d\U0001f52c", 4),
        devanagari=("\u0915\u0941", 1),
    )
    def test_counted(self, text, count):
        """Letters of East Asia take two, marks on letters none."""
        self.assertEqual(cells(text), count)

    @rows(
        filled=("amir", 6, "amir  "),
        wide=("\u5c71\u7530", 6, "\u5c71\u7530  "),
        cut=("\u5c71\u7530\u592a\u90ce", 6, "\u5c71\u7530~ "),
        marks=("Zoe\u0308\u0301", 3, "Zoe\u0308\u0301"),
        no_room=("amir", 0, ""),
    )
    def test_fitted(self, text, width, expected):
        """A text is cut or filled up to its cells, and half of a wide letter is never shown."""
        self.assertEqual(fitted(text, width), expected)
        self.assertEqual(cells(fitted(text, width)), width)

    def test_padded(self):
        """What is too long stays as it is."""
        self.assertEqual(padded("\u5c71\u7530", 3, right=True), "\u5c71\u7530")
        self.assertEqual(padded("7", 3, right=True), "  7")


class TableTests(SynchronousTestCase):
    """Columns."""

    def test_columns(self):
        """Numbers end below each other, whatever script the names are in."""
        lines = [("user", "octets"), ("\u5c71\u7530\u592a\u90ce", "1.5 KiB"), ("Zoe\u0308", "12 B")]
        text = aligned(lines, (True, False), "  ")
        self.assertEqual(
            text,
            "  user       octets\n  \u5c71\u7530\u592a\u90ce  1.5 KiB\n  Zoe\u0308          12 B\n",
        )
        self.assertEqual({cells(line) for line in text.splitlines()}, {19})

    def test_last(self):
        """A column of texts at the end leaves no blanks behind it."""
        self.assertEqual(aligned([("a", "bc"), ("de", "f")], (True, True)), "a   bc\nde  f\n")

    def test_nothing(self):
        """No lines are no text."""
        self.assertEqual(aligned([], (True,)), "")
