"""Tables of people, as schools export them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.cli.people_csv import read_table
from tests.support.rows import rows, tabular

TABLE = """\
name,password,groups
amir,correct horse,"pupils,choir"
beth,,pupils
jürgen,battery staple,
"""


def plain(table):
    return [(row.name, row.password, row.groups, row.place.line) for row in table.rows]


@tabular
class TableTests(SynchronousTestCase):
    """What a table says."""

    @rows(
        plain=(TABLE.encode(),),
        windows=(TABLE.replace("\n", "\r\n").encode(),),
        excel=(b"\xef\xbb\xbf" + TABLE.replace(",", ";").replace("pupils;choir", "pupils,choir").encode(),),
        upper=(TABLE.replace("name,password,groups", " Name,PASSWORD,Groups ").encode(),),
        decomposed=(TABLE.replace("ü", "u\u0308").encode(),),
        semicolons_in_groups=(TABLE.replace("pupils,choir", "pupils; choir;;pupils").encode(),),
        empty_rows=((TABLE + "\n,,\n   \n").encode(),),
    )
    def test_read(self, octets):
        """Spreadsheets write the same table in several ways."""
        table = read_table(octets, "people.csv")
        self.assertEqual(table.problems, ())
        expected = [
            ("amir", "correct horse", ("pupils", "choir"), 2),
            ("beth", "", ("pupils",), 3),
            ("jürgen", "battery staple", (), 4),
        ]
        self.assertEqual(plain(table), expected)

    def test_names_alone(self):
        """A list of names is enough; groups are then left as they are."""
        self.assertEqual(plain(read_table(b"name\namir\n", "f")), [("amir", "", None, 2)])

    def test_other_order(self):
        """The first row says which column is which."""
        table = read_table(b"groups,name\npupils,amir\n", "f")
        self.assertEqual(plain(table), [("amir", "", ("pupils",), 2)])

    @rows(
        no_head=("amir,correct horse,pupils\n", 1, "table-column"),
        unknown_column=("name,mail\namir,a@b\n", 1, "table-column"),
        column_twice=("name,name\namir,beth\n", 1, "table-column"),
        no_name_column=("password,groups\nx,y\n", 1, "table-no-names"),
        empty=("", 1, "table-no-names"),
        cells=(TABLE + "carol,correct horse,pupils,choir\n", 5, "table-row"),
        few_cells=(TABLE + "carol\n", 5, "table-row"),
        bad_name=(TABLE + "a:b,,\n", 5, "table-name"),
        no_name=(TABLE + ",correct horse,\n", 5, "table-name"),
        weak=(TABLE + "carol,carol,\n", 5, "password-too-short"),
        bad_group=(TABLE + "carol,,sta:ff\n", 5, "table-group"),
        twice=(TABLE + "amir,,\n", 5, "table-duplicate"),
        quote=(TABLE + 'carol,"correct horse,\n', 5, "table-broken"),
    )
    def test_problem(self, text, line, code):
        """Each fault is told at its line."""
        (problem, *_) = read_table(text.encode(), "people.csv").problems
        self.assertEqual((problem.place.file, problem.place.line, problem.code), ("people.csv", line, code))

    def test_not_utf8(self):
        """A table in an old encoding is told at the line where it shows."""
        (problem,) = read_table(TABLE.encode("latin-1"), "f").problems
        self.assertEqual((problem.place.line, problem.code), (4, "table-not-utf-8"))

    def test_all_at_once(self):
        """All faults are told together, and none shows a password."""
        table = read_table((TABLE + "a:b,hunter2,\ncarol,hunter3,\namir,correct horse,\n").encode(), "f")
        self.assertEqual([one.place.line for one in table.problems], [5, 5, 6, 7])
        self.assertNotIn("hunter", " ".join(map(str, table.problems)))

    @given(
        st.one_of(st.binary(max_size=120), st.text(max_size=120).map(lambda text: b"name\n" + text.encode()))
    )
    @settings(max_examples=100)
    def test_any_octets(self, octets):
        """Any octets are rows and problems, never anything else."""
        for problem in read_table(octets, "f").problems:
            self.assertTrue(problem.place.line)
