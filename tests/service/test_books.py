"""Every exchange has one closing record, and its octets are in the store within about a second."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections import Counter
from datetime import UTC

from corpproxy.accounting.report import By, UsageQuestion
from corpproxy.audit.results import Kind
from corpproxy.backends.recorded import Recorded
from corpproxy.backends.records.segments import FileSegment
from corpproxy.backends.store.interface import StoreError
from corpproxy.backends.store.schema import open_store
from corpproxy.backends.store.sqlite import report_from
from corpproxy.cli import main
from tests.service.case import ALLOW, PEOPLE, SIGN_IN, ServiceCase
from tests.service.client import Client

RULES = """
rules:
  - {name: no bets, what: {domain: bets.test}, do: block}
  - {name: everything else, do: allow}
"""


class BooksCase(ServiceCase):
    """A service, what its clients measured, and what it kept."""

    def setUp(self):
        self.clients = []
        return super().setUp()

    def client(self, user=""):
        client = Client(self.forward, user, self.people.get(user, ""))
        self.clients.append(client)
        self.addCleanup(client.close)
        return client

    @property
    def moved(self):
        """What all clients sent, and got."""
        return sum(one.sent for one in self.clients), sum(one.received for one in self.clients)

    def stored(self, by=By.USER):
        """What the store has: octets from clients, octets to them, exchanges."""
        try:
            question = UsageQuestion(by, UTC)
            total = report_from(self.folder / "state" / "corpproxy.db", question).total
        except StoreError:
            return 0, 0, 0
        return total.received, total.sent, total.exchanges


class OctetsTests(BooksCase):
    """What clients measured, what records say, what the store has: the same."""

    people = PEOPLE
    policy = SIGN_IN + RULES

    async def test_all_kinds(self):
        """Forwarded, posted, refused, challenged, malformed, tunnelled, aborted: each once and whole."""
        amir, beth, nobody = self.client("amir"), self.client("beth"), self.client()
        for path in ("/hello", "/octets/300000", "/octets/0"):
            await self.thread(amir.ask, "GET", self.url(path=path))
        await self.thread(beth.ask, "POST", self.url(), content=b"x" * 100_000)
        await self.thread(beth.ask, "GET", self.url("bets.test"))
        await self.thread(nobody.ask, "GET", self.url())
        broken = self.client().connect()
        await self.thread(broken.send, b"GET http://origin.test/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        await self.thread(_read_all, broken)
        half = self.client().connect()
        await self.thread(half.send, b"GET http://ori")
        half.socket.close()
        tunnel = self.client("amir")
        await self.thread(tunnel.ask, "CONNECT", f"origin.test:{self.origin.echo_port}")
        await self.thread(tunnel.echoes, b"y" * 200_000)
        tunnel.socket.close()
        gone = self.client("amir")
        await self.thread(gone.send_request, "GET", self.url(path="/held"))
        await self.until(self.origin.arrived.is_set)
        gone.socket.close()
        records = await self.closed(10)
        self.assertEqual(max(Counter(one.id for one in records).values()), 1)
        self.assertEqual(
            Counter(str(one.result) for one in records),
            {"forwarded": 4, "blocked": 1, "challenged": 1, "malformed": 1, "client-gone": 2, "tunnelled": 1},
        )
        counted = (sum(one.received for one in records), sum(one.sent for one in records))
        self.assertEqual(counted, self.moved)
        await self.until(lambda: self.stored()[2] == 10, "ten exchanges in the store")
        self.assertEqual(self.stored(), (*self.moved, 10))
        answers = await self.metric('corpproxy_client_bytes_total{direction="received"}')
        self.assertEqual(answers, self.moved[0])
        self.assertEqual(await self.metric('corpproxy_client_bytes_total{direction="sent"}'), self.moved[1])

    async def test_while_it_runs(self):
        """The octets of a tunnel are in the store while it is open, and once when it has ended."""
        tunnel = self.client("amir")
        await self.thread(tunnel.ask, "CONNECT", f"origin.test:{self.origin.echo_port}")
        await self.thread(tunnel.echoes, b"y" * 100_000)
        await self.until(lambda: self.stored()[:2] == self.moved, "the octets of the open tunnel")
        self.assertEqual(self.stored()[2], 0)
        await self.until(lambda: [one.kind for one in self.records()] == [Kind.OPENING])
        await self.thread(tunnel.echoes, b"y" * 50_000)
        tunnel.socket.close()
        await self.until(lambda: self.stored() == (*self.moved, 1))

    async def test_bug_in_a_record(self):
        """An exchange whose record cannot be made has a bare one, and its octets count."""

        def broken(*arguments):
            raise ZeroDivisionError

        self.patch(Recorded, "ended", broken)
        client = self.client("amir")
        self.assertEqual((await self.thread(client.ask, "GET", self.url())).status, 200)
        (record,) = await self.closed(1)
        self.assertEqual((record.result, record.failure), ("failed", "record"))
        self.assertEqual((record.received, record.sent), self.moved)
        self.assertEqual((await self.thread(client.ask, "GET", self.url())).status, 200)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)


class OctetsOnTwistedTests(OctetsTests):
    """The same on the transports of Twisted."""

    transports = "twisted"


class RotationTests(BooksCase):
    """New record files on demand."""

    def files(self):
        return sorted(path.name for path in (self.folder / "state" / "records").iterdir())

    async def rotated(self, begin):
        await self.get()
        await self.closed(1)
        (first,) = self.files()
        folder = self.folder / "state" / "records"
        os.rename(folder / first, folder / f"{first}.1")
        begin()
        await self.pause(0.5)
        await self.get()
        await self.closed(2)
        self.assertEqual(len(self.files()), 2)
        self.assertEqual((folder / f"{first}.1").read_bytes().count(b"\n"), 1)

    async def test_sigusr1(self):
        """SIGUSR1 begins a new file."""
        await self.rotated(lambda: os.kill(os.getpid(), signal.SIGUSR1))

    async def test_command(self):
        """So does ``corpproxy rotate``."""
        asked = []
        words = ["--policy", str(self.file), "rotate"]
        await self.rotated(lambda: asked.append(self.thread(main, words)))
        self.assertEqual(await asked[0], 0)


class SmallDisk:
    """A disk that is full when it is said so."""

    def __init__(self):
        self.is_full = False

    def begin(self, path):
        return SmallSegment(path, self)


class SmallSegment(FileSegment):
    """A segment on such a disk."""

    def __init__(self, path, disk):
        self._disk = disk
        super().__init__(path)

    def write(self, octets):
        if self._disk.is_full:
            raise OSError(28, "No space left on device")
        return super().write(octets)


class FullTests(BooksCase):
    """A disk that has no room for records."""

    def start(self):
        service = super().start()
        self.disk = SmallDisk()
        service.writer._segments._begin = self.disk.begin
        return service

    async def fill(self):
        self.disk.is_full = True
        await self.get()
        await self.until(lambda: self.service.writer.is_failing)

    async def test_stop(self):
        """Requests are answered with 503 and a page that says why; with room again it goes on by itself."""
        await self.fill()
        refused = await self.get()
        self.assertEqual((refused.status, "records-full" in refused.text), (503, True))
        ready = await self.ask_admin("/ready")
        self.assertEqual((ready.status, "No space left" in ready.text), (503, True))
        self.disk.is_full = False
        await self.until(lambda: not self.service.writer.is_failing)
        self.assertEqual((await self.get()).status, 200)
        results = [str(one.result) for one in await self.closed(3)]
        self.assertEqual(results, ["forwarded", "unavailable", "forwarded"])
        self.assertEqual(await self.metric("corpproxy_records_lost_total"), 0)
        self.assertEqual((await self.ask_admin("/ready")).status, 200)

    async def test_continue(self):
        """The service goes on; what memory cannot hold is lost, and counted."""
        self.write("audit: {when_full: continue}\n" + ALLOW)
        await self.service.reload("test", 0)
        self.service.writer.sheet.bound = 2000
        await self.fill()
        for _ in range(12):
            self.assertEqual((await self.get()).status, 200)
        lost = await self.metric("corpproxy_records_lost_total")
        self.assertGreater(lost, 0)
        self.disk.is_full = False
        await self.until(lambda: not self.service.writer.waiting)
        # Thirteen exchanges, and the reload.
        self.assertEqual(len(self.records()) + lost, 14)

    async def test_stop_on_a_full_disk(self):
        """A service that ends on a full disk ends, and says what was lost."""
        await self.fill()
        writer = self.service.writer
        await self.stop()
        self.assertEqual(writer.lost, 1)


class RealFullTests(BooksCase):
    """A real disk without room: a small file system in memory."""

    skip = None if os.geteuid() == 0 and shutil.which("mount") else "only root can mount"

    def setUp(self):
        self.mounted = None
        return super().setUp()

    def start(self):
        folder = self.folder / "state" / "records"
        folder.mkdir(parents=True)
        mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            self.skip = "no file system can be mounted here"
            return None
        self.addCleanup(subprocess.run, ["umount", "-l", str(folder)], check=False)
        return super().start()

    async def test_full(self):
        """It is noticed, told, and over when there is room; no record is lost and none stands twice."""
        if self.service is None:
            return
        filling = self.folder / "state" / "records" / "filling"
        with contextlib.suppress(OSError), filling.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
        await self.get()
        await self.until(lambda: self.service.writer.is_failing)
        self.assertEqual((await self.get()).status, 503)
        filling.unlink()
        await self.until(lambda: not self.service.writer.is_failing)
        self.assertEqual((await self.get()).status, 200)
        records = await self.closed(3)
        self.assertEqual(len({one.id for one in records}), 3)


class LockedStoreTests(BooksCase):
    """A store that another program holds."""

    async def test_locked(self):
        """Usage waits in memory, /ready says so, and it is stored when the lock is gone, each octet once."""
        await self.until((self.folder / "state" / "corpproxy.db").exists)
        await self.until(lambda: self.service.store._database._connection)
        self.service.store._database._connection.execute("PRAGMA busy_timeout = 50")
        lock = open_store(self.folder / "state" / "corpproxy.db", self.now())
        self.addCleanup(lock.close)
        lock.execute("BEGIN IMMEDIATE")
        client = self.client()
        for _ in range(3):
            self.assertEqual((await self.thread(client.ask, "GET", self.url())).status, 200)
        await self.until(lambda: self.service.bookkeeper.is_failing)
        self.assertIn("usage cannot be stored", (await self.ask_admin("/ready")).text)
        await self.pause(1.1)
        self.assertGreater(await self.metric("corpproxy_ledger_lag_seconds"), 0)
        lock.execute("ROLLBACK")
        await self.until(lambda: self.stored() == (*self.moved, 3))
        self.assertEqual((await self.ask_admin("/ready")).status, 200)

    async def test_locked_start(self):
        """A start does not wait for the store: it listens, and takes up the grants when it can."""
        await self.stop()
        lock = open_store(self.folder / "state" / "corpproxy.db", self.now())
        self.addCleanup(lock.close)
        lock.execute("BEGIN IMMEDIATE")
        from corpproxy.backends.store import schema as store_schema

        self.patch(store_schema, "BUSY_SECONDS", 0.1)
        self.start()
        self.assertEqual((await self.get()).status, 200)
        await self.pause(0.3)
        lock.execute("ROLLBACK")


class ClockTests(BooksCase):
    """A clock that jumps."""

    policy = """
time_zone: UTC
calendars: {mornings: {days: mon-sun, hours: "00:00-12:00"}}
rules:
  - {name: in the morning, when: mornings, do: block}
  - {name: all, do: allow}
"""

    async def test_jumps(self):
        """Hours are decided by the clock as it is now, durations are never negative, nothing breaks."""
        midnight = self.now() // 86400 * 86400
        expected = []
        for hours in (14, 2, 14 + 24 * 400, 2 + 24 * 400, 14, -10, -22):
            self.jump = 0.0
            self.jump = midnight + hours * 3600 - self.now()
            expected.append(403 if hours % 24 < 12 else 200)
            self.assertEqual((await self.get()).status, expected[-1])
        records = await self.closed(7)
        self.assertTrue(all(one.seconds >= 0 for one in records))
        self.jump = 0.0
        await self.until(lambda: self.stored()[2] == 7)

    async def test_back_in_the_middle(self):
        """A clock that goes back while an exchange runs."""
        self.jump = self.now() // 86400 * 86400 + 14 * 3600 - self.now()
        client = self.client()
        await self.thread(client.send_request, "GET", self.url(path="/held"))
        await self.until(self.origin.arrived.is_set)
        self.jump -= 86400
        self.origin.release()
        await self.thread(client.answer)
        (record,) = await self.closed(1)
        self.assertEqual(record.seconds, 0)
        await self.until(lambda: self.stored() == (*self.moved, 1))


def _read_all(client):
    while client.more():
        pass
