"""What ``corpproxy quota show`` prints of quotas that several nodes have."""

from __future__ import annotations

import argparse
import json
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
        told |= {"place": "policy.yaml:3:5", "count": 1, "members": [standing | {"nodes": nodes}]}
        self.patch(quota, "asked", lambda options, command, **more: {"quotas": [told], "away": away})
        options: Any = argparse.Namespace(name=None, of=None, all=False, format="text")
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


class ManyTests(SynchronousTestCase):
    """A quota of which many used something."""

    MEMBERS = {f"person {number:04}": number * MIB for number in range(2 * quota.PAGE + 1)}

    def setUp(self) -> None:
        self.asked = 0
        self.patch(quota, "asked", self.answer)

    def answer(self, options: Any, command: str, *, most: int, after: str | None = None, **more: Any) -> Any:
        self.asked += 1
        names = sorted(self.MEMBERS, key=lambda name: -self.MEMBERS[name])
        if after is not None:
            names = sorted(name for name in names if name > after)
        members = [
            {
                "whom": name,
                "used": self.MEMBERS[name],
                "lent": 0,
                "allowed": 1 << 40,
                "until": UNTIL,
                "nodes": [],
            }
            for name in names[:most]
        ]
        told = {
            "name": "day",
            "says": "1 TiB each day",
            "per": "user",
            "minutes": 0,
            "place": "policy.yaml:3:5",
        }
        return {"quotas": [told | {"count": len(self.MEMBERS), "members": members}], "away": ""}

    def shown(self, **more: Any) -> str:
        options: Any = argparse.Namespace(
            **({"name": None, "of": None, "all": False, "format": "text"} | more)
        )
        site: Any = SimpleNamespace(zone=ZoneInfo("Europe/London"))
        with redirect_stdout(StringIO()) as out:
            quota._show(options, site)
        return out.getvalue()

    def test_most(self) -> None:
        """Those who used most are listed, and the others are counted."""
        lines = self.shown().splitlines()
        self.assertEqual(len(lines), 1 + quota.SHOWN + 1)
        self.assertTrue(lines[1].strip().startswith("person 2000: 2 GiB of 1 TiB"), lines[1])
        said = "and 1,951 who used less: --all lists them, --of NAME one of them"
        self.assertEqual((lines[-1].strip(), self.asked), (said, 1))

    def test_all(self) -> None:
        """Everybody is listed once, in the same order, by answers of a bounded size."""
        lines = self.shown(all=True).splitlines()
        names = [line.strip().partition(":")[0] for line in lines[1:]]
        self.assertEqual(names, sorted(self.MEMBERS, reverse=True))
        self.assertEqual(self.asked, 3)

    def test_json(self) -> None:
        """What programs read is whole."""
        ((told,),) = [json.loads(self.shown(format="json"))]
        self.assertEqual((len(told["members"]), told["count"]), (2001, 2001))
