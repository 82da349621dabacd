"""Forgetting reaches a file in Squid's format beside the record, and counts what it changed there."""

from __future__ import annotations

import subprocess
from typing import ClassVar

from tests.service.case import ALLOW, SIGN_IN
from tests.service.test_forget import NAME, Forgetting
from tests.service.test_retention import Keeping

SQUID = "to: [{name: squid, file: access.log, format: squid}]"


class SquidFile(Forgetting):
    """A service with such a file."""

    policy = SIGN_IN + ALLOW + f"audit: {{{SQUID}}}\n"

    async def visit(self) -> None:
        """Two go somewhere, and the file has it."""
        position = self.folder / "state" / "sinks" / "squid.json"
        await self.until(position.exists, "the sink follows")
        await super().visit()
        await self.until(lambda: len(self.lines()) == 3, "it is in the file")

    def lines(self) -> list[str]:
        """What is in the file."""
        path = self.folder / "access.log"
        return path.read_text().splitlines() if path.exists() else []

    def found(self, text: str) -> int:
        """How many lines ``grep`` finds in the file and those that were put aside."""
        files = [str(path) for path in self.folder.glob("access.log*")]
        done = subprocess.run(["grep", "-h", text, *files], capture_output=True, check=False)
        self.assertIn(done.returncode, (0, 1))
        return len(done.stdout.splitlines())


class PersonTests(SquidFile):
    """A person."""

    async def test_person(self) -> None:
        """The lines of a person are gone from the file; the report and the record of it say how many."""
        await self.visit()
        self.assertEqual((self.found(NAME), self.found("beth")), (2, 1))
        code, said = await self.command("audit", "erase", "--user", NAME, "--dry-run")
        self.assertEqual(code, 0)
        self.assertIn("sink-squid: 2\n", said)
        self.assertEqual(self.found(NAME), 2)
        said = await self.forget("--user", NAME)
        self.assertIn("sink-squid: 2\n", said)
        self.assertEqual((self.found(NAME), self.found("beth")), (0, 1))
        await self.until(self.deeds, "a record of it")
        self.assertIn("sink-squid=2", self.deeds()[0].reached)
        await self.get(user="beth")
        await self.until(lambda: self.found("beth") == 2, "the sink goes on")
        self.assertIn("sink-squid: 0\n", await self.forget("--user", NAME))
        await self.assert_whole(2)

    async def test_late(self) -> None:
        """What the sink has not got yet when a person is erased never gets there."""
        await self.visit()
        await self.get("origin.test", "/page", user=NAME)
        await self.forget("--user", NAME)
        await self.get(user="beth")
        await self.until(lambda: self.found("beth") == 2, "the sink goes on")
        self.assertEqual(self.found(NAME), 0)


class AgeTests(SquidFile, Keeping):
    """What is too old."""

    policy: ClassVar[str] = SIGN_IN + ALLOW + f"audit: {{keep: {{host: 30d}}, {SQUID}}}\n"

    async def test_age(self) -> None:
        """Lines that are too old go, as their format has none without a host; that is counted."""
        await self.visit()
        await self.pass_days(31)
        counted = await self.service.retention.count()
        self.assertIn(("sink-squid", 3), [(one.place, one.count) for one in counted])
        self.assertEqual(len(self.lines()), 3)
        self.assertEqual((await self.daily())["sink-squid"], 3)
        self.assertEqual(self.lines(), [])
        await self.until(self.deeds, "a record of it")
        self.assertIn("sink-squid=3", self.deeds()[0].reached)
