"""Fetched lists of a service that runs: fetched when it is time, held, accepted and gone back from."""

from __future__ import annotations

import json
import os
import pwd
import threading
import time
from pathlib import Path

from twisted.internet.defer import Deferred

from corpproxy.backends.lists import updates as list_updates
from corpproxy.backends.lists import watch as list_watch
from corpproxy.backends.lists.build import MEMORY_OCTETS, NICENESS
from tests.backends.bad_server import BadServer, answer, serving, stall
from tests.service.test_reload import ReloadCase

POLICY = """
contact: {{mail: it@hillside.example}}
categories:
  lists: [{{name: fun, format: names, url: "{url}", licence: CC BY, refresh: 1d}}]
rules:
  - {{name: no fun, what: {{category: fun}}, do: block}}
  - {{name: everything else, do: allow}}
"""
OLD, NEW, BAD = b"games.test\n", b"games.test\nbets.test\n", b"games.test\nhillside.example\nnews.test\n"


# Two processes after one another bring a list and build its index; a loaded machine takes its time.
SECONDS = 40.0


class FetchedCase(ReloadCase):
    """A service with a list that it fetches."""

    timeout = 120

    def setUp(self):
        self.patch(list_watch, "LOOK_SECONDS", 0.05)
        self.patch(list_updates, "LOOK_SECONDS", 0.2)
        self.server = BadServer()
        self.addCleanup(self.server.close)
        self.server.answers_with(serving(OLD))
        # The server of the service is no secret; what the policy says of it is the same for each test.
        self.policy = POLICY.format(url=self.server.url())
        return super().setUp()

    async def status_of(self, host: str, wanted: int) -> None:
        """Wait until a client gets a status for a host: an index is built in another process."""
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            if (await self.get(host)).status == wanted:
                return
            await self.pause(0.05)
        self.fail(f"{host} is not answered with {wanted}; {await self.get(host)}")

    async def lists(self, *arguments: str) -> tuple[int, str, str]:
        """Give a command about lists."""
        return await self.command("lists", *arguments)

    async def in_force(self) -> None:
        """Wait for the first version."""
        await self.status_of("origin.test", 200)
        await self.status_of("games.test", 403)


class FetchedTests(FetchedCase):
    """A list that its publisher changes."""

    async def test_fetched(self):
        """It is fetched when the service starts; until then what blocks by it blocks everything."""
        self.assertEqual((await self.get("origin.test")).status, 403)
        await self.in_force()
        record = (await self.closed(1, rule="no fun", host="games.test"))[-1]
        self.assertTrue(record.lists[0].startswith("fun="))
        self.assertEqual(self.server.seen[0].target, "/list.txt")
        self.assertEqual(await self.metric('corpproxy_list_last_result{list="fun",result="taken"}'), 1)
        info = f'corpproxy_list_info{{licence="CC BY",list="fun",version="{record.lists[0][4:]}"}}'
        self.assertEqual(await self.metric(info), 1)
        self.assertEqual(await self.metric('corpproxy_list_fetches_total{outcome="taken"}'), 1)

    async def test_updated(self):
        """A newer version is in force a moment after it was asked for, without a request that fails."""
        await self.in_force()
        self.server.answers_with(serving(NEW))
        code, out, err = await self.lists("update")
        self.assertEqual((code, err), (0, ""))
        self.assertIn("fun: taken: 1 entry came and 0 went, which makes 2", out)
        await self.status_of("bets.test", 403)
        self.assertEqual((await self.get()).status, 200)

    async def test_when_it_is_time(self):
        """It is fetched again after its refresh, by itself."""
        await self.in_force()
        self.server.answers_with(serving(NEW))
        self.jump = 86_400 * 1.1
        await self.until(lambda: self.service.updates.outcomes["taken"] == 2)
        await self.status_of("bets.test", 403)

    async def test_held_accepted_and_back(self):
        """A version that is held changes nothing until it is accepted, and going back undoes that."""
        await self.in_force()
        self.server.answers_with(serving(BAD))
        code, out, err = await self.lists("update", "fun")
        self.assertEqual((code, out), (1, ""))
        self.assertIn("it puts hillside.example into category 'fun', which rule 'no fun' refuses", err)
        self.assertEqual((await self.get("news.test")).status, 200)
        self.assertEqual(await self.metric('corpproxy_list_held{list="fun"}'), 1)
        ready = await self.ask_admin("/ready")
        self.assertEqual(ready.status, 200)
        self.assertIn("ready, but:\nlist 'fun': version", ready.text)
        self.assertIn("is held because it puts hillside.example", (await self.command("status"))[2])
        code, out, err = await self.lists("accept", "fun")
        self.assertEqual(code, 0, err)
        await self.status_of("news.test", 403)
        self.assertEqual((await self.ask_admin("/ready")).text, "ready\n")
        code, out, err = await self.lists("rollback", "fun")
        self.assertRegex(
            out, "list 'fun': version [0-9a-f]{12} is in force again in the place of [0-9a-f]{12}"
        )
        await self.status_of("news.test", 200)
        self.assertEqual((await self.get("games.test")).status, 403)
        # Its publisher still has the version that was gone back from.
        self.assertIn("was rejected before", (await self.lists("update", "fun"))[1])
        (told,) = json.loads((await self.lists("status", "--json"))[1])
        me = pwd.getpwuid(os.getuid()).pw_name
        self.assertEqual(
            [(one["what"], one["by"]) for one in told["events"]],
            [("taken", "corpproxy"), ("held", "corpproxy"), ("accepted", me), ("rolled back", me)],
        )

    async def test_rejected(self):
        """A version that is rejected is not asked about again; a newer one is taken."""
        await self.in_force()
        self.server.answers_with(serving(BAD))
        await self.lists("update")
        code, out, err = await self.lists("reject", "fun")
        self.assertEqual(code, 0, err)
        self.assertIn("is thrown away", out)
        self.assertEqual((await self.lists("update"))[0], 0)
        self.server.answers_with(serving(NEW))
        await self.lists("update")
        await self.status_of("bets.test", 403)

    async def test_nothing_to_accept(self):
        """What cannot be done is told in words."""
        await self.in_force()
        code, _, err = await self.lists("accept", "fun")
        self.assertEqual(code, 1)
        self.assertIn("no version of it is held; kept are: ", err)
        code, _, err = await self.lists("accept", "fnu")
        self.assertEqual(code, 2)
        self.assertIn("no list 'fnu' is fetched; did you mean 'fun'?", err)

    async def test_failing(self):
        """A source that fails leaves the list in force; stale, it says so loudly, and we stay ready."""
        await self.in_force()
        self.server.answers_with(answer(status="503 Down"))
        code, _, err = await self.lists("update")
        self.assertEqual((code, err), (1, "fun: failed: it answers 503 Down\n"))
        self.assertEqual((await self.get("games.test")).status, 403)
        self.assertEqual(await self.metric('corpproxy_list_failures{list="fun"}'), 1)
        self.jump = 86_400 * 3.1
        await self.until(lambda: any(one.is_stale for one in self.service.updates.statuses))
        ready = await self.ask_admin("/ready")
        self.assertEqual(ready.status, 200)
        self.assertIn(
            "list 'fun': no source of it gave a good answer for 3 days; the last said: it", ready.text
        )
        self.assertEqual(await self.metric('corpproxy_list_stale{list="fun"}'), 1)
        self.assertGreater(await self.metric('corpproxy_list_age_seconds{list="fun"}'), 3 * 86_400)

    async def test_restart(self):
        """After a restart the list decides from the first request on, and is not fetched before its time."""
        await self.in_force()
        await self.start_again()
        self.assertEqual((await self.get("games.test")).status, 403)
        await self.pause(0.5)
        self.assertEqual(len(self.server.seen), 1)

    async def test_list_of_an_edit(self):
        """A list of a policy that does not run yet can be fetched before the reload that needs it."""
        await self.in_force()
        self.server.answers_with(serving(b"bets.test\n"), path="/more.txt")
        more = f', {{name: more, format: names, url: "{self.server.url("/more.txt")}"}}]\n'
        self.write(self.policy.replace("}]\n", "}" + more).replace("category: fun", "category: [fun, more]"))
        code, out, err = await self.lists("update", "more")
        self.assertEqual(code, 0, err)
        self.assertIn("more: taken", out)
        code, _, err = await self.command("reload")
        self.assertEqual(code, 0, err)
        await self.status_of("bets.test", 403)
        # Until the list is in the index, a rule that blocks by it blocks everything.
        await self.status_of("origin.test", 200)

    async def test_child(self):
        """The child goes behind the service, and its memory is bounded."""
        await self.in_force()
        await self.until(lambda: not self.service.updates.is_updating)
        self.server.answers_with(stall())
        updating = self.service.updates.update(["fun"])
        await self.until(lambda: len(self.server.seen) == 2)
        child = self.service.updates._child.transport.pid
        limits = Path(f"/proc/{child}/limits").read_text()
        self.assertRegex(limits, rf"(?m)^Max data size +{MEMORY_OCTETS} +{MEMORY_OCTETS} ")
        self.assertEqual(
            os.getpriority(os.PRIO_PROCESS, child), min(19, os.getpriority(os.PRIO_PROCESS, 0) + NICENESS)
        )
        stopping = self.service.updates.stop()
        self.failureResultOf(updating)
        await stopping

    async def test_reload_meanwhile(self):
        """A reload that moves the line of the list lets a fetch that is under way go on."""
        await self.in_force()
        await self.until(lambda: not self.service.updates.is_updating)
        hold = threading.Event()
        self.addCleanup(hold.set)

        def slowly(connection, asked):
            hold.wait(20)
            serving(NEW)(connection, asked)

        self.server.answers_with(slowly)
        updating = self.service.updates.update(["fun"])
        await self.until(lambda: len(self.server.seen) == 2)
        await self.take("# moved\n" + self.policy)
        hold.set()
        ((outcome),) = await updating
        self.assertEqual(outcome.result, "taken")
        await self.status_of("bets.test", 403)

    async def test_stopped_while_fetching(self):
        """A service that stops leaves no child behind."""
        await self.in_force()
        await self.until(lambda: not self.service.updates.is_updating)
        self.server.answers_with(stall())
        updating = Deferred.fromCoroutine(self.lists("update"))
        await self.until(lambda: len(self.server.seen) == 2)
        child = self.service.updates._child.transport.pid
        await self.stop()
        code, _, err = await updating
        self.assertEqual((code, err), (1, "corpproxy stops; the lists are fetched another time\n"))
        await self.until(lambda: not _lives(child))


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
