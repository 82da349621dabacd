"""Checkpoints go to sinks in their order, each once, from the last that there was."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from corpproxy.audit.checkpoint import Checkpoint, signed
from corpproxy.backends.records.checkpoint_files import append_checkpoint
from corpproxy.backends.sinks.checkpoints import CheckpointFollower
from tests.backends.sinks.case import BEGAN, SinkCase

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
MONTH = 31 * 86400.0


def sign(folder: Path, number: int, at: float = BEGAN) -> bytes:
    """Make a checkpoint beside the records."""
    line = signed(Checkpoint(number=number, at="2026-11-23T10:00:00.000Z", chains=()), KEY)
    append_checkpoint(folder, line, at)
    return line


class FollowTests(SinkCase):
    """Following."""

    def follower(self) -> CheckpointFollower:
        return CheckpointFollower(self.records, self.positions / "there.checkpoint")

    def take(self, follower: CheckpointFollower) -> list[bytes]:
        found = []
        while (line := follower.next()) is not None:
            found.append(line)
            follower.sent(line)
        return found

    def test_in_order(self) -> None:
        """They come as they are made, over the end of a month and over restarts."""
        follower = self.follower()
        self.assertEqual(self.take(follower), [])
        lines = [sign(self.records, number) for number in (1, 2)]
        self.assertEqual(self.take(follower), lines)
        later = [sign(self.records, 3), sign(self.records, 4, BEGAN + MONTH)]
        self.assertEqual(self.take(self.follower()), later)
        self.assertEqual(self.take(follower), later)

    def test_new(self) -> None:
        """A place that is new begins with the last one."""
        sign(self.records, 1)
        last = sign(self.records, 2)
        self.assertEqual(self.take(self.follower()), [last])

    def test_not_taken(self) -> None:
        """One that was not taken comes again."""
        follower = self.follower()
        line = sign(self.records, 1)
        self.assertEqual([follower.next(), follower.next(), self.follower().next()], [line] * 3)
