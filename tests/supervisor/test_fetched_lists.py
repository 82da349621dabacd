"""A fetched list reaches all workers, and so does going back."""

from __future__ import annotations

import time

from corpproxy.backends.lists import updates as list_updates
from corpproxy.backends.lists import watch as list_watch
from tests.backends.bad_server import BadServer, serving
from tests.service import case
from tests.service.test_fetched_lists import BAD, OLD, POLICY, SECONDS
from tests.service.test_reload import ReloadCase
from tests.supervisor.case import WorkersCase


class WorkersTests(WorkersCase, ReloadCase):
    """A service of two workers with a list that it fetches."""

    def setUp(self):
        self.patch(case, "PATIENCE_SECONDS", SECONDS)
        self.patch(list_watch, "LOOK_SECONDS", 0.05)
        self.patch(list_updates, "LOOK_SECONDS", 0.2)
        self.server = BadServer()
        self.addCleanup(self.server.close)
        self.server.answers_with(serving(OLD))
        self.policy = POLICY.format(url=self.server.url())
        return super().setUp()

    async def statuses(self, host: str, wanted: int) -> None:
        """Wait until each worker answers with a status for a host."""
        for seat in await self.serving():
            client = await self.on(seat)
            until = time.monotonic() + SECONDS
            while time.monotonic() < until:
                answer = await self.thread(client.ask, "GET", self.url(host))
                if answer.status == wanted:
                    break
                await self.pause(0.05)
            else:
                self.fail(f"a worker does not answer {host} with {wanted}")
            client.close()

    async def test_everywhere(self):
        """Every worker decides by the version in force: fetched, accepted, gone back to."""
        await self.statuses("games.test", 403)
        await self.statuses("news.test", 200)
        self.server.answers_with(serving(BAD))
        self.assertEqual((await self.command("lists", "update"))[0], 1)
        await self.statuses("news.test", 200)
        self.assertEqual((await self.command("lists", "accept", "fun"))[0], 0)
        await self.statuses("news.test", 403)
        self.assertEqual((await self.command("lists", "rollback", "fun"))[0], 0)
        await self.statuses("news.test", 200)
        self.assertEqual(await self.metric('corpproxy_list_fetches_total{outcome="held"}'), 1)
