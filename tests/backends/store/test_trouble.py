"""A store that is damaged, old, full or somebody else's: nothing is lost, and it is said what to do."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

from corpproxy.backends.store import schema as store_schema
from corpproxy.backends.store.interface import StoreError
from corpproxy.backends.store.schema import APPLICATION, MIGRATIONS, open_store
from corpproxy.backends.store.sqlite import SqliteFile
from tests.backends.store.test_interface import AMIR, BETH, NOW, FileTestCase


class TroubleTests(FileTestCase):
    """Full disks, damage, other people's files."""

    def test_private(self) -> None:
        """Only the service's own account may read what people visited."""
        self.file.add_usage([AMIR])
        for ending in ("", "-wal", "-shm"):
            self.assertEqual(stat.S_IMODE(os.stat(f"{self.path}{ending}").st_mode), 0o600, ending)

    def test_full(self) -> None:
        """On a full disk a batch is refused whole, and goes in whole when there is room again."""
        self.file.add_usage([BETH])
        connection = self.file._connection
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
        batch = [AMIR._replace(host=f"host{number}.example") for number in range(2000)]
        error = self.assertRaises(StoreError, self.file.add_usage, batch)
        self.assertEqual(error.code, "store-failed")
        self.assertIn("full", error.message)
        self.assertEqual(self.ask(), [("beth", 100, 900, 1)])
        connection.execute("PRAGMA max_page_count = 1000000")
        self.file.add_usage(batch)
        self.assertEqual(self.ask()[0], ("amir", 2000 * 300, 2000 * 5000, 4000))

    def test_memory_is_not_given_back(self) -> None:
        """A batch that is in is not told as failed, and so not counted twice, for what comes after it."""
        self.file.add_usage([BETH])
        asked: list[str] = []

        def judge(action: int, first: str | None, *more: str | None) -> int:
            if action != sqlite3.SQLITE_PRAGMA or first != "shrink_memory":
                return sqlite3.SQLITE_OK
            asked.append(first)
            return sqlite3.SQLITE_DENY

        self.file._connection.set_authorizer(judge)
        self.file.add_usage([BETH])
        self.assertEqual(asked, ["shrink_memory"])
        self.file._connection.set_authorizer(None)
        self.assertEqual(self.ask(), [("beth", 200, 1800, 2)])

    def test_locked(self) -> None:
        """A lock that another program holds refuses the batch, and nothing of it is in."""
        self.file.add_usage([BETH])
        self.file._connection.execute("PRAGMA busy_timeout = 1")
        with closing(sqlite3.connect(self.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            self.assertEqual(self.assertRaises(StoreError, self.file.add_usage, [AMIR]).code, "store-failed")
            other.execute("ROLLBACK")
        self.file.add_usage([AMIR])
        self.assertEqual(self.ask(), [("amir", 300, 5000, 2), ("beth", 100, 900, 1)])

    def test_no_database(self) -> None:
        """A file that is no database is set aside, a new one begun, and the log says so."""
        self.path.parent.mkdir()
        self.path.write_bytes(b"this is no database at all, but rather some kind of text" * 100)
        events = self.events()
        self.file.add_usage([AMIR])
        self.assertEqual(self.ask(), [("amir", 300, 5000, 2)])
        (aside,) = self.path.parent.glob("*.damaged-20261123T100010Z")
        self.assertTrue(aside.read_bytes().startswith(b"this is no database"))
        self.assertEqual([event["log_level"].name for event in events], ["critical"])

    def test_damaged_while_running(self) -> None:
        """Damage that shows while the service runs is set aside too, and the batch is in the new file."""
        self.file.add_usage([AMIR._replace(host=f"host{number}.example") for number in range(3000)])
        self.file.close()
        octets = bytearray(self.path.read_bytes())
        octets[4096 * 2 :] = os.urandom(len(octets) - 4096 * 2)
        self.path.write_bytes(octets)
        events = self.events()
        self.file.add_usage([BETH])
        self.assertEqual(self.ask(), [("beth", 100, 900, 1)])
        self.assertTrue(any(event["log_level"].name == "critical" for event in events))

    def test_later_schema(self) -> None:
        """A store of a later version is left alone, and the message says what to do."""
        self.file.add_usage([AMIR])
        self.file._connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
        self.file.close()
        error = self.assertRaises(StoreError, self.file.add_usage, [BETH])
        self.assertEqual(error.code, "store-newer")
        self.assertIn("later corpproxy", error.message)
        self.assertEqual(self.assertRaises(StoreError, self.ask).code, "store-newer")

    def test_foreign(self) -> None:
        """The database of another program is left alone."""
        self.path.parent.mkdir()
        with closing(sqlite3.connect(self.path)) as other:
            other.execute("CREATE TABLE recipes (cake)")
        error = self.assertRaises(StoreError, self.file.add_usage, [BETH])
        self.assertEqual(error.code, "store-foreign")
        with closing(sqlite3.connect(self.path)) as other:
            self.assertEqual(other.execute("SELECT count(*) FROM recipes").fetchone(), (0,))

    def test_missing(self) -> None:
        """A report from a store that is not there says so and makes none."""
        self.assertEqual(self.assertRaises(StoreError, self.ask).code, "store-missing")
        self.assertFalse(self.path.exists())

    def test_not_to_be_made(self) -> None:
        """A folder where no file can be made is told by its name."""
        self.path.parent.write_bytes(b"")
        self.assertIn(str(self.path), self.assertRaises(StoreError, self.file.add_usage, [BETH]).message)

    def test_odd_path(self) -> None:
        """A path with characters that mean something in a URI is still a path."""
        path = Path(self.mktemp()) / "a?b#c%20d" / "corpproxy.db"
        with closing(SqliteFile(path)) as file:
            file.add_usage([AMIR])
        self.assertTrue(path.exists())


class MigrationTests(FileTestCase):
    """Old stores become new ones."""

    def test_older_store(self) -> None:
        """Warnings that were confirmed before the store learned of ids hold on."""
        self.path.parent.mkdir(exist_ok=True)
        connection = sqlite3.connect(self.path)
        for statement in MIGRATIONS[0]:
            connection.execute(statement)
        connection.execute(
            "INSERT INTO grants VALUES (?, ?, ?, ?, ?, ?)",
            ("amir", "bet.example", "gambling", NOW + 60, "amir", "warning confirmed"),
        )
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute("PRAGMA user_version = 1")
        connection.commit()
        connection.close()
        (grant,) = self.file.load_grants(NOW)
        self.assertEqual(
            (grant.who, grant.host, grant.until, grant.is_own), ("amir", "bet.example", NOW + 60, True)
        )
        self.assertEqual(len(grant.id), 14)

    def test_step_by_step(self) -> None:
        """A store of an earlier version keeps what it has and gets what is new."""
        self.file.add_usage([AMIR])
        self.file.close()
        further = (*MIGRATIONS, ("ALTER TABLE usage ADD COLUMN colour TEXT",))
        self.patch(store_schema, "MIGRATIONS", further)
        self.assertEqual(self.assertRaises(StoreError, self.ask).code, "store-failed")
        with closing(open_store(self.path, NOW)) as connection:
            self.assertEqual(
                connection.execute("SELECT received, colour FROM usage").fetchall(), [(300, None)]
            )
            self.assertEqual(connection.execute("PRAGMA application_id").fetchone(), (APPLICATION,))
        self.assertEqual(self.ask(), [("amir", 300, 5000, 2)])

    def test_half_way(self) -> None:
        """A migration that fails leaves the store as it was."""
        self.file.add_usage([AMIR])
        self.file.close()
        broken = ("ALTER TABLE usage ADD COLUMN colour TEXT", "ALTER TABLE nothing ADD COLUMN a")
        self.patch(store_schema, "MIGRATIONS", (*MIGRATIONS, broken))
        self.assertRaises(StoreError, self.file.add_usage, [BETH])
        with closing(sqlite3.connect(self.path)) as connection:
            self.assertEqual(connection.execute("PRAGMA user_version").fetchone(), (len(MIGRATIONS),))
            columns = [column[1] for column in connection.execute("PRAGMA table_info(usage)")]
        self.assertNotIn("colour", columns)
