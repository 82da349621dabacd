"""Retention while the service runs: what is too old goes by itself, and what is left verifies."""

from __future__ import annotations

import os
from typing import ClassVar

from tests.service.case import ALLOW, SIGN_IN
from tests.service.test_chain import verdict_of
from tests.service.test_forget import Forgetting
from tests.supervisor.case import WorkersCase

DAY = 86400.0
KEEP = "audit: {keep: {url: 7d, host: 30d, user: 60d, account: 90d, record: 1y}}\n"


class Keeping(Forgetting):
    """A service that keeps nothing for ever."""

    policy = SIGN_IN + ALLOW + KEEP

    def setUp(self):
        self.written: dict[str, float] = {}
        return super().setUp()

    async def pass_days(self, days: float) -> None:
        """Let days pass: the clock goes on, files grow old."""
        for path in (self.folder / "state" / "records").glob("records-*"):
            # Files have the time of the machine; from now on they have that of the service.
            written = self.written.setdefault(path.name, self.now())
            os.utime(path, (written, written))
        self.jump += days * DAY

    async def daily(self) -> dict[str, int]:
        """What is done each day, now."""
        reached = await self.service.retention.run()
        return {one.place: one.count for one in reached}

    def left(self) -> set[str]:
        """What is left of the exchanges."""
        records = [one for one in self.records() if not one.deed]
        return {name for one in records for name in ("user", "host", "path") if getattr(one, name)}


class RetentionTests(Keeping):
    """One process."""

    async def test_fields(self) -> None:
        """Paths go first, then hosts, then people, then the file; each time it is recorded and verifies."""
        await self.visit()
        self.assertEqual((await self.daily())["url"], 0)
        self.assertEqual(self.deeds(), [])
        first = None
        expected = [(8, {"user", "host"}), (23, {"user"}), (30, set())]
        for days, left in expected:
            await self.pass_days(days)
            await self.daily()
            self.assertEqual(self.left(), left)
            await self.until(self.deeds, "a record of it")
            first = first or self.deeds()[0]
        self.assertEqual((self.usage_of("amir"), self.usage_of("")), (0, 3))
        await self.pass_days(40)
        self.assertGreater((await self.daily())["usage"], 0)
        self.assertEqual(self.usage_of(""), 0)
        await self.until(lambda: len(self.deeds()) == 4, "four records of it")
        self.assertEqual((first.deed, first.user, first.source), ("record-retained", "corpproxy", "policy"))
        self.assertEqual((first.count, first.reached), (3, ("url=3",)))
        self.assertIn("url 7 days, host 30 days", first.reason)
        await self.stop()
        verdict = await self.thread(verdict_of, self.folder / "state")
        self.assertEqual(verdict.findings, [])
        # What was recorded of it has become old itself.
        self.assertGreater(verdict.erased, 3)

    async def test_files(self) -> None:
        """A file that is too old goes, and a signed checkpoint stands where it was."""
        await self.visit()
        await self.pass_days(366)
        await self.get()
        await self.closed(4)
        self.assertEqual((await self.daily())["files"], 1)
        self.assertEqual([one.host for one in self.records() if not one.deed], ["origin.test"])
        await self.until(lambda: any("files=1" in one.reached for one in self.deeds()), "a record of it")
        await self.stop()
        await self.assert_whole(0)

    async def test_by_itself(self) -> None:
        """It is done by itself once a day, and no more often."""
        await self.visit()
        await self.pass_days(8)
        self.service.retention.look()
        await self.until(lambda: self.left() == {"user", "host"}, "the paths are gone")
        await self.until(lambda: not self.service.retention._is_busy, "it is done")
        await self.pass_days(0.5)
        self.service.retention.look()
        self.assertFalse(self.service.retention._is_busy)

    async def test_command(self) -> None:
        """``corpproxy audit expire`` says what is due and does it, recorded with who asked."""
        await self.visit()
        await self.pass_days(31)
        code, said = await self.command("audit", "expire", "--dry-run")
        self.assertEqual((code, said.splitlines()[:3]), (0, ["would go:", "  url: 3", "  host: 3"]))
        self.assertEqual(self.left(), {"user", "host", "path"})
        code, said = await self.command("audit", "expire")
        self.assertEqual((code, said.splitlines()[:3]), (0, ["gone:", "  url: 3", "  host: 3"]))
        await self.until(self.deeds, "a record of it")
        self.assertEqual(self.deeds()[0].source, "command")


class ForEverTests(Keeping):
    """A site that asks for nothing."""

    policy = SIGN_IN + ALLOW

    async def test_kept(self) -> None:
        """It keeps everything."""
        await self.pass_days(4000)
        self.service.retention.look()
        self.assertFalse(self.service.retention._is_busy)


class WorkersTests(Keeping, WorkersCase):
    """Two workers."""

    workers: ClassVar[int] = 2

    async def test_fields(self) -> None:
        """What any worker wrote grows old."""
        await self.serving()
        await self.visit()
        self.jump = 31 * DAY
        await self.daily()
        self.assertEqual(self.left(), {"user"})
        await self.stop()
        await self.assert_whole(3)
