"""
What is imported decides as the real programs do, over thousands of requests made from the configuration.

What differs by intention stands in the manual: who is known and refused is not asked to sign in again.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.foreign import comparing_e2guardian, real_e2guardian, real_squid
from tests.foreign.comparing import Comparison
from tests.support.realdata import real_data
from tests.support.rows import rows, tabular

SAMPLES = Path(__file__).parent / "samples"
PASSWORDS = {"amir": "a", "beth": "b", "carol": "c"}
REQUESTS = 2_000

NO_CLOCK = None if shutil.which("faketime") else "not installed: faketime; 'make test-deps' installs it"


@tabular
class SquidTests(SynchronousTestCase):
    """Allow, block, challenge and redirect, as Squid says."""

    skip = NO_CLOCK if real_squid.is_here() else "not installed: squid; 'make test-deps' installs it"

    def compare(self, configuration: Path, at: str, passwords: dict[str, str] | None = None) -> set[str]:
        """Gives the different answers that there were."""
        compared = Comparison(configuration, passwords=passwords, at=at)
        self.addCleanup(compared.forget)
        differences, counts = compared.differences(REQUESTS)
        self.assertEqual([str(one) for one in differences[:10]], [])
        self.assertEqual(sum(counts.values()), REQUESTS)
        return set(counts)

    @rows(
        office_at_lunch=("office.conf", "2026-11-23 12:30:00", {"allow", "block", "challenge", "redirect"}),
        office_last_minute=(
            "office.conf",
            "2026-11-23 13:00:30",
            {"allow", "block", "challenge", "redirect"},
        ),
        office_at_night=("office.conf", "2026-11-22 02:00:00", {"allow", "block", "challenge", "redirect"}),
        kinds_in_the_morning=("kinds.conf", "2026-11-24 11:59:30", {"allow", "block", "challenge"}),
        kinds_in_the_evening=("kinds.conf", "2026-11-22 21:00:00", {"allow", "block", "challenge"}),
        library=("library.conf", "2026-11-23 10:00:00", {"allow", "block", "redirect"}),
        answers_in_the_morning=("answers.conf", "2026-11-23 10:00:00", {"allow", "block"}),
        answers_at_night=("answers.conf", "2026-11-23 22:00:00", {"allow", "block"}),
        library_closed=("library.conf", "2026-11-28 16:00:30", {"allow", "block"}),
    )
    def test_sample(self, name, at, expected):
        """Every kind of acl, in and out of hours, with and without signing in."""
        self.assertEqual(self.compare(SAMPLES / "squid" / name, at, PASSWORDS), expected)

    @rows(
        allow_domains=("allow_domains",),
        basicauth=("basicauth",),
        cache=("cache",),
        forward=("forward",),
        intercept=("intercept",),
    )
    def test_real(self, name):
        """Configurations that people use."""
        self.compare(real_data("squid-conf") / f"squid.conf.{name}", "2026-11-23 10:00:00", PASSWORDS)


@tabular
class E2guardianTests(SynchronousTestCase):
    """Allow and block, as e2guardian says."""

    skip = (
        NO_CLOCK if real_e2guardian.is_here() else "not installed: e2guardian; 'make test-deps' installs it"
    )

    @rows(
        in_lessons=("2026-11-23 10:00:00",),
        at_the_weekend=("2026-11-22 10:00:00",),
    )
    def test_sample(self, at):
        """Groups by address, storyboards of their own, lists in lists, hours."""
        differences, counts = comparing_e2guardian.differences(SAMPLES / "e2guardian", REQUESTS, at=at)
        self.assertEqual([str(one) for one in differences[:10]], [])
        self.assertEqual(set(counts), {"allow", "block"})
