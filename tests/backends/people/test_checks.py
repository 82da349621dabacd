"""Checks on their way: whatever goes wrong ends one of them, and is told."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.backends.people.checks import Check, Checks
from corpproxy.identity.attempts import FREE_PER_PAIR, Attempts
from corpproxy.identity.basic import Credentials

ROOM = "10.1.0.1"


class ChecksTests(SynchronousTestCase):
    """A directory that answers when the test lets it."""

    def setUp(self):
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.attempts = Attempts()
        self.asked = []
        self.over = []
        self.checks = Checks(self.attempts, self.clock.seconds, self.clock, self, self.judge, lambda _: "no")

    def check(self, name, password, tell):
        """As a directory."""
        if name == "broken":
            raise ZeroDivisionError
        self.asked.append((password, tell))

    def judge(self, check, right):
        """A password that nobody can judge is a bug."""
        return ["wrong", "right"][right]

    def comes(self, password, name="amir"):
        """Somebody comes in turn."""
        told = Deferred()
        self.checks.in_turn(
            Check(
                password.encode(),
                Credentials(name, password),
                ROOM,
                told,
                lambda *_: self.over.append(password),
            )
        )
        return told

    def answer(self, right):
        """The directory answers the one that it was asked first."""
        self.asked.pop(0)[1](right)

    def test_in_turn(self):
        """Two passwords of one name are checked one after the other, a third waits, a fourth is refused."""
        first, second, third, fourth = (self.comes(one) for one in "abcd")
        self.assertEqual([one for one, _ in self.asked], ["a"])
        self.assertEqual(self.successResultOf(fourth), "no")
        self.answer(False)
        self.assertEqual([one for one, _ in self.asked], ["b"])
        self.answer(True)
        self.answer(False)
        self.assertEqual(
            [self.successResultOf(one) for one in (first, second, third)], ["wrong", "right", "wrong"]
        )
        self.assertEqual((self.checks._turns, self.checks._checking), ({}, {}))

    def test_bug_of_the_directory(self):
        """A check that cannot be begun fails, and the next of its name is not kept waiting."""
        self.failureResultOf(self.comes("a", "broken"), ZeroDivisionError)
        self.failureResultOf(self.comes("b", "broken"), ZeroDivisionError)
        self.assertEqual(self.over, ["a", "b"])
        self.assertEqual((self.checks._turns, self.checks._checking), ({}, {}))

    def test_bug_in_judging(self):
        """An answer that cannot be judged lets nobody in, and those who wait are told."""
        first, second = self.comes("a"), self.comes("b")
        self.answer(7)
        self.failureResultOf(first, IndexError)
        self.answer(True)
        self.assertEqual(self.successResultOf(second), "right")

    def test_delay_in_turn(self):
        """Who waits behind another one sits out the delay that this one brought."""
        for n in range(FREE_PER_PAIR):
            self.attempts.failed("amir", ROOM, bytes([n]), self.clock.seconds())
        told = self.comes("a")
        self.assertEqual(self.asked, [])
        self.clock.advance(1.0)
        self.answer(True)
        self.assertEqual(self.successResultOf(told), "right")
        self.assertEqual(self.checks._delayed, {})
