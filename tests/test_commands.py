"""What the running service says of problems when it is asked."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.commands import problem_lines
from corpproxy.errors import Place, Problem


class LineTests(SynchronousTestCase):
    """Problems as lines."""

    def test_errors_first(self):
        """What keeps a policy from being taken up comes first; the rest says how bad it is."""
        hint = Problem(Place("policy.yaml", 3, 5), "unused", "it is named nowhere", "hint")
        warning = Problem(Place("policy.yaml", 4, 5), "ended", "it ended", "warning")
        error = Problem(Place("policy.yaml", 9, 5), "test-failed", "expected allow, got block")
        self.assertEqual(
            problem_lines([hint, warning, error]),
            [
                "policy.yaml:9:5: expected allow, got block",
                "policy.yaml:3:5: hint: it is named nowhere",
                "policy.yaml:4:5: warning: it ended",
            ],
        )
