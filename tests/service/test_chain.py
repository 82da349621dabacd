"""The record of a real service verifies, whatever happened to the service."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.checkpoint import read_checkpoint
from corpproxy.backends.records.checkpoint_files import checkpoint_files
from corpproxy.backends.records.signing_key import PRIVATE_KEY, PUBLIC_KEY, KeyUnusable, public_key
from corpproxy.backends.records.verify import Verdict, verify
from corpproxy.cli import main
from tests.service.case import ALLOW, ServiceCase
from tests.service.client import Client
from tests.service.origin import Origin
from tests.service.whole import WholeService, policy_for
from tests.supervisor.case import Load
from tests.supervisor.test_whole import workers_of

STAND_ALONE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "verify_record.py"


def verdict_of(state: Path) -> Verdict:
    """What verifying says, and that the other implementation says the same."""
    verdict = verify(state / "records", public_key(state / PUBLIC_KEY))
    command = [sys.executable, str(STAND_ALONE), str(state / "records"), str(state / PUBLIC_KEY)]
    alone = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (alone.returncode == 0) is verdict.is_whole, (alone.stdout, verdict.findings)
    return verdict


class ChainTests(ServiceCase):
    """One process."""

    async def test_signed(self) -> None:
        """What a service wrote is whole and signed when it has stopped; the next start goes on from there."""
        for _ in range(3):
            await self.get()
        await self.closed(3)
        await self.start_again()
        await self.get()
        await self.stop()
        state = self.folder / "state"
        verdict = await self.thread(verdict_of, state)
        self.assertEqual((verdict.findings, verdict.tails, verdict.records), ([], [], 4))
        (file,) = checkpoint_files(state / "records")
        numbers = [read_checkpoint(line).number for line in file.read_bytes().splitlines()]
        self.assertEqual(numbers, [1, 2])

    async def test_each_minute(self) -> None:
        """While it runs, what is a minute old is signed."""
        await self.get()
        await self.closed(1)
        self.jump = 61.0
        await self.until(lambda: checkpoint_files(self.folder / "state" / "records"), "a checkpoint")
        # The file is there before the thread that wrote it has said so.
        await self.until(lambda: self.service.checkpoints.made, "it is counted")
        self.assertEqual(await self.metric("corpproxy_checkpoints_total"), 1)

    async def test_key(self) -> None:
        """The key is made once, and only its owner may read it."""
        path = self.folder / "state" / PRIVATE_KEY
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        before = path.read_bytes()
        await self.start_again()
        self.assertEqual(path.read_bytes(), before)

    async def test_elsewhere(self) -> None:
        """A folder elsewhere gets each checkpoint; a reload can name another."""
        self.write(self.policy + "audit: {checkpoints_to: copies}\n")
        await self.start_again()
        await self.get()
        await self.closed(1)
        await self.stop()
        records = self.folder / "state" / "records"
        (here,), (there,) = checkpoint_files(records), checkpoint_files(self.folder / "copies")
        self.assertEqual(there.read_bytes(), here.read_bytes().splitlines(keepends=True)[-1])

    async def test_command(self) -> None:
        """``corpproxy audit verify`` says that it is whole, and names what is not."""
        await self.get()
        await self.closed(1)
        await self.stop()
        self.assertEqual(main(["audit", "verify", "--policy", str(self.file)]), 0)
        (segment,) = (self.folder / "state" / "records").glob("records-*")
        segment.write_bytes(segment.read_bytes().replace(b'"status":200', b'"status":201'))
        self.assertEqual(main(["audit", "verify", "--policy", str(self.file)]), 1)


class UnreadableKeyTests(ServiceCase):
    """A key that others may read."""

    starts = False

    def test_open_to_all(self) -> None:
        """A service with a key that others may read does not start, and says what to do."""
        state = self.folder / "state"
        state.mkdir()
        (state / PRIVATE_KEY).write_bytes(b"x")
        (state / PRIVATE_KEY).chmod(0o644)
        error = self.assertRaises(KeyUnusable, self.start)
        self.assertIn("chmod 600", str(error))


class KilledTests(SynchronousTestCase):
    """Workers, kill -9."""

    timeout = 120

    def setUp(self) -> None:
        self.origin = Origin()
        self.addCleanup(self.origin.stop)
        self.service = WholeService(policy_for(self.origin, ALLOW), workers=2)
        self.addCleanup(self.service.forget)

    def load(self, kill) -> None:
        load = Load(self.service.forward, f"http://origin.test:{self.origin.port}/hello")
        self.addCleanup(load.stop)
        self.until(lambda: len(load.statuses) >= 300, "the load runs")
        kill()
        before = len(load.statuses)
        ended = self.service.process.poll
        self.until(lambda: len(load.statuses) >= before + 200 or ended() is not None, "it goes on")
        load.stop()

    def until(self, holds, what: str) -> None:
        ends = time.monotonic() + 40
        while not holds():
            self.assertLess(time.monotonic(), ends, what)
            time.sleep(0.02)

    def test_worker(self) -> None:
        """A worker that was killed leaves a chain that is whole, perhaps with a tail that nobody signed."""
        self.until(lambda: self.service.command("status").stdout.count("stage serving") == 2, "both serve")
        first = workers_of(self.service.process.pid)[0]
        self.load(lambda: os.kill(first, signal.SIGKILL))
        self.assertIn(self.service.ended(signal.SIGTERM), (0, -signal.SIGTERM))
        verdict = verdict_of(self.service.state)
        self.assertEqual(verdict.findings, [])
        self.assertGreater(verdict.records, 300)
        self.assertGreaterEqual(verdict.segments, 3)

    def test_supervisor(self) -> None:
        """So does a supervisor: nothing behind the last checkpoint is signed, and nothing is wrong."""
        client = Client(self.service.forward)
        self.addCleanup(client.close)
        self.load(self.service.kill)
        self.service.start_again()
        self.assertIn(self.service.ended(signal.SIGTERM), (0, -signal.SIGTERM))
        verdict = verdict_of(self.service.state)
        self.assertEqual([one for one in verdict.findings if one.fault != "not signed"], [])
