"""The proxy goes on while the database is away; when it is back everything is in it, once."""

from __future__ import annotations

import random
import threading
import time
from datetime import UTC
from pathlib import Path

import msgspec
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.common import Common
from corpproxy.accounting.quotas import Charge
from corpproxy.accounting.report import By, UsageQuestion
from corpproxy.audit.erasure import Erasure
from corpproxy.backends.store.interface import StoreError
from corpproxy.backends.store.outage import PatientDatabase
from corpproxy.backends.store.postgresql import read_postgresql
from corpproxy.backends.store.quota_file import KEPT_SECONDS
from corpproxy.backends.store.spool import SPOOL_FILE
from corpproxy.backends.store.usage import read_usage
from corpproxy.identity.grants import Grant
from tests.backends.store.test_interface import AMIR, BETH, NOW
from tests.support.postgresql import do, empty_store, server

NOWHERE = "postgresql://postgres@127.0.0.1:1/postgres"
# Moments that are over, and are not, by any clock that a database has.
LONG_AGO, FAR_AHEAD = 1e9, 4e9


class OutageTestCase(SynchronousTestCase):
    """A store that can be away."""

    def setUp(self) -> None:
        self.state = Path(self.mktemp())
        self.address = empty_store(self.state)
        self.time = 0.0
        self.store = self.node()

    def node(self, **more) -> PatientDatabase:
        address = msgspec.structs.replace(self.address, **more)
        made = PatientDatabase(address, lambda: NOW, lambda: self.time)
        self.addCleanup(made.close)
        return made

    def away(self, store: PatientDatabase) -> None:
        """The database is elsewhere for a while."""
        store._there.close()
        store._there._address = msgspec.structs.replace(self.address, database=NOWHERE)

    def back(self, store: PatientDatabase) -> None:
        """It is back, and it is time to ask again."""
        store._there._address = self.address
        self.time += 60

    def sums(self) -> dict[str, int]:
        asked = UsageQuestion(By.USER, UTC)
        made = read_postgresql(self.address, lambda connection: read_usage(connection, asked))
        return {row.name: row.received for row in made.rows}


class OutageTests(OutageTestCase):
    """What is given while the database is away."""

    def test_waits(self) -> None:
        """Usage and grants are taken, wait on the disk, and go in, in their order."""
        self.store.add_usage([AMIR])
        self.away(self.store)
        self.store.add_usage([AMIR])
        self.store.add_usage([BETH])
        self.store.save_grant(Grant("amir", "a.test", "r", NOW + 60, "beth", "", "one"))
        self.store.save_grant(Grant("beth", "a.test", "r", NOW + 60, "beth", "", "two"))
        self.store.end_grant("one")
        self.assertEqual(self.sums(), {"amir": 300})
        assert self.store.outage is not None
        self.assertEqual((self.store.outage.entries, self.store.outage.since), (5, NOW))
        self.back(self.store)
        self.store.tend()
        self.assertEqual((self.sums(), self.store.outage), ({"amir": 600, "beth": 100}, None))
        self.assertEqual([grant.id for grant in self.store.load_grants(NOW)], ["two"])
        self.assertEqual((self.state / SPOOL_FILE).stat().st_size, 0)

    def test_killed_meanwhile(self) -> None:
        """What waits outlives the process, and goes in before what comes later."""
        self.away(self.store)
        self.store.add_usage([AMIR])
        later = self.node()
        later.add_usage([BETH])
        self.assertEqual(self.sums(), {"amir": 300, "beth": 100})

    def test_cut_off(self) -> None:
        """Half an entry, of a process that was killed while it wrote, is none; those before it count."""
        self.away(self.store)
        self.store.add_usage([AMIR])
        with (self.state / SPOOL_FILE).open("ab") as file:
            file.write(b'{"writer":"x","num')
        self.node().add_usage([BETH])
        self.assertEqual(self.sums(), {"amir": 300, "beth": 100})

    def test_in_already(self) -> None:
        """A batch that went in although its answer was lost is not counted again."""
        self.away(self.store)
        self.store.add_usage([AMIR])
        spooled = (self.state / SPOOL_FILE).read_bytes()
        self.back(self.store)
        self.store.tend()
        (self.state / SPOOL_FILE).write_bytes(spooled)
        self.node().tend()
        again = self.node()
        again.add_usage([BETH])
        self.assertEqual(self.sums(), {"amir": 300, "beth": 100})

    def test_full(self) -> None:
        """A spool that is full takes no more, and says so; what was taken goes in."""
        store = self.node(spool_octets=1000, database=NOWHERE)
        taken = 0
        error = None
        while error is None:
            try:
                store.add_usage([AMIR])
                taken += 1
            except StoreError as caught:
                error = caught
        self.assertIn("full", error.message)
        self.back(store)
        store.tend()
        self.assertEqual(self.sums(), {"amir": taken * 300})
        store.add_usage([AMIR])

    def test_damaged(self) -> None:
        """A spool that cannot be read is set aside, loudly, and the service goes on."""
        events: list[dict] = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        (self.state / SPOOL_FILE).write_bytes(b"no entry at all\n")
        self.store.add_usage([AMIR])
        self.assertEqual(self.sums(), {"amir": 300})
        self.assertEqual([event["log_level"].name for event in events], ["critical"])
        self.assertEqual(len(list(self.state.glob("store-spool.damaged-*"))), 1)

    def test_erasing(self) -> None:
        """Nobody can be erased while the database is away; afterwards what waited is reached, too."""
        self.store.add_usage([AMIR])
        self.away(self.store)
        self.store.add_usage([AMIR])
        self.assertEqual(
            self.assertRaises(StoreError, self.store.erase, Erasure(user="amir")).code, "store-away"
        )
        self.back(self.store)
        self.store.erase(Erasure(user="amir"))
        self.assertEqual(self.sums(), {"": 600})

    def test_asked_seldom(self) -> None:
        """A database that is away is asked every few seconds, and holds up nobody in between."""
        self.away(self.store)
        self.store.add_usage([AMIR])
        self.store._there.change = lambda *work, **how: self.fail("asked too soon")
        self.store.add_usage([AMIR])
        self.store.tend()
        self.assertIsNone(self.store.shared(NOW))

    def test_told(self) -> None:
        """The log says once that it is away, and once that it is back."""
        events: list[dict] = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        self.away(self.store)
        for _ in range(3):
            self.store.add_usage([AMIR])
            self.time += 60
        self.back(self.store)
        self.store.tend()
        self.assertEqual([event["log_level"].name for event in events], ["critical", "warn"])


class SharedTests(OutageTestCase):
    """What several nodes have in common."""

    def test_quota(self) -> None:
        """Each reads what all of them charged, and what it read before is not told again."""
        other = self.node()
        self.store.charge([Charge("day", "amir", NOW + 60, 100.0, 0.0)])
        other.charge([Charge("day", "amir", NOW + 60, 50.0, 20.0), Charge("day", "beth", NOW + 60, 7.0, 0.0)])
        told = self.store.shared(NOW)
        self.assertEqual(
            sorted(told.quotas),
            [Common("day", "amir", NOW + 60, 150.0, 20.0), Common("day", "beth", NOW + 60, 7.0, 0.0)],
        )
        self.assertEqual(self.store.shared(NOW).quotas, [])
        other.charge([Charge("day", "beth", NOW + 60, -7.0, 0.0)])
        self.assertEqual(self.store.shared(NOW).quotas, [Common("day", "beth", NOW + 60, 0.0, 0.0)])

    def test_next_day(self) -> None:
        """The next day is another one: what comes late is charged to the day that it is of."""
        for until, used in ((NOW + 60, 100.0), (NOW + 120, 5.0), (NOW + 60, 30.0)):
            self.store.charge([Charge("day", "amir", until, used, 0.0)])
        self.assertEqual(
            sorted(self.store.shared(NOW).quotas),
            [Common("day", "amir", NOW + 60, 130.0, 0.0), Common("day", "amir", NOW + 120, 5.0, 0.0)],
        )

    def test_made_good(self) -> None:
        """What was made good days ago is in the tables no more, and so is the name in it."""
        self.store.charge(
            [Charge("day", "amir", LONG_AGO, 5.0, 0.0), Charge("month", "beth", NOW + 9e5, 7.0, 0.0)]
        )
        self.store.shared(LONG_AGO + KEPT_SECONDS - 1)
        self.assertEqual(sorted(do("SELECT whom FROM quota")), [("amir",), ("beth",)])
        self.store.shared(NOW)
        self.assertEqual(do("SELECT whom FROM quota"), [("beth",)])

    def test_far_ahead(self) -> None:
        """A node whose clock is years ahead forgets nothing that the others still count by."""
        self.store.charge([Charge("day", "amir", FAR_AHEAD, 5.0, 0.0)])
        self.store.shared(FAR_AHEAD + 10 * KEPT_SECONDS)
        other = self.node()
        self.assertEqual(other.shared(NOW).quotas, [Common("day", "amir", FAR_AHEAD, 5.0, 0.0)])

    def test_grants(self) -> None:
        """A grant that one node gives, or ends, is told to the other, once."""
        other = self.node()
        self.assertEqual(self.store.shared(NOW).grants, [])
        grant = Grant("amir", "a.test", "r", NOW + 60, "beth", "", "one")
        other.save_grant(grant)
        self.assertEqual(self.store.shared(NOW).grants, [grant])
        self.assertIsNone(self.store.shared(NOW).grants)
        other.end_grant("one")
        self.assertEqual(self.store.shared(NOW).grants, [])


class KilledTests(OutageTestCase):
    """PostgreSQL killed and started again, many times, while two nodes write."""

    def test_under_load(self) -> None:
        """Nothing that was taken is lost, and nothing is counted twice."""
        nodes = [PatientDatabase(self.own(name), lambda: NOW) for name in ("one", "two")]
        ends = threading.Event()
        taken = [0, 0]

        def write(number: int) -> None:
            while not ends.is_set():
                nodes[number].add_usage([AMIR._replace(host=f"host{taken[number] % 50}.example")])
                taken[number] += 1
                time.sleep(0.001)

        # Whatever fails here, the tests must come to their end.
        self.addCleanup(ends.set)
        threads = [threading.Thread(target=write, args=(number,), daemon=True) for number in range(2)]
        for one in threads:
            one.start()
        chance = random.Random(5)
        for _ in range(4):
            time.sleep(chance.uniform(0.2, 0.5))
            server().kill(hard=True)
            time.sleep(chance.uniform(0.0, 0.3))
            server().start()
        time.sleep(0.5)
        ends.set()
        for one in threads:
            one.join()
        for node in nodes:
            self.until_in(node)
            node.close()
        self.assertEqual(self.sums(), {"amir": 300 * sum(taken)})
        self.assertGreater(min(taken), 50)

    def own(self, name: str):
        state = self.state / name
        state.mkdir()
        return msgspec.structs.replace(self.address, state=str(state))

    def until_in(self, node: PatientDatabase) -> None:
        ends = time.monotonic() + 30
        while node.outage is not None and time.monotonic() < ends:
            node.tend()
            time.sleep(0.05)
