"""Names written in files are read as the C library reads them, and again when the file changes."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.net.hosts_file import HostsFile, WatchedFile, hosts_table
from tests.support.rows import rows, tabular


@tabular
class HostsTableTests(SynchronousTestCase):
    """The grammar of a hosts file."""

    @rows(
        one=("10.0.0.9 printer", {"printer": ["10.0.0.9"]}),
        aliases=(
            "10.0.0.9\tprinter.internal  printer",
            {"printer.internal": ["10.0.0.9"], "printer": ["10.0.0.9"]},
        ),
        both_families=("::1 localhost\n127.0.0.1 localhost", {"localhost": ["::1", "127.0.0.1"]}),
        twice=("10.0.0.9 a\n10.0.0.9 a", {"a": ["10.0.0.9"]}),
        case=("10.0.0.9 Printer.INTERNAL.", {"printer.internal": ["10.0.0.9"]}),
        remark=("# all\n10.0.0.9 a # b\n", {"a": ["10.0.0.9"]}),
        no_address=("printer 10.0.0.9", {}),
        odd_address=("10.9 printer", {}),
        address_alone=("10.0.0.9", {}),
        windows_lines=("10.0.0.9 a\r\n10.0.0.8 b\r\n", {"a": ["10.0.0.9"], "b": ["10.0.0.8"]}),
    )
    def test_read(self, text, expected):
        """Each name has all addresses of all its lines; what is no address is passed over."""
        self.assertEqual(hosts_table(text), expected)

    @settings(max_examples=80, deadline=None)
    @given(st.text(alphabet=st.sampled_from("10.:af# \t\nx\0é\\"), max_size=80) | st.text(max_size=80))
    def test_any_text(self, text):
        """Any text gives a table."""
        for name, addresses in hosts_table(text).items():
            self.assertTrue(name == name.lower() and addresses)


class WatchedFileTests(SynchronousTestCase):
    """A file is read when it changed, and not otherwise."""

    def setUp(self):
        self.path = Path(self.mktemp())

    def test_missing(self):
        """A file that is not there is empty, and is taken up when it comes and when it goes."""
        watched = WatchedFile(self.path)
        self.assertTrue(watched.take_up())
        self.assertEqual(watched.text, "")
        self.path.write_text("one")
        self.assertTrue(watched.take_up())
        self.assertEqual(watched.text, "one")
        self.path.unlink()
        self.assertTrue(watched.take_up())
        self.assertEqual(watched.text, "")

    def test_unchanged(self):
        """A file that did not change is not read again."""
        self.path.write_text("one")
        watched = WatchedFile(self.path)
        self.assertEqual([watched.take_up(), watched.take_up()], [True, False])

    def test_replaced_with_old_times(self):
        """A file that was replaced by another of the same size and age is read."""
        self.path.write_text("one")
        os.utime(self.path, ns=(0, 0))
        watched = WatchedFile(self.path)
        watched.take_up()
        other = self.path.with_name("other")
        other.write_text("two")
        os.utime(other, ns=(0, 0))
        os.replace(other, self.path)
        self.assertTrue(watched.take_up())
        self.assertEqual(watched.text, "two")

    def test_folder(self):
        """A folder in its place counts as an empty file."""
        self.path.mkdir()
        watched = WatchedFile(self.path)
        watched.take_up()
        self.assertEqual(watched.text, "")


class HostsFileTests(SynchronousTestCase):
    """Names of the policy stand before those of the file."""

    def test_policy_first(self):
        """A name in the policy hides all addresses that the file has for it, also after a change."""
        path = Path(self.mktemp())
        path.write_text("10.0.0.1 printer\n10.0.0.2 scanner\n")
        hosts = HostsFile(path, tuple, {"Printer": ("10.9.9.9",)})
        self.assertEqual(hosts.take_up(), {"printer": ("10.9.9.9",), "scanner": ("10.0.0.2",)})
        path.write_text("10.0.0.1 printer\n10.0.0.22 scanner\n")
        self.assertEqual(hosts.take_up(), {"printer": ("10.9.9.9",), "scanner": ("10.0.0.22",)})
