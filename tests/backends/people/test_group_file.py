"""The groups file: read, taken up while we run, edited."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.backends.people.group_file import GroupFile, set_groups
from corpproxy.backends.watched_file import LOOK_SECONDS
from corpproxy.identity.group_lines import read_groups, with_groups
from tests.backends.by_hand import AtOnce
from tests.support.rows import rows, tabular

FILE = """\
# who is where
amir: pupils, choir
Beth Jones: staff
jürgen: staff,choir
""".encode()


@tabular
class LineTests(SynchronousTestCase):
    """What a file says."""

    def test_file(self):
        """Each name has its groups, sorted."""
        groups = read_groups(FILE, "users.groups")
        expected = {"amir": ("choir", "pupils"), "Beth Jones": ("staff",), "jürgen": ("choir", "staff")}
        self.assertEqual(dict(groups.of), expected)
        self.assertEqual(groups.problems, ())

    @rows(
        windows=(FILE.replace(b"\n", b"\r\n"),),
        mark=(b"\xef\xbb\xbf" + FILE,),
        padded=(FILE.replace(b":", b" :\t").replace(b",", b" ,, "),),
        twice=(FILE.replace(b"amir: pupils, choir", b"amir: pupils\namir: choir, pupils"),),
    )
    def test_same(self, octets):
        """The same can be written in other ways."""
        self.assertEqual(read_groups(octets, "f"), read_groups(FILE, "f"))

    @rows(
        no_colon=(b"carol staff", "name: group, group"),
        no_name=(b": staff", "empty"),
        latin1=(b"ren\xe9: staff", "UTF-8"),
        colon_in_group=(b"carol: staff: x", "':'"),
        control=(b"carol: sta\x07ff", "control"),
    )
    def test_odd(self, line, words):
        """An odd line is left out whole, told at its place, and fails no other."""
        groups = read_groups(FILE + line, "users.groups")
        self.assertEqual(len(groups.of), 3)
        (problem,) = groups.problems
        self.assertEqual(str(problem.place), "users.groups:5")
        self.assertIn(words, problem.message)

    def test_edit(self):
        """Editing keeps places, comments and odd lines; no groups takes a name out."""
        edited = with_groups(FILE + b"what?\n", {"amir": ["staff"], "carol": ["pupils"], "jürgen": []})
        expected = b"# who is where\namir: staff\nBeth Jones: staff\nwhat?\ncarol: pupils\n"
        self.assertEqual(edited, expected)

    @given(st.binary(max_size=150))
    @settings(max_examples=80)
    def test_any_octets(self, octets):
        """Any octets are groups and problems; what is edited in is what is then read."""
        read_groups(octets, "f")
        edited = with_groups(octets, {"amir": ["x"]})
        self.assertEqual(read_groups(edited, "f").of.get("amir"), ("x",))
        self.assertNotIn("amir", read_groups(with_groups(edited, {"amir": []}), "f").of)


class GroupFileTests(SynchronousTestCase):
    """While we run."""

    def setUp(self):
        self.path = Path(self.mktemp())
        self.path.write_bytes(FILE)
        self.clock = Clock()
        self.changed = []
        self.file = GroupFile(
            self.path, self.clock, AtOnce(), self.changed.append, Logger(observer=lambda event: None)
        )
        self.file.load()
        self.file.start()
        self.addCleanup(self.file.stop)
        self.changed.clear()

    def look(self, times=2):
        for _ in range(times):
            self.clock.advance(LOOK_SECONDS)

    def test_change(self):
        """New groups are told when the file says something new, and only then."""
        set_groups(self.path, {"amir": ["staff"]})
        self.look(4)
        self.assertEqual([dict(one)["amir"] for one in self.changed], [("staff",)])
        os.utime(self.path)
        self.look(4)
        self.assertEqual(len(self.changed), 1)

    def test_gone(self):
        """Groups stay when the file is gone, and that is a problem."""
        self.path.unlink()
        self.look()
        self.assertEqual(self.file.groups["amir"], ("choir", "pupils"))
        self.assertEqual([one.code for one in self.file.problems], ["file-unreadable"])

    def test_odd_line(self):
        """Problems of lines are there to be shown."""
        self.path.write_bytes(FILE + b"what?\n")
        self.look()
        self.assertEqual([one.code for one in self.file.problems], ["groups-line"])

    def test_public(self):
        """Groups are no secret: a file that everybody can read is no problem."""
        self.path.chmod(0o644)
        self.look()
        self.assertEqual(self.file.problems, ())

    def test_set_without_file(self):
        """The file is made when somebody has groups, and not before."""
        path = Path(self.mktemp())
        set_groups(path, {"amir": []})
        self.assertFalse(path.exists())
        set_groups(path, {"amir": ["staff"]})
        self.assertEqual(path.read_bytes(), b"amir: staff\n")
