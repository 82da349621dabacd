"""Guessing is slowed, and nobody is kept out by another."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.identity.attempts import (
    ADDRESS_MAX_DELAY_SECONDS,
    FORGET_SECONDS,
    FREE_PER_PAIR,
    MAX_DELAY_SECONDS,
    Attempts,
)

ROOM = "10.1.0.1"


class AttemptsTests(SynchronousTestCase):
    """How long the next try waits."""

    def setUp(self):
        self.attempts = Attempts()

    def fail(self, name, count, *, address=ROOM, now=1000.0, first=0):
        for n in range(first, first + count):
            self.attempts.failed(name, address, b"%s%d" % (name.encode(), n), now)

    def test_growing(self):
        """Mistyping a few times is free; then each wrong password doubles the wait, up to a bound."""
        waits = []
        for n in range(12):
            self.fail("amir", 1, first=n)
            waits.append(self.attempts.delay_seconds("amir", ROOM, 1000.0))
        self.assertEqual(waits[: FREE_PER_PAIR + 3], [0, 0, 1, 2, 4, 8])
        self.assertEqual(max(waits), MAX_DELAY_SECONDS)
        self.assertEqual(waits[-1], MAX_DELAY_SECONDS)

    def test_waited_already(self):
        """Who waits between the tries does not wait again."""
        self.fail("amir", 5)
        self.assertEqual(self.attempts.delay_seconds("amir", ROOM, 1001.0), 3)
        self.assertEqual(self.attempts.delay_seconds("amir", ROOM, 1004.0), 0)

    def test_same_password_counts_once(self):
        """A browser that repeats one wrong password is not somebody who guesses."""
        for n in range(500):
            self.attempts.failed("amir", ROOM, b"one", 1000.0 + n)
        self.assertEqual(self.attempts.delay_seconds("amir", ROOM, 1500.0), 0)

    def test_other_address_works_at_once(self):
        """Nobody can keep another person out: the delay stays with the address it came from."""
        self.fail("amir", 50)
        self.assertGreater(self.attempts.delay_seconds("amir", ROOM, 1000.0), 0)
        self.assertEqual(self.attempts.delay_seconds("amir", "10.2.0.1", 1000.0), 0)

    def test_success_forgives(self):
        """The right password ends the delay."""
        self.fail("amir", 10)
        self.attempts.succeeded("amir", ROOM)
        self.assertEqual(self.attempts.delay_seconds("amir", ROOM, 1000.0), 0)

    def test_forgotten(self):
        """After a quarter of an hour of quiet the count begins anew."""
        self.fail("amir", 10)
        self.fail("amir", 1, first=50, now=1000.0 + FORGET_SECONDS)
        self.assertEqual(self.attempts.delay_seconds("amir", ROOM, 1000.0 + FORGET_SECONDS), 0)

    def test_spraying(self):
        """One password tried on many names from one address is slowed, also for names not yet tried."""
        for n in range(100):
            self.fail(f"user{n}", 1)
        delay = self.attempts.delay_seconds("user100", ROOM, 1000.0)
        self.assertEqual(delay, ADDRESS_MAX_DELAY_SECONDS)
        self.assertEqual(self.attempts.delay_seconds("user100", "10.2.0.1", 1000.0), 0)

    def test_room_behind_one_address(self):
        """Thirty people behind one address who sign in right, some after mistyping, never wait."""
        for n in range(30):
            self.assertEqual(self.attempts.delay_seconds(f"user{n}", ROOM, 1000.0 + n), 0)
            if n % 3 == 0:
                self.fail(f"user{n}", 2, now=1000.0 + n)
            self.attempts.succeeded(f"user{n}", ROOM)

    def test_neighbours_of_a_guesser(self):
        """Who once signed in from an address does not pay for a guesser there."""
        self.attempts.succeeded("amir", ROOM)
        for n in range(100):
            self.fail(f"user{n}", 1)
        self.assertEqual(self.attempts.delay_seconds("amir", ROOM, 1000.0), 0)
        self.assertGreater(self.attempts.delay_seconds("beth", ROOM, 1000.0), 0)

    def test_address_works_it_off(self):
        """An address that stays quiet is free again within minutes."""
        for n in range(100):
            self.fail(f"user{n}", 1)
        self.assertEqual(self.attempts.delay_seconds("beth", ROOM, 1420.0), 0)

    def test_ipv6_network_is_one_guesser(self):
        """All addresses of one IPv6 network share what the network owes."""
        for n in range(100):
            self.fail("amir", 1, address=f"2001:db8::{n:x}", first=n)
        self.assertGreater(self.attempts.delay_seconds("amir", "2001:db8::ffff", 1000.0), 0)
        self.assertEqual(self.attempts.delay_seconds("amir", "2001:db8:0:1::1", 1000.0), 0)

    def test_mapped_is_ipv4(self):
        """An IPv4 client on a socket for both families is one guesser, not the family."""
        for n in range(100):
            self.fail(f"user{n}", 1, address="::ffff:10.1.0.1")
        self.assertEqual(self.attempts.delay_seconds("amir", "::ffff:10.1.0.2", 1000.0), 0)

    def test_clock_goes_back(self):
        """A clock that goes back a year makes nobody wait longer than the longest delay."""
        self.fail("amir", 50)
        self.assertLessEqual(self.attempts.delay_seconds("amir", ROOM, -3e7), MAX_DELAY_SECONDS)

    def test_clock_goes_ahead(self):
        """A clock that jumps ahead forgives."""
        self.fail("amir", 50)
        self.assertEqual(self.attempts.delay_seconds("amir", ROOM, 3e9), 0)

    def test_bound(self):
        """However many names are tried, only so many are held; the oldest go."""
        attempts = Attempts(limit=50)
        for n in range(500):
            attempts.failed(f"user{n}", f"10.0.{n // 250}.{n % 250}", b"x", 1000.0)
        self.assertEqual(len(attempts), 50)

    def test_nonsense_address(self):
        """An address that is none is taken as it stands."""
        self.fail("amir", 5, address="::what")
        self.assertGreater(self.attempts.delay_seconds("amir", "::what", 1000.0), 0)

    @given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["1", "::1"]), st.binary(max_size=1),
                              st.floats(-1e10, 1e10)), max_size=60))  # fmt: skip
    @settings(max_examples=60)
    def test_always_bounded(self, tries):
        """Whatever is tried and whatever the clock does, a delay is between nothing and its bound."""
        attempts = Attempts(limit=3)
        for name, address, digest, now in tries:
            self.assertTrue(0 <= attempts.delay_seconds(name, address, now) <= MAX_DELAY_SECONDS)
            attempts.failed(name, address, digest, now)
            self.assertLessEqual(len(attempts), 3)
