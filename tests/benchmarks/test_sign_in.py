"""What a person's first sign-in keeps: counted, as it is the same on every machine."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
from twisted.trial.unittest import TestCase

from benchmarks.sign_in import address_of, kept_in_worker, kept_octets, value_of
from corpproxy.supervisor.messages import SignedIn

PEOPLE = 300


class KeptTests(TestCase):
    """A person who signed in, in the worker and in the supervisor."""

    def test_supervisor(self):
        """The board keeps little more than what it was told."""
        notices = [
            SignedIn(value_of(n)[:16], f"person{n:05d}", address_of(n), bytes(16), time.time())
            for n in range(PEOPLE)
        ]
        octets, _ = kept_octets(PEOPLE, [msgspec.msgpack.encode(notices)])
        self.assertLess(octets, 100)

    async def test_worker(self):
        """A worker keeps a digest, a name and an identity."""
        folder = Path(self.mktemp())
        folder.mkdir()
        octets, _ = await kept_in_worker(folder, PEOPLE, 16)
        self.assertLess(octets, 500)
