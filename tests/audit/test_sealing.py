"""Boxes are opened by their key alone, and what is split by two of its keepers together."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.sealing import CannotOpen, joined, new_key, seal, split, unseal
from tests.support.examples import EXAMPLES

KEYS = [new_key(os.urandom) for _ in range(4)]
PUBLIC = [key.public_key() for key in KEYS]


class BoxTests(SynchronousTestCase):
    """One box."""

    @EXAMPLES
    @given(content=st.binary(max_size=500))
    def test_opened(self, content):
        """Its key opens it."""
        self.assertEqual(unseal(seal(content, PUBLIC[0], os.urandom), KEYS[0]), content)

    def test_another_key(self):
        """No other key does."""
        box = seal(b"amir", PUBLIC[0], os.urandom)
        self.assertRaises(CannotOpen, unseal, box, KEYS[1])

    def test_changed(self):
        """A box of which any octet was changed, or which was cut, is told."""
        box = seal(b"amir", PUBLIC[0], os.urandom)
        for at in range(len(box)):
            changed = box[:at] + bytes([box[at] ^ 1]) + box[at + 1 :]
            if at != 31:  # X25519 passes over the highest bit; the derived key does not
                self.assertRaises(CannotOpen, unseal, changed, KEYS[0])
        for length in (0, 31, 32, len(box) - 1):
            self.assertRaises(CannotOpen, unseal, box[:length], KEYS[0])

    def test_length(self):
        """The length of a box does not tell a short name from a long one; no two boxes are the same."""
        boxes = [seal(name, PUBLIC[0], os.urandom) for name in (b"al", b"maximiliane", b"al")]
        self.assertEqual(len({len(box) for box in boxes}), 1)
        self.assertEqual(len(set(boxes)), 3)


class SplitTests(SynchronousTestCase):
    """A secret of several keepers."""

    def setUp(self):
        self.secret = os.urandom(32)
        self.halves = list(split(self.secret, PUBLIC[:3], os.urandom))

    def test_any_two(self):
        """Any two of them open it, in any order; so do more."""
        for one, other in ((0, 1), (1, 0), (0, 2), (2, 1)):
            self.assertEqual(joined(self.halves, [KEYS[one], KEYS[other]]), self.secret)
        self.assertEqual(joined(self.halves, KEYS), self.secret)

    def test_not_alone(self):
        """None does alone, nor with the same key twice, nor with somebody else's."""
        for keys in ([], [KEYS[0]], [KEYS[0], KEYS[0]], [KEYS[0], KEYS[3]]):
            self.assertRaises(CannotOpen, joined, self.halves, keys)

    def test_half_says_nothing(self):
        """What one keeper can open is not the secret, nor a part of it."""
        for half in self.halves:
            for key in KEYS[:3]:
                try:
                    opened = unseal(bytes.fromhex(half.box), key)
                except CannotOpen:
                    continue
                self.assertFalse(
                    any(a == self.secret[at : at + 4] for at in range(29) for a in [opened[at : at + 4]])
                )
