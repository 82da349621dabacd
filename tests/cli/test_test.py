"""``corpproxy test``: the tests that stand in a policy."""

from __future__ import annotations

import contextlib
import io
import json

from twisted.trial.unittest import SynchronousTestCase

from corpproxy import cli
from tests.cli.policies import FAILING, POLICY, TEST, site_folder

TABLE = """\
  - user: [amir, carol]
    get: ["http://miniclip.com/", "http://www.miniclip.com/"]
    times:
      2026-11-23T16:00: allow
      2026-11-23T10:00: [block, block]
"""
PAIRS = """\
  - {user: [amir, carol], at: 2026-11-23T16:00, get: ["http://miniclip.com/", "http://a.b/"], expect: allow}
"""
EXCEPTED = """\
  - {user: carol, groups: [pupils], at: 2026-11-23T10:00, get: "http://miniclip.com", expect: allow,
     exception: chess club}
"""
EXCEPTION = """\
exceptions:
  - {name: chess club, who: {user: carol}, past: games wait, owner: dan, reason: cup, permanent: yes}
"""


class TestTests(SynchronousTestCase):
    """Those that fail are shown at their places."""

    def run_tests(self, policy, *arguments):
        """Run the command on a policy; gives exit code and output."""
        path = site_folder(self.mktemp(), policy)
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            code = cli.main(["test", "--policy", str(path), *arguments])
        return code, out.getvalue()

    def test_passed(self):
        """Tests that pass are counted."""
        self.assertEqual(self.run_tests(POLICY + TEST), (0, "1 test passed\n"))
        self.assertEqual(self.run_tests(POLICY + TEST + TEST), (0, "2 tests passed\n"))

    def test_failed(self):
        """One that fails is told with its place, what was expected and what came, and the exit code is 1."""
        code, out = self.run_tests(POLICY + TEST + FAILING)
        self.assertEqual(code, 1)
        self.assertIn("policy.yaml:27:5: expected block, got allow by 'everything else'", out)
        self.assertTrue(out.endswith("1 of 2 tests failed\n"))

    def test_json(self):
        """Programs read JSON."""
        code, out = self.run_tests(POLICY + FAILING, "--json")
        found = json.loads(out)
        self.assertEqual((code, found["tests"], found["failures"][0]["line"]), (1, 1, 26))

    def test_none(self):
        """A policy without tests is told how to get some."""
        code, out = self.run_tests(POLICY.replace("tests:\n", ""))
        self.assertEqual((code, out), (0, "the policy has no tests; write some under 'tests:'\n"))

    def test_table(self):
        """A table is a test for each of its cells, and each that fails is told at its place."""
        code, out = self.run_tests(POLICY + TABLE)
        self.assertEqual(code, 1)
        self.assertEqual(
            [line.partition("policy.yaml:")[2].partition(",")[0] for line in out.splitlines()[:-1]],
            ["30:33: expected block"] * 2,
        )
        self.assertIn("for carol asking GET miniclip.com:80 at Mon 2026-11-23 10:00", out)
        self.assertTrue(out.endswith("2 of 8 tests failed\n"))

    def test_combinations(self):
        """Several users and URLs are a test for each pair."""
        _, out = self.run_tests(POLICY + PAIRS)
        self.assertEqual(out, "4 tests passed\n")

    def test_coverage(self):
        """Rules and exceptions that no test reaches are named at their places."""
        code, out = self.run_tests(POLICY + TEST + EXCEPTION, "--coverage")
        self.assertEqual(code, 0)
        self.assertEqual(
            [line.rpartition("/")[2] for line in out.splitlines()],
            [
                "policy.yaml:23:5: no test reaches rule 'everything else'",
                "policy.yaml:28:5: no test reaches exception 'chess club'",
                "1 test passed",
                "1 of 3 rules and exceptions are reached by a test",
            ],
        )

    def test_coverage_json(self):
        """And for programs."""
        _, out = self.run_tests(POLICY + TEST + EXCEPTION, "--coverage", "--json")
        found = json.loads(out)
        self.assertEqual(
            [(one["kind"], one["name"], one["line"]) for one in found["unreached"]],
            [("rule", "everything else", 23), ("exception", "chess club", 28)],
        )
        self.assertEqual((found["rules"], found["exceptions"]), (2, 1))

    def test_coverage_of_exceptions(self):
        """A test that an exception decides reaches it, and the rule that is left."""
        _, out = self.run_tests(POLICY + EXCEPTED + EXCEPTION, "--coverage")
        self.assertNotIn("chess club", out)
        self.assertIn("no test reaches rule 'games wait'", out)
