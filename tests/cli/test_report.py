"""``corpproxy report`` on a site folder."""

from __future__ import annotations

import json

from corpproxy.audit.record import encode
from corpproxy.backends.records.deed_spool import left
from tests.audit.test_record import a_record
from tests.cli.sites import GOOD, SiteCase


class ReportTests(SiteCase):
    """A site with one record."""

    def setUp(self) -> None:
        super().setUp()
        records = self.folder / "state" / "records"
        records.mkdir(parents=True)
        line = encode(a_record(at="2026-11-23T10:00:00.000Z", user="amir", host="www.a.example"))
        (records / "records-20261123T080000Z-0001.jsonl").write_bytes(line)

    def report(self, *words: object) -> tuple[int, str, str]:
        """Run the command."""
        return self.run_command("report", "--policy", self.policy, *words)

    def test_text(self) -> None:
        """Without a format it is text for the terminal, under the name of the site."""
        code, out, err = self.report("--day", "2026-11-24")
        self.assertEqual((code, err), (0, ""))
        self.assertTrue(out.startswith("Hillside: 23 to 29 November 2026\n"), out)
        self.assertIn("amir", out)

    def test_files(self) -> None:
        """The ending of a file says the format; only its owner may read it."""
        for name, begins in (("r.html", "<!DOCTYPE html>"), ("r.csv", "All together,"), ("r.json", "{")):
            path = self.folder / name
            code, out, _ = self.report("--day", "2026-11-24", "--out", path)
            self.assertEqual(code, 0)
            self.assertIn("23 to 29 November 2026", out)
            self.assertTrue(path.read_text().startswith(begins))
            self.assertEqual(path.stat().st_mode & 0o777, 0o600)

    def test_kinds(self) -> None:
        """A day, a month, one person, one group."""
        _, out, _ = self.report("--per", "month", "--day", "2026-11-01", "--format", "json", "--user", "amir")
        document = json.loads(out)
        self.assertEqual((document["period"], document["user"]), ("2026-11", "amir"))
        self.assertEqual(document["tables"]["hosts"][0]["host"], "www.a.example")
        _, out, _ = self.report("--per", "day", "--day", "2026-11-23", "--format", "json", "--group", "staff")
        self.assertEqual(json.loads(out)["tables"]["people"], [])

    def test_wrong(self) -> None:
        """What is no day, or a file whose ending says nothing, is told with what to write."""
        code, _, err = self.report("--day", "soon")
        self.assertEqual((code, err), (2, "'soon' is no day; write 2026-11-23, today or yesterday\n"))
        code, _, err = self.report("--out", "report.pdf")
        self.assertEqual(code, 2)
        self.assertIn("its ending says no format", err)

    def test_no_store(self) -> None:
        """Before the service ran there is nothing to report."""
        for path in (self.folder / "state").rglob("*.jsonl"):
            path.unlink()
        (self.folder / "state" / "records").rmdir()
        code, _, err = self.report()
        self.assertEqual(code, 1)
        self.assertIn("there is no store", err)


class SendTests(SiteCase):
    """A report of the policy, tried by hand."""

    def test_sent(self) -> None:
        """It is made and written whether it is due or not, and the record is told who had it sent."""
        (self.folder / "state" / "records").mkdir(parents=True)
        (self.folder / "reports").mkdir()
        self.policy.write_text(GOOD + "reports: [{name: the week, every: week, folder: reports}]\n")
        (self.folder / "state" / "records" / "records-20261123T080000Z-0001.jsonl").write_bytes(b"")
        words = ("report", "--policy", self.policy, "--send", "the week", "--day", "2026-11-23")
        code, out, err = self.run_command(*words)
        self.assertEqual((code, err), (0, ""))
        self.assertIn("23 to 29 November 2026", out)
        self.assertEqual(
            [path.name for path in (self.folder / "reports").iterdir()], ["the-week-2026-W48.html"]
        )
        ((_, deed),) = left(self.folder / "state")
        assert deed is not None
        self.assertEqual(deed.name, "report-sent")

    def test_unknown(self) -> None:
        """A report that the policy does not have is told with the nearest that it has."""
        self.policy.write_text(GOOD + "reports: [{name: the week, every: week, folder: .}]\n")
        code, _, err = self.run_command("report", "--policy", self.policy, "--send", "the weak")
        self.assertEqual(code, 1)
        self.assertIn("no report 'the weak'; did you mean 'the week'?", err)


class IndexTests(SiteCase):
    """``corpproxy audit index``."""

    def test_made(self) -> None:
        """Closed segments are indexed now, and it says how many and how large."""
        records = self.folder / "state" / "records"
        records.mkdir(parents=True)
        for number in (1, 2):
            line = encode(a_record(user="amir"))
            (records / f"records-20261123T080000Z-000{number}.jsonl").write_bytes(line)
        code, out, err = self.run_command("audit", "index", "--policy", self.policy)
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(out, r"^1 closed segment is indexed, in \d+(\.\d+)? K?i?B\n$")
        self.assertEqual(len(list((records / "index").iterdir())), 1)
        code, out, _ = self.run_command(
            "audit", "search", "--policy", self.policy, "--user", "amir", "--json"
        )
        self.assertEqual((code, len(out.splitlines())), (0, 2))
