"""What was fetched of lists that are not in the policy any more."""

from __future__ import annotations

from pathlib import Path

from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.backends.lists.removed import KEPT_SECONDS, RemovedLists, removed_lists
from corpproxy.backends.lists.shelf import Shelf, ShelfState
from corpproxy.destination.fetched_place import fetched_path
from corpproxy.destination.fetching import Fetch
from corpproxy.destination.sources import ListSource

NOON = 1_795_000_000.0
URL = "https://lists.example/fun.txt"


class RemovedTests(SynchronousTestCase):
    """Noted, kept for a week, deleted."""

    def setUp(self):
        self.state = Path(self.mktemp())
        self.removed = RemovedLists(self.state)
        self.events = []
        self.removed.log = Logger(observer=self.events.append)
        self.fun, self.ads = self.fetched("fun & games"), self.fetched("ads")

    def fetched(self, name):
        """A list that was fetched once."""
        source = ListSource(name, "names", fetched_path(self.state, name, "names", URL), fetch=Fetch((URL,)))
        shelf = Shelf(source.path, 1)
        shelf.folder.mkdir(parents=True)
        shelf.write(ShelfState())
        return source

    def look(self, sources, days=0.0):
        self.removed.look(sources, NOON + days * 86_400)

    def test_in_the_policy(self):
        """What the policy has stays, however long."""
        for days in (0, 8, 80):
            self.look([self.fun, self.ads], days)
        self.assertTrue(self.fun.path.parent.is_dir() and self.ads.path.parent.is_dir())
        self.assertEqual((self.events, list(removed_lists(self.state, [self.fun, self.ads]))), ([], []))

    def test_removed(self):
        """A list that is gone is told of, and deleted a week later, which is told too."""
        self.look([self.ads])
        (found,) = removed_lists(self.state, [self.ads])
        self.assertEqual((found.name, found.goes_at), ("fun & games", NOON + KEPT_SECONDS))
        self.look([self.ads], 6.9)
        self.assertTrue(self.fun.path.parent.is_dir())
        self.look([self.ads], 7.1)
        self.assertFalse(self.fun.path.parent.exists())
        self.assertTrue(self.ads.path.parent.is_dir())
        self.assertEqual([one["name"] for one in self.events], ["fun & games", "fun & games"])

    def test_back_again(self):
        """One that comes back to the policy begins anew."""
        self.look([self.ads])
        self.look([self.ads, self.fun], 3)
        self.look([self.ads], 8)
        self.assertTrue(self.fun.path.parent.is_dir())

    def test_not_ours(self):
        """What the service did not make is left alone."""
        (self.state / "lists" / "mine").mkdir()
        (self.state / "lists" / "link").symlink_to(self.ads.path.parent.name)
        self.look([self.fun, self.ads])
        self.look([self.fun, self.ads], 30)
        self.assertTrue((self.state / "lists" / "mine").is_dir())
        self.assertTrue((self.state / "lists" / "link").is_symlink())

    def test_being_fetched(self):
        """One that is being fetched just then is left for the next look."""
        self.look([self.ads])
        with Shelf(self.fun.path, 1).fetching(NOON):
            self.look([self.ads], 8)
            self.assertTrue(self.fun.path.parent.is_dir())
        self.look([self.ads], 8)
        self.assertFalse(self.fun.path.parent.exists())
