"""Limits on real sockets: both transports, one process and two workers, set while octets move."""

from __future__ import annotations

import contextlib
import getpass
import io
import json
import sqlite3
import time

from twisted.internet.defer import fail, gatherResults

from corpproxy.accounting.store_address import STORE_FILE
from corpproxy.audit.results import Kind
from corpproxy.backends.store.aside import asides
from corpproxy.backends.store.interface import Outage
from corpproxy.backends.store.quota_file import QUOTA_FILE, QuotaFile
from corpproxy.cli import main
from tests.service.case import PEOPLE, SIGN_IN, ServiceCase
from tests.service.client import Client, ask
from tests.supervisor.case import WorkersCase

KIB = 1024
RULES = """
limits:
  - {{name: each, rate: {rate}}}
  - {{name: the line, per: site, rate: 100MiB/s}}
rules:
  - {{name: everything, do: allow}}
"""
ME = getpass.getuser()
# Short, so that the suite is, on machines that do other things meanwhile: the rates here differ eightfold.
# How exact they are is for `benchmarks/rates.py` to say.
SECONDS = 2.0
NEAR = 2


class LimitsAtWork:
    """What moves while limits hold, and are changed."""

    policy = RULES.format(rate="512KiB/s") + SIGN_IN
    people = PEOPLE

    async def all_serve(self) -> None:
        """Wait until all processes serve."""

    async def clients(self, count: int) -> list[Client]:
        """Connections of one person, over all processes."""
        return [Client(self.forward, "amir", PEOPLE["amir"]) for _ in range(count)]

    def begin(self, client: Client) -> None:
        """Begin a long download."""
        self.addCleanup(client.close)
        client.send_request("GET", self.url(path="/octets/200000000"), "Connection: close")

    def moves(self, client: Client, seconds: float) -> float:
        """How many octets a second come for so long."""
        before, began = client.received, time.monotonic()
        until = began + seconds
        client.socket.settimeout(0.02)
        while time.monotonic() < until:
            with contextlib.suppress(TimeoutError):
                client.more()
        return (client.received - before) / (time.monotonic() - began)

    async def rate(self, clients: list[Client], seconds: float = SECONDS) -> float:
        """What comes to all of them together, in octets a second."""
        moving = [self.thread(self.moves, client, seconds) for client in clients]
        return sum([await one for one in moving])

    async def downloads(self, count: int = 4) -> list[Client]:
        """Downloads that have come to rest at their rate."""
        await self.all_serve()
        clients = await self.clients(count)
        for client in clients:
            await self.thread(self.begin, client)
        await self.rate(clients, 1.0)
        return clients

    def is_near(self, rate: float, due: float) -> None:
        self.assertTrue(due / NEAR < rate < due * NEAR, rate)

    async def command(self, *words: str) -> tuple[int, str, str]:
        """Give a command of the command line; exit code, output, complaints."""

        def run() -> tuple[int, str, str]:
            out, err = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = main([*words[:2], "--policy", str(self.file), *words[2:]])
            return code, out.getvalue(), err.getvalue()

        return await self.thread(run)

    async def says(self, *words: str) -> str:
        code, out, err = await self.command(*words)
        self.assertEqual((code, err), (0, ""), out)
        return out


class RatesAtWork(LimitsAtWork):
    """Rates, and what changes them."""

    async def test_rate(self) -> None:
        """However many connections a person has, over whatever processes, together they get their rate."""
        self.is_near(await self.rate(await self.downloads()), 512 * KIB)

    async def test_reload(self) -> None:
        """A reload slows within a second what runs already, and breaks nothing off."""
        clients = await self.downloads()
        self.write(RULES.format(rate="64KiB/s") + SIGN_IN)
        self.assertTrue((await self.service.reload("root", 0)).taken)
        await self.rate(clients, 1.0)
        self.is_near(await self.rate(clients), 64 * KIB)

    async def test_command(self) -> None:
        """An administrator sets another rate, sees who waits, and takes it back; all is recorded."""
        clients = await self.downloads()
        told = await self.says("limit", "set", "each", "--rate", "64KiB/s", "--why", "exam in hall 2")
        self.assertEqual(told, "each: 64 KiB/s each way from now on\n")
        await self.rate(clients, 1.0)
        self.is_near(await self.rate(clients), 64 * KIB)
        each, line = json.loads(await self.says("limit", "show", "--format", "json"))
        self.assertEqual((each["waiting"], line["waiting"]), (["amir"], []))
        self.assertIn(f"set by {ME}: exam in hall 2", await self.says("limit", "show"))
        await self.says("limit", "clear", "each", "--why", "over")
        await self.rate(clients, 1.0)
        self.is_near(await self.rate(clients), 512 * KIB)

        def deeds():
            return [one for one in self.records() if one.kind is Kind.DEED]

        await self.until(lambda: len(deeds()) == 2, "both are recorded")
        self.assertEqual(
            [(one.deed, one.user, one.rule, one.reason, one.source) for one in deeds()],
            [
                ("limit-set", ME, "each", "64 KiB/s each way: exam in hall 2", "command"),
                ("limit-cleared", ME, "each", "over", "command"),
            ],
        )


class KeptLimits:
    """What outlives the moment: over a restart, and in the record."""

    async def test_restart(self) -> None:
        """A limit that was set holds after a restart, for somebody whom the policy does not slow."""
        await self.all_serve()
        await self.says(
            "limit", "set", "amir", "--user", "amir", "--rate", "64KiB/s", "--why", "asked to wait"
        )
        await self.start_again()
        self.is_near(await self.rate(await self.downloads()), 64 * KIB)

    async def test_record(self) -> None:
        """The record says that an exchange was slowed, by what, and for how long."""
        (client,) = await self.downloads(1)
        # A machine that is busy enough keeps the client below the rate by itself, for a while.
        while not json.loads(await self.says("limit", "show", "--format", "json"))[0]["waiting"]:
            await self.rate([client], 0.5)
        client.close()
        (record,) = await self.closed(failure="client-gone")
        self.assertEqual(record.slowed_by, ("each",))
        self.assertGreater(record.slowed_ms, 0)


class OneProcessTests(KeptLimits, RatesAtWork, ServiceCase):
    """All in one process, on our own transports."""

    async def test_mistakes(self) -> None:
        """What cannot be set is said, with the nearest right word, and nothing changes."""
        for words, said in (
            (("eech", "--rate", "1MiB/s"), "the policy has no limit of this name (nearest is 'each')"),
            (("each", "--user", "amir", "--rate", "1MiB/s"), "say a rate alone"),
            (("new", "--user", "amirr", "--rate", "1MiB/s"), "there is no user 'amirr'; nearest is 'amir'"),
            (("each", "--rate", "1MB/s"), "a rate is written as 256KiB/s"),
            (("each", "--rate", "1B/s"), "lets no page through"),
            (("each",), "say a rate"),
            (("each", "--rate", "1MiB/s", "--for", "9999d"), "at most a year"),
        ):
            code, _, err = await self.command("limit", "set", "--why", "x", *words)
            self.assertEqual((code > 0, err.count("\n")), (True, 1), err)
            self.assertIn(said, err)
        code, _, err = await self.command("limit", "clear", "each")
        self.assertIn("no limit 'each' was set by hand", err)
        shown = await self.says("limit", "show")
        self.assertNotIn("set by", shown)

    async def test_ends(self) -> None:
        """A limit that was set for a while ends by itself."""
        clients = await self.downloads(1)
        await self.says("limit", "set", "each", "--rate", "64KiB/s", "--for", "1s", "--why", "a moment")
        await self.rate(clients, 2.0)
        self.is_near(await self.rate(clients), 512 * KIB)


class StockTransportsTests(RatesAtWork, ServiceCase):
    """All in one process, on the transports of Twisted."""

    transports = "twisted"


class WorkerTests(RatesAtWork, WorkersCase):
    """Two workers, each with connections of the same person."""

    async def all_serve(self):
        await self.serving()

    async def clients(self, count):
        seats = await self.serving()
        return [await self.on(seats[number % 2], "amir", PEOPLE["amir"]) for number in range(count)]


QUOTAS = """
time_zone: UTC
limits:
  - {name: day, volume: 2MiB, every: day, then: block}
rules:
  - {name: everything, do: allow}
"""


class QuotasAtWork(LimitsAtWork):
    """A quota of one person, over whatever processes."""

    policy = QUOTAS + SIGN_IN

    async def until_spent(self) -> None:
        """Download until it is ended."""
        await self.all_serve()
        clients = await self.clients(16)
        for client in clients:
            await self.thread(self.begin, client)
        await gatherResults([self.thread(self.to_the_end, client) for client in clients])

    async def own_page(self) -> str:
        """What the portal tells the person, once what was moved is booked."""
        asking = ask, self.forward, "http://proxy.internal/", "GET", "amir", PEOPLE["amir"]
        while "Your last days" not in (page := await self.thread(*asking)).text:
            await self.pause(0.2)
        return page.text

    def to_the_end(self, client: Client) -> int:
        client.socket.settimeout(30)
        with contextlib.suppress(ConnectionError):
            while client.more():
                pass
        return client.received

    async def test_quota(self) -> None:
        """It bites in the middle, over all processes; more is given; a restart forgets nothing."""
        await self.until_spent()
        (record, *_) = await self.closed(1, failure="quota-spent")
        self.assertEqual((record.user, record.ended_rule), ("amir", "day"))
        self.assertEqual((await self.get(user="amir")).status, 403)
        ((quota,),) = [json.loads(await self.says("quota", "show", "--format", "json"))]
        (member,) = quota["members"]
        self.assertEqual((member["whom"], member["allowed"]), ("amir", 2 * KIB * KIB))
        self.assertGreaterEqual(member["used"], member["allowed"])
        await self.until(
            lambda: not self.service.quota_keeper.quotas.lent("day", "amir"), "all is given back"
        )
        self.assertLess(member["used"], member["allowed"] + KIB * KIB)
        await self.pause(1.2)
        await self.start_again()
        await self.all_serve()

        async def status():
            # Until the workers are told that nothing is left, what begins may be ended in the middle.
            with contextlib.suppress(ConnectionError):
                return (await self.get(user="amir")).status

        while await status() != 403:
            await self.pause(0.1)
        await self.says("quota", "reset", "day", "--of", "amir", "--why", "homework")
        more = "--of", "amir", "--volume", "1MiB", "--why", "x"
        self.assertIn("of 3 MiB", await self.says("quota", "grant", "day", *more))
        while await status() != 200:
            await self.pause(0.1)
        page = await self.own_page()
        self.assertIn("Given to you on top: 1 MiB, until", page)
        self.assertRegex(page, r"Download: \d[\d.]* MiB, Upload: \d[\d.]* (KiB|B), Together: \d")

        def deeds():
            return [(one.deed, one.whom, one.rule) for one in self.records() if one.kind is Kind.DEED]

        await self.until(
            lambda: deeds() == [("quota-reset", "amir", "day"), ("quota-granted", "amir", "day")]
        )
        code, _, err = await self.command("quota", "grant", "dya", *more)
        self.assertEqual((code, err), (1, "there is no quota 'dya'; nearest is 'day'\n"))


class OneProcessQuotaTests(QuotasAtWork, ServiceCase):
    """All in one process."""


class WorkerQuotaTests(QuotasAtWork, WorkersCase):
    """Two workers."""

    all_serve = WorkerTests.all_serve
    clients = WorkerTests.clients


class DamagedTests(LimitsAtWork, ServiceCase):
    """The file of what is used of quotas is damaged."""

    policy = QUOTAS + SIGN_IN

    async def test_store(self) -> None:
        """So with the store of usage; the metrics count what was set aside."""
        state = self.service.state
        await self.stop()
        (state / STORE_FILE).write_bytes(b"this is no database at all, but rather some kind of text" * 100)
        self.start()
        await self.until(lambda: asides(state))
        self.assertIn(f"{STORE_FILE}.damaged-", await self.says("status"))
        self.assertEqual(await self.metric("corpproxy_databases_set_aside"), 1)
        self.assertEqual((await self.get(user="amir")).status, 200)

    async def test_unread(self) -> None:
        """While it cannot be read what was used, who has a quota waits, and the service says why."""
        await self.stop()
        locked = sqlite3.OperationalError("database is locked")
        patch = self.patch(QuotaFile, "load", lambda file, now: fail(locked))
        self.start()
        self.assertEqual((await self.get(user="amir")).status, 403)
        self.assertIn(
            "used of quotas cannot be read: database is locked", (await self.ask_admin("/ready")).text
        )
        self.assertEqual(await self.metric("corpproxy_quotas_failing"), 1)
        patch.restore()
        await self.until(lambda: not self.service.quota_keeper.problem)
        self.assertEqual((await self.get(user="amir")).status, 200)

    async def test_told(self) -> None:
        """The service serves all the same, and says what it set aside until somebody deletes that."""
        state = self.service.state
        await self.stop()
        (state / QUOTA_FILE).write_bytes(b"this is no database at all, but rather some kind of text" * 100)
        self.start()
        await self.until(lambda: asides(state))
        (aside,) = asides(state)
        self.assertEqual((await self.get(user="amir")).status, 200)
        self.assertIn(
            f"ready, but:\n{aside} was damaged and set aside", (await self.ask_admin("/ready")).text
        )
        self.assertIn(f"set aside: {aside}\n", await self.says("status"))
        aside.unlink()
        self.assertEqual((await self.ask_admin("/ready")).text, "ready\n")
        self.assertIn("set aside: none\n", await self.says("status"))
        now = self.service.now()
        self.patch(type(self.service.store), "outage", Outage(now, "the database is away", True, 3, 900))
        self.assertIn("store away: the database is away; since ", await self.says("status"))
        self.assertEqual(await self.metric("corpproxy_store_away"), 1)
