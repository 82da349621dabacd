"""Open tunnels are decided again: by one process and by two workers, whatever it is that changes."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from urllib.parse import urlencode

from corpproxy.audit.record import Record
from corpproxy.audit.results import Kind, ResultCode
from corpproxy.backends.people.htpasswd_edit import set_passwords
from corpproxy.cli import main
from tests.service.case import PEOPLE, ServiceCase
from tests.service.client import Client, ask
from tests.supervisor.case import WorkersCase

RULES = """
time_zone: UTC
identity:
  methods: [{{basic: {{htpasswd: users.htpasswd}}}}]
  groups: {{pupils: [zoe]}}
  groups_file: users.groups
calendars:
  lesson: {{hours: "{hours}"}}
rules:
  - {{name: games wait, what: {{domain: games.test}}, when: lesson, do: block}}
  - {{name: no bets for pupils, who: {{group: pupils}}, what: {{domain: bets.test}}, do: block}}
  - {{name: news with a thought, what: {{domain: news.test}}, do: warn, for: {seconds}s}}
  - {{name: everything else, do: allow}}
"""
NO_LESSON = "00:00-00:01"
# Two workers take a policy up, and tunnels are opened, within this time on a busy machine.
BEGIN_SECONDS = 15
# A second, where nothing else runs; what would look each minute is found out all the same.
SECONDS_FOR_A_CHANGE = 20.0


class LiveTunnels:
    """
    What changes, and the tunnels that it ends; the same with workers and without.

    ``tunnel`` gives a tunnel at each process that serves.
    """

    people = PEOPLE

    def setUp(self):
        self.policy = RULES.format(hours=NO_LESSON, seconds=600)
        return super().setUp()

    def start(self):
        (self.folder / "users.groups").write_text("beth: staff\n")
        return super().start()

    async def tunnels(self, host: str, user: str = "amir") -> list[Client]:
        """Tunnels through all processes."""
        raise NotImplementedError

    async def opened(self, host: str, user: str = "amir") -> list[Client]:
        target = f"{host}:{self.origin.echo_port}"
        clients = await self.tunnels(host, user)
        for client in clients:
            self.addCleanup(client.close)
            self.assertEqual((await self.thread(client.ask, "CONNECT", target)).status, 200)
            self.assertEqual(await self.thread(client.echoes, b"before"), b"before")
        return clients

    async def ends(self, clients: list[Client]) -> float:
        """Wait until these tunnels have ended; gives how long that took."""
        began = time.monotonic()
        for client in clients:
            self.assertEqual(await self.thread(client.more), b"")
        return time.monotonic() - began

    async def go_on(self, clients: list[Client]) -> None:
        for client in clients:
            self.assertEqual(await self.thread(client.echoes, b"after"), b"after")

    async def all_serve(self) -> None:
        """Wait until all processes serve."""

    async def take(self, **more) -> None:
        await self.all_serve()
        values = {"hours": NO_LESSON, "seconds": 600, **more}
        self.write(RULES.format(**values))
        reloaded = await self.service.reload("root", 0)
        self.assertTrue(reloaded.taken, reloaded)

    async def ended(self, count: int, decided_by: str) -> Record:
        """One of the closing records of tunnels that a rule ended."""
        records = await self.closed(count, result=ResultCode.ENDED)
        self.assertEqual({one.ended_rule for one in records}, {decided_by})
        self.assertEqual({one.kind for one in records}, {Kind.CLOSING})
        return records[0]

    async def test_hours(self) -> None:
        """A lesson begins: its tunnels end within the second, and say why; others go on."""
        if self.now() % 60 > 60 - BEGIN_SECONDS:
            # The lesson would begin before the tunnels are open.
            await self.advance_to_the_minute()
        minute = datetime.fromtimestamp(self.now() + 60, UTC).strftime("%H:%M")
        await self.take(hours=f"{minute}-{minute[:3]}59" if minute[3:] != "59" else f"{minute}-23:59")
        games, others = await self.opened("games.test"), await self.opened("origin.test")
        await self.pause(0.5)
        await self.advance_to_the_minute()
        self.assertLess(await self.ends(games), SECONDS_FOR_A_CHANGE)
        await self.go_on(others)
        record = await self.ended(len(games), "games wait")
        self.assertEqual((record.failure, record.rule), ("decided-again", "everything else"))
        self.assertEqual(record.ended_policy, self.service.configuration.version)
        self.assertRegex(record.ended_reason, "^hours began or ended: .*during lesson")
        self.assertRegex(record.ended_place, r"policy\.yaml:\d+:\d+$")

    async def advance_to_the_minute(self) -> None:
        """Wait for the next whole minute, as far as the clock of the service cannot be moved there."""
        await self.pause(60 - self.now() % 60)

    async def test_reload(self) -> None:
        """A policy that blocks a host ends the tunnels to it, everywhere."""
        games, others = await self.opened("games.test"), await self.opened("origin.test")
        await self.take(hours="00:00-24:00")
        self.assertLess(await self.ends(games), SECONDS_FOR_A_CHANGE)
        await self.go_on(others)
        record = await self.ended(len(games), "games wait")
        self.assertTrue(record.ended_reason.startswith("the policy changed: "), record.ended_reason)
        self.assertNotEqual(record.policy, record.ended_policy)

    async def test_groups(self) -> None:
        """Who is put into a group loses what it may not have."""
        bets, others = await self.opened("bets.test"), await self.opened("bets.test", "beth")
        (self.folder / "users.groups").write_text("beth: staff\namir: pupils\n")
        await self.ends(bets)
        await self.go_on(others)
        record = await self.ended(len(bets), "no bets for pupils")
        self.assertTrue(record.ended_reason.startswith("groups changed: "), record.ended_reason)

    async def test_grant(self) -> None:
        """A confirmed warning ends, and the tunnels with it."""
        await self.take(seconds=8)
        warning = await self.get("news.test", user="amir", lines=("Accept: text/html",))
        found = re.search(r'name="?token"? value="([^"]+)"', warning.text)
        self.assertTrue(found, warning.text)
        confirmed = await self.thread(
            ask,
            self.forward,
            "http://proxy.internal/confirm",
            "POST",
            "amir",
            PEOPLE["amir"],
            content=urlencode({"token": found[1]}).encode(),
            lines=("Content-Type: application/x-www-form-urlencoded",),
        )
        until = self.now() + 8
        self.assertEqual(confirmed.status, 303, confirmed.text)
        # The other workers hear of it in a moment.
        await self.pause(0.2)
        news, others = await self.opened("news.test"), await self.opened("origin.test")
        await self.ends(news)
        self.assertLess(self.now() - until, SECONDS_FOR_A_CHANGE)
        await self.go_on(others)
        record = await self.ended(len(news), "news with a thought")
        self.assertTrue(record.ended_reason.startswith("a grant ended: "), record.ended_reason)

    async def test_command(self) -> None:
        """What ``corpproxy users`` changes is taken up at once: who is taken out is gone in a second."""
        mine, others = await self.opened("origin.test"), await self.opened("origin.test", "beth")
        file = str(self.file)
        began = time.monotonic()
        self.assertEqual(await self.thread(main, ["users", "remove", "--policy", file, "amir"]), 0)
        await self.ends(mine)
        self.assertLess(time.monotonic() - began, SECONDS_FOR_A_CHANGE)
        await self.go_on(others)
        record = await self.ended(len(mine), "account")
        self.assertEqual((record.user, record.failure), ("amir", "account-changed"))
        self.assertIn("'amir' is gone", record.ended_reason)

    async def test_account(self) -> None:
        """A changed password ends the tunnels of that person, and nobody else's."""
        mine, others = await self.opened("origin.test"), await self.opened("origin.test", "beth")
        set_passwords(self.folder / "users.htpasswd", {"amir": "another password"})
        await self.ends(mine)
        await self.go_on(others)
        record = await self.ended(len(mine), "account")
        self.assertEqual((record.user, record.failure), ("amir", "account-changed"))
        self.assertIn("the password of 'amir' is another one", record.ended_reason)


class OneProcessTests(LiveTunnels, ServiceCase):
    """All in one process."""

    async def tunnels(self, host, user="amir"):
        return [Client(self.forward, user, PEOPLE[user])]

    async def advance_to_the_minute(self):
        self.jump += 60 - self.now() % 60


class WorkerTests(LiveTunnels, WorkersCase):
    """Two workers, each with its tunnels."""

    timeout = 150

    async def all_serve(self):
        await self.serving()

    async def tunnels(self, host, user="amir"):
        seats = await self.serving()
        return [await self.on(seat, user, PEOPLE[user]) for seat in seats]
