"""One program, a command for each task."""

from __future__ import annotations

import os
from pathlib import Path

from corpproxy import __version__, twins
from corpproxy.cli import COMMANDS, main, parsed, parser_of_all, policy_path
from corpproxy.cli import check as check_module
from corpproxy.cli.failed import CommandFailed
from tests.cli.sites import SiteCase


class MainTests(SiteCase):
    """What all commands have in common."""

    def test_version(self):
        """--version prints the version, and which of the twins run."""
        self.assertEqual(
            self.run_command("--version"), (0, f"corpproxy {__version__}, {twins.described()}\n", "")
        )

    def test_help(self):
        """--help names every command, and needs none of their modules."""
        code, out, _ = self.run_command("--help")
        self.assertEqual(code, 0)
        for name in COMMANDS:
            self.assertIn(f"    {name} ", out)

    def test_each_command(self):
        """Every command has a description and takes its own options."""
        parser = parser_of_all(with_options_of=list(COMMANDS))
        for name in COMMANDS:
            code, out, _ = self.run_command(name, "--help")
            self.assertEqual(code, 0, name)
            self.assertIn(f"usage: corpproxy {name}", out)
        self.assertEqual(parser.prog, "corpproxy")

    def test_wrong_usage(self):
        """No command, an unknown one or an unknown option is wrong usage."""
        for words in ((), ("chek",), ("check", "--colour")):
            code, _, err = self.run_command(*words)
            self.assertEqual(code, 2, words)
            self.assertIn("usage: corpproxy", err)

    def test_policy_before_and_after(self):
        """--policy may stand before or after the command."""
        before = self.run_command("--policy", self.policy, "check")
        self.assertEqual(before[0], 0, before)
        self.assertEqual(before, self.run_command("check", "--policy", self.policy))
        self.assertEqual(before, self.run_command("check", self.policy))

    def test_options_anywhere(self):
        """What a command takes, or all of its actions, may stand before the action and behind it."""
        for words in (
            ["--policy", "P", "lists", "build"], ["lists", "--policy", "P", "build"],
            ["lists", "build", "--policy", "P"], ["policy", "--policy", "P", "log"],
            ["users", "--policy", "P", "list"], ["grants", "--policy", "P", "list"],
            ["grants", "list", "--policy", "P"], ["requests", "--policy", "P", "list", "--json"],
        ):  # fmt: skip
            options, _ = parsed(list(map(str, words)))
            self.assertEqual(options.policy, Path("P"), words)
        for words in (["grants", "--socket", "S", "list"], ["grants", "list", "--socket", "S"]):
            self.assertEqual(parsed(words)[0].socket, Path("S"))
        self.assertIsNone(parsed(["grants", "list"])[0].socket)

    def test_behind_counts(self):
        """What stands behind the action counts, when an option is given twice."""
        options, _ = parsed(["lists", "--policy", "A", "build", "--policy", "B"])
        self.assertEqual(options.policy, Path("B"))

    def test_json_everywhere(self):
        """--json is understood by every command that has something for programs."""
        for words in (
            ["check"], ["explain", "--url", "http://a.example/"], ["calendar"], ["test"], ["exceptions"],
            ["grants", "list"], ["grants", "report"], ["requests", "list"], ["replay"], ["status"], ["usage"],
            ["lists", "stats"], ["lists", "status"], ["lists", "diff", "a"], ["audit", "search"],
        ):  # fmt: skip
            options, _ = parsed([*words, "--json"])
            self.assertTrue(getattr(options, "json", False) or options.format == "json", words)

    def test_expected_failures(self):
        """What is expected to fail is a sentence on standard error, never a traceback."""
        for failure, code, said in (
            (CommandFailed("the lists are gone"), 1, "the lists are gone\n"),
            (CommandFailed("what is that", 2), 2, "what is that\n"),
            (PermissionError(13, "Permission denied", "/etc/shadow"), 1, "/etc/shadow: Permission denied\n"),
            (KeyboardInterrupt(), 130, ""),
        ):

            def fail(options, failure=failure):
                raise failure

            self.patch(check_module, "run", fail)
            self.assertEqual(self.run_command("check"), (code, "", said))

    def test_program_arguments(self):
        """Without arguments handed in, those of the program are taken."""
        self.patch(__import__("sys"), "argv", ["corpproxy", "check", str(self.policy)])
        self.patch(check_module, "run", lambda options: 0 if options.file == self.policy else 9)
        self.assertEqual(main(), 0)


class PolicyPathTests(SiteCase):
    """Which policy is meant when nobody names one."""

    def setUp(self):
        super().setUp()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.folder)
        self.patch(os, "environ", {})

    def test_named(self):
        """The one that is named, whether it exists or not."""
        self.assertEqual(policy_path(Path("x.yaml")), Path("x.yaml"))

    def test_variable(self):
        """Else the one in the environment."""
        os.environ["CORPPROXY_POLICY"] = "elsewhere.yaml"
        self.assertEqual(policy_path(None), Path("elsewhere.yaml"))

    def test_places(self):
        """Else the first that exists: here, in the folder site, in /etc."""
        self.assertEqual(policy_path(None), Path("policy.yaml"))
        Path("site").mkdir()
        Path("policy.yaml").rename("site/policy.yaml")
        self.assertEqual(policy_path(None), Path("site/policy.yaml"))
