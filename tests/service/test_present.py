"""Who looks at what runs is told how people stand with their quotas."""

from __future__ import annotations

from corpproxy.backends.state_folder import CONTROL_SOCKET
from corpproxy.net.ask import ask
from tests.service.case import PEOPLE, SIGN_IN, ServiceCase
from tests.service.client import Client


class QuotaTests(ServiceCase):
    """A quota of which one has used more than another, who has none."""

    people = PEOPLE
    policy = (
        SIGN_IN
        + """
limits:
  - {name: day, who: {group: pupils}, volume: 1MiB, every: day, then: record}
rules:
  - {name: everything else, do: allow}
"""
    )

    async def test_quota(self) -> None:
        """Each is told with what is used of their quota, and comes first for it where that is the order."""
        clients = [Client(self.forward, *one).connect() for one in PEOPLE.items()]
        for client, path in zip(clients, ("/octets/600000", "/octets/900000"), strict=True):
            self.addCleanup(client.close)
            await self.thread(client.ask, "GET", self.url(path=path))
        socket = self.folder / "state" / CONTROL_SOCKET
        # Quotas are counted each second.
        await self.pause(1.2)
        seen = await self.thread(lambda: ask(socket, "present", sort="quota"))
        self.assertEqual([one["who"] for one in seen["people"]], ["amir", "beth"])
        quota = seen["people"][0]["quota"]
        self.assertEqual((quota["limit"], round(quota["share"], 1)), ("day", 0.6))
        self.assertIsNone(seen["people"][1]["quota"])


class SharedQuotaTests(ServiceCase):
    """Quotas that people have together, and one of what they ask for."""

    people = PEOPLE
    policy = (
        SIGN_IN.replace("groups:", "networks: {lab: {addresses: [127.0.0.0/8], user: lab}}\n  groups:")
        + """
categories: {own: {games: [games.test]}}
limits:
  - {name: room, per: network, volume: 4MiB, every: day, then: record}
  - {name: pupils' line, who: {group: pupils}, per: site, volume: 2MiB, every: day, then: record}
  - {name: games, what: {category: games}, per: category, volume: 1MiB, every: day, then: record}
rules:
  - {name: everything else, do: allow}
"""
    )

    async def test_quota(self) -> None:
        """Each is told with the one of which least is left: the room's, all pupils', that of what runs."""
        pupil, other = (Client(self.forward, *one).connect() for one in PEOPLE.items())
        for client in (pupil, other):
            self.addCleanup(client.close)
        await self.thread(pupil.ask, "GET", self.url(path="/octets/900000"))
        socket = self.folder / "state" / CONTROL_SOCKET

        async def told() -> dict[str, str]:
            seen = await self.thread(lambda: ask(socket, "present", sort="quota"))
            return {one["who"]: one["quota"]["limit"] for one in seen["people"] if one["quota"]}

        await self.thread(other.ask, "GET", self.url(path="/octets/1"))
        await self.pause(1.2)
        self.assertEqual(await told(), {"amir": "pupils' line", "beth": "room"})
        await self.thread(other.ask, "CONNECT", f"games.test:{self.origin.echo_port}")
        await self.thread(other.echoes, bytes(600_000))
        await self.pause(1.2)
        self.assertEqual((await told())["beth"], "games")
