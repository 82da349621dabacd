"""What ``corpproxy status`` prints."""

from __future__ import annotations

import argparse
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.cli import status


class StatusTests(SynchronousTestCase):
    """A service that runs."""

    def said(self, **answer: Any) -> list[str]:
        self.patch(status, "asked", lambda options, command: answer)
        with redirect_stdout(StringIO()) as out:
            self.assertEqual(status.run(argparse.Namespace(format="text")), 0)
        return out.getvalue().splitlines()

    def test_workers(self) -> None:
        """Each worker has a line of its own; how long the service runs is told as people say it."""
        workers = [{"worker": one, "stage": "serving"} for one in (1, 2)]
        self.assertEqual(
            self.said(seconds=7384.2, edit_refused=False, workers=workers, not_ready=[]),
            [
                "runs for: 2h03m",
                "edit refused: no",
                "workers:",
                "  worker 1 stage serving",
                "  worker 2 stage serving",
                "not ready: none",
            ],
        )

    def test_few(self) -> None:
        """What there is one of, and what has only names, stays on its line."""
        said = self.said(workers=[{"worker": 1}], listening=["proxy", "pages"])
        self.assertEqual(said, ["workers: worker 1", "listening: proxy, pages"])
