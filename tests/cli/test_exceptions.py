"""``corpproxy exceptions``: who may have what in spite of rules, and until when."""

from __future__ import annotations

import json

from corpproxy.audit.record import encode
from tests.audit.test_record import a_record
from tests.cli.sites import GOOD, SiteCase

EXCEPTIONS = """
time_zone: Europe/London
exceptions:
  - {name: open day, who: {user: beth}, past: games, owner: dan, reason: visitors, until: 2026-12-18}
  - {name: chess club, who: {user: amir}, past: games, owner: carol, reason: cup, until: 2026-11-27T16:00}
  - {name: press, who: {group: staff}, past: all, owner: dan, reason: review, permanent: yes}
  - {name: exam, who: {user: beth}, past: games, owner: carol, reason: x, from: 2026-12-01, until: 2026-12-02}
  - {name: old, who: {user: beth}, past: games, owner: carol, reason: x, until: 2026-11-20T16:00}
identity: {groups: {staff: [carol]}}
"""
AT = ("--at", "2026-11-23T10:00")


class ExceptionsTests(SiteCase):
    """What is listed, and in which order."""

    def setUp(self):
        super().setUp()
        self.policy.write_text(GOOD + EXCEPTIONS)

    def listed(self, *options):
        """What the command prints at ten on Monday, 23 November 2026."""
        code, out, err = self.run_command("exceptions", "--policy", self.policy, *AT, *options)
        self.assertEqual((code, err), (0, ""))
        return out.replace(f"{self.folder}/", "")

    def states(self, *options):
        return [(one["name"], one["state"]) for one in json.loads(self.listed("--json", *options))]

    def record(self, *names):
        """Records of exchanges that these exceptions let through, on that morning."""
        folder = self.folder / "state" / "records"
        folder.mkdir(parents=True)
        lines = [
            encode(a_record(id=f"id{n}", at="2026-11-23T09:30:00.000Z", exception=name))
            for n, name in enumerate(names)
        ]
        (folder / "records-20261123T090000Z-0001.jsonl").write_bytes(b"".join(lines))

    def test_states(self):
        """Those that end next come first, those that ended last."""
        self.assertEqual(
            self.states(),
            [
                ("chess club", "ending soon"),
                ("open day", "running"),
                ("press", "running"),
                ("exam", "still to come"),
                ("old", "ended"),
            ],
        )

    def test_text(self):
        """People read when it ends, what it is for, who answers for it, and where it stands."""
        self.assertTrue(
            self.listed().startswith(
                "ending soon (1)\n"
                "  chess club: until Fri 2026-11-27 16:00, 4 days left\n"
                "    user amir, past 'games'\n"
                "    carol: cup\n"
                "    policy.yaml:13:5\n"
                "running (2)\n"
                "  open day: until Sat 2026-12-19 00:00, 25 days left\n"
            ),
            self.listed(),
        )
        self.assertIn("  press: has no end\n    group staff, past all rules that refuse\n", self.listed())
        self.assertIn("  old: ended Fri 2026-11-20 16:00\n", self.listed())

    def test_json(self):
        """Programs read times with their offset, and the place."""
        first = json.loads(self.listed("--json"))[0]
        self.assertEqual(first["until"], "2026-11-27T16:00:00+00:00")
        self.assertEqual((first["from"], first["past"], first["line"]), (None, ["games"], 13))
        self.assertEqual((first["owner"], first["reason"], first["exchanges"]), ("carol", "cup", None))

    def test_soon(self):
        """What is soon can be said."""
        self.assertEqual(dict(self.states("--soon", "60d"))["open day"], "ending soon")
        self.assertEqual(dict(self.states("--soon", "1h"))["chess club"], "running")

    def test_owner(self):
        """One owner's alone."""
        self.assertEqual([name for name, _ in self.states("--owner", "dan")], ["open day", "press"])

    def test_counted(self):
        """With --since the record tells what each let through."""
        self.record("chess club", "chess club", "press", "")
        counts = {one["name"]: one["exchanges"] for one in json.loads(self.listed("--json", "--since", "7d"))}
        self.assertEqual(counts, {"chess club": 2, "press": 1, "open day": 0, "exam": 0, "old": 0})
        self.assertIn("let 2 exchanges through\n", self.listed("--since", "7d"))
        self.assertNotIn("let 1 exchange", self.listed("--since", "10m"))

    def test_none(self):
        """A policy without exceptions has none."""
        self.policy.write_text(GOOD)
        self.assertEqual(self.listed(), "there are no exceptions\n")

    def test_no_records(self):
        """Without records nothing can be counted."""
        code, _, err = self.run_command("exceptions", "--policy", self.policy, "--since", "7d")
        self.assertEqual(code, 1)
        self.assertIn("there are no records; the service makes them", err)

    def test_broken_policy(self):
        """A policy that cannot be loaded is told at its place."""
        self.policy.write_text(GOOD + EXCEPTIONS.replace("owner: dan", "owned: dan"))
        code, _, err = self.run_command("exceptions", "--policy", self.policy)
        self.assertEqual(code, 1)
        self.assertIn("policy.yaml:12:54: unknown field 'owned'; did you mean 'owner'?", err)

    def test_wrong_option(self):
        """A span that is none is a wrong command."""
        code, _, err = self.run_command("exceptions", "--policy", self.policy, "--soon", "friday")
        self.assertEqual(code, 2)
        self.assertIn("'friday' is no span of time; write it as 30m, 2h or 7d", err)
