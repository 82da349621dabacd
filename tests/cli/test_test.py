"""``corpproxy test``: the tests that stand in a policy."""

from __future__ import annotations

import contextlib
import io
import json

from twisted.trial.unittest import SynchronousTestCase

from corpproxy import cli
from tests.cli.policies import FAILING, POLICY, TEST, site_folder


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
        self.assertEqual((code, json.loads(out)[0]["line"]), (1, 26))

    def test_none(self):
        """A policy without tests is told how to get some."""
        code, out = self.run_tests(POLICY.replace("tests:\n", ""))
        self.assertEqual((code, out), (0, "the policy has no tests; write some under 'tests:'\n"))
