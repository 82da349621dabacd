"""Editing the htpasswd file from the command line and the portal."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.backends.people import htpasswd_edit
from corpproxy.backends.people.htpasswd_edit import (
    change_password,
    is_right,
    remove,
    remove_all,
    set_password,
    set_passwords,
)
from tests.backends.people.test_passwords import APACHE_APR1, APACHE_SHA1
from tests.support.rows import rows, tabular


@tabular
class EditTests(SynchronousTestCase):
    """What the file says afterwards."""

    def setUp(self):
        self.path = Path(self.mktemp())

    def test_set(self):
        """A password that was set is right; the file is made when there is none."""
        set_password(self.path, "ju\u0308rgen", "correct horse")
        octets = self.path.read_bytes()
        self.assertTrue(octets.startswith("jürgen:$argon2id$".encode()))
        self.assertTrue(is_right(octets, "jürgen", "correct horse"))
        self.assertFalse(is_right(octets, "jürgen", "correct"))
        self.assertFalse(is_right(octets, "nobody", "correct horse"))

    @rows(colon=("a:b",), empty=("",), line=("a\nb",), comment=("#a",))
    def test_bad_name(self, name):
        """A name that would break the file is refused before the file is touched."""
        self.assertRaises(
            ValueError, set_passwords, self.path, {"amir": "correct horse", name: "correct horse"}
        )
        self.assertFalse(self.path.exists())

    def test_remove(self):
        """Who is taken out is out; who was not in is told from it."""
        self.path.write_text(f"amir:{APACHE_APR1}\nbeth:{APACHE_APR1}\n")
        self.assertTrue(remove(self.path, "amir"))
        self.assertFalse(remove(self.path, "amir"))
        self.assertEqual(self.path.read_text(), f"beth:{APACHE_APR1}\n")
        self.assertEqual(remove_all(self.path, ["beth", "x"]), {"beth"})

    def test_remove_without_file(self):
        """Taking somebody out of no file makes none."""
        self.assertFalse(remove(self.path, "amir"))
        self.assertFalse(self.path.exists())


@tabular
class ChangePasswordTests(SynchronousTestCase):
    """The own password."""

    def setUp(self):
        self.path = Path(self.mktemp())
        self.path.write_text(f"amir:{APACHE_SHA1}\nbeth:{APACHE_SHA1}\n")
        self.before = self.path.read_bytes()

    def test_change(self):
        """The new password replaces the old one, and nobody else's."""
        self.assertIsNone(change_password(self.path, "amir", "secret", "correct horse"))
        octets = self.path.read_bytes()
        self.assertTrue(is_right(octets, "amir", "correct horse"))
        self.assertFalse(is_right(octets, "amir", "secret"))
        self.assertTrue(is_right(octets, "beth", "secret"))

    @rows(
        wrong=("amir", "Secret", "correct horse", "password-wrong"),
        unknown=("nobody", "secret", "correct horse", "password-wrong"),
        same=("amir", "secret", "secret", "password-unchanged"),
        short=("amir", "secret", "horse", "password-too-short"),
        name=("amir.khan", "secret", "Amir.Khan", "password-is-name"),
        simple=("amir", "secret", "aaaaaaaaaa", "password-too-simple"),
        control=("amir", "secret", "correct\thorse", "password-control-characters"),
        long=("amir", "secret", "ab c" * 200, "password-too-long"),
    )
    def test_refused(self, name, old, new, code):
        """A wrong old or weak new password changes nothing and says why."""
        problem = change_password(self.path, name, old, new)
        self.assertEqual(problem.code, code)
        self.assertEqual(self.path.read_bytes(), self.before)

    def test_not_written(self):
        """When the disk is full, that is an error and the old password stays."""

        def full(path, octets):
            raise OSError(28, "No space left on device")

        self.patch(htpasswd_edit, "replace_file", full)
        self.assertRaises(OSError, change_password, self.path, "amir", "secret", "correct horse")
        self.assertTrue(is_right(self.path.read_bytes(), "amir", "secret"))
