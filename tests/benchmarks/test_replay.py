"""The benchmark of rehearsals measures what it says: records that are decided, and decided the same."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks import replay
from corpproxy.cli import main


class ReplayTests(SynchronousTestCase):
    """A small run."""

    def test_made(self):
        """The policy that decided the records changes none of them; the other one changes some."""
        folder = Path(self.mktemp())
        folder.mkdir()
        site = replay._site(folder)
        octets, last = replay._write(site, 2_000)
        self.assertEqual((len(last), octets > 500_000), (14, True))
        for name, changes in (("policy.yaml", False), ("more.yaml", True)):
            out = io.StringIO()
            words = ["replay", "--json", "--since", "2026-11-01", "--policy", str(site / name)]
            with contextlib.redirect_stdout(out):
                self.assertEqual(main(words), 0)
            found = json.loads(out.getvalue())
            self.assertEqual((found["decided"], found["undecidable"]["exchanges"]), (2_000, 0))
            self.assertEqual(bool(found["changed"]), changes, name)
