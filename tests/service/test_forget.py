"""Forgetting while the service runs: the real service, the real command."""

from __future__ import annotations

import contextlib
import io
import sqlite3
from pathlib import Path
from typing import ClassVar

from corpproxy.audit.erasure import Erasure
from corpproxy.audit.record import Record
from corpproxy.audit.results import Kind
from corpproxy.backends.erasing.journal import ERASING_FOLDER, Asked, Journal
from corpproxy.cli import main
from tests.service.case import ALLOW, SIGN_IN, ServiceCase
from tests.service.client import Client, ask
from tests.service.test_chain import verdict_of
from tests.supervisor.case import WorkersCase

NAME = "amir"
REASON = ("--reason", "letter of 3 May")
BETS = """
rules:
  - {name: no bets, what: {domain: bets.test}, do: block}
  - {name: everything else, do: allow}
"""
PORTAL = "http://proxy.internal/"
HTML = "Accept: text/html"


def holding(folder: Path, text: str) -> list[str]:
    """The files below a folder that have a text in them, but for the policies that ran."""
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and "policies" not in path.parts and text.encode() in path.read_bytes()
    )


class Forgetting(ServiceCase):
    """A service with two people who went somewhere."""

    policy = SIGN_IN + ALLOW
    people: ClassVar[dict[str, str]] = {"amir": "a first password", "beth": "a second password"}

    async def command(self, *words: str) -> tuple[int, str]:
        """Give a command of the command line; its exit code, and all that it prints."""
        said = io.StringIO()

        def run() -> int:
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                return main([*words, "--policy", str(self.file)])

        code = await self.thread(run)
        return code, said.getvalue()

    async def visit(self) -> None:
        """Two go somewhere, one of them twice."""
        for user, host in ((NAME, "origin.test"), ("beth", "games.test"), (NAME, "news.test")):
            await self.get(host, "/page", user=user)
        await self.closed(3)
        await self.until(lambda: self.usage_of("beth"), "usage is booked")

    async def tunnel(self) -> Client:
        """A tunnel of amir's that is open, and in the record."""
        client = await self.client()
        target = f"origin.test:{self.origin.echo_port}"
        self.assertEqual((await self.thread(client.ask, "CONNECT", target)).status, 200)
        self.assertEqual(await self.thread(client.echoes, b"hello"), b"hello")
        await self.until(
            lambda: [one for one in self.records() if one.kind is Kind.OPENING], "it is recorded"
        )
        return client

    async def client(self) -> Client:
        """A connection of amir's."""
        client = Client(self.forward, NAME, self.people[NAME])
        self.addCleanup(client.close)
        return client

    def usage_of(self, user: str) -> int:
        """The exchanges that the store has for somebody."""
        path = self.folder / "state" / "corpproxy.db"
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            query = "SELECT total(exchanges) FROM usage JOIN term ON term.id = usage.user WHERE text = ?"
            try:
                return int(connection.execute(query, (user,)).fetchone()[0])
            except sqlite3.OperationalError:
                return 0  # it is being made

    def deeds(self) -> list[Record]:
        """The deeds in the record."""
        return [one for one in self.records() if one.deed]

    async def forget(self, *words: str) -> str:
        """Erase, and give what was said."""
        code, said = await self.command("audit", "erase", *words, *REASON)
        self.assertEqual(code, 0, said)
        return said

    async def assert_whole(self, erased: int) -> None:
        """The record verifies, by us and by the other implementation."""
        verdict = await self.thread(verdict_of, self.folder / "state")
        self.assertEqual((verdict.findings, verdict.erased), ([], erased))


class PersonTests(Forgetting):
    """A person, a device, a host."""

    async def test_person(self) -> None:
        """The name is nowhere any more; the octets count for nobody, the chain verifies."""
        await self.visit()
        said = await self.forget("--user", NAME)
        self.assertIn("records: 2\n", said)
        self.assertIn("usage: 2\n", said)
        self.assertIn("users.htpasswd still names it", said)
        self.assertEqual((self.usage_of(NAME), self.usage_of("beth"), self.usage_of("")), (0, 1, 2))
        await self.stop()
        self.assertEqual(holding(self.folder / "state", NAME), [])
        self.assertEqual(holding(self.folder / "state", "news.test"), ["corpproxy.db"])
        await self.assert_whole(2)

    async def test_recorded(self) -> None:
        """Who did it, why, how much and where stands in the record, never what it was."""
        await self.visit()
        await self.forget("--user", NAME)
        await self.until(self.deeds, "a record of it")
        (deed,) = self.deeds()
        self.assertEqual((deed.deed, deed.reason, deed.count), ("record-erased", REASON[1], 2))
        self.assertEqual(deed.source, "command")
        self.assertTrue(deed.user)
        self.assertIn("records=2", deed.reached)
        self.assertIn("users.htpasswd=not-reached", deed.reached)
        self.assertNotIn(NAME, str(deed))

    async def test_rehearsed(self) -> None:
        """``--dry-run`` says how much it would be, changes nothing and leaves no record."""
        await self.visit()
        code, said = await self.command("audit", "erase", "--user", NAME, "--dry-run")
        self.assertEqual(code, 0)
        self.assertIn("would be erased:\n  records: 2\n  usage: 2\n", said)
        self.assertEqual(len([one for one in self.records() if one.user == NAME]), 2)
        self.assertEqual((self.usage_of(NAME), self.deeds()), (2, []))
        # What is later than what was asked for stays.
        self.assertIn("records: 0\n", await self.forget("--user", NAME, "--until", "2025-01-01"))
        self.assertEqual(self.usage_of(NAME), 2)

    async def test_host(self) -> None:
        """A host is forgotten with all below it; who went somewhere stays, the octets of the host too."""
        await self.visit()
        await self.forget("--host", "test")
        self.assertEqual({one.host for one in self.records() if not one.deed}, {""})
        self.assertEqual([one.user for one in self.records() if not one.deed], [NAME, "beth", NAME])
        self.assertEqual(self.usage_of(NAME), 2)
        await self.stop()
        self.assertEqual(holding(self.folder / "state", "news.test"), [])
        await self.assert_whole(3)

    async def test_client(self) -> None:
        """A device is forgotten by its address."""
        await self.visit()
        self.assertIn("records: 3\n", await self.forget("--client", "127.0.0.1"))
        self.assertEqual({one.client for one in self.records()}, {""})

    async def test_refused(self) -> None:
        """A reason that says whom it is about would stand in the record; it must be about somebody."""
        code, said = await self.command("audit", "erase", "--user", NAME, "--reason", "Amir asked")
        self.assertEqual(code, 1)
        self.assertIn("write it without what is to be forgotten", said)
        code, said = await self.command("audit", "erase", "--reason", "x")
        self.assertEqual(code, 2)
        self.assertIn("--user, --client, --host", said)

    async def test_open_tunnel(self) -> None:
        """A tunnel that is open meanwhile goes on, and its end is recorded and counted without the person."""
        client = await self.tunnel()
        await self.forget("--user", NAME)
        self.assertEqual(await self.thread(client.echoes, b"still open"), b"still open")
        await self.thread(client.close)
        (closing,) = await self.closed(1, kind=Kind.CLOSING)
        self.assertEqual((closing.user, closing.client, closing.host, closing.upstream), ("", "", "", ""))
        self.assertIn("user", closing.left_out)
        self.assertGreater(closing.received, 0)
        await self.stop()
        self.assertEqual(holding(self.folder / "state", NAME), [])

    async def test_tunnel_opened_later(self) -> None:
        """What begins after the end of what is erased is recorded by name: it was not to be forgotten."""
        client = await self.tunnel()
        await self.forget("--user", NAME, "--until", "2025-01-01")
        await self.thread(client.close)
        (closing,) = await self.closed(1, kind=Kind.CLOSING)
        self.assertEqual((closing.user, closing.host), (NAME, "origin.test"))

    async def test_goes_on(self) -> None:
        """An erasure that a crash cut short goes on at the next start, and is recorded once."""
        await self.visit()
        state = self.folder / "state"
        await self.stop()
        erasure = Erasure(user=NAME, until=self.now())
        Journal(state).note(Asked("0wpf3s9k2m0004", "carol", self.now(), "cut short", erasure))
        self.start()
        await self.until(lambda: not list((state / ERASING_FOLDER).iterdir()), "it is done")
        await self.until(self.deeds, "a record of it")
        (deed,) = self.deeds()
        self.assertEqual((deed.user, deed.reason, deed.count), ("carol", "cut short", 2))
        self.assertEqual([one for one in self.records() if one.user == NAME], [])


class Shown:
    """What the portal shows a person of what was refused; the same with workers and without."""

    policy = SIGN_IN + BETS

    async def pages(self) -> list[str]:
        """What the person sees there now, from each process that serves."""
        raise NotImplementedError

    async def test_shown(self) -> None:
        """Refusals are shown no more once the person is forgotten, by no process; later ones are."""
        await self.get("bets.test", user=NAME)
        await self.pause(0.2)
        self.assertEqual([page.count("bets.test") > 0 for page in await self.pages()], self.all(True))
        await self.forget("--user", NAME)
        self.assertEqual([page.count("bets.test") > 0 for page in await self.pages()], self.all(False))
        await self.get("bets.test", user=NAME)
        await self.pause(0.2)
        self.assertEqual([page.count("bets.test") > 0 for page in await self.pages()], self.all(True))

    def all(self, answer: bool) -> list[bool]:
        """The same answer from each process."""
        return [answer] * max(1, self.workers)


class ShownTests(Shown, Forgetting):
    """One process."""

    async def pages(self) -> list[str]:
        """From the only one."""
        page = await self.thread(ask, self.forward, PORTAL, "GET", NAME, self.people[NAME], lines=[HTML])
        return [page.text]


class WorkersShownTests(Shown, Forgetting, WorkersCase):
    """Two workers."""

    async def pages(self) -> list[str]:
        """From each of them."""
        seats = await self.serving()
        clients = [await self.on(seat, NAME, self.people[NAME]) for seat in seats]
        answers = [await self.thread(client.ask, "GET", PORTAL, HTML) for client in clients]
        for client in clients:
            client.close()
        return [answer.text for answer in answers]


class WorkersTests(Forgetting, WorkersCase):
    """The same with two workers."""

    timeout = 120

    async def test_person(self) -> None:
        """What any worker wrote of a person is forgotten, up to the last second."""
        await self.serving()
        for _ in range(8):
            await self.get("origin.test", "/page", user=NAME)
        said = await self.forget("--user", NAME)
        self.assertIn("records: 8\n", said)
        await self.stop()
        self.assertEqual(holding(self.folder / "state", NAME), [])
        await self.assert_whole(8)

    async def test_open_tunnel(self) -> None:
        """A tunnel that is open at a worker is recorded without the person when it ends."""
        await self.serving()
        client = await self.tunnel()
        await self.forget("--user", NAME)
        self.assertEqual(await self.thread(client.echoes, b"still open"), b"still open")
        await self.thread(client.close)
        (closing,) = await self.closed(1, kind=Kind.CLOSING)
        self.assertEqual((closing.user, closing.client, closing.host), ("", "", ""))
        await self.stop()
        self.assertEqual(holding(self.folder / "state", NAME), [])
