"""The store in a real PostgreSQL does what the file does, for several nodes, whatever breaks."""

from __future__ import annotations

import threading
from datetime import UTC
from pathlib import Path

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.report import By, UsageQuestion, UsageReport
from corpproxy.audit.erasure import Erasure
from corpproxy.backends.store import postgresql_schema
from corpproxy.backends.store.interface import StoreError
from corpproxy.backends.store.postgresql import PostgresqlDatabase, read_postgresql
from corpproxy.backends.store.postgresql_schema import MIGRATIONS, Migration
from corpproxy.backends.store.usage import add_usage, read_usage
from tests.backends.store import test_erase, test_interface
from tests.backends.store.test_interface import AMIR, BETH, NOW
from tests.support.postgresql import do, empty_store, octets_on_disk, server


class OnPostgresql(SynchronousTestCase):
    """A store in PostgreSQL in the place of one in a file."""

    def made(self) -> PostgresqlDatabase:
        """Make one that is empty."""
        self.state = Path(self.mktemp())
        self.address = empty_store(self.state)
        return self.node()

    def node(self, name: str = ".") -> PostgresqlDatabase:
        """The store as one of the nodes has it."""
        state = self.state / name
        state.mkdir(exist_ok=True)
        node = PostgresqlDatabase(msgspec.structs.replace(self.address, state=str(state)), lambda: NOW)
        self.addCleanup(node.close)
        return node

    def answer(self, question: UsageQuestion) -> UsageReport:
        """What the store says to somebody else who asks."""
        return read_postgresql(self.address, lambda connection: read_usage(connection, question))

    def octets(self) -> bytes:
        """What is on the disk."""
        return octets_on_disk()

    def sums(self) -> dict[str, int]:
        return {row.name: row.received for row in self.answer(UsageQuestion(By.USER, UTC)).rows}


class PostgresqlUsageTests(OnPostgresql, test_interface.UsageTests):
    """Sums go in and reports come out, as with a file."""


class PostgresqlGrantTests(OnPostgresql, test_interface.GrantTests):
    """Grants and requests outlive a restart, as with a file."""


class PostgresqlEraseTests(OnPostgresql, test_erase.EraseTests):
    """Forgetting, as with a file."""


class NodeTests(OnPostgresql, test_interface.FileTestCase):
    """Several nodes in one store."""

    def test_added_up(self) -> None:
        """What two nodes count for the same person is one sum, and hosts have one number."""
        other = self.node("other")
        self.file.add_usage([AMIR, BETH])
        other.add_usage([AMIR])
        self.assertEqual(self.sums(), {"amir": 600, "beth": 100})
        self.assertEqual(do("SELECT count(*) FROM term WHERE text = 'miniclip.com'"), [(1,)])

    def test_at_once(self) -> None:
        """Nodes that add the same sums at the same time, in any order, lose nothing."""
        hosts = [f"host{number}.example" for number in range(60)]
        nodes = [self.node(name) for name in ("one", "two", "three")]
        failed: list[Exception] = []

        def add(number: int) -> None:
            for turn in range(8):
                order = hosts if (number + turn) % 2 else hosts[::-1]
                try:
                    nodes[number].add_usage([AMIR._replace(host=host) for host in order])
                except StoreError as error:
                    failed.append(error)

        threads = [threading.Thread(target=add, args=(number,)) for number in range(3)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        self.assertEqual(failed, [])
        self.assertEqual(self.sums(), {"amir": 3 * 8 * 60 * 300})

    def test_forgotten_by_another(self) -> None:
        """A person whom one node erases is counted by the other under a number that is hers."""
        other = self.node("other")
        other.add_usage([BETH, AMIR])
        self.file.erase(Erasure(user="beth"))
        other.add_usage([BETH])
        self.assertEqual(self.sums(), {"": 100, "amir": 300, "beth": 100})

    def test_once(self) -> None:
        """What comes again after its answer was lost is not counted again; what is new is."""

        def add(connection, terms) -> None:
            add_usage(connection, terms, [AMIR])

        done = [self.file.once("run", number, add) for number in (1, 1, 2, 1)]
        self.assertEqual(done, [True, False, True, False])
        self.assertTrue(self.file.once("other run", 1, add))
        self.assertEqual(self.sums(), {"amir": 900})

    def test_names(self) -> None:
        """Each node has a name of its own, which it keeps."""
        self.assertEqual(self.node().node, self.node().node)
        self.assertNotEqual(self.node("other").node, self.node().node)


class RefusedTests(OnPostgresql, test_interface.FileTestCase):
    """A database that is not for us is left alone, and the message says what to do."""

    def test_foreign(self) -> None:
        """Tables of another program with the name of ours are not touched."""
        do("CREATE SCHEMA corpproxy", "CREATE TABLE corpproxy.recipes (cake text)")
        error = self.assertRaises(StoreError, self.file.add_usage, [AMIR])
        self.assertEqual(error.code, "store-foreign")
        self.assertIn("name another database", error.message)
        self.assertEqual(do("SELECT count(*) FROM pg_tables WHERE schemaname = 'corpproxy'"), [(1,)])

    def test_other_meta(self) -> None:
        """Neither are those that look a little like ours."""
        do("CREATE SCHEMA corpproxy", "CREATE TABLE corpproxy.meta (name text, value bigint)")
        self.assertEqual(self.assertRaises(StoreError, self.file.add_usage, [AMIR]).code, "store-foreign")

    def test_missing(self) -> None:
        """A report before a service ran says that, and makes nothing."""
        error = self.assertRaises(StoreError, self.answer, UsageQuestion(By.USER, UTC))
        self.assertEqual(error.code, "store-missing")
        self.assertEqual(do("SELECT to_regclass('corpproxy.meta')"), [(None,)])

    def test_no_database(self) -> None:
        """A database that is not there, and a server that is not, are told in one line without a secret."""
        for url in (server().address + "2", "postgresql://u@127.0.0.1:1/d"):
            self.address = msgspec.structs.replace(self.address, database=url)
            error = self.assertRaises(StoreError, self.node().add_usage, [AMIR])
            self.assertEqual(error.code, "store-away")
            self.assertIn(url, error.message)
            self.assertNotIn("\n", error.message)


class MigrationTests(OnPostgresql, test_interface.FileTestCase):
    """Nodes are upgraded one after the other, while all of them run."""

    EXPANDS = Migration(
        ("ALTER TABLE usage ADD COLUMN colour text NOT NULL DEFAULT ''", "CREATE TABLE more (a text)"),
        oldest=len(MIGRATIONS),
    )
    CONTRACTS = Migration(("ALTER TABLE given RENAME TO granted_now",), oldest=len(MIGRATIONS) + 1)

    def upgrade(self, *more: Migration) -> None:
        """Start a node of a later version."""
        before = postgresql_schema.MIGRATIONS
        postgresql_schema.MIGRATIONS = (*before, *more)
        try:
            self.node("new").load_grants(NOW)
        except StoreError as error:
            # Its statements are of this version: what it made is what counts here.
            self.assertIn("given", error.message)
        finally:
            postgresql_schema.MIGRATIONS = before

    def test_expanded(self) -> None:
        """A node of the version before goes on while the tables have more, and starts with them."""
        self.file.add_usage([AMIR])
        self.upgrade(self.EXPANDS)
        self.file.add_usage([AMIR])
        self.node("old").add_usage([BETH])
        self.assertEqual(self.sums(), {"amir": 600, "beth": 100})
        self.assertEqual(do("SELECT value FROM meta WHERE name = 'schema'"), [(len(MIGRATIONS) + 1,)])

    def test_quotas(self) -> None:
        """What was used of quotas stands for each time that they are made good, as it did for the last."""
        before = postgresql_schema.MIGRATIONS
        self.patch(postgresql_schema, "MIGRATIONS", before[:1])
        self.node("old").add_usage([AMIR])
        do("INSERT INTO quota VALUES ('day', 'amir', 1795485600, 700, 50, 3)")
        self.patch(postgresql_schema, "MIGRATIONS", before)
        self.node("new").add_usage([AMIR])
        do("INSERT INTO quota VALUES ('day', 'amir', 1795572000, 1, 0, 4)")
        self.assertEqual(do("SELECT used, granted FROM quota ORDER BY until"), [(700, 50), (1, 0)])

    def test_contracted(self) -> None:
        """One for which the tables have become too new changes nothing, and says what to do."""
        self.file.add_usage([AMIR])
        self.upgrade(self.EXPANDS, self.CONTRACTS)
        for node in (self.file, self.node("old")):
            error = self.assertRaises(StoreError, node.add_usage, [BETH])
            self.assertEqual(error.code, "store-newer")
            self.assertIn("upgrade this node", error.message)
        error = self.assertRaises(StoreError, self.answer, UsageQuestion(By.USER, UTC))
        self.assertEqual(error.code, "store-newer")
        self.assertEqual(do("SELECT sum(received) FROM usage"), [(300,)])

    def test_at_once(self) -> None:
        """Nodes that start together make the tables once."""
        nodes = [self.node(str(number)) for number in range(4)]
        failed: list[Exception] = []

        def add(node: PostgresqlDatabase) -> None:
            try:
                node.add_usage([AMIR])
            except StoreError as error:
                failed.append(error)

        threads = [threading.Thread(target=add, args=(node,)) for node in nodes]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        self.assertEqual((failed, self.sums()), ([], {"amir": 1200}))

    def test_half_way(self) -> None:
        """A migration that fails leaves the tables as they were."""
        self.file.add_usage([AMIR])
        broken = Migration(("CREATE TABLE more (a text)", "ALTER TABLE nothing ADD COLUMN a text"), oldest=1)
        self.patch(postgresql_schema, "MIGRATIONS", (*MIGRATIONS, broken))
        self.assertRaises(StoreError, self.node("new").add_usage, [BETH])
        self.assertEqual(do("SELECT to_regclass('corpproxy.more')"), [(None,)])
        self.assertEqual(do("SELECT value FROM meta WHERE name = 'schema'"), [(len(MIGRATIONS),)])
