"""A site folder to run commands on, and what they print."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.cli import main

GOOD = """\
site: Hillside
listen: [{name: proxy, forward: "127.0.0.1:3128"}]
categories: {own: {games: [games.example]}}
rules:
  - {name: games, what: {category: games}, do: block}
  - {name: everything else, do: allow}
tests:
  - {get: "http://games.example/", expect: block, rule: games}
"""


class SiteCase(SynchronousTestCase):
    """Runs commands on a policy in a folder of its own."""

    def setUp(self):
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.policy = self.folder / "policy.yaml"
        self.policy.write_text(GOOD)

    def run_command(self, *words: object) -> tuple[int, str, str]:
        """Run ``corpproxy`` with these words; gives the exit code and what was printed, out and err."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = main([str(word) for word in words])
            except SystemExit as ended:
                code = ended.code if isinstance(ended.code, int) else 1
        return code, out.getvalue(), err.getvalue()
