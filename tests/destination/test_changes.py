"""What came and went between two versions of a list."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.destination.changes import new_entries
from tests.destination.test_overlay import index

OLD = index(fun={"games": ["a.example", "b.example", "/poker[0-9]/"], "chess": ["a.example"]})
NEW = index(fun={"games": ["a.example", "c.example/x", "/casino/"], "chess": ["b.example"]})


class ChangesTests(SynchronousTestCase):
    """Entries by category."""

    def test_came(self):
        """Names, URLs and expressions that came are told with their category."""
        self.assertEqual(
            sorted(new_entries(NEW, OLD)),
            [("chess", "b.example"), ("games", "/casino/"), ("games", "c.example/x")],
        )

    def test_gone(self):
        """What went is what the old has and the new has not; another category is a change."""
        self.assertEqual(
            sorted(new_entries(OLD, NEW)),
            [("chess", "a.example"), ("games", "/poker[0-9]/"), ("games", "b.example")],
        )

    def test_first(self):
        """Of a first version all came, and nothing went."""
        self.assertEqual(len(list(new_entries(OLD, None))), 4)
        self.assertEqual(list(new_entries(None, OLD)), [])
