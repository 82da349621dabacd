"""What administrators do stands in the record: the real service, the real commands."""

from __future__ import annotations

import contextlib
import io
import os
from typing import ClassVar

from corpproxy.audit.record import Record
from corpproxy.cli import main
from corpproxy.errands import Errands
from tests.service.case import ALLOW, SIGN_IN, ServiceCase
from tests.service.test_chain import verdict_of
from tests.supervisor.case import WorkersCase

EDITED = SIGN_IN + ALLOW.replace(
    "rules:", "rules:\n  - {name: no bets, what: {domain: bets.test}, do: block}"
)


class Deeds(ServiceCase):
    """A site where people sign in."""

    policy = SIGN_IN + ALLOW
    people: ClassVar[dict[str, str]] = {"amir": "a first password", "beth": "a second password"}

    def setUp(self):
        self.patch(os, "environ", {**os.environ, "SUDO_USER": "carol"})
        self.patch(Errands, "LOOK_SECONDS", 0.2)
        return super().setUp()

    async def command(self, *words: str) -> int:
        """Give a command of the command line."""

        def run() -> int:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                return main([*words, "--policy", str(self.file)])

        return await self.thread(run)

    def deeds(self) -> list[Record]:
        """The deeds in the record."""
        return [one for one in self.records() if one.deed]

    async def told(self, deed: str, count: int = 1) -> list[Record]:
        """The records of so many deeds of a kind, once they are there."""

        def found() -> list[Record]:
            return [one for one in self.deeds() if one.deed == deed]

        await self.until(lambda: len(found()) >= count, f"{deed} is recorded")
        return found()


class DeedTests(Deeds):
    """In one process."""

    async def test_policy(self) -> None:
        """A reload says who had what changed; one that is refused says why."""
        self.write(EDITED)
        self.assertEqual(await self.command("reload"), 0)
        (taken,) = await self.told("policy-taken")
        self.assertEqual(taken.user, "carol")
        self.assertIn("rule 'no bets' added: what (domain bets.test), do block", taken.reason)
        self.assertIn("policy.yaml of ", taken.reason)
        self.assertEqual(taken.policy, self.service.configuration.version)
        self.write(EDITED.replace("do: block", "do: blok"))
        self.assertEqual(await self.command("reload"), 1)
        (refused,) = await self.told("policy-refused")
        self.assertIn("not 'blok'", refused.reason)
        self.assertEqual(len({taken.id, refused.id, ""}), 3)

    async def test_edit_while_stopped(self) -> None:
        """A policy that was edited while the service did not run is recorded with its start."""
        await self.stop()
        self.assertEqual(self.deeds(), [])
        self.write(EDITED)
        self.start()
        (taken,) = await self.told("policy-taken")
        self.assertIn("rule 'no bets' added", taken.reason)
        await self.stop()
        self.start()
        await self.stop()
        self.assertEqual(len(self.deeds()), 1)

    async def test_people(self) -> None:
        """Who lets whom sign in is recorded, while the service runs and while it does not; each once."""
        self.assertEqual(await self.command("users", "passwd", "amir", "--generate"), 0)
        (changed,) = await self.told("password-set")
        self.assertEqual((changed.user, changed.whom, changed.source), ("carol", "amir", "command"))
        await self.stop()
        self.assertEqual(await self.command("users", "remove", "beth"), 0)
        self.start()
        (removed,) = await self.told("user-removed")
        self.assertEqual((removed.user, removed.whom), ("carol", "beth"))
        await self.stop()
        self.assertEqual(list((self.folder / "state" / "deeds").iterdir()), [])
        self.assertEqual(sorted(one.deed for one in self.deeds()), ["password-set", "user-removed"])
        verdict = await self.thread(verdict_of, self.folder / "state")
        self.assertEqual(verdict.findings, [])

    async def test_recorded_once(self) -> None:
        """A crash after a deed was recorded, and before its file went, does not record it twice."""
        await self.stop()
        self.assertEqual(await self.command("users", "remove", "beth"), 0)
        (file,) = (self.folder / "state" / "deeds").iterdir()
        left = file.read_bytes(), file.stat().st_mtime
        self.start()
        await self.told("user-removed")
        await self.stop()
        file.write_bytes(left[0])
        os.utime(file, (left[1], left[1]))
        self.start()
        self.assertFalse(file.exists())
        await self.stop()
        self.assertEqual([one.deed for one in self.deeds()], ["user-removed"])

    async def test_no_deed(self) -> None:
        """What lies among deeds and is none is set aside, and the others are recorded."""
        folder = self.folder / "state" / "deeds"
        folder.mkdir()
        (folder / "0.json").write_text("nonsense")
        self.assertEqual(await self.command("users", "passwd", "amir", "--generate"), 0)
        await self.told("password-set")
        self.assertEqual([path.name for path in folder.glob("*.odd")], ["0.odd"])


class WorkerDeedTests(Deeds, WorkersCase):
    """With workers the supervisor records them."""

    async def test_both(self) -> None:
        """An edit and a new password stand in the record beside what workers wrote, and it is whole."""
        self.write(EDITED)
        self.assertEqual(await self.command("reload"), 0)
        self.assertEqual(await self.command("users", "passwd", "amir", "--generate"), 0)
        (taken,) = await self.told("policy-taken")
        (changed,) = await self.told("password-set")
        self.assertEqual((taken.user, changed.user), ("carol", "carol"))
        await self.stop()
        verdict = await self.thread(verdict_of, self.folder / "state")
        self.assertEqual(verdict.findings, [])
