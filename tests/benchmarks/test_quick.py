"""A quick run of the whole benchmark, with real proxies."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parents[2]
SERVERS = "/usr/sbin:/usr/local/sbin"
ABSENT = [name for name in ("cc", "nginx") if not shutil.which(name, path=f"{os.environ['PATH']}:{SERVERS}")]


class QuickTests(SynchronousTestCase):
    """``make bench BENCH=--quick`` measures, and keeps what it measured."""

    skip = f"not installed: {', '.join(ABSENT)}; 'make test-deps' installs them" if ABSENT else None

    def run_it(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the benchmark."""
        command = [sys.executable, "-m", "benchmarks", *words]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)

    def test_quick(self) -> None:
        """Requests and tunnels get figures without a fault, with all duties proven."""
        results = Path(self.mktemp()).absolute()
        words = ["--quick", "--peers", "corpproxy", "--only", "get-all,tunnels", "--out", str(results)]
        done = self.run_it(*words)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("a wrong password: 407; somebody barred: 403;", done.stdout)
        kept = json.loads(results.read_text())
        self.assertEqual([run["workload"] for run in kept["runs"]], ["get-all", "tunnels"])
        for run in kept["runs"]:
            self.assertGreater(run["figure"], 50)
            self.assertGreater(run["cpu_each"], 0)
            self.assertEqual(run["fault"], "")
        shown = self.run_it("--show", str(results))
        self.assertEqual(shown.returncode, 0, shown.stderr)
        self.assertIn(shown.stdout.strip(), done.stdout)

    def test_unknown(self) -> None:
        """A workload or a proxy that does not exist is refused, with those that do."""
        for words in (("--only", "gets"), ("--peers", "squib")):
            done = self.run_it(*words)
            self.assertEqual(done.returncode, 1)
            self.assertIn("(there are ", done.stderr)
