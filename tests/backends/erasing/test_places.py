"""What else names somebody is told: what was rewritten, and what is not ours to change."""

from __future__ import annotations

from pathlib import Path

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.quotas import Kept
from corpproxy.audit.erasure import Erasure
from corpproxy.backends.erasing.places import concerned_evidence, erase_evidence, places_out_of_reach
from corpproxy.backends.lists.shelf import STATE_FILE, Held, ShelfState
from corpproxy.backends.store.quota_file import KEPT_SECONDS, QUOTA_FILE, QuotaFile
from corpproxy.destination.brake import Blocked, Effect, Findings
from tests.support.threads import DirectThread

FINDINGS = Findings(
    {"games": 2},
    effect=Effect(
        hosts=[
            Blocked("www.a.test", 3, 2, "games", "entry", "rule"),
            Blocked("b.test", 1, 1, "games", "entry", "rule"),
        ]
    ),
)


class PlaceTests(SynchronousTestCase):
    """One state folder."""

    def setUp(self) -> None:
        self.state = Path(self.mktemp())
        self.state.mkdir()

    def told(self, *files: Path, **about) -> list[str]:
        return [one.place for one in places_out_of_reach(self.state, Erasure(**about), files)]

    def test_nothing(self) -> None:
        """An empty folder has nothing to tell."""
        self.assertEqual(self.told(self.state / "users.htpasswd", user="amir"), [])

    def test_files(self) -> None:
        """Files of the site are told where the name stands in them as a word of its own."""
        path = self.state / "users.htpasswd"
        path.write_text("amira:x\nsamir:y\n")
        self.assertEqual(self.told(path, user="amir"), [])
        path.write_text("beth:x\namir:y\n")
        self.assertEqual(self.told(path, path, user="amir"), ["users.htpasswd"])

    def test_policies_and_damage(self) -> None:
        """So are kept policies, and a store that was set aside."""
        (self.state / "policies" / "3fa9").mkdir(parents=True)
        (self.state / "policies" / "3fa9" / "000-policy.yaml").write_text("groups: {pupils: [amir]}")
        (self.state / "corpproxy.db.damaged-20261123T100000Z").write_bytes(b"")
        (self.state / "quotas.db.damaged-20261123T100000Z").write_bytes(b"amir")
        aside = ["corpproxy.db.damaged-20261123T100000Z", "quotas.db.damaged-20261123T100000Z"]
        self.assertEqual(self.told(user="amir"), [*aside, "policies"])

    def test_quotas(self) -> None:
        """What is used of a quota has the name while it counts and two days more, and not afterwards."""
        quotas = QuotaFile(self.state / QUOTA_FILE, DirectThread())
        quotas.keep([Kept("a day", "amir", 100.0, 5.0, 0.0)])
        self.assertEqual(self.told(user="amir"), ["quotas"])
        quotas.forget(100.0, 0.0)
        quotas.forget(100.0 + KEPT_SECONDS, KEPT_SECONDS)
        quotas.close()
        self.assertEqual(self.told(user="amir"), [])

    def test_evidence(self) -> None:
        """Hosts that people went to are taken out of what the brake of a list found out."""
        folder = self.state / "lists" / "games"
        folder.mkdir(parents=True)
        held = Held("v2", 0.0, ["shrinks"], ["www.a.test would be refused"], FINDINGS)
        (folder / STATE_FILE).write_bytes(msgspec.json.encode(ShelfState(findings=FINDINGS, held=held)))
        erasure = Erasure(host="a.test")
        self.assertEqual(concerned_evidence(self.state, erasure).count, 2)
        self.assertIn(b"www.a.test", (folder / STATE_FILE).read_bytes())
        self.assertEqual(erase_evidence(self.state, erasure).count, 2)
        self.assertNotIn(b"a.test", (folder / STATE_FILE).read_bytes())
        self.assertIn(b"b.test", (folder / STATE_FILE).read_bytes())
        self.assertEqual(concerned_evidence(self.state, Erasure(user="amir")).count, 0)
