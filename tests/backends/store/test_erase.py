"""Forgetting in the store: sums stay and count for nobody, requests and grants go, and no octet is left."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from corpproxy.accounting.report import By
from corpproxy.audit.erasure import Erasure
from corpproxy.backends.store.interface import StoreError
from corpproxy.identity.grants import Grant
from corpproxy.identity.requests import AccessRequest
from tests.backends.store.test_interface import AMIR, BETH, NOBODY, NOW, SLOT, FileTestCase


class EraseTests(FileTestCase):
    """One store."""

    def setUp(self) -> None:
        super().setUp()
        self.file.add_usage([AMIR, BETH, NOBODY, AMIR._replace(minute=SLOT + 900)])

    def erase(self, **about) -> dict[str, int]:
        return {one.place: one.count for one in self.file.erase(Erasure(**about))}

    def octets(self) -> bytes:
        return b"".join(path.read_bytes() for path in self.path.parent.iterdir())

    def test_person(self) -> None:
        """What a person moved counts for nobody, and the name is nowhere in the files."""
        self.assertIn(b"amir", self.octets())
        self.assertEqual(self.erase(user="amir")["usage"], 2)
        self.assertEqual(self.ask(), [("", 610, 10070, 5), ("beth", 100, 900, 1)])
        self.assertNotIn(b"amir", self.octets())
        self.assertEqual(self.erase(user="amir")["usage"], 0)

    def test_merged(self) -> None:
        """Where nobody moved octets in the same way already, both are one sum."""
        self.file.add_usage([AMIR._replace(user="")])
        self.erase(user="amir")
        self.assertEqual(self.ask(By.HOST)[0], ("miniclip.com", 900, 15000, 6))

    def test_devices(self) -> None:
        """With a person goes the device, which would tell who it was; with a device who was at it."""
        self.file.add_usage(
            [AMIR._replace(user="cara", device="10.1.2.3"), NOBODY._replace(device="10.1.2.4")]
        )
        self.assertEqual(self.erase(user="cara")["usage"], 1)
        self.assertEqual(self.ask(By.DEVICE), [("", 1010, 15970, 8), ("10.1.2.4", 10, 70, 1)])
        self.assertEqual(self.erase(client="10.1.2.4")["usage"], 1)
        self.assertEqual(self.ask(By.DEVICE), [("", 1020, 16040, 9)])
        self.assertNotIn(b"10.1.2.", self.octets())

    def test_counted(self) -> None:
        """Counting changes nothing."""
        counted = {one.place: one.count for one in self.file.concerned(Erasure(user="amir"))}
        self.assertEqual(counted["usage"], 2)
        self.assertIn(("amir", 600, 10000, 4), self.ask())

    def test_until(self) -> None:
        """The quarter of an hour in which it ends belongs to it; later ones do not."""
        self.assertEqual(self.erase(user="amir", until=SLOT + 1.0)["usage"], 1)
        self.assertIn(("amir", 300, 5000, 2), self.ask())

    def test_host(self) -> None:
        """A host with all below it becomes one that is not told apart; who it was stays."""
        self.file.add_usage([AMIR._replace(host="www.miniclip.com")])
        self.assertEqual(self.erase(host="miniclip.com")["usage"], 3)
        self.assertIn(("*", 900, 15000, 6), self.ask(By.HOST))
        self.assertIn(("amir", 900, 15000, 6), self.ask())
        self.assertNotIn(b"miniclip", self.octets())

    def test_again_afterwards(self) -> None:
        """A person who goes on is counted anew, under the name and nobody else's."""
        self.erase(user="amir")
        self.file.add_usage([AMIR])
        self.assertIn(("amir", 300, 5000, 2), self.ask())

    def test_requests(self) -> None:
        """Requests of the person, and those that the person decided on, go."""
        for id, who, by in (("1", "amir", ""), ("2", "beth", "amir"), ("3", "beth", "carol")):
            self.file.save_request(AccessRequest(id, who, "games.test", "games", "/", NOW - 5, by=by))
        self.assertEqual(self.erase(user="amir")["requests"], 2)
        self.assertEqual([one.id for one in self.file.load_requests(NOW)], ["3"])

    def test_grants(self) -> None:
        """A grant that is over goes; one that holds is told, and goes when it ends."""
        self.file.save_grant(Grant("amir", "a.test", "", NOW - 1, "carol", "over", "1", since=NOW - 9))
        self.file.save_grant(Grant("amir", "b.test", "", NOW + 60, "carol", "holds", "2", since=NOW - 9))
        (found,) = (one for one in self.file.erase(Erasure(user="amir", until=NOW)) if one.place == "grants")
        self.assertEqual((found.count, found.said[:12]), (1, "1 still hold"))
        self.assertEqual([one.id for one in self.file.load_grants(NOW)], ["2"])

    def test_old(self) -> None:
        """Sums that are too old are deleted, with the names that nothing else has."""
        self.assertEqual(self.file.drop_usage_before(SLOT + 900.0), 2)
        self.assertEqual(self.ask(), [("amir", 300, 5000, 2), ("", 10, 70, 1)])
        self.assertNotIn(b"beth", self.octets())
        self.assertEqual(self.file.drop_usage_before(SLOT + 900.0), 0)

    def test_hosts_grow_old(self) -> None:
        """Hosts of old sums are told apart no longer; who it was and how much stays."""
        self.assertEqual(self.file.grow_old("where", SLOT + 900.0), 2)
        self.assertEqual(self.ask(By.HOST)[0], ("*", 400, 5900, 3))
        self.assertIn(("amir", 600, 10000, 4), self.ask())
        self.assertNotIn(b"bbc.co.uk", self.octets())
        self.assertEqual(self.file.grow_old("where", SLOT + 900.0), 0)

    def test_people_grow_old(self) -> None:
        """So do people; what they moved counts for nobody."""
        self.assertEqual(self.file.grow_old("who", SLOT + 900.0), 2)
        self.assertEqual(self.ask(), [("", 410, 5970, 4), ("amir", 300, 5000, 2)])
        self.assertNotIn(b"beth", self.octets())


class ReadMeanwhileTests(FileTestCase):
    """A file that is being read."""

    def octets(self) -> bytes:
        return b"".join(path.read_bytes() for path in self.path.parent.iterdir())

    def test_being_read(self) -> None:
        """While a report reads, the name stays in the store's log: that is told, and not taken for done."""
        self.file.add_usage([AMIR])
        with closing(sqlite3.connect(self.path)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM usage").fetchone()
            self.file._connection.execute("PRAGMA busy_timeout = 10")
            error = self.assertRaises(StoreError, self.file.erase, Erasure(user="amir"))
        self.assertIn("do it once more", error.message)
        self.file.erase(Erasure(user="amir"))
        self.assertNotIn(b"amir", self.octets())
