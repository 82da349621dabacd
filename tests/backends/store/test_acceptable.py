"""Databases that cannot be counted with keep the service from starting."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.quotas import Kept
from corpproxy.accounting.store_address import STORE_FILE, in_state_folder
from corpproxy.backends.store.acceptable import refuse_unknown
from corpproxy.backends.store.interface import StoreError
from corpproxy.backends.store.quota_file import QUOTA_FILE, QUOTA_VERSION, QuotaFile
from corpproxy.backends.store.schema import MIGRATIONS
from corpproxy.backends.store.sqlite import SqliteFile
from tests.backends.store.test_interface import AMIR
from tests.support.rows import rows, tabular
from tests.support.threads import DirectThread


@tabular
class AcceptableTests(SynchronousTestCase):
    """A state folder."""

    def setUp(self) -> None:
        self.state = Path(self.mktemp())
        self.state.mkdir()

    def make_own(self) -> None:
        """Make both files, as the service does."""
        with closing(SqliteFile(self.state / STORE_FILE)) as store:
            store.add_usage([AMIR])
        quotas = QuotaFile(self.state / QUOTA_FILE, DirectThread())
        self.successResultOf(quotas.keep([Kept("day", "amir", 1e12, 5.0, 0.0)]))
        quotas.close()

    def execute(self, name: str, *statements: str) -> None:
        with closing(sqlite3.connect(self.state / name)) as file:
            for statement in statements:
                file.execute(statement)
            file.commit()

    def refused(self) -> StoreError:
        with self.assertRaises(StoreError) as caught:
            refuse_unknown(self.state, in_state_folder(self.state))
        return caught.exception

    def test_own(self) -> None:
        """Our own files are taken, and so is an empty folder."""
        refuse_unknown(self.state, in_state_folder(self.state))
        self.make_own()
        refuse_unknown(self.state, in_state_folder(self.state))

    def test_being_made(self) -> None:
        """A service that makes its tables while another one looks is not taken for another program."""
        path, to_do = self.state / STORE_FILE, [self.make_own]
        with closing(sqlite3.connect(path)) as begun:
            begun.execute("PRAGMA journal_mode=WAL")

        class Slow(sqlite3.Connection):
            """One between two of whose questions the tables are made."""

            def execute(self, statement: str, *more: object) -> sqlite3.Cursor:
                if "sqlite_master" in statement and to_do:
                    to_do.pop()()
                return super().execute(statement, *more)  # type: ignore[arg-type]

        connect = sqlite3.connect
        looked = "corpproxy.backends.store.acceptable.sqlite3.connect"
        with mock.patch(looked, lambda *words, **more: connect(*words, **{"factory": Slow, **more})):
            refuse_unknown(self.state, in_state_folder(self.state))
        self.assertEqual(to_do, [], "they were made meanwhile")

    def test_first_quotas(self) -> None:
        """So is a file of quotas from before it said whose it is, with what is in it."""
        self.make_own()
        self.execute(QUOTA_FILE, "PRAGMA application_id = 0", "PRAGMA user_version = 0")
        refuse_unknown(self.state, in_state_folder(self.state))
        file = QuotaFile(self.state / QUOTA_FILE, DirectThread())
        self.addCleanup(file.close)
        self.assertEqual(len(self.successResultOf(file.load(0.0))), 1)

    @rows(store=(STORE_FILE, len(MIGRATIONS)), quotas=(QUOTA_FILE, QUOTA_VERSION))
    def test_later(self, name, known) -> None:
        """A file of a later version is refused with what to do."""
        self.make_own()
        self.execute(name, f"PRAGMA user_version = {known + 1}")
        error = self.refused()
        self.assertEqual(error.code, "store-newer")
        self.assertIn(f"{self.state / name} was written by a later corpproxy", error.message)
        self.assertIn("install that version again", error.message)

    @rows(
        store=(STORE_FILE, "CREATE TABLE songs (name TEXT)"),
        quotas=(QUOTA_FILE, "CREATE TABLE quota (name TEXT)"),
        their_number=(QUOTA_FILE, "PRAGMA application_id = 7"),
    )
    def test_another_program(self, name, statement) -> None:
        """A file of another program is refused, and left alone."""
        self.execute(name, statement)
        before = (self.state / name).read_bytes()
        self.assertEqual(self.refused().code, "store-foreign")
        self.assertEqual((self.state / name).read_bytes(), before)

    @rows(store=(STORE_FILE,), quotas=(QUOTA_FILE,))
    def test_damaged(self, name) -> None:
        """A damaged file is for whoever opens it: it is set aside, and that is told."""
        octets = os.urandom(9000)
        (self.state / name).write_bytes(octets)
        refuse_unknown(self.state, in_state_folder(self.state))
        self.assertEqual((self.state / name).read_bytes(), octets)

    def test_no_file(self) -> None:
        """What is no file cannot be read."""
        (self.state / QUOTA_FILE).mkdir()
        error = self.refused()
        self.assertEqual(error.code, "store-failed")
        self.assertIn("see to it that the service may read and write it", error.message)
