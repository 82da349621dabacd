"""What is used of quotas stays over a crash and over a damaged file."""

from __future__ import annotations

import os
import select
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.quotas import Kept
from corpproxy.backends.store.aside import asides, concerns_aside
from corpproxy.backends.store.quota_file import KEPT_SECONDS, QUOTA_FILE, QuotaFile
from tests.support.rows import rows, tabular
from tests.support.threads import DirectThread

NOW = 1795428010.0
LATER = NOW + 3600
ROWS = [Kept("day", name, LATER, 5.0, 0.0) for name in ("amir", "beth")]
TEXT = b"this is no database at all, but rather some kind of text" * 100

# Writes batches of a hundred rows that all have the same number, and says each that is kept.
WRITER = """
import sys
from pathlib import Path
from corpproxy.accounting.quotas import Kept
from corpproxy.backends.store.quota_file import QuotaFile
from tests.support.rows import rows, tabular
from tests.support.threads import DirectThread
file = QuotaFile(Path(sys.argv[1]), DirectThread())
number = 0
while True:
    number += 1
    file.keep([Kept("day", f"p{one}", 1e12, float(number), 0.0) for one in range(100)])
    print(number, flush=True)
"""


class FileCase(SynchronousTestCase):
    """A state folder."""

    def setUp(self):
        self.state = Path(self.mktemp())
        self.state.mkdir()
        self.path = self.state / QUOTA_FILE
        self.file = self.opened()

    def opened(self):
        file = QuotaFile(self.path, DirectThread(), lambda: NOW)
        self.addCleanup(file.close)
        return file

    def keep(self, rows, file=None):
        self.successResultOf((file or self.file).keep(rows))

    def load(self, file=None):
        return self.successResultOf((file or self.file).load(NOW))

    def spoil(self):
        """Spoil all but the first page, as a bad disk does."""
        self.keep([Kept("day", f"p{number:04}", LATER, 1.0, 0.0) for number in range(2000)])
        self.file.close()
        octets = bytearray(self.path.read_bytes())
        octets[4096:] = os.urandom(len(octets) - 4096)
        self.path.write_bytes(octets)


class DamageTests(FileCase):
    """A file that is damaged."""

    def test_no_database(self):
        """A file that is no database is set aside whole, and a new one begun."""
        self.path.write_bytes(TEXT)
        self.assertEqual(self.load(), [])
        aside = self.state / "quotas.db.damaged-20261123T100010Z"
        self.assertEqual((self.file.damaged, aside.read_bytes()), (aside, TEXT))
        self.keep(ROWS)
        self.assertEqual(self.load(self.opened()), ROWS)

    def test_pages(self):
        """So is one whose pages are spoilt, when it is read."""
        self.spoil()
        self.assertEqual(self.load(), [])
        self.assertEqual(asides(self.state), [self.file.damaged])

    def test_while_running(self):
        """Damage that shows when something is kept is set aside too, and that is in the new file."""
        self.spoil()
        self.keep(ROWS)
        self.assertIsNotNone(self.file.damaged)
        self.assertEqual(self.load(), ROWS)

    def test_full(self):
        """A full disk is no damage: what was kept stays, and more is kept when there is room again."""
        self.keep(ROWS)
        connection = self.file._connection
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
        many = [Kept("day", f"p{number:04}", LATER, 1.0, 0.0) for number in range(2000)]
        failure = self.failureResultOf(self.file.keep(many), sqlite3.OperationalError)
        self.assertIn("full", failure.getErrorMessage())
        self.assertEqual((self.load(), self.file.damaged), (ROWS, None))
        connection.execute("PRAGMA max_page_count = 1000000")
        self.keep(many)
        self.assertEqual(len(self.load()), 2002)

    def test_not_damaged(self):
        """A file that cannot be opened is no damaged one: it is left alone, and the failure told."""
        self.path.mkdir()
        self.failureResultOf(self.file.load(NOW), OSError)
        self.assertEqual((self.file.damaged, asides(self.state)), (None, []))

    def test_told(self):
        """It is told what was set aside until somebody deletes it."""
        self.path.write_bytes(TEXT)
        self.load()
        (said,) = concerns_aside(self.state)
        self.assertTrue(said.startswith(f"{self.file.damaged} was damaged and set aside"), said)
        self.file.damaged.unlink()
        self.assertEqual(concerns_aside(self.state), [])


FIRST_FORM = """
CREATE TABLE quota (
    "limit" TEXT NOT NULL, whom TEXT NOT NULL, until REAL NOT NULL, used REAL NOT NULL, granted REAL NOT NULL,
    PRIMARY KEY ("limit", whom)
) WITHOUT ROWID
"""


@tabular
class TimeTests(FileCase):
    """Rows of a member for several times."""

    def test_two_days(self):
        """A member has a row for each day; what is over is there for a clock that comes back to it."""
        tomorrow = [row._replace(until=LATER + 86_400, used=1.0) for row in ROWS]
        self.keep(ROWS)
        self.keep(tomorrow)
        self.assertCountEqual(self.load(), ROWS + tomorrow)
        self.assertEqual(self.successResultOf(self.file.load(LATER)), tomorrow)
        self.assertCountEqual(self.load(), ROWS + tomorrow)

    def test_forgotten(self):
        """What was made good days ago is forgotten."""
        self.keep(ROWS)
        self.forget(LATER - 60, 0)
        self.forget(LATER + KEPT_SECONDS - 61, KEPT_SECONDS - 1)
        self.assertEqual(self.load(), ROWS)
        self.forget(LATER + KEPT_SECONDS, 61)
        self.assertEqual(self.load(), [])

    def forget(self, now, ran):
        self.successResultOf(self.file.forget(now, ran))

    def test_off_for_a_night(self):
        """A machine that is off each night forgets as one that runs on."""
        self.keep(ROWS)
        now = LATER - 60
        for _ in range(6):
            self.forget(now, 0)
            self.forget(now + 14 * 3600, 14 * 3600)
            now += 86_400
        self.assertEqual(self.load(), [])

    @rows(once=(1,), daily=(5,))
    def test_started_ahead(self, starts):
        """A service that is started while its clock is days ahead forgets nothing that may count again."""
        self.keep(ROWS)
        self.forget(LATER - 100, 0)
        self.forget(LATER - 100 + KEPT_SECONDS, KEPT_SECONDS)
        self.forget(LATER - 100, 3600)
        ahead = LATER + 20 * 86_400
        for start in range(starts):
            self.forget(ahead + start * 3600, 0)
            self.forget(ahead + start * 3600 + 3599, 3599)
        self.assertEqual(self.load(), ROWS)

    def test_first_form(self):
        """A file of before, with one row for a member, keeps all that is in it."""
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute(FIRST_FORM)
            connection.executemany("INSERT INTO quota VALUES (?, ?, ?, ?, ?)", ROWS)
        self.assertEqual(self.load(), ROWS)
        self.keep([ROWS[0]._replace(until=LATER + 86_400)])
        self.file.close()
        self.assertEqual(len(self.load(self.opened())), 3)


class KilledTests(FileCase):
    """The service is killed while it writes."""

    def killed_after(self, batches):
        """The number of the last batch that was kept before the kill."""
        command = [sys.executable, "-c", WRITER, str(self.path)]
        said = b""
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            try:
                while said.count(b"\n") < batches:
                    self.assertTrue(select.select([writer.stdout], [], [], 60)[0], "nothing is written")
                    said += os.read(writer.stdout.fileno(), 65536)
            finally:
                writer.send_signal(signal.SIGKILL)
            said += writer.stdout.read()
        return int(said.split(b"\n")[-2])

    def test_killed(self):
        """At whatever moment: all that was kept is there, and of the next batch all or nothing."""
        for batches in (1, 7, 150):
            last = self.killed_after(batches)
            file = self.opened()
            numbers = {row.used for row in self.load(file)}
            self.assertEqual(len(numbers), 1)
            self.assertIn(numbers.pop(), (last, last + 1))
            self.assertIsNone(file.damaged)
            file.close()
            self.path.unlink()
