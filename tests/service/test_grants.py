"""Grants on the command line: given, used, ended, reported; the same with workers and without."""

from __future__ import annotations

import contextlib
import getpass
import io
import json

from corpproxy.audit.results import Kind, ResultCode
from corpproxy.cli import main
from tests.service.case import PEOPLE, SIGN_IN, ServiceCase
from tests.service.client import Client
from tests.supervisor.case import WorkersCase

RULES = (
    SIGN_IN
    + """
  networks: {lab: {addresses: [127.0.0.0/8], user: lab}}
rules:
  - {name: never, what: {domain: bets.test}, do: block, override: no}
  - {name: no games, what: {domain: games.test}, do: block}
  - {name: no news, what: {domain: news.test}, do: block}
  - {name: everything else, do: allow}
"""
)
ME = getpass.getuser()


class GrantsOnTheCommandLine:
    """What an administrator on the machine does."""

    policy = RULES
    people = PEOPLE

    async def all_serve(self) -> None:
        """Wait until all processes serve."""

    async def command(self, *words: str) -> tuple[int, str, str]:
        """Give a command of the command line; exit code, output, complaints."""

        def run() -> tuple[int, str, str]:
            out, err = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = main([words[0], words[1], "--policy", str(self.file), *words[2:]])
            return code, out.getvalue(), err.getvalue()

        return await self.thread(run)

    async def says(self, *words: str) -> str:
        code, out, err = await self.command(*words)
        self.assertEqual((code, err), (0, ""), out)
        return out

    async def give(self, *words: str) -> str:
        """Give a grant for an hour; gives its id."""
        await self.all_serve()
        out = await self.says("grants", "give", "--for", "1h", "--why", "chess club", *words)
        return out.partition(":")[0]

    async def statuses(self, host: str = "games.test", user: str = "amir") -> set[int]:
        """The answers of several connections, which meet all processes."""
        return {(await self.get(host, user=user)).status for _ in range(6)}

    async def test_person(self) -> None:
        """A person is let through at once everywhere, nobody else is, and only where it was said."""
        self.assertEqual(await self.statuses(), {403})
        id = await self.give("--user", "amir", "--host", "games.test")
        await self.until_settled()
        self.assertEqual(await self.statuses(), {200})
        self.assertEqual(await self.statuses(user="beth"), {403})
        self.assertEqual(await self.statuses("news.test"), {403})
        listed = json.loads(await self.says("grants", "list", "--format", "json"))
        (grant,) = listed
        self.assertEqual((grant["id"], grant["who"], grant["given_by"]), (id, "amir", ME))
        self.assertIn("amir: games.test", await self.says("grants", "list"))
        (record,) = (await self.closed(1, host="games.test", status=200))[:1]
        self.assertEqual((record.decision, record.rule, record.grant), ("allow", "no games", id))
        self.assertIn(f"granted by {ME} until ", record.reason)

    async def until_settled(self) -> None:
        """Workers hear of it in a moment."""
        await self.pause(0.2)

    async def test_group_and_room(self) -> None:
        """So is everybody in a group, and everybody in a room."""
        await self.give("--group", "staff", "--host", "games.test", "--host", "news.test")
        await self.give("--network", "lab", "--host", "origin.test")
        await self.until_settled()
        self.assertEqual(await self.statuses(user="beth"), {200})
        self.assertEqual(await self.statuses("news.test", user="beth"), {200})
        self.assertEqual(await self.statuses(user="amir"), {403})
        await self.give("--network", "lab", "--host", "games.test")
        await self.until_settled()
        self.assertEqual(await self.statuses(user="amir"), {200})

    async def test_ended(self) -> None:
        """A grant that is ended takes its tunnels with it within a second; the record says who did what."""
        id = await self.give("--user", "amir", "--host", "games.test")
        await self.until_settled()
        client = Client(self.forward, "amir", PEOPLE["amir"])
        self.addCleanup(client.close)
        opened = await self.thread(client.ask, "CONNECT", f"games.test:{self.origin.echo_port}")
        self.assertEqual(opened.status, 200)
        self.assertEqual(await self.thread(client.echoes, b"before"), b"before")
        self.assertIn("ended: games.test for amir", await self.says("grants", "end", id, "--why", "too loud"))
        began = self.now()
        self.assertEqual(await self.thread(client.more), b"")
        self.assertLess(self.now() - began, 1.0)
        self.assertEqual(await self.statuses(), {403})
        await self.closed(1, result=ResultCode.ENDED)
        deeds = await self.until(lambda: [one for one in self.records() if one.kind is Kind.DEED][1:] and
                                 [one for one in self.records() if one.kind is Kind.DEED])  # fmt: skip
        self.assertEqual([(one.deed, one.user, one.whom, one.hosts, one.source) for one in deeds], [
            ("grant-given", ME, "amir", ("games.test",), "command"),
            ("grant-ended", ME, "amir", ("games.test",), "command"),
        ])  # fmt: skip
        self.assertEqual([one.reason for one in deeds], ["chess club", "too loud"])
        report = json.loads(await self.says("grants", "report", "--format", "json"))
        (use,) = report
        self.assertEqual((use["id"], use["given_by"], use["ended_by"]), (id, ME, ME))
        self.assertEqual(
            (use["used"]["amir"]["exchanges"], use["used"]["amir"]["hosts"]), (1, ["games.test"])
        )
        self.assertGreater(use["used"]["amir"]["octets"], 0)
        text = await self.says("grants", "report", id)
        self.assertIn("amir: 1 exchange, ", text)

    async def test_restart(self) -> None:
        """A grant outlives a restart; one that was ended does not come back."""
        await self.give("--user", "amir", "--host", "games.test")
        gone = await self.give("--user", "amir", "--host", "news.test")
        await self.says("grants", "end", gone)
        await self.start_again()
        await self.all_serve()
        await self.until(lambda: len(self.service.lasting.grants), "grants are read")
        await self.until_settled()
        self.assertEqual(await self.statuses(), {200})
        self.assertEqual(await self.statuses("news.test"), {403})

    async def test_mistakes(self) -> None:
        """What cannot be granted is said, with the nearest right word."""
        await self.all_serve()
        for words, said in (
            (("--user", "amirr", "--host", "games.test"), "there is no user 'amirr'; nearest is 'amir'"),
            (("--group", "pupil", "--host", "games.test"), "there is no group 'pupil'; nearest is 'pupils'"),
            (("--network", "labs", "--host", "a.test"), "there is no network 'labs'; nearest is 'lab'"),
            (("--address", "10.1", "--host", "games.test"), "'10.1' is no IP address of a client"),
            (("--user", "amir", "--host", "a b"), "not a host"),
            (("--user", "amir", "--host", "a.test", "--rule", "never"), "no grant goes past rule 'never'"),
            (("--user", "amir", "--host", "a.test", "--rule", "no gams"), "nearest is 'no games'"),
        ):
            code, _, err = await self.command("grants", "give", "--for", "1h", "--why", "x", *words)
            self.assertEqual((code, err.count("\n")), (1, 1), err)
            if "not a host" not in said:
                self.assertIn(said, err)
        for life, said in (("2d", "from a minute to a day"), ("5s", "from a minute to a day")):
            code, _, err = await self.command(
                "grants", "give", "--user", "amir", "--host", "a.test", "--for", life, "--why", "x"
            )
            self.assertIn(said, err)
        code, _, err = await self.command("grants", "end", "nothing")
        self.assertIn("there is no grant 'nothing'", err)
        self.assertEqual(await self.says("grants", "list"), "no grant holds\n")

    async def test_never(self) -> None:
        """What may never be overridden is not, by no grant."""
        await self.give("--user", "amir", "--host", "bets.test")
        await self.until_settled()
        self.assertEqual(await self.statuses("bets.test"), {403})


class OneProcessTests(GrantsOnTheCommandLine, ServiceCase):
    """All in one process."""


class WorkerTests(GrantsOnTheCommandLine, WorkersCase):
    """Two workers."""

    async def all_serve(self):
        await self.serving()
