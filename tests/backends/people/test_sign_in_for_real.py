"""Sign-in with a real file, real hashes and real threads, as a room does it in the morning."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.trial.unittest import TestCase

from corpproxy.backends.bounded_threads import BoundedThreads
from corpproxy.backends.people.htpasswd import Htpasswd
from corpproxy.backends.people.htpasswd_edit import set_password
from corpproxy.backends.people.sign_in import Refused, SignIn
from corpproxy.identity.attempts import Attempts
from corpproxy.identity.memory import SignInMemory
from corpproxy.identity.people import People
from corpproxy.identity.settings import IdentitySettings


def basic(name, password):
    return b"Basic " + b64encode(f"{name}:{password}".encode())


class RealSignInTests(TestCase):
    """The parts together."""

    def setUp(self):
        self.path = Path(self.mktemp())
        for name in ("amir", "jürgen"):
            set_password(self.path, name, f"password of {name}")
        self.threads = BoundedThreads(reactor)
        self.addCleanup(self.threads.stop)
        htpasswd = Htpasswd(self.path, reactor, self.threads)
        htpasswd.load()
        self.sign_in = SignIn(
            People(IdentitySettings()),
            htpasswd,
            SignInMemory(7200, 100, b"k" * 32),
            Attempts(),
            clock=reactor.seconds,
            reactor=reactor,
            threads=self.threads,
        )

    async def test_room(self):
        """Six connections each of two people, and one who mistypes, from one address at the same time."""
        values = [basic("amir", "password of amir"), basic("jürgen", "password of jürgen")] * 6
        judged = await gatherResults([self.sign_in.check(value, "10.1.0.1") for value in values])
        self.assertEqual([one.name for one in judged], ["amir", "jürgen"] * 6)
        wrong = await self.sign_in.check(basic("amir", "password of jürgen"), "10.1.0.1")
        self.assertEqual(wrong, Refused("wrong-password"))
        self.assertEqual((self.sign_in.counts.ok, self.sign_in.counts.failed), (2, 1))

    async def test_own_password(self):
        """A person changes the own password and goes on with the new one, and with it alone."""
        await self.sign_in.check(basic("amir", "password of amir"), "10.1.0.1")
        changed = await self.sign_in.change_password("amir", "10.1.0.1", "password of amir", "correct horse")
        self.assertIsNone(changed)
        self.assertIsNone(self.sign_in.recall(basic("amir", "password of amir"), reactor.seconds()))
        again = await self.sign_in.check(basic("amir", "correct horse"), "10.1.0.1")
        self.assertEqual(again.name, "amir")
