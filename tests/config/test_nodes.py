"""YAML is read with a place for every value."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from yaml import SafeLoader

from corpproxy.config import nodes
from corpproxy.config.nodes import Scalar, compose, node_at, place_of, plain, remove
from tests.support.rows import rows, tabular

TEXT = b"""\
site: Hillside
rules:
  - name: games
    what: {category: [games, chat]}
  - name: 'rest'
"""


@tabular
class PlaceTests(SynchronousTestCase):
    """Where values stand."""

    def setUp(self):
        self.root, self.problems = compose(TEXT, "policy.yaml")

    @rows(
        root=((), "1:1"),
        value=(("site",), "1:7"),
        entry=(("rules", 0), "3:5"),
        deep=(("rules", 0, "what", "category", 1), "4:30"),
        quoted=(("rules", 1, "name"), "5:11"),
        missing_is_the_table=(("rules", 1, "what", "category"), "5:5"),
        past_the_end_is_the_list=(("rules", 7), "3:3"),
    )
    def test_value(self, path, place):
        """A value is found by its path; what is not there is where it would be."""
        self.assertEqual(str(place_of(self.root, path)), f"policy.yaml:{place}")

    def test_key(self):
        """A field is where its name stands."""
        self.assertEqual(str(place_of(self.root, ("rules", 0, "what"), key=True)), "policy.yaml:4:5")

    def test_columns_are_characters(self):
        """Columns count characters, as editors do, not octets."""
        root, _ = compose("{é: é, a: b}".encode(), "f")
        self.assertEqual(str(place_of(root, ("a",))), "f:1:11")

    def test_remove(self):
        """What is taken out is gone, and the rest keeps its places."""
        remove(self.root, ("rules", 0))
        self.assertEqual(plain(node_at(self.root, ("rules", 0, "name"))), "rest")
        self.assertEqual(place_of(self.root, ("rules", 0)).line, 5)
        remove(self.root, ("rules", 9))
        remove(self.root, ("nothing", "here"))
        self.assertEqual(len(node_at(self.root, ("rules",)).items), 1)


@tabular
class PlainTests(SynchronousTestCase):
    """Nothing is resolved."""

    @rows(
        no=(b"a: no", "no"),
        octal=(b"a: 010", "010"),
        sexagesimal=(b"a: 22:30", "22:30"),
        date=(b"a: 2026-11-23", "2026-11-23"),
        exponent=(b"a: 1e3", "1e3"),
        nothing=(b"a:", None),
        tilde=(b"a: ~", None),
        quoted_tilde=(b"a: '~'", "~"),
        empty_text=(b'a: ""', ""),
        block=(b"a: |\n  x\n  y\n", "x\ny\n"),
        list=(b"a: [1, {b: c}]", ["1", {"b": "c"}]),
    )
    def test_value(self, octets, value):
        """A value is the text that was written."""
        root, problems = compose(octets, "f")
        self.assertEqual((plain(root), problems), ({"a": value}, []))

    def test_without_libyaml(self):
        """PyYAML's own reader says the same, where libyaml is missing."""
        expected = plain(compose(TEXT, "f")[0])
        self.patch(nodes, "_Loader", SafeLoader)
        root, problems = compose(TEXT, "f")
        self.assertEqual((plain(root), problems), (expected, []))
        self.assertIsInstance(node_at(root, ("site",)), Scalar)

    def test_first_of_two(self):
        """Of a field that is given twice the first one is kept, so that the rest can be checked."""
        root, problems = compose(b"a: 1\na: 2\n", "f")
        self.assertEqual((plain(root), len(problems)), ({"a": "1"}, 1))
