"""What ``corpproxy quota show`` prints of quotas that several nodes have."""

from __future__ import annotations

import argparse
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.cli import quota

MIB = 1 << 20
UNTIL = 1795435200.0


def loan(**more: Any) -> dict[str, Any]:
    return {"node": "5f1c", "host": "two.example", "octets": MIB, "silent_seconds": 7300.0, **more}


class ShowTests(SynchronousTestCase):
    """One person, and two nodes."""

    def shown(self, away: str = "") -> tuple[str, str]:
        nodes = [
            loan(host="one.example", silent_seconds=3.2, is_here=True, may_use=True),
            loan(is_here=False, may_use=False),
        ]
        standing = {"whom": "amir", "used": 50 * MIB, "lent": 0, "allowed": 100 * MIB, "until": UNTIL}
        told = {"name": "day", "says": "100 MiB each day, then block", "per": "user", "minutes": 0}
        told |= {"place": "policy.yaml:3:5", "members": [standing | {"nodes": nodes}]}
        self.patch(quota, "asked", lambda options, command, **more: {"quotas": [told], "away": away})
        options: Any = argparse.Namespace(name=None, of=None, format="text")
        site: Any = SimpleNamespace(zone=ZoneInfo("Europe/London"))
        with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
            quota._show(options, site)
        return out.getvalue(), err.getvalue()

    def test_nodes(self) -> None:
        """Each node says what it holds; one that is gone, until when that stays charged."""
        out, err = self.shown()
        held, gone = out.splitlines()[2:]
        self.assertEqual(held.strip(), "one.example (this node) holds 1 MiB, heard 3s ago")
        self.assertRegex(
            gone.strip(),
            r"^two.example \(5f1c\) holds 1 MiB, not heard for 2h01m: charged until .+, or a reset$",
        )
        self.assertEqual(err, "")

    def test_away(self) -> None:
        """While the database is away it is said whose knowledge this is."""
        _, err = self.shown("the database does not answer")
        self.assertEqual(err, "the database does not answer: this is what this node knows\n")
