"""Scheduled reports come once each, when they are due, into folders and by mail over TLS."""

from __future__ import annotations

import base64
import socket
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.record import encode
from corpproxy.backends.afterwork.job import AfterworkJob, decoded, encoded
from corpproxy.backends.afterwork.run import do_afterwork
from corpproxy.backends.records.deed_spool import left
from corpproxy.backends.reports.errand import Came, ReportErrand
from corpproxy.policy.days import Days
from corpproxy.reports.period import Every, last_over
from corpproxy.reports.scheduled import MailSettings, Scheduled
from tests.audit.test_record import a_record
from tests.support.mail import MailServer
from tests.support.rows import rows, tabular

LONDON = ZoneInfo("Europe/London")
# A Monday, and the Monday after.
MONDAY = datetime(2026, 11, 30, 6, 1, tzinfo=UTC).timestamp()
NEXT = MONDAY + 7 * 86400
WEEK = Scheduled("the week", Every.WEEK)


@tabular
class DueTests(SynchronousTestCase):
    """When a report is due."""

    @rows(
        before=("2026-11-30T05:59+00:00", Every.WEEK, "2026-W47"),
        just=("2026-11-30T06:00+00:00", Every.WEEK, "2026-W48"),
        later=("2026-12-06T23:00+00:00", Every.WEEK, "2026-W48"),
        summer=("2026-06-22T05:00+00:00", Every.WEEK, "2026-W25"),
        day=("2026-11-30T06:00+00:00", Every.DAY, "2026-11-29"),
        month=("2026-12-01T06:00+00:00", Every.MONTH, "2026-11"),
        not_yet=("2026-12-01T05:00+00:00", Every.MONTH, "2026-10"),
    )
    def test_due(self, now, every, period) -> None:
        """It is due at its time on the day behind the period, in the time of the site."""
        report = replace(WEEK, every=every)
        self.assertEqual(report.due(datetime.fromisoformat(now).timestamp(), Days(LONDON, 0)).name, period)

    @rows(
        plain=("the week", "the-week-2026-W48.html"),
        odd=("../../etc/passwd\n", "etc-passwd-2026-W48.html"),
        nothing=("…", "report-2026-W48.html"),
    )
    def test_file_name(self, name, written) -> None:
        """The name of a file is one of a file in its folder, whatever the report is called."""
        period = last_over(Every.WEEK, MONDAY, Days(UTC, 0))
        self.assertEqual(Scheduled(name, Every.WEEK).file_name(period, "html"), written)


class ErrandCase(SynchronousTestCase):
    """A site with a record and a mail server."""

    def setUp(self) -> None:
        self.state = Path(self.mktemp())
        self.folder = self.state / "reports"
        self.folder.mkdir(parents=True)
        (self.state / "records").mkdir()
        line = encode(a_record(at="2026-11-25T10:00:00.000Z", user="amir", groups=("year-9",)))
        (self.state / "records" / "records-20261123T080000Z-0001.jsonl").write_bytes(line)

    def serve(self, **more) -> tuple[MailServer, MailSettings]:
        """Start a mail server; gives it and how to reach it."""
        server = MailServer(self.state, **more)
        self.addCleanup(server.close)
        starts_plain = more.get("starts_plain", True)
        settings = MailSettings("localhost", server.port, "proxy@hillside.example", starts_plain)
        return server, replace(settings, authorities=server.authorities)

    def make(self, report: Scheduled, now: float, mail: MailSettings | None = None) -> list[str]:
        """Let the service look whether it is due; gives what could not be done."""
        return ReportErrand(self.state, "Hillside", mail, now).make_due([report], Days(UTC, 0))

    def files(self) -> list[str]:
        """What stands in the folder."""
        return sorted(path.name for path in self.folder.iterdir())


class FolderTests(ErrandCase):
    """Into a folder."""

    def setUp(self) -> None:
        super().setUp()
        self.report = replace(WEEK, folder=self.folder, formats=("html", "csv"))

    def test_once(self) -> None:
        """A report that is new begins with the next period; then each comes once."""
        self.assertEqual(self.make(self.report, MONDAY - 3600), [])
        self.assertEqual(self.files(), [])
        self.make(self.report, MONDAY)
        self.assertEqual(self.files(), ["the-week-2026-W48.csv", "the-week-2026-W48.html"])
        for path in self.folder.iterdir():
            path.unlink()
        self.make(self.report, MONDAY + 300)
        self.assertEqual(self.files(), [])
        self.make(self.report, NEXT)
        self.assertEqual(self.files(), ["the-week-2026-W49.csv", "the-week-2026-W49.html"])

    def test_late(self) -> None:
        """One whose time came while the service did not run is made when it runs: the last one, once."""
        self.make(self.report, MONDAY - 3600)
        self.make(self.report, NEXT + 3 * 86400)
        self.assertEqual(self.files(), ["the-week-2026-W49.csv", "the-week-2026-W49.html"])

    def test_again(self) -> None:
        """What cannot be written is told, and tried again."""
        self.make(self.report, MONDAY - 3600)
        self.folder.rmdir()
        said = self.make(self.report, MONDAY)
        self.assertEqual(len(said), 1)
        self.assertIn("cannot be written", said[0])
        self.folder.mkdir()
        self.assertEqual(self.make(self.report, MONDAY + 300), [])
        self.assertEqual(len(self.files()), 2)

    def test_group(self) -> None:
        """A report of a group has that group alone."""
        staff = replace(self.report, group="staff")
        ReportErrand(self.state, "Hillside", None, MONDAY).deliver(
            staff, last_over(Every.WEEK, MONDAY, Days(UTC, 0)), Came("")
        )
        self.assertNotIn("amir", (self.folder / "the-week-2026-W48.html").read_text())

    def test_in_the_child(self) -> None:
        """The process that does the afterwork makes them; its job comes over as it was given."""
        mail = MailSettings("localhost", 25, "proxy@hillside.example", password=Path("secret"))
        job = AfterworkJob(str(self.state), "UTC", site="Hillside", reports=(self.report,), mail=mail)
        self.assertEqual(decoded(encoded(job)), job)
        said: list[str] = []
        do_afterwork(decoded(encoded(job)), said.append)
        self.assertEqual(said, [])
        self.assertTrue((self.state / "reports.json").exists())


class MailTests(ErrandCase):
    """By mail."""

    def setUp(self) -> None:
        super().setUp()
        self.report = replace(
            WEEK, mail=("head@hillside.example", "it@hillside.example"), formats=("html", "csv")
        )
        self.make(self.report, MONDAY - 3600)

    def test_sent(self) -> None:
        """Each gets a mail of their own: the text to read at once, the files attached."""
        server, mail = self.serve()
        self.assertEqual(self.make(self.report, MONDAY, mail), [])
        self.assertEqual([to for to, _ in server.mails], list(self.report.mail))
        to, message = server.mails[0]
        self.assertEqual((message["To"], message["From"]), (to, "proxy@hillside.example"))
        self.assertEqual(message["Subject"], "Hillside: the week, 23 to 29 November 2026")
        body = message.get_body()
        assert body is not None
        self.assertIn("amir", body.get_content())
        attached = [part.get_filename() for part in message.iter_attachments()]
        self.assertEqual(attached, ["the-week-2026-W48.html", "the-week-2026-W48.csv"])
        self.assertIn("STARTTLS", server.words)
        self.assertEqual(self.make(self.report, MONDAY + 300, mail), [])
        self.assertEqual(len(server.mails), 2)
        ((_, deed),) = left(self.state)
        assert deed is not None
        self.assertEqual((deed.name, deed.by), ("report-sent", "corpproxy"))
        self.assertIn("'the week' of 2026-W48 to head@hillside.example, it@hillside.example", deed.why)

    def test_tls_at_once(self) -> None:
        """TLS may be there from the first octet, and a password comes from its file."""
        answer = base64.b64encode(b"\0proxy\0secret").decode()
        server, mail = self.serve(starts_plain=False, signs_in=answer)
        password = self.state / "password"
        password.write_text("secret\n")
        mail = replace(mail, user="proxy", password=password)
        self.assertEqual(self.make(self.report, MONDAY, mail), [])
        self.assertEqual(len(server.mails), 2)

    def test_one_refused(self) -> None:
        """Who is not taken is told and tried again; the others have theirs, once."""
        server, mail = self.serve(refuses="it@hillside.example")
        for _ in range(2):
            said = self.make(self.report, MONDAY, mail)
            self.assertEqual(len(said), 1)
            self.assertIn("no mail to it@hillside.example", said[0])
            self.assertIn("550 nobody here", said[0])
        self.assertEqual([to for to, _ in server.mails], ["head@hillside.example"])

    def test_other_server(self) -> None:
        """A server whose certificate is for another name gets nothing, not even a password."""
        server, mail = self.serve(name="other.example")
        password = self.state / "password"
        password.write_text("secret")
        said = self.make(self.report, MONDAY, replace(mail, user="proxy", password=password))
        self.assertEqual(len(said), 2)
        self.assertEqual(server.mails, [])
        self.assertFalse([word for word in server.words if word.startswith("AUTH")])
        self.assertNotIn("secret", " ".join(said))

    def test_wrong_password(self) -> None:
        """A password that is not taken is told in the words of the server, without the password."""
        _, mail = self.serve(signs_in="other")
        password = self.state / "password"
        password.write_text("secret")
        said = self.make(self.report, MONDAY, replace(mail, user="proxy", password=password))
        self.assertIn("535 no such user", said[0])
        self.assertNotIn("secret", " ".join(said))

    def test_nobody_there(self) -> None:
        """A server that is not there is told with its name and port."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        said = self.make(self.report, MONDAY, MailSettings("localhost", port, "proxy@hillside.example"))
        self.assertIn(f"localhost:{port}", said[0])

    def test_no_password_file(self) -> None:
        """A password file that is gone is told by its name."""
        _, mail = self.serve()
        said = self.make(self.report, MONDAY, replace(mail, user="proxy", password=Path("gone")))
        self.assertIn("gone: No such file", said[0])

    def test_odd_site(self) -> None:
        """The name of a site or a report makes no further fields of the head."""
        server, mail = self.serve()
        errand = ReportErrand(self.state, "Hill\r\nBcc: x@y.example", mail, MONDAY)
        self.assertEqual(
            errand.deliver(self.report, last_over(Every.WEEK, MONDAY, Days(UTC, 0)), Came("")), []
        )
        self.assertIsNone(server.mails[0][1]["Bcc"])
