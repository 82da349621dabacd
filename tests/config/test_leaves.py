"""What single values may be."""

from __future__ import annotations

from pydantic_core import PydanticCustomError
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.config.nearest import nearest
from corpproxy.config.schema import leaves
from corpproxy.config.schema.leaves import Leaf
from tests.support.rows import rows, tabular


def leaf(name: str) -> Leaf:
    """The reader behind one kind of value."""
    return next(one for one in getattr(leaves, name).__metadata__ if isinstance(one, Leaf))


@tabular
class LeafTests(SynchronousTestCase):
    """Readers and writers of values."""

    @rows(
        yes=("Switch", "yes", True),
        capital_no=("Switch", "NO", False),
        number=("Number", "0", 0),
        number_with_zeros=("Number", "007", 7),
        port=("Port", "65535", 65535),
        milliseconds=("Duration", "500ms", 0.5),
        minutes=("Duration", "90m", 5400),
        days=("Duration", "7d", 604800),
        weeks=("Age", "12w", 12 * 7 * 86400),
        years=("Age", "2y", 730 * 86400),
        kibibytes=("Size", "64KiB", 65536),
        spaced=("Size", "64 KiB", 65536),
        octets=("Size", "1000", 1000),
        no_limit=("SizeOrNone", "0", 0),
        text=("Text", "  a b ", "a b"),
    )
    def test_read(self, kind, written, value):
        """A value is read as the field means it."""
        self.assertEqual(leaf(kind).read(written), value)

    @rows(
        switch_on=("Switch", "on"),
        switch_one=("Switch", "1"),
        negative=("Number", "-1"),
        arabic_digits=("Number", "١"),
        hexadecimal=("Number", "0x10"),
        thousands=("Number", "1_000"),
        endless=("Number", "9" * 5000),
        port_zero=("Port", "0"),
        port_large=("Port", "65536"),
        no_unit=("Duration", "30"),
        two_units=("Duration", "1h30m"),
        space=("Duration", "30 s"),
        newline=("Duration", "30s\n"),
        nothing_long=("Duration", "0s"),
        decimal_unit=("Size", "64KB"),
        nothing_large=("Size", "0"),
        months=("Age", "3m"),
        no_age=("Age", "0d"),
        blank=("Text", "  "),
    )
    def test_refuse(self, kind, written):
        """What the field cannot mean is refused with a code and a sentence."""
        error = self.assertRaises(PydanticCustomError, leaf(kind).read, written)
        self.assertIn("-", error.type)
        self.assertLess(len(error.message()), 6000)

    @rows(
        half=("Duration", 0.5, "500ms"),
        minute=("Duration", 60.0, "1m"),
        odd=("Duration", 90.0, "90s"),
        day=("Duration", 86400.0, "1d"),
        kib=("Size", 65536, "64KiB"),
        plain=("Size", 1000, "1000"),
        zero=("SizeOrNone", 0, "0"),
        no=("Switch", False, "no"),
    )
    def test_write(self, kind, value, written):
        """A default is written so that it reads back as itself."""
        self.assertEqual(leaf(kind).write(value), written)
        self.assertEqual(leaf(kind).read(written), value)


@tabular
class NearestTests(SynchronousTestCase):
    """The nearest right name."""

    @rows(
        slip=("gambing", "gambling"),
        swapped=("categroy", "category"),
        case=("Category", "category"),
        far=("xyzzy", ""),
        empty=("", ""),
        long=("category" * 1000, ""),
    )
    def test_nearest(self, written, expected):
        """A slip of the finger finds its name; another word finds none."""
        self.assertEqual(nearest(written, ["gambling", "category", "games"]), expected)
