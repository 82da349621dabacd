"""Checkpoints on a disk that fails: what could not be signed is signed later, and it is told meanwhile."""

from __future__ import annotations

import errno
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.checkpoint import read_checkpoint
from corpproxy.audit.proof import End
from corpproxy.backends.records import checkpoints as module
from corpproxy.backends.records.checkpoint_files import checkpoint_files
from corpproxy.backends.records.checkpoints import CHECKPOINT_SECONDS, Checkpoints
from tests.support.threads import DirectThread


class FailingTests(SynchronousTestCase):
    """A full disk."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.now = 1_795_428_000.0
        key = Ed25519PrivateKey.generate()
        self.checkpoints = Checkpoints(self.folder, key, DirectThread(), lambda: self.now)

    def minute(self, records: int) -> None:
        """A minute in which the chain came so far."""
        self.checkpoints.note(1, End(1, "records-20261123T100000Z-w1-0001.jsonl", records, "00" * 32))
        self.now += CHECKPOINT_SECONDS
        self.checkpoints.look()

    def test_recovers(self) -> None:
        """Nothing is written while the disk is full, and all of it is signed once there is room."""

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with_room = module.append_checkpoint
        self.patch(module, "append_checkpoint", full)
        self.minute(3)
        self.assertEqual(self.checkpoints.failing_since, self.now)
        self.assertIn("No space left", self.checkpoints.failing_reason)
        self.assertEqual(checkpoint_files(self.folder), [])
        self.patch(module, "append_checkpoint", with_room)
        self.minute(5)
        self.assertEqual((self.checkpoints.failing_since, self.checkpoints.made), (0.0, 1))
        (file,) = checkpoint_files(self.folder)
        (line,) = file.read_bytes().splitlines()
        checkpoint = read_checkpoint(line)
        self.assertEqual((checkpoint.number, [end.records for end in checkpoint.chains]), (1, [5]))

    def test_nothing_new(self) -> None:
        """A quiet minute is not signed again."""
        self.minute(3)
        self.minute(3)
        self.assertEqual(self.checkpoints.made, 1)
