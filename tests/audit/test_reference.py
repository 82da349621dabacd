"""References are short, unique and sort in the order they were made."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit import reference
from corpproxy.audit.reference import ALPHABET, EPOCH, LENGTH, References, begun_at, read_reference

NOW = 1_795_428_000.5


class ReferenceTests(SynchronousTestCase):
    """The names of exchanges."""

    def test_form(self) -> None:
        """A reference has fourteen characters that survive being read out."""
        made = References(77).next(NOW)
        self.assertEqual(len(made), LENGTH)
        self.assertLessEqual(set(made), set(ALPHABET))
        self.assertFalse(set("ilou") & set(ALPHABET))

    def test_processes(self) -> None:
        """Two processes in the same second make different references."""
        self.assertNotEqual(References(1).next(NOW), References(2).next(NOW))

    def test_busy_second(self) -> None:
        """A second that has more exchanges than its count goes to borrows from the next."""
        self.patch(reference, "_PER_SECOND", 3)
        names = References(1)
        made = [names.next(NOW) for _ in range(10)]
        self.assertEqual(made, sorted(set(made)))
        self.assertGreater(names.next(NOW + 1), made[-1])

    def test_begun(self) -> None:
        """A reference tells the second in which its exchange began."""
        self.assertEqual(begun_at(References(77).next(NOW)), int(NOW))

    def test_read_out(self) -> None:
        """A reference that was read out or copied by hand is still found."""
        made = References(1).next(NOW)
        spoken = f" {made.upper().replace('0', 'O').replace('1', 'l')} "
        self.assertEqual(read_reference(spoken), made)

    def test_no_reference(self) -> None:
        """What is none is said to be none."""
        for written in ("", "0wpf3s9k2m000", "0wpf3s9k2m00044", "0wpf3s9k2m000u", "../../etc/passwd"):
            wrong = self.assertRaises(ValueError, read_reference, written)
            self.assertIn("is no reference; it has 14 letters and digits", str(wrong))

    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.floats(0, EPOCH * 1.5), max_size=30))
    def test_clock_jumps(self, moments) -> None:
        """However the clock jumps, each reference is new and sorts after the one before."""
        names = References(5)
        made = [names.next(at) for at in moments]
        self.assertEqual(made, sorted(set(made)))
