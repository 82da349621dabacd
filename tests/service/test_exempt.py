"""Who need not sign in, as real clients meet it."""

from __future__ import annotations

from tests.service.case import PEOPLE, ServiceCase
from tests.service.client import ask
from tests.supervisor.case import WorkersCase

EXEMPT = """
time_zone: UTC
identity:
  methods: [{basic: {htpasswd: users.htpasswd}}]
  exempt:
    - {who: {agent: "^apt/"}, what: {category: updates, not: {method: POST}}}
    - {what: {host: games.test}, when: break}
categories: {own: {updates: [news.test]}}
calendars: {break: {hours: "HOURS"}}
rules:
  - {name: everything else, do: allow}
"""
APT = "User-Agent: apt/2.6"


class Exempt:
    """A program of the system, a break, and everybody else; the same with workers and without."""

    people = PEOPLE
    policy = EXEMPT.replace("HOURS", "00:00-24:00")

    async def status(self, host: str, *lines: str, method: str = "GET") -> int:
        target = f"http://{host}:{self.origin.port}/hello"
        return (await self.thread(ask, self.forward, target, method, lines=lines)).status

    async def test_program(self):
        """A program is let through to what it needs, again and again, and asked everywhere else."""
        for _ in range(3):
            self.assertEqual(await self.status("news.test", APT), 200)
        records = await self.closed(3, source="exempt")
        (exemption,) = {one.exemption for one in records}
        self.assertRegex(exemption, r"/policy\.yaml:[0-9]+:7$")
        self.assertEqual(await self.status("news.test", "User-Agent: Firefox"), 407)
        self.assertEqual(await self.status("origin.test", APT), 407)
        self.assertEqual(await self.status("news.test", APT, method="POST"), 407)

    async def test_hours(self):
        """What is exempt at a time is asked for a name when the policy gives another time."""
        self.assertEqual(await self.status("games.test"), 200)
        self.write(EXEMPT.replace("HOURS", "00:00-00:01"))
        reloaded = await self.service.reload("root", 0)
        self.assertTrue(reloaded.taken, reloaded)
        self.assertEqual(await self.status("games.test"), 407)


class OneProcessTests(Exempt, ServiceCase):
    """One process."""


class WorkersTests(Exempt, WorkersCase):
    """Two workers."""
