"""``corpproxy reload`` and ``corpproxy status`` ask the service that runs."""

from __future__ import annotations

import json

from corpproxy.cli import reload as reload_module
from corpproxy.net.ask import ControlError
from tests.cli.sites import SiteCase


class AskCase(SiteCase):
    """A service that answers as it is told."""

    def setUp(self):
        super().setUp()
        self.asked = []
        self.answer = {"version": "abc", "changed": True, "problems": []}
        self.patch(reload_module, "ask", self.ask)

    def ask(self, path, command):
        self.asked.append((path, command))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class ReloadTests(AskCase):
    """What came of a reload."""

    def test_taken(self):
        """The version that runs is told."""
        code, out, err = self.run_command("reload", "--policy", self.policy)
        self.assertEqual((code, out, err), (0, "version abc runs\n", ""))
        self.assertEqual(self.asked, [(self.folder / "state" / "control.sock", "reload")])

    def test_warnings(self):
        """Warnings are shown although the policy was taken."""
        self.answer["problems"] = ["policy.yaml:1:1: warning"]
        self.assertEqual(self.run_command("reload", "--policy", self.policy)[2], "policy.yaml:1:1: warning\n")

    def test_unchanged(self):
        """A policy that was running already is told to be so."""
        self.answer["changed"] = False
        self.assertIn("nothing has changed", self.run_command("reload", "--policy", self.policy)[1])

    def test_refused(self):
        """Problems are shown, and the exit code is 1."""
        self.answer = ControlError("not-taken", "version abc goes on", {"problems": ["policy.yaml:1:1: no"]})
        code, out, err = self.run_command("reload", "--policy", self.policy)
        self.assertEqual((code, out), (1, ""))
        self.assertEqual(err, "policy.yaml:1:1: no\nnot taken up: version abc goes on\n")

    def test_not_running(self):
        """A service that does not run is told in a sentence."""
        self.answer = ControlError("not-running", "corpproxy is not running")
        self.assertEqual(
            self.run_command("reload", "--policy", self.policy), (1, "", "corpproxy is not running\n")
        )

    def test_broken_file(self):
        """The socket is found although the edit is no YAML."""
        self.policy.write_text("state: here\nrules: [\n")
        (self.folder / "here").mkdir()
        (self.folder / "here" / "control.sock").touch()
        self.run_command("reload", "--policy", self.policy)
        self.assertEqual(self.asked[0][0], self.folder / "here" / "control.sock")

    def test_socket(self):
        """A socket elsewhere can be named."""
        self.run_command("reload", "--socket", self.folder / "s")
        self.assertEqual(self.asked[0][0], self.folder / "s")


class StatusTests(AskCase):
    """How the service is."""

    def test_lines(self):
        """Each part of the answer is a line."""
        self.answer = {"site": "Hillside", "last_good": False, "listening": ["a", "b"], "problems": ["p"]}
        code, out, err = self.run_command("status", "--policy", self.policy)
        self.assertEqual((code, out), (0, "site: Hillside\nlast good: no\nlistening: a, b\n"))
        self.assertEqual(err, "p\n")

    def test_json(self):
        """For programs there is JSON."""
        code, out, _ = self.run_command("status", "--policy", self.policy, "--format", "json")
        self.assertEqual((code, json.loads(out)), (0, self.answer))

    def test_not_running(self):
        """A service that does not run is exit code 1."""
        self.answer = ControlError("not-running", "corpproxy is not running")
        self.assertEqual(self.run_command("status", "--policy", self.policy)[0], 1)
