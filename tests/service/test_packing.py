"""Closed files of the record are packed while the service runs, and nobody who reads the record notices."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from corpproxy.backends.records.segment_packing import REST_SECONDS
from tests.service.case import ALLOW, ServiceCase
from tests.service.test_chain import verdict_of

VISITS = 3


class PackingTests(ServiceCase):
    """A service that begins a new file with each record, and whose clock is ahead of the files'."""

    policy = ALLOW + "audit: {rotate: {size: 1}}\n"

    def follow(self, *words: str) -> Any:
        """A command that follows the record; what it prints is in a file."""
        path = self.folder / f"{words[1]}.out"
        out = path.open("wb")
        self.addCleanup(out.close)
        command = [sys.executable, "-m", "corpproxy", *words, "--policy", str(self.file)]
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)

        def end() -> None:
            process.terminate()
            process.wait(10)

        self.addCleanup(end)
        return path

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command that ends."""
        command = [sys.executable, "-m", "corpproxy", *words, "--policy", str(self.file)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    async def visit(self) -> None:
        """Go somewhere, a record after the other."""
        for _ in range(VISITS):
            before = self.ids()
            await self.get()
            await self.until(lambda before=before: self.ids() - before, "it is written")

    def ids(self) -> set[str]:
        """Which records are there; while one is packed it stands there twice for a moment."""
        return {one.id for one in self.records()}

    async def test_packed(self) -> None:
        """Following, searching and verifying give the same before, during and after."""
        await self.visit()
        tail = self.follow("audit", "tail", "-f", "--json")
        search = self.follow("audit", "search", "-f", "--host", "origin.test", "--json")
        for path in (tail, search):
            await self.until(lambda path=path: len(path.read_bytes().splitlines()) == VISITS, "it follows")
        self.jump = REST_SECONDS + 1
        self.service.shelf.look()
        await self.visit()
        await self.until(lambda: self.service.shelf.packed >= VISITS - 1, "the closed ones are packed")
        self.service.shelf.look()
        await self.visit()
        folder = self.folder / "state" / "records"
        self.assertGreaterEqual(len(list(folder.glob("*.jsonl.zst"))), VISITS - 1)
        await self.until(lambda: len(self.records()) == 3 * VISITS, "each is there once")
        ids = [one.id for one in self.records()]
        for path in (tail, search):
            await self.until(
                lambda path=path: len(path.read_bytes().splitlines()) >= 3 * VISITS, "it goes on"
            )
            self.assertEqual([json.loads(line)["id"] for line in path.read_bytes().splitlines()], ids)
        found = await self.thread(self.command, "audit", "search", "--host", "origin.test", "--json")
        self.assertEqual([json.loads(line)["id"] for line in found.stdout.splitlines()], ids)
        live = await self.thread(self.command, "audit", "verify", str(folder))
        self.assertEqual(live.returncode, 0, live.stdout + live.stderr)
        await self.stop()
        verdict = await self.thread(verdict_of, self.folder / "state")
        self.assertEqual((verdict.findings, verdict.tails, verdict.records), ([], [], 3 * VISITS))
