"""Pseudonyms in a real service: nobody is named in what is kept, and two keepers can tell who it was."""

from __future__ import annotations

import contextlib
import io
import sys
from typing import ClassVar

from corpproxy.backends.records.pseudonym_files import PSEUDONYMS_FOLDER, new_keeper
from corpproxy.cli import main
from tests.service.case import SIGN_IN
from tests.service.test_forget import Forgetting, holding
from tests.supervisor.case import WorkersCase

PASSPHRASE = "a long passphrase"
KEYS = ("--key", "head.key", "--key", "council.key")
POLICY = (
    SIGN_IN
    + """
audit:
  keep: {user: 30d}
  pseudonyms: {every: week, keepers: {head: head.pub, council: council.pub, deputy: deputy.pub}}
rules:
  - {name: everything else, do: allow}
"""
)


class Pseudonyms(Forgetting):
    """A service whose record has no names."""

    policy = POLICY

    def start(self):
        for name in ("head", "council", "deputy"):
            if not (self.folder / f"{name}.key").exists():
                private, public = new_keeper(PASSPHRASE.encode())
                (self.folder / f"{name}.key").write_bytes(private)
                (self.folder / f"{name}.pub").write_bytes(public)
        return super().start()

    async def typing(self, *words: str, typed: str = PASSPHRASE) -> tuple[int, str]:
        """Give a command, in the folder of the site, and type passphrases."""
        said = io.StringIO()
        words = tuple(str(self.folder / one) if one.endswith(".key") else one for one in words)

        def run() -> int:
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                return main([*words, "--policy", str(self.file)])

        self.patch(sys, "stdin", io.StringIO(f"{typed}\n" * 3))
        code = await self.thread(run)
        return code, said.getvalue()

    async def reveal(self, pseudonym: str, *keys: str, until: str = "2h", why: str = "case 17"):
        return await self.typing("audit", "reveal", pseudonym, *keys, "--reason", why, "--until", until)

    def users(self) -> list[str]:
        """Who stands in the records of exchanges, one after the other."""
        return [one.user for one in sorted(self.records(), key=lambda one: one.at) if not one.deed]

    def named(self) -> list[str]:
        """The files that have the name, but for the ledger, which quotas need."""
        return [one for one in holding(self.folder / "state", "amir") if not one.startswith("corpproxy.db")]


class PseudonymTests(Pseudonyms):
    """One process."""

    async def test_nobody_is_named(self) -> None:
        """A person has one random name for a week, over a restart too; the usage has no hosts."""
        await self.visit()
        amir, beth, again = self.users()
        self.assertRegex(amir, "^p-[0-9a-z]{12}$")
        self.assertEqual(amir, again)
        self.assertNotEqual(amir, beth)
        self.assertTrue(all(one.client.startswith("d-") for one in self.records() if one.client))
        self.assertEqual(self.usage_of("amir"), 2)
        self.assertEqual(self.usage_of(amir), 0)
        await self.start_again()
        await self.get("origin.test", "/page", user="amir")
        await self.closed(4)
        self.assertEqual(self.users()[-1], amir)
        await self.stop()
        self.assertEqual(self.named(), [])
        self.assertEqual(holding(self.folder / "state", "news.test"), self.records_with("news.test"))

    def records_with(self, text: str) -> list[str]:
        return [one for one in holding(self.folder / "state", text) if one.startswith("records/")]

    async def test_next_week(self) -> None:
        """In the next week everybody has another name, and nothing on the machine tells the old one."""
        await self.visit()
        self.jump = 7 * 86400.0
        await self.get("origin.test", "/page", user="amir")
        await self.closed(4)
        self.assertNotIn(self.users()[-1], self.users()[:3])
        keys = list((self.folder / "state" / PSEUDONYMS_FOLDER).glob("*.key"))
        self.assertEqual(len(keys), 1)

    async def test_revealed(self) -> None:
        """Two keepers reveal one person; the record says so before it is shown, without the name."""
        await self.visit()
        pseudonym = self.users()[0]
        code, said = await self.reveal(pseudonym, *KEYS)
        self.assertEqual((code, said[:24]), (0, f"{pseudonym} is amir, "[:24]), said)
        (deed,) = self.deeds()
        self.assertEqual((deed.deed, deed.whom), ("person-revealed", pseudonym))
        self.assertEqual(deed.reason, "case 17 (keys of council and head)")
        self.assertTrue(deed.granted)
        self.assertNotIn("amir", str(deed))
        code, said = await self.command("audit", "reveal", pseudonym)
        self.assertIn("is amir, until", said)
        self.assertEqual(len(self.deeds()), 2)
        code, said = await self.command("audit", "reveal")
        self.assertIn("case 17", said)
        self.assertNotIn("amir", said)
        await self.stop()
        self.assertEqual(self.named(), [])
        self.assertEqual(self.deeds()[-1].deed, "reveal-ended")

    async def test_ends(self) -> None:
        """What was revealed is so until its end; then it takes the keys again."""
        await self.visit()
        pseudonym = self.users()[0]
        await self.reveal(pseudonym, *KEYS, until="1s")
        await self.until(lambda: self.deeds()[-1].deed == "reveal-ended", "it ends")
        code, said = await self.command("audit", "reveal", pseudonym)
        self.assertEqual(code, 1)
        self.assertIn("is not revealed; two keepers can do it", said)

    async def test_refused(self) -> None:
        """One key does not do, nor a wrong passphrase, nor a reason with the name, nor one without an end."""
        await self.visit()
        pseudonym = self.users()[0]
        for keys, more, expected in (
            (KEYS[:2], {}, "it takes the keys of two of its keepers"),
            (KEYS[:2] * 2, {}, "it takes the keys of two of its keepers"),
            (KEYS, {"why": "Amir did it"}, "without the name"),
            (KEYS, {"until": "90d"}, "within 31 days"),
        ):
            code, said = await self.reveal(pseudonym, *keys, **more)
            self.assertEqual(code, 1)
            self.assertIn(expected, said)
            self.assertNotIn("is amir", said)
        words = ("audit", "reveal", pseudonym, *KEYS, "--reason", "x", "--until", "1h")
        code, said = await self.typing(*words, typed="another one")
        self.assertIn("the passphrase is wrong", said)
        self.assertEqual(self.deeds(), [])

    async def test_erased(self) -> None:
        """A person is forgotten by the name: in this period as it is, in earlier ones with two keys."""
        await self.visit()
        self.jump = 7 * 86400.0
        await self.get("origin.test", "/page", user="amir")
        await self.closed(4)
        said = await self.forget("--user", "amir")
        self.assertIn("records: 1\n", said)
        self.assertIn("pseudonyms: tables of pseudonyms are sealed", said)
        code, said = await self.typing("audit", "erase", "--user", "amir", *KEYS, "--reason", "letter")
        self.assertEqual(code, 0, said)
        self.assertIn("records: 2\n", said)
        self.assertIn("pseudonyms: 2\n", said)
        self.assertEqual(sorted(self.users())[:3], ["", "", ""])

    async def test_tables_grow_old(self) -> None:
        """A table goes with the names of its time: then nobody can tell, not even the keepers."""
        await self.visit()
        pseudonym = self.users()[0]
        self.jump = 45 * 86400.0
        reached = {one.place: one.count for one in await self.service.retention.run()}
        self.assertEqual((reached["pseudonyms"], reached["user"]), (1, 3))
        code, _said = await self.reveal(pseudonym, *KEYS)
        self.assertEqual(code, 1)

    async def test_no_key(self) -> None:
        """Where no pseudonym can be made nobody is named, which the log says; the service goes on."""
        folder = self.folder / "state" / PSEUDONYMS_FOLDER
        folder.write_text("in the way")
        await self.visit()
        self.assertEqual(set(self.users()), {"p-none"})
        self.assertEqual(self.named(), [])
        self.flushLoggedErrors()


class WorkersTests(Pseudonyms, WorkersCase):
    """Two workers."""

    workers: ClassVar[int] = 2

    async def test_one_name(self) -> None:
        """A person has the same name in all workers, and either's table can tell it."""
        seats = await self.serving()
        for seat in seats:
            client = await self.on(seat, "amir", self.people["amir"])
            self.addCleanup(client.close)
            await self.thread(client.ask, "GET", self.url())
        await self.closed(2)
        self.assertEqual(len(set(self.users())), 1)
        _code, said = await self.reveal(self.users()[0], *KEYS)
        self.assertIn("is amir", said)
        await self.stop()
        self.assertEqual(self.named(), [])
