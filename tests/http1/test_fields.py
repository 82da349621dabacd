"""Field lines: kept as they came, found by name."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.http1 import fields as module
from corpproxy.http1.fields import Fields, field_line
from tests.support.rows import rows, tabular

SECTION = (
    b"Via: 1.1 a\r\nHOST:b\r\nvia:\t1.0 c \r\nEmpty:\r\nConnection: Keep-Alive,, X-One \r\nConnection: close"
)


@tabular
class FieldsTests(SynchronousTestCase):
    """Looking for fields."""

    def setUp(self):
        self.fields = Fields(SECTION)

    @rows(
        repeated=(b"via", b"1.1 a"),
        any_case=(b"host", b"b"),
        empty=(b"empty", b""),
        missing=(b"x", None),
    )
    def test_get(self, name, value):
        """The first value of a name, without the space around it."""
        self.assertEqual(self.fields.get(name), value)

    def test_nothing_noted(self):
        """What all sections have while nothing is known of them is written to by none."""
        outline = self.fields.outline
        with self.assertRaises(TypeError):
            outline.notes["agent"] = "curl"
        outline.note("agent", "curl")
        self.assertEqual((outline.notes, Fields(SECTION).outline.notes), ({"agent": "curl"}, {}))

    @rows(
        repeated=(b"via", [b"1.1 a", b"1.0 c"]),
        once=(b"host", [b"b"]),
        missing=(b"x", []),
    )
    def test_all(self, name, values):
        """All values of a name, in their order."""
        self.assertEqual(self.fields.all(name), values)

    def test_without_repetition(self):
        """The answers are the same where no name is repeated."""
        fields = Fields(b"A: 1\r\nB: 2")
        self.assertEqual((fields.get(b"b"), fields.all(b"b"), fields.get(b"c")), (b"2", [b"2"], None))

    @rows(
        over_all_lines=(b"connection", [b"keep-alive", b"x-one", b"close"]),
        empty=(b"empty", []),
        missing=(b"x", []),
    )
    def test_tokens(self, name, tokens):
        """The members of lists, over all lines, in lower case, without empty ones."""
        self.assertEqual(self.fields.tokens(name), tokens)

    def test_contains(self):
        """A name is there or not, whatever its value."""
        self.assertIn(b"empty", self.fields)
        self.assertNotIn(b"x", self.fields)

    def test_equal(self):
        """Two sections are equal when their lines are."""
        self.assertEqual(self.fields, Fields(SECTION))
        self.assertNotEqual(self.fields, Fields(SECTION.lower()))
        self.assertNotEqual(self.fields, SECTION)

    def test_none(self):
        """A section may have no lines."""
        self.assertEqual((len(Fields(b"")), list(Fields(b"")), Fields(b"").get(b"a")), (0, [], None))

    def test_of(self):
        """Fields of our own are written as anybody's."""
        fields = Fields.of([(b"Server", b"x"), (b"Retry-After", b"1")])
        self.assertEqual(fields.lines, [b"Server: x", b"Retry-After: 1"])
        self.assertEqual(Fields.of([]), Fields(b""))

    @rows(
        name_space=(b"A b", b"c"),
        name_empty=(b"", b"c"),
        name_colon=(b"A:", b"c"),
        value_lf=(b"A", b"c\nd"),
        value_cr_lf=(b"Location", b"/\r\nSet-Cookie: x"),
        value_nul=(b"A", b"\x00"),
    )
    def test_bad_field(self, name, value):
        """A field that would break the head is not written, whatever text it was made of."""
        with self.assertRaises(ValueError):
            field_line(name, value)

    def test_names_are_bounded(self):
        """Made-up names do not fill memory, however many come and however long they are."""
        for number in range(3 * module._LowerNames.BOUND):
            Fields(b"X-%d: a" % number)
        self.assertLessEqual(len(module.lower_names), module._LowerNames.BOUND)
        Fields(b"Y" * 1000 + b": a")
        self.assertNotIn(b"Y" * 1000, module.lower_names)
