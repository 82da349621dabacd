"""``corpproxy check`` tells every problem, and runs the tests."""

from __future__ import annotations

import json

from tests.cli.sites import GOOD, SiteCase


class CheckTests(SiteCase):
    """What is printed, and the exit code."""

    def check(self, text, *options):
        self.policy.write_text(text)
        code, out, err = self.run_command("check", self.policy, *options)
        self.assertEqual(err, "")
        return code, out.replace(f"{self.folder}/", "")

    def test_fine(self):
        """A sound policy is summed up in a line."""
        code, out = self.check(GOOD)
        self.assertEqual(code, 0)
        self.assertRegex(out, r"\Aok: 2 rules, 0 lists, 1 test, 1 listener, version [0-9a-f]{12}\n\Z")

    def test_errors(self):
        """Each error is a line with its place, and the exit code is 1."""
        code, out = self.check(GOOD.replace("site", "sit").replace("do: block", "do: blok"))
        self.assertEqual(code, 1)
        self.assertEqual(
            out.splitlines(),
            [
                "policy.yaml:1:1: unknown field 'sit'; did you mean 'site'?",
                "    sit: Hillside",
                "    ^^^",
                "policy.yaml:5:48: 'do' wants one of allow, block, warn, redirect, not 'blok';"
                " did you mean 'block'?",
                "      - {name: games, what: {category: games}, do: blok}",
                "                                                   ^^^^",
                "not loaded: 2 errors",
            ],
        )

    def test_warnings(self):
        """A warning is told as one, and does not make the check fail."""
        code, out = self.check(GOOD + "logo: logo.png\n")
        self.assertEqual(code, 0)
        self.assertRegex(out, r"\Apolicy.yaml:9:7: warning: cannot read 'logo.png'")
        self.assertRegex(out, r"\nok: .* \(1 warning\)\n\Z")

    def test_secrets(self):
        """A password or a token in an address is printed nowhere, whatever is wrong with it."""
        addresses = (
            ("http", "https://me:hunter2@logs.example/x"),
            ("http", "https://me:hunter2/@logs.example/x"),
            ("http", "ftp://me:hunter2@logs.example/x"),
            ("http", "https://hunter2@logs.example/x"),
            ("syslog", "tcp://logs.example:601?token=hunter2 a"),
            ("postgresql", "postgresql://me:hunter2@db.example/audit"),
            ("postgresql", "host=db password=hunter2"),
        )
        for kind, address in addresses:
            for form in ("text", "json", "sarif"):
                text = f'{GOOD}audit: {{to: [{{name: there, {kind}: "{address}"}}]}}\n'
                code, out = self.check(text, "--format", form)
                self.assertEqual(code, 1, address)
                self.assertNotIn("hunter2", out)
        text = f'{GOOD}lists: {{bad: {{url: "https://me:hunter2@lists.example/x", format: hosts}}}}\n'
        code, out = self.check(text)
        self.assertEqual(code, 1)
        self.assertNotIn("hunter2", out)
        self.assertIn("https://me:*******@lists.example/x", out)

    def test_failing_test(self):
        """A test of the policy that fails makes the check fail, at the test's place."""
        code, out = self.check(GOOD.replace("expect: block, rule: games", "expect: allow"))
        self.assertEqual(code, 1)
        self.assertRegex(out, r"\Apolicy.yaml:8:5: expected allow, got block by 'games'")
        self.assertTrue(out.endswith("not loaded: 1 error\n"))

    def test_no_file(self):
        """A policy that is not there is a problem like any other."""
        code, out, _ = self.run_command("check", self.folder / "none.yaml")
        self.assertEqual(code, 1)
        self.assertIn("there is no file", out)

    def test_folder(self):
        """A folder in the place of a policy too."""
        code, out, _ = self.run_command("check", self.folder)
        self.assertEqual(code, 1)
        self.assertIn("Is a directory", out)

    def test_json(self):
        """For programs there is JSON, with codes."""
        code, out = self.check(GOOD + "watch: maybe\n", "--format", "json")
        self.assertEqual(code, 1)
        found = json.loads(out)
        self.assertFalse(found["ok"])
        (problem,) = found["problems"]
        self.assertEqual((problem["code"], problem["line"], problem["column"]), ("not-a-switch", 9, 8))
        self.assertEqual((problem["severity"], problem["end"]), ("error", 13))
        self.assertEqual(problem["hint"], "Write yes or no.")
        self.assertEqual(self.check(GOOD + "watch: maybe\n", "--json")[1], out)

    def test_json_fine(self):
        """A sound policy is JSON too."""
        code, out = self.check(GOOD, "--format", "json")
        self.assertEqual((code, json.loads(out)["ok"], json.loads(out)["problems"]), (0, True, []))

    def test_lines(self):
        """For other programs there is a line for each problem."""
        code, out = self.check(GOOD + "watch: maybe\n", "--format", "lines")
        self.assertEqual(code, 1)
        self.assertEqual(
            out,
            "policy.yaml:9:8: 'watch' is a switch: write yes or no, not 'maybe'\nnot loaded: 1 error\n",
        )

    def test_sarif(self):
        """Code hosts and editors read SARIF: the code, how bad it is, and where."""
        code, out = self.check(GOOD + "watch: maybe\nlogo: logo.png\n", "--format", "sarif")
        self.assertEqual(code, 1)
        (run,) = json.loads(out)["runs"]
        self.assertEqual(
            [(one["ruleId"], one["level"]) for one in run["results"]],
            [("not-a-switch", "error"), ("logo-missing", "warning")],
        )
        place = run["results"][0]["locations"][0]["physicalLocation"]
        self.assertEqual(place["region"], {"startLine": 9, "startColumn": 8, "endColumn": 13})
        self.assertEqual(
            [one["id"] for one in run["tool"]["driver"]["rules"]], ["logo-missing", "not-a-switch"]
        )
