"""``corpproxy check --since``: what the record knows of the rules."""

from __future__ import annotations

import gzip
import json
import time

from corpproxy.audit.record import encode
from corpproxy.audit.times import utc_text
from tests.audit.test_record import a_record
from tests.cli.sites import GOOD, SiteCase

EXCEPTION = """
exceptions:
  - {name: club, who: {user: amir}, past: games, owner: carol, reason: cup, permanent: yes}
"""
DAY = 86_400


class RecordTests(SiteCase):
    """A record of the last thirty days."""

    def setUp(self):
        super().setUp()
        self.policy.write_text(GOOD + EXCEPTION)
        self.records = self.folder / "state" / "records"
        self.records.mkdir(parents=True)
        self.now = time.time()
        self.write(30, "games")
        self.write(20, "everything else")

    def segment(self, days_ago):
        begun = utc_text(self.now - days_ago * DAY)[:19].replace("-", "").replace(":", "")
        return self.records / f"records-{begun}Z-0001.jsonl"

    def write(self, days_ago, rule, **more):
        """A segment with a record of that day."""
        record = a_record(at=utc_text(self.now - days_ago * DAY), rule=rule, **more)
        self.segment(days_ago).write_bytes(encode(record))

    def check(self, since, *options):
        code, out, err = self.run_command("check", self.policy, "--since", since, *options)
        self.assertEqual((code, err), (0, ""))
        return out.replace(f"{self.folder}/", "")

    def codes(self, since):
        return [(one["code"], one["line"]) for one in json.loads(self.check(since, "--json"))["problems"]]

    def test_unreached(self):
        """A rule that nothing met since is named, and so is an exception."""
        self.assertEqual(self.codes("25d"), [("unreached-rule", 5), ("unreached-exception", 11)])

    def test_reached(self):
        """What was met is not."""
        self.write(10, "everything else", exception="club", would_block="games")
        self.assertEqual(self.codes("25d"), [])

    def test_too_short(self):
        """Where the record does not go back so far, this is said."""
        self.assertEqual(self.codes("90d"), [("record-too-short", 0), ("unreached-exception", 11)])
        self.assertRegex(
            self.check("90d"),
            r"\Apolicy.yaml: hint: the record begins .* and does not go back to .*; what it",
        )

    def test_text(self):
        """A line says of how many exchanges this is."""
        self.assertRegex(self.check("25d"), r"\n1 exchange recorded since .*\nok: .* \(2 hints\)\n\Z")

    def test_json(self):
        """Programs read the counts of every rule."""
        record = json.loads(self.check("60d", "--json"))["record"]
        self.assertEqual(record["exchanges"], 2)
        self.assertEqual([(one["name"], one["decided"]) for one in record["rules"]],
                         [("games", 1), ("everything else", 1)])  # fmt: skip
        self.assertEqual(record["exceptions"][0]["let_through"], 0)

    def test_compressed(self):
        """Compressed segments are read, too."""
        plain = self.segment(20)
        with gzip.open(plain.with_name(plain.name + ".gz"), "wb") as file:
            file.write(plain.read_bytes())
        plain.unlink()
        self.assertEqual(json.loads(self.check("60d", "--json"))["record"]["exchanges"], 2)

    def test_damaged(self):
        """A line that is no record is told, and the others count."""
        with self.segment(20).open("ab") as file:
            file.write(b"nonsense\n")
        code, out, err = self.run_command("check", self.policy, "--since", "60d", "--json")
        self.assertEqual((code, json.loads(out)["record"]["exchanges"]), (0, 2))
        self.assertIn("0001.jsonl:2: not a record", err)

    def test_no_records(self):
        """Without a folder of records the command says so."""
        for file in self.records.iterdir():
            file.unlink()
        self.records.rmdir()
        code, _, err = self.run_command("check", self.policy, "--since", "60d")
        self.assertEqual(code, 1)
        self.assertIn("there are no records; the service makes them", err)

    def test_empty(self):
        """An empty folder is a record that is too short."""
        for file in self.records.iterdir():
            file.unlink()
        self.assertIn("the record is empty", self.check("60d"))

    def test_wrong_moment(self):
        """A moment that is none is a wrong command."""
        self.assertEqual(self.run_command("check", self.policy, "--since", "never")[0], 2)
