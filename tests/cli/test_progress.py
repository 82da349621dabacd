"""How far a command has come: on a terminal a line that is written over, elsewhere nothing."""

from __future__ import annotations

import io
import sys

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.cli import progress as progress_module
from corpproxy.cli.progress import Progress


class Terminal(io.StringIO):
    """A terminal."""

    def isatty(self):
        """It is one."""
        return True


class ProgressTests(SynchronousTestCase):
    """A command that takes long."""

    def shown(self, stream):
        """What is written while it is at work."""
        self.patch(sys, "stderr", stream)
        moments = iter((0.0, 1.0, 1.05, 2.0, 3.0, 4.0, 5.0, 6.0))
        self.patch(progress_module.time, "monotonic", lambda: next(moments))
        progress = Progress("rehearsing")
        for done in (0, 50, 99):
            progress(done, 200)
        progress.end()
        return stream.getvalue()

    def test_terminal(self):
        """On a terminal the share is told now and then, and the line is gone at the end."""
        shown = self.shown(Terminal())
        self.assertIn("rehearsing 49 %", shown)
        self.assertNotIn("25 %", shown)
        self.assertTrue(shown.endswith("\r\x1b[K"))

    def test_elsewhere(self):
        """In a file or a pipe there is none of it."""
        self.assertEqual(self.shown(io.StringIO()), "")

    def test_unknown_length(self):
        """Of standard input nobody knows the length."""
        self.patch(sys, "stderr", Terminal())
        Progress("rehearsing")(100, 0)
        self.assertIn("rehearsing", sys.stderr.getvalue())
