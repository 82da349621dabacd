"""The benchmark of the writer runs, with the compiled twin and without, and loses nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parents[2]


class WriterTests(SynchronousTestCase):
    """A short run."""

    def test_runs(self) -> None:
        """It tells records a second and processor time, for both kinds."""
        command = [sys.executable, "-m", "benchmarks.writer", "--records", "1000"]
        told = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, timeout=60)
        lines = told.stdout.splitlines()
        self.assertEqual(len(lines), 2, told.stdout)
        for line in lines:
            self.assertRegex(line, r"1,024 records .* a second .* us of CPU each .* lost 0")
