"""Two workers as real processes, on real sockets."""

from __future__ import annotations

import os
import re
import signal
from collections import Counter
from datetime import UTC
from urllib.parse import urlencode

from corpproxy.accounting.report import By, UsageQuestion
from corpproxy.audit.results import Kind, ResultCode
from corpproxy.backends.lists import watch as list_watch
from corpproxy.backends.store.sqlite import report_from
from tests.service.case import ALLOW, PEOPLE, SIGN_IN
from tests.service.test_lists import LISTS, RULES
from tests.supervisor.case import Load, WorkersCase

BLOCK = """
rules:
  - {name: no games, what: {domain: games.test}, do: block}
  - {name: bets with a thought, what: {domain: bets.test}, do: warn, for: 10m}
  - {name: everything else, do: allow}
"""


class ServingTests(WorkersCase):
    """Clients, and the figures about them; also of workers that are begun from nothing."""

    are_copies = False

    async def test_both_serve(self) -> None:
        """Connections are spread over all workers; records, usage and figures are those of one proxy."""
        await self.serving()
        answers = [await self.get() for _ in range(30)]
        self.assertEqual({answer.status for answer in answers}, {200})
        records = await self.closed(30)
        self.assertEqual(len({record.id for record in records}), 30)
        folder = self.folder / "state" / "records"
        names = {path.name.split("-")[2] for path in folder.glob("records-*")}
        self.assertEqual(names, {"w1", "w2"})
        self.assertEqual(Counter(record.listener for record in records), {"rooms": 30})
        await self.until(lambda: sum(self.service.telemetry.exchange_counts.values()) == 30)
        self.assertEqual(await self.metric("corpproxy_exchange_duration_seconds_count"), 30)
        received = await self.metric('corpproxy_client_bytes_total{direction="received"}')
        self.assertEqual(received, sum(record.received for record in records))
        await self.stop()
        usage = report_from(self.folder / "state" / "corpproxy.db", UsageQuestion(By.USER, UTC))
        self.assertEqual(usage.total.exchanges, 30)
        self.assertEqual(usage.total.received, sum(record.received for record in records))

    async def test_status(self) -> None:
        """The status names the workers, and what is open in all of them together."""
        first, second = await self.serving()
        clients = [await self.on(first), await self.on(second)]
        await self.until(lambda: self.service.status()["connections"] == 2, "both are counted")
        workers = self.service.status()["workers"]
        self.assertEqual([one["pid"] for one in workers], [first.pid, second.pid])
        self.assertEqual([one["connections"] for one in workers], [1, 1])
        self.assertEqual([one["stage"] for one in workers], ["serving", "serving"])
        for client in clients:
            client.close()


class KilledTests(WorkersCase):
    """kill -9."""

    async def test_under_load(self) -> None:
        """Only the connections of the killed worker break, its socket is served again, no figure falls."""
        first, second = await self.serving()
        mine, other = await self.on(first), await self.on(second)
        for client in (mine, other):
            self.assertEqual((await self.thread(client.ask, "GET", self.url())).status, 200)
        await self.closed(2)
        load = Load(self.forward, self.url())
        await self.until(lambda: len(load.statuses) > 40, "the load runs")
        counts = self.service.telemetry.exchange_counts
        await self.until(lambda: sum(counts.values()) > 10, "something is counted")
        before = sum(counts.values())
        recorded = len([one for one in self.records() if one.kind is Kind.EXCHANGE])
        sockets = first.sockets
        await self.kill(first)
        self.assertGreaterEqual(sum(counts.values()), before)
        self.assertEqual(first.sockets, sockets)
        with self.assertRaises(OSError):
            await self.thread(mine.ask, "GET", self.url())
        self.assertEqual((await self.thread(other.ask, "GET", self.url())).status, 200)
        # The replacement serves the same socket.
        again = await self.on(first)
        self.assertEqual((await self.thread(again.ask, "GET", self.url())).status, 200)
        await self.thread(load.stop)
        self.assertEqual(set(load.statuses), {200})
        # Each client has one connection at a time: no more were broken.
        self.assertLessEqual(len(load.failures), 3, load.failures)
        self.assertGreaterEqual(len(self.records()), recorded)
        ids = Counter(one.id for one in self.records() if one.kind is Kind.EXCHANGE)
        self.assertEqual(max(ids.values()), 1)
        for client in (mine, other, again):
            client.close()
        await self.stop()
        usage = sum(1 for one in self.records() if one.kind is Kind.EXCHANGE)
        answered = len(load.statuses) + 4
        # What the last second of the dead worker held is lost, nothing stands twice.
        self.assertLessEqual(usage, answered + len(load.failures))

    async def test_queued(self) -> None:
        """Who connects while there is no worker waits in the kernel, and is served by the next one."""
        first, _ = await self.serving()
        os.kill(first.pid, signal.SIGSTOP)
        answers = [self.get() for _ in range(8)]
        await self.pause(0.5)
        await self.kill(first)
        self.assertEqual({(await answer).status for answer in answers}, {200})

    async def test_tunnels(self) -> None:
        """The tunnels of a killed worker get their closing records, with the result ``lost``."""
        first, second = await self.serving()
        target = f"origin.test:{self.origin.echo_port}"
        mine, other = await self.on(first), await self.on(second)
        for client in (mine, other):
            self.assertEqual((await self.thread(client.ask, "CONNECT", target)).status, 200)
            self.assertEqual(await self.thread(client.echoes, b"hello"), b"hello")
        await self.until(lambda: len([one for one in self.records() if one.kind is Kind.OPENING]) == 2)
        await self.kill(first)
        (lost,) = await self.closed(1, result=ResultCode.LOST)
        self.assertEqual((lost.host, lost.kind), ("origin.test", Kind.CLOSING))
        self.assertEqual(await self.thread(other.echoes, b"still"), b"still")
        other.close()
        await self.closed(1, result=ResultCode.TUNNELLED)
        mine.close()
        closings = Counter(one.id for one in self.records() if one.kind is Kind.CLOSING)
        self.assertEqual(set(closings.values()), {1})

    async def test_terminated(self) -> None:
        """A worker that is told to end by itself drains, and has a successor."""
        first, _ = await self.serving()
        before = first.pid
        os.kill(before, signal.SIGTERM)
        await self.until(lambda: first.is_serving and first.pid != before, "a successor serves")
        self.assertEqual((await self.get()).status, 200)


class ReloadTests(WorkersCase):
    """A policy comes into force in all workers, or in none."""

    async def blocked(self) -> list[int]:
        found = []
        for seat in self.service.crew.seats:
            client = await self.on(seat)
            found.append((await self.thread(client.ask, "GET", self.url("games.test"))).status)
            client.close()
        return found

    async def test_under_load(self) -> None:
        """A reload under load loses no request, and all workers decide by the new policy."""
        await self.serving()
        load = Load(self.forward, self.url(), fresh=False)
        self.assertEqual(await self.blocked(), [200, 200])
        for policy, status in ((BLOCK, 403), (ALLOW, 200), (BLOCK, 403)):
            self.write(policy)
            reloaded = await self.service.reload("root", 0)
            self.assertTrue(reloaded.taken, reloaded)
            self.assertEqual(await self.blocked(), [status, status])
        await self.thread(load.stop)
        self.assertEqual(load.failures, [])
        self.assertEqual(set(load.statuses), {200})
        versions = {one.policy for one in await self.closed(10)}
        self.assertEqual(len(versions), 2)

    async def test_one_objects(self) -> None:
        """While one worker cannot take a policy none does; the old one goes on everywhere."""
        first, _ = await self.serving()
        before = self.service.configuration.version
        self.service.crew.prepare_seconds = 0.5
        os.kill(first.pid, signal.SIGSTOP)
        self.write(BLOCK)
        reloaded = await self.service.reload("root", 0)
        os.kill(first.pid, signal.SIGCONT)
        self.assertFalse(reloaded.taken)
        self.assertEqual(self.service.configuration.version, before)
        self.assertIn("worker 1 did not answer in time", str(reloaded.problems[0]))
        self.assertEqual(await self.blocked(), [200, 200])
        self.service.crew.prepare_seconds = 30
        self.assertTrue((await self.service.reload("root", 0)).taken)
        self.assertEqual(await self.blocked(), [403, 403])

    async def test_replaced_later(self) -> None:
        """A worker that begins after a reload begins with the policy in force."""
        first, _ = await self.serving()
        self.write(BLOCK)
        self.assertTrue((await self.service.reload("root", 0)).taken)
        await self.kill(first)
        self.assertEqual(await self.blocked(), [403, 403])


class PeopleTests(WorkersCase):
    """What holds for a person holds in all workers."""

    people = PEOPLE
    policy = SIGN_IN + BLOCK

    async def ask_on(self, seat, host="origin.test", user="amir", path="/hello", password=None):
        client = await self.on(seat, user, self.people[user] if password is None else password)
        try:
            return await self.thread(client.ask, "GET", self.url(host, path))
        finally:
            client.close()

    async def test_sign_in(self) -> None:
        """A password that one worker checked is known to the others, and to those that come later."""
        first, second = await self.serving()
        self.assertEqual((await self.ask_on(first)).status, 200)
        await self.pause(0.2)
        self.assertEqual((await self.ask_on(second)).status, 200)
        sign_ins = self.service.telemetry.sources["corpproxy_sign_ins_total"]
        once = {"ok": 1, "failed": 0, "remembered": 1}
        await self.until(lambda: sign_ins() == once, "the second worker remembered it")
        await self.kill(second)
        await self.pause(0.2)
        self.assertEqual((await self.ask_on(second)).status, 200)
        await self.until(lambda: sign_ins() == {**once, "remembered": 2}, "its successor remembered it")

    async def test_wrong(self) -> None:
        """Wrong passwords are counted together: who guesses on one worker waits on the other."""
        first, second = await self.serving()
        for number in range(4):
            self.assertEqual((await self.ask_on(first, password=f"guess {number}")).status, 407)
        await self.pause(0.2)
        before = self.service.reactor.seconds()
        self.assertEqual((await self.ask_on(second, password="another guess")).status, 407)
        self.assertGreater(self.service.reactor.seconds() - before, 0.5)

    async def test_refusals(self) -> None:
        """The portal shows what any worker refused, and a warning confirmed there holds on all."""
        first, second = await self.serving()
        self.assertEqual((await self.ask_on(first, "games.test")).status, 403)
        await self.pause(0.2)
        client = await self.on(second, "amir", self.people["amir"])
        page = await self.thread(client.ask, "GET", "http://proxy.internal/", "Accept: text/html")
        client.close()
        self.assertIn("games.test", page.text)

    async def form(self, seat, path, method="GET", content=b"", user="amir"):
        """A page of the portal, as one worker gives it."""
        client = await self.on(seat, user, self.people[user])
        lines = ["Accept: text/html", "Content-Type: application/x-www-form-urlencoded"]
        try:
            target = "http://proxy.internal" + path
            return await self.thread(client.ask, method, target, *lines, content=content)
        finally:
            client.close()

    def token(self, page):
        found = re.search(r'name="?token"? value="([^"]+)"', page.text)
        self.assertTrue(found, page.text)
        return found[1]

    async def test_grant(self) -> None:
        """A warning confirmed on one worker is confirmed on all, and for those that come later."""
        first, second = await self.serving()
        client = await self.on(first, "amir", self.people["amir"])
        warning = await self.thread(client.ask, "GET", self.url("bets.test"), "Accept: text/html")
        client.close()
        self.assertEqual(warning.status, 403)
        content = urlencode({"token": self.token(warning)}).encode()
        self.assertEqual((await self.form(second, "/confirm", "POST", content)).status, 303)
        await self.pause(0.2)
        self.assertEqual((await self.ask_on(first, "bets.test")).status, 200)
        self.assertEqual((await self.ask_on(second, "bets.test")).status, 200)
        self.assertEqual((await self.ask_on(first, "bets.test", "beth")).status, 403)
        await self.kill(first)
        await self.pause(0.2)
        self.assertEqual((await self.ask_on(first, "bets.test")).status, 200)

    async def test_password(self) -> None:
        """A password changed on one worker is the only one on all of them, within a moment."""
        first, second = await self.serving()
        for seat in (first, second):
            self.assertEqual((await self.ask_on(seat)).status, 200)
        token = self.token(await self.form(first, "/password"))
        new = "quite another password 7"
        fields = {"token": token, "old": self.people["amir"], "new": new, "again": new}
        changed = await self.form(first, "/password", "POST", urlencode(fields).encode())
        self.assertEqual(changed.status, 200, changed.text)
        await self.pause(0.5)
        for seat in (second, first):
            self.assertEqual((await self.ask_on(seat, password=new)).status, 200)
            self.assertEqual((await self.ask_on(seat)).status, 407)


class LimitTests(WorkersCase):
    """Limits hold in all workers together."""

    policy = "connections: {per_address: 20}\n" + ALLOW

    def open(self) -> list[int]:
        """Tell how many connections each worker has open."""
        return [one["connections"] for one in self.service.status()["workers"]]

    async def test_address(self) -> None:
        """An address with too many connections on one worker gets no more on the other."""
        first, second = await self.serving()
        clients = [await self.on(first) for _ in range(19)]
        # Those that came to the second worker are gone, and the first was told so.
        await self.until(lambda: self.open() == [19, 0] and first.told.total == 0, "the first counts alone")
        self.assertEqual((await self.get()).status, 200)
        more = [await self.on(second) for _ in range(3)]
        await self.until(lambda: second.told.total == 19, "the second worker was told")
        await self.pause(0.2)
        answer = await self.thread(more[0].ask, "GET", self.url())
        self.assertEqual(answer.status, 429)
        for client in clients + more:
            client.close()


class ListTests(WorkersCase):
    """Category lists that change reach all workers."""

    policy = LISTS + RULES

    def setUp(self):
        self.patch(list_watch, "LOOK_SECONDS", 0.1)
        return super().setUp()

    def start(self):
        self.list = self.folder / "lists" / "fun"
        self.list.parent.mkdir()
        self.list.write_text("games.test\n")
        return super().start()

    async def blocked(self, host):
        found = []
        for seat in self.service.crew.seats:
            client = await self.on(seat)
            found.append((await self.thread(client.ask, "GET", self.url(host))).status)
            client.close()
        return found

    async def test_changed(self) -> None:
        """Lists are built once and taken up by all workers, also by one that comes later."""
        first, _ = await self.serving()
        await self.until(lambda: self.service.index is not None, "the index is built")
        await self.pause(0.3)
        self.assertEqual(await self.blocked("games.test"), [403, 403])
        self.assertEqual(await self.blocked("news.test"), [200, 200])
        before = self.service.index
        self.list.write_text("news.test\n")
        await self.until(lambda: self.service.index is not before, "the index is built again")
        await self.pause(0.3)
        self.assertEqual(await self.blocked("games.test"), [200, 200])
        self.assertEqual(await self.blocked("news.test"), [403, 403])
        await self.kill(first)
        self.assertEqual(await self.blocked("news.test"), [403, 403])


class RotationTests(WorkersCase):
    """Record files."""

    policy = SIGN_IN + ALLOW
    people = PEOPLE

    async def test_rotation(self) -> None:
        """Log rotation begins new segments in all workers."""
        first, second = await self.serving()
        for seat in (first, second):
            client = await self.on(seat, "amir", self.people["amir"])
            await self.thread(client.ask, "GET", self.url())
            client.close()
        await self.closed(2)
        self.service.reopen()
        # It reaches a worker after a moment; what it writes then is in another file.
        while min(self.segments().values()) < 2:
            for seat in (first, second):
                client = await self.on(seat, "amir", self.people["amir"])
                await self.thread(client.ask, "GET", self.url())
                client.close()
            await self.pause(0.1)
        self.assertEqual(self.segments(), {"w1": 2, "w2": 2})

    def segments(self) -> Counter[str]:
        """How many files of records each worker has."""
        folder = self.folder / "state" / "records"
        return Counter(path.name.split("-")[2] for path in folder.glob("records-*"))
