"""Levels by category: nothing that is written anywhere names a host that is nobody's business."""

from __future__ import annotations

from typing import ClassVar

from twisted.logger import formatEvent, globalLogPublisher

from corpproxy.audit.record import Record
from corpproxy.identity.grants import Grant
from corpproxy.identity.requests import AccessRequest
from corpproxy.progress import Progress
from tests.service.case import SIGN_IN
from tests.service.client import Client
from tests.service.test_forget import Forgetting, holding
from tests.supervisor.case import WorkersCase

HIDDEN, HALF, OPEN = "bets.test", "games.test", "origin.test"
POLICY = (
    SIGN_IN
    + """
categories: {own: {health: [bets.test], banking: [games.test]}}
audit: {levels: {health: category, banking: host}, user_agent: no}
rules:
  - {name: no forms, what: {category: health, method: [PUT]}, do: block}
  - {name: everything else, do: allow}
"""
)


class Levels(Forgetting):
    """A service that is discreet about health."""

    policy = POLICY

    def setUp(self):
        self.logged: list[str] = []
        observer = lambda event: self.logged.append(formatEvent(event))  # noqa: E731
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        return super().setUp()

    def tunnel(self, host: str) -> None:
        """Open a tunnel, send something through it and close it."""
        client = Client(self.forward, "amir", self.people["amir"])
        try:
            answer = client.ask("CONNECT", f"{host}:{self.origin.echo_port}")
            assert answer.status == 200, answer
            assert client.echoes(b"ping")
        finally:
            client.close()

    async def go_everywhere(self) -> None:
        """Whatever a person may do with a host: it is forwarded, refused, fails, and opens tunnels."""
        for host in (HIDDEN, HALF, OPEN):
            for _ in range(2):
                await self.get(host, "/page?query", user="amir")
            await self.get(host, "/page", user="amir", method="PUT")
            await self.get(host, "/page")
            await self.thread(self.tunnel, host)
        await self.until(lambda: len(self.of(OPEN)) >= 5, "records")

    def of(self, host: str) -> list[Record]:
        return [one for one in self.records() if one.host == host]

    def assert_nowhere(self) -> None:
        """What is hidden stands nowhere in the state folder, and nowhere in the log."""
        self.assertEqual(holding(self.folder / "state", HIDDEN), [])
        self.assertEqual([line for line in self.logged if line and HIDDEN in line], [])
        self.assertNotEqual(holding(self.folder / "state", HALF), [])


class LevelTests(Levels):
    """One process."""

    async def test_nowhere(self) -> None:
        """Of health, category and octets are recorded and counted, and nothing tells where it was."""
        await self.go_everywhere()
        hidden = [one for one in self.records() if one.categories == ("health",)]
        self.assertGreaterEqual(len(hidden), 6)
        kinds = {one.kind.value for one in hidden}
        self.assertEqual(kinds, {"exchange", "opening", "closing"})
        self.assertEqual({one.decision for one in hidden} - {""}, {"allow", "block"})
        for record in hidden:
            told = (record.host, record.path, record.upstream, record.server_name, record.entry, record.port)
            self.assertEqual(told, ("", "", "", "", "", 0))
        self.assertGreater(sum(one.sent for one in hidden), 100)
        metrics = (await self.ask_admin("/metrics")).text
        self.assertNotIn(HIDDEN, metrics)
        await self.stop()
        self.assert_nowhere()

    async def test_half(self) -> None:
        """Of banking the host is recorded, and no path."""
        await self.go_everywhere()
        self.assertEqual({one.path for one in self.of(HALF)}, {""})
        self.assertIn("/page", {one.path for one in self.of(OPEN)})

    async def test_progress(self) -> None:
        """A tunnel that is open for long names no host either."""
        client = Client(self.forward, "amir", self.people["amir"])
        self.addCleanup(client.close)
        await self.thread(client.ask, "CONNECT", f"{HIDDEN}:{self.origin.echo_port}")
        self.jump = 400.0
        Progress(self.service.proxy, self.service.books, self.now).look()
        await self.until(
            lambda: any(one.kind.value == "progress" for one in self.records()), "a progress record"
        )
        self.assertEqual(self.of(HIDDEN), [])

    async def test_access(self) -> None:
        """What is asked for and granted holds, and is kept without the host: not over a restart."""
        now = self.now()
        grant = Grant("amir", HIDDEN, "", now + 600, "beth", "a visit", "0wpf3s9k2m0004", since=now)
        await self.service.granting.give(grant)
        await self.service.granting.keep_request(AccessRequest("1", "amir", HIDDEN, "no forms", "/", now))
        code, said = await self.command(
            "grants", "give", "--user", "amir", "--host", HIDDEN, "--for", "10m", "--why", f"see {HIDDEN}"
        )
        self.assertEqual(code, 0, said)
        self.assertEqual(len(self.service.lasting.grants.all(now)), 1)
        await self.until(lambda: any(one.deed == "grant-given" for one in self.records()), "a record of it")
        (deed,) = [one for one in self.records() if one.deed == "grant-given"]
        self.assertEqual((deed.hosts, deed.host, deed.reason, deed.whom), ((), "", "", "amir"))
        await self.stop()
        self.assertEqual(holding(self.folder / "state", HIDDEN), [])


class WorkersTests(Levels, WorkersCase):
    """Two workers."""

    workers: ClassVar[int] = 2

    async def test_nowhere(self) -> None:
        """Nothing names it with workers either."""
        await self.serving()
        await self.go_everywhere()
        await self.stop()
        self.assert_nowhere()
