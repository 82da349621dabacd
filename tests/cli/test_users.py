"""``corpproxy users``, as an administrator types it."""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import os
import stat
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.backends import atomic_file
from corpproxy.backends.people.htpasswd_edit import is_right
from corpproxy.backends.records.deed_spool import left
from corpproxy.cli import users
from tests.backends.people.test_passwords import APACHE_SHA1


class Terminal(io.StringIO):
    """Standard input of somebody who sits there."""

    def isatty(self):
        return True


class UsersCase(SynchronousTestCase):
    """A folder with the files of a site."""

    def setUp(self):
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.htpasswd = self.folder / "users.htpasswd"
        self.groups = self.folder / "users.groups"
        self.answers = []
        self.patch(users.getpass, "getpass", lambda prompt: self.answers.pop(0))

    def corpproxy(self, command, *arguments, stdin="", where=None):
        """Run a command; gives its exit status, what it printed, and what it complained of."""
        parser = argparse.ArgumentParser()
        users.add_arguments(parser)
        where = ["--htpasswd", str(self.htpasswd)] if where is None else where
        options = parser.parse_args([command, *where, *map(str, arguments)])
        self.patch(users.sys, "stdin", stdin if isinstance(stdin, io.StringIO) else io.StringIO(stdin))
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = users.run(options)
        return status, out.getvalue(), err.getvalue()

    def done(self, *arguments, **more):
        status, out, err = self.corpproxy(*arguments, **more)
        self.assertEqual((status, err), (0, ""))
        return out

    def refused(self, *arguments, **more):
        status, out, err = self.corpproxy(*arguments, **more)
        self.assertEqual((status, out), (1, ""))
        return err

    def is_right(self, name, password):
        return is_right(self.htpasswd.read_bytes(), name, password)

    def add(self, name, password="correct horse", *more):
        return self.done("add", name, "--password-stdin", *more, stdin=password + "\n")


class AddTests(UsersCase):
    """Letting people in."""

    def test_add(self):
        """A person who was added signs in, and is in the groups that were named."""
        out = self.add("amir", "correct horse", "--groups", "pupils, choir")
        self.assertEqual(out, "'amir' can sign in: choir, pupils.\n")
        self.assertTrue(self.is_right("amir", "correct horse"))
        self.assertEqual(self.groups.read_text(), "amir: pupils, choir\n")

    def test_without_groups(self):
        """Groups are no duty, and no file is made for none."""
        self.assertEqual(self.add("amir"), "'amir' can sign in: (no groups).\n")
        self.assertFalse(self.groups.exists())

    def test_asked(self):
        """At a terminal the password is asked for twice and never shown."""
        self.answers = ["correct horse", "correct horse"]
        self.assertNotIn("horse", self.done("add", "amir", stdin=Terminal()))
        self.assertTrue(self.is_right("amir", "correct horse"))

    def test_asked_badly(self):
        """Two different answers change nothing."""
        self.answers = ["correct horse", "correct house"]
        self.assertIn("not the same", self.refused("add", "amir", stdin=Terminal()))
        self.assertFalse(self.htpasswd.exists())

    def test_nobody_to_ask(self):
        """In a script without a password it says how to give one, rather than waiting for ever."""
        self.assertIn("--password-stdin", self.refused("add", "amir"))

    def test_generate(self):
        """A password can be made, and is shown once."""
        out = self.done("add", "amir", "--generate")
        password = out.partition("once: ")[2].partition("\n")[0]
        self.assertTrue(self.is_right("amir", password))

    def test_there_already(self):
        """Nobody's password is overwritten by adding, also where the hash there is one we refuse."""
        self.htpasswd.write_text("amir:hunter2\n")
        self.assertIn("users passwd amir", self.refused("add", "amir", "--generate"))

    def test_weak(self):
        """A weak password is refused with the reason."""
        self.assertIn("at least 8", self.refused("add", "amir", "--password-stdin", stdin="horse\n"))
        self.assertIn("at least 8", self.refused("add", "amir", "--password-stdin"))

    def test_bad_name(self):
        """A name that would break the file is refused before a password is asked for."""
        self.assertIn("':'", self.refused("add", "a:b"))
        self.assertIn("':'", self.refused("add", "amir", "--groups", "a:b"))

    def test_not_utf8(self):
        """A password in another encoding is refused, not guessed."""
        stdin = io.TextIOWrapper(io.BytesIO(b"correct h\xf6rse\n"), encoding="utf-8")
        parser = argparse.ArgumentParser()
        users.add_arguments(parser)
        options = parser.parse_args(["add", "--htpasswd", str(self.htpasswd), "amir", "--password-stdin"])
        self.patch(users.sys, "stdin", stdin)
        err = io.StringIO()
        with contextlib.redirect_stderr(err):
            self.assertEqual(users.run(options), 1)
        self.assertIn("not UTF-8", err.getvalue())


class ChangeTests(UsersCase):
    """Changing and taking out."""

    def setUp(self):
        super().setUp()
        self.htpasswd.write_text(f"# ours\namir:{APACHE_SHA1}\nbeth:{APACHE_SHA1}\ncarol:hunter2\n")
        self.htpasswd.chmod(0o640)
        self.groups.write_text("amir: pupils\nbeth: staff\n")

    def test_passwd(self):
        """A new password replaces the old one, and a refused line is mended so."""
        for name in ("amir", "carol"):
            self.done("passwd", name, "--password-stdin", stdin="correct horse\n")
            self.assertTrue(self.is_right(name, "correct horse"))
        self.assertTrue(self.is_right("beth", "secret"))
        self.assertTrue(self.htpasswd.read_text().startswith("# ours\n"))

    def test_unknown(self):
        """A name that is not there is not silently made, and one mistake in several changes nothing."""
        self.assertIn("no 'dora'", self.refused("passwd", "dora", "--generate"))
        self.assertIn("no 'dora'", self.refused("remove", "amir", "dora"))
        self.assertTrue(self.is_right("amir", "secret"))

    def test_remove(self):
        """Who is taken out is out of the groups too."""
        self.assertIn("amir, carol", self.done("remove", "amir", "carol"))
        self.assertEqual(self.htpasswd.read_text(), f"# ours\nbeth:{APACHE_SHA1}\n")
        self.assertEqual(self.groups.read_text(), "beth: staff\n")

    def test_list(self):
        """All people are shown with groups and kind of hash, and what is wrong with the files is told."""
        self.groups.write_text("amir: pupils\ndora: staff\nwhat?\n")
        status, out, err = self.corpproxy("list")
        self.assertEqual(status, 0)
        lines = [line.split() for line in out.splitlines()]
        self.assertEqual(
            lines,
            [
                ["amir", "{SHA}", "pupils"],
                ["beth", "{SHA}", "(no", "groups)"],
                ["dora", "no", "password", "staff"],
            ],
        )
        self.assertIn("users.htpasswd:4: the password of 'carol'", err)
        self.assertIn("users.groups:3: ", err)
        self.assertNotIn("hunter2", err)

    def test_check(self):
        """A password can be tried; the answer says what is wrong."""
        ask = ("check", "amir", "--password-stdin")
        self.assertEqual(self.done(*ask, stdin="secret\n"), "right: 'amir' signs in with it: pupils.\n")
        self.assertIn("another one", self.refused(*ask, stdin="Secret\n"))
        self.assertIn("no 'dora'", self.refused("check", "dora", "--password-stdin", stdin="secret\n"))
        self.answers = ["secret"]
        self.done("check", "amir", stdin=Terminal())

    def test_disk_full(self):
        """A full disk is told in words, and the file stays as it was."""

        def full(descriptor):
            raise OSError(28, "No space left on device")

        before = self.htpasswd.read_bytes()
        self.patch(atomic_file.os, "fsync", full)
        self.assertIn("No space left", self.refused("remove", "amir"))
        self.assertEqual(self.htpasswd.read_bytes(), before)


class ImportTests(UsersCase):
    """Many people at once."""

    def setUp(self):
        super().setUp()
        self.table = self.folder / "people.csv"
        self.table.write_text('name,password,groups\namir,correct horse,"pupils,choir"\nbeth,,staff\n')
        self.made = self.folder / "made.csv"

    def passwords(self, text):
        return {row["name"]: row["password"] for row in csv.DictReader(io.StringIO(text))}

    def test_import(self):
        """Everybody in the table signs in; passwords that were missing are made and shown once."""
        out = self.done("import", self.table)
        self.assertIn("2 people are in the files; 1 password was made.", out)
        made = self.passwords(out[out.index("name,password") :])
        self.assertEqual(list(made), ["beth"])
        self.assertTrue(self.is_right("amir", "correct horse"))
        self.assertTrue(self.is_right("beth", made["beth"]))
        self.assertEqual(self.groups.read_text(), "amir: pupils, choir\nbeth: staff\n")

    def test_passwords_file(self):
        """Made passwords can go to a file, for the owner alone, and not to the screen."""
        out = self.done("import", self.table, "--passwords", self.made)
        made = self.passwords(self.made.read_text())
        self.assertTrue(self.is_right("beth", made["beth"]))
        self.assertNotIn(made["beth"], out)
        self.assertEqual(stat.S_IMODE(self.made.stat().st_mode), 0o600)

    def test_passwords_file_is_there(self):
        """Passwords that were made before are never overwritten."""
        self.made.write_text("precious")
        self.assertIn("made.csv: File exists", self.refused("import", self.table, "--passwords", self.made))
        self.assertEqual(self.made.read_text(), "precious")
        self.assertFalse(self.htpasswd.exists())

    def test_disk_full(self):
        """When the people cannot be written, no file of passwords that nobody has is left."""

        def full(descriptor):
            raise OSError(28, "No space left on device")

        self.patch(atomic_file.os, "fsync", full)
        self.assertIn("No space", self.refused("import", self.table, "--passwords", self.made))
        self.assertEqual(os.listdir(self.folder), ["people.csv"])

    def test_all_or_nothing(self):
        """One bad row and nothing is written; all bad rows are told at their lines."""
        with self.table.open("a") as table:
            table.write("a:b,,\ncarol,short,\n")
        err = self.refused("import", self.table)
        self.assertIn("people.csv:4: 'a:b'", err)
        self.assertIn("people.csv:5: the password is too short", err)
        self.assertIn("Nothing was changed.", err)
        self.assertFalse(self.htpasswd.exists())

    def test_there_already(self):
        """Who is there already is changed only on request; without a password they keep theirs."""
        self.htpasswd.write_text(f"amir:{APACHE_SHA1}\nbeth:{APACHE_SHA1}\n")
        self.assertIn(
            "people.csv:2: 'amir' is there already; use --update", self.refused("import", self.table)
        )
        out = self.done("import", self.table, "--update")
        self.assertIn("0 passwords were made", out)
        self.assertTrue(self.is_right("amir", "correct horse"))
        self.assertTrue(self.is_right("beth", "secret"))
        self.assertEqual(self.groups.read_text(), "amir: pupils, choir\nbeth: staff\n")

    def test_names_alone(self):
        """A table without groups leaves the groups as they are."""
        self.table.write_text("name\namir\n")
        self.done("import", self.table)
        self.assertFalse(self.groups.exists())

    def test_no_table(self):
        """A table that is not there is told by its name."""
        self.assertIn("nowhere.csv: No such file", self.refused("import", self.folder / "nowhere.csv"))


POLICY = """\
site: Hillside School
time_zone: Europe/London
listen: [{name: rooms, forward: "127.0.0.1:3128"}]
identity:
  methods: [{basic: {htpasswd: users.htpasswd}}]
  groups: {pupils: [amir], choir: [amir]}
  groups_file: users.groups
rules:
  - {name: everything, do: allow}
"""


class PolicyTests(UsersCase):
    """The files that a policy names."""

    def setUp(self):
        super().setUp()
        self.policy = self.folder / "policy.yaml"
        self.where = ["--policy", str(self.policy)]

    def test_files_of_policy(self):
        """The policy says which files; its own groups are shown too; the first person needs no file yet."""
        self.policy.write_text(POLICY)
        out = self.done("add", "amir", "--groups", "staff", "--generate", where=self.where)
        self.assertIn("'amir' can sign in: choir, pupils, staff.", out)
        self.assertEqual(self.groups.read_text(), "amir: staff\n")
        self.assertIn("choir, pupils, staff", self.done("list", where=self.where))

    def test_no_groups_file(self):
        """Groups without a file for them are told before a password is asked for."""
        self.policy.write_text(POLICY.replace("  groups_file: users.groups\n", ""))
        err = self.refused("add", "amir", "--groups", "staff", where=self.where)
        self.assertIn("groups_file: users.groups", err)
        self.assertFalse(self.htpasswd.exists())

    def test_groups_file_beside_policy(self):
        """An option that a policy leaves no room for is refused, not passed over."""
        self.policy.write_text(POLICY)
        err = self.refused("list", "--groups-file", "x", where=self.where)
        self.assertIn("--groups-file goes with --htpasswd", err)

    def test_nobody_signs_in(self):
        """A policy without sign-in says what to write."""
        self.policy.write_text(POLICY.replace("  methods: [{basic: {htpasswd: users.htpasswd}}]\n", ""))
        self.assertIn("basic: {htpasswd:", self.refused("list", where=self.where))

    def test_broken_policy(self):
        """A broken policy is told at its places, and the way around it is named."""
        self.policy.write_text(POLICY.replace("do: allow", "do: alow"))
        err = self.refused("list", where=self.where)
        self.assertIn("policy.yaml:9:", err)
        self.assertIn("--htpasswd", err)

    def test_file_of_policy(self):
        """
        What is done to the file of a policy is left for its record, also when the file is named itself and
        the policy is broken; of a file that no policy names nobody knows a record.
        """
        (self.folder / "state").mkdir()
        self.policy.write_text(POLICY.replace("do: allow", "do: alow"))
        self.done("add", "amir", "--generate", where=["--htpasswd", str(self.htpasswd)])
        self.done("add", "beth", "--generate", where=["--htpasswd", str(self.folder / "others")])
        deeds = [deed for _, deed in left(self.folder / "state")]
        self.assertEqual([(one.name, one.whom) for one in deeds], [("user-added", "amir")])

    def test_groups_of_policy(self):
        """The record has the groups that somebody is in, also those of the policy."""
        (self.folder / "state").mkdir()
        self.policy.write_text(POLICY)
        self.assertIn("pupils", self.done("add", "amir", "--generate", where=self.where))
        (deed,) = (deed for _, deed in left(self.folder / "state"))
        self.assertEqual(deed.why, "groups: choir, pupils")

    def test_no_policy(self):
        """Without a policy both ways to name one are told."""
        err = self.refused("list", where=self.where)
        self.assertIn("--policy", err)
        self.assertIn("--htpasswd", err)
