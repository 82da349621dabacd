"""Remembered sign-ins: right ones for hours, wrong ones for a moment, no passwords in memory."""

from __future__ import annotations

import gc

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.identity.memory import MAX_PER_NAME, WRONG_LIFE_SECONDS, SignInMemory

KEY = b"k" * 32
VALUE = b"Basic YW1pcjpzZWNyZXQ="
OTHER = b"Basic YW1pcjp3cm9uZw=="


class SignInMemoryTests(SynchronousTestCase):
    """What is known of a field value."""

    def setUp(self):
        self.memory = SignInMemory(7200, 100, KEY)

    def test_known(self):
        """What was right is known until its life ends, exactly as it was sent."""
        self.memory.remember(VALUE, "amir", 1000.0)
        self.assertEqual(self.memory.known(VALUE, 1000.0), "amir")
        self.assertEqual(self.memory.known(VALUE, 8199.9), "amir")
        self.assertIsNone(self.memory.known(VALUE, 8200.0))
        self.assertIsNone(self.memory.known(OTHER, 1001.0))

    def test_clock_goes_back(self):
        """A clock that goes back ends what was remembered rather than lengthening it."""
        self.memory.remember(VALUE, "amir", 1000.0)
        self.assertIsNone(self.memory.known(VALUE, 900.0))

    def test_once_known(self):
        """A password that was right this morning is told from a guess, until its line changes."""
        self.memory.remember(VALUE, "amir", 1000.0)
        self.assertIn(self.memory.digest(VALUE), self.memory.right)
        self.assertIsNone(self.memory.known(VALUE, 99_999.0))
        self.assertIn(self.memory.digest(VALUE), self.memory.right)
        self.memory.forget_names(["amir"])
        self.assertNotIn(self.memory.digest(VALUE), self.memory.right)

    def test_wrong(self):
        """A wrong password is known for a minute and is never right meanwhile."""
        self.memory.remember_wrong(OTHER, "amir", 1000.0)
        self.assertTrue(self.memory.is_wrong(self.memory.digest(OTHER), 1000.0))
        self.assertTrue(self.memory.is_wrong(self.memory.digest(OTHER), 1000.0 + WRONG_LIFE_SECONDS - 1))
        self.assertFalse(self.memory.is_wrong(self.memory.digest(OTHER), 1000.0 + WRONG_LIFE_SECONDS))
        self.assertIsNone(self.memory.known(OTHER, 1000.0))

    def test_right_then_wrong(self):
        """What turns out wrong is no longer right, and the other way round."""
        self.memory.remember(VALUE, "amir", 1000.0)
        self.memory.remember_wrong(VALUE, "amir", 1001.0)
        self.assertIsNone(self.memory.known(VALUE, 1001.0))
        self.memory.remember(VALUE, "amir", 1002.0)
        self.assertFalse(self.memory.is_wrong(self.memory.digest(VALUE), 1002.0))
        self.assertEqual(self.memory.known(VALUE, 1002.0), "amir")

    def test_forget_names(self):
        """Exactly those whose lines changed sign in anew; their old wrong passwords may now be right."""
        self.memory.remember(VALUE, "amir", 1000.0)
        self.memory.remember(b"Basic b", "beth", 1000.0)
        self.memory.remember_wrong(OTHER, "amir", 1000.0)
        self.memory.forget_names(["amir", "nobody"])
        self.assertIsNone(self.memory.known(VALUE, 1001.0))
        self.assertFalse(self.memory.is_wrong(self.memory.digest(OTHER), 1001.0))
        self.assertEqual(self.memory.known(b"Basic b", 1001.0), "beth")

    def test_bound(self):
        """Past the limit the oldest goes."""
        for n in range(150):
            self.memory.remember(b"Basic %d" % n, f"user{n}", 1000.0 + n)
        self.assertEqual(len(self.memory), 100)
        self.assertIsNone(self.memory.known(b"Basic 49", 1200.0))
        self.assertEqual(self.memory.known(b"Basic 50", 1200.0), "user50")

    def test_one_name_cannot_fill_it(self):
        """One person with many spellings of one password pushes out only the own entries."""
        self.memory.remember(b"Basic b", "beth", 1000.0)
        for n in range(500):
            self.memory.remember(b"Basic" + b" " * n + b"x", "amir", 1001.0)
        self.assertEqual(len(self.memory), MAX_PER_NAME + 1)
        self.assertEqual(self.memory.known(b"Basic b", 1002.0), "beth")

    def test_own_bound_within_limit_of_one(self):
        """The smallest memory still holds the newest."""
        memory = SignInMemory(7200, 1, KEY)
        for n, name in enumerate(["amir", "amir", "beth", "amir"]):
            memory.remember(b"%d" % n, name, 1000.0)
            self.assertEqual(memory.known(b"%d" % n, 1000.0), name)
            self.assertEqual(len(memory), 1)

    def test_again(self):
        """The same credentials checked again hold from then on, as one entry."""
        self.memory.remember(VALUE, "amir", 1000.0)
        self.memory.remember(VALUE, "amir", 8000.0)
        self.assertEqual(len(self.memory), 1)
        self.assertEqual(self.memory.known(VALUE, 15_000.0), "amir")

    def test_no_plain_values(self):
        """Neither value nor key can be found in what is held."""
        value = bytes(VALUE)
        self.memory.remember(value, "amir", 1000.0)
        held = [one for one in gc.get_referents(self.memory._right.entries) if isinstance(one, bytes)]
        self.assertEqual([len(one) for one in held], [16])
        self.assertNotEqual(self.memory.digest(VALUE), SignInMemory(1, 1, b"other").digest(VALUE))

    def test_clear(self):
        """All can be forgotten at once."""
        self.memory.remember(VALUE, "amir", 1000.0)
        self.memory.remember_wrong(OTHER, "amir", 1000.0)
        self.memory.clear()
        self.assertEqual(len(self.memory), 0)
        self.assertFalse(self.memory.is_wrong(self.memory.digest(OTHER), 1000.0))
