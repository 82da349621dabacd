"""The versions of a fetched list: taken, held, accepted, rejected, gone back to, kept and forgotten."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.backends.lists.shelf import (
    FETCHING_FILE,
    HELD,
    MAX_EVENTS,
    TAKEN,
    Event,
    Held,
    Kept,
    Shelf,
    ShelfError,
    ShelfState,
    fetching_since,
    read_shelf,
)
from corpproxy.destination.brake import Findings


class FetchingTests(SynchronousTestCase):
    """Whether somebody fetches a list just now."""

    def test_fetching(self):
        """It is known while it is done, and not afterwards; one process at a time does."""
        shelf = Shelf(Path(self.mktemp()) / "ads.txt", 2)
        self.assertIsNone(fetching_since(shelf.folder))
        with shelf.fetching(1_795_000_000.0):
            self.assertEqual(fetching_since(shelf.folder), 1_795_000_000.0)
            self.assertRaises(BlockingIOError, shelf.fetching(1.0).__enter__)
        self.assertIsNone(fetching_since(shelf.folder))

    def test_killed(self):
        """A process that was killed leaves its mark, which counts for nothing."""
        shelf = Shelf(Path(self.mktemp()) / "ads.txt", 2)
        shelf.folder.mkdir(parents=True)
        (shelf.folder / FETCHING_FILE).write_text("999999999 1795000000\n")
        self.assertIsNone(fetching_since(shelf.folder))


class ShelfCase(SynchronousTestCase):
    """A shelf that keeps two predecessors."""

    def setUp(self):
        self.folder = Path(self.mktemp()) / "ads"
        self.shelf = Shelf(self.folder / "ads.txt", 2)
        self.at = 100.0

    def add(self, version: str) -> None:
        with self.shelf.alone():
            pass
        file = self.folder / "new"
        file.write_text(version)
        self.shelf.add(Kept(version, self.at, "https://lists.example/", 1, {"ads": 1}), file, b"index")
        self.shelf.note(fetched=version)

    def take(self, *versions: str) -> None:
        for version in versions:
            self.add(version)
            self.shelf.take(version, Event(self.at, TAKEN, version, "corpproxy", 0))

    def hold(self, version: str) -> None:
        self.add(version)
        held = Held(version, self.at, ["shrinks"], ["it shrinks"], Findings(after={}))
        self.shelf.hold(held, Event(self.at, HELD, version, "corpproxy", 0, "it shrinks"))

    @property
    def in_force(self) -> str:
        return self.shelf.path.read_text()

    def kept(self) -> list[str]:
        return sorted(one.stem for one in self.folder.glob("v*.txt"))


class VersionTests(ShelfCase):
    """Which version is in force."""

    def test_nothing(self):
        """A shelf that is not there yet knows nothing."""
        self.assertEqual(self.shelf.state, ShelfState())
        self.assertIsNone(self.shelf.state.in_force)

    def test_taken(self):
        """A version that is taken has the list's own name, whole, and its own."""
        self.take("v1", "v2")
        self.assertEqual((self.in_force, self.kept()), ("v2", ["v1", "v2"]))
        self.assertEqual(self.shelf.state.in_force.version, "v2")
        self.assertEqual([one.name for one in self.folder.glob(".*.*") if "lock" not in one.name], [])

    def test_kept(self):
        """So many predecessors stay as the policy says; files of older ones go."""
        self.take("v1", "v2", "v3", "v4")
        self.assertEqual(self.kept(), ["v2", "v3", "v4"])
        self.assertEqual(sorted(one.stem for one in self.folder.glob("*.index")), ["v2", "v3", "v4"])

    def test_held(self):
        """A version that is held is not in force, and is kept."""
        self.take("v1")
        self.hold("v2")
        self.assertEqual((self.in_force, self.kept()), ("v1", ["v1", "v2"]))

    def test_held_twice(self):
        """A newer version that is held takes the place of the older."""
        self.take("v1")
        self.hold("v2")
        self.hold("v3")
        self.assertEqual((self.shelf.state.held.version, self.kept()), ("v3", ["v1", "v3"]))

    def test_held_blocks_nothing(self):
        """A version that is good is taken although an older one was held, which is then forgotten."""
        self.take("v1")
        self.hold("v2")
        self.take("v3")
        self.assertEqual((self.in_force, self.shelf.state.held), ("v3", None))
        self.assertEqual(self.kept(), ["v1", "v3"])

    def test_mended(self):
        """The version in force is put back into its place."""
        self.take("v1")
        self.shelf.path.unlink()
        self.shelf.mend()
        self.assertEqual(self.in_force, "v1")

    def test_without_links(self):
        """A file system without hard links has copies."""

        def refused(*_: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        self.patch(__import__("os"), "link", refused)
        self.take("v1", "v2")
        self.assertEqual((self.in_force, self.kept()), ("v2", ["v1", "v2"]))

    def test_damaged(self):
        """A state that cannot be read is none."""
        self.take("v1")
        (self.folder / "state.json").write_bytes(b"\xff{")
        self.assertEqual(read_shelf(self.folder), ShelfState())


class SettledTests(ShelfCase):
    """What people do."""

    def test_accept(self):
        """What is held comes into force, and who did it is kept with why it was held."""
        self.take("v1")
        self.hold("v2")
        self.assertEqual(self.shelf.accept("", 200.0, "beth", 1001).version, "v2")
        state = self.shelf.state
        self.assertEqual((self.in_force, state.held), ("v2", None))
        self.assertEqual(state.events[-1], Event(200.0, "accepted", "v2", "beth", 1001, "it shrinks"))

    def test_reject(self):
        """What is held is thrown away and remembered as such; what was in force is."""
        self.take("v1")
        self.hold("v2")
        self.shelf.reject(200.0, "beth", 1001)
        state = self.shelf.state
        self.assertEqual((self.in_force, state.held, state.rejected), ("v1", None, ["v2"]))
        self.assertEqual((state.events[-1].what, state.events[-1].by), ("rejected", "beth"))

    def test_accept_after_reject(self):
        """Who rejected in haste can accept the version by its name."""
        self.take("v1")
        self.hold("v2")
        self.shelf.reject(200.0, "beth", 1001)
        self.shelf.accept("v2", 300.0, "beth", 1001)
        self.assertEqual((self.in_force, self.shelf.state.rejected), ("v2", []))

    def test_roll_back(self):
        """The version of before comes back; the one that was is not taken again by itself."""
        self.take("v1", "v2")
        was, is_now = self.shelf.roll_back(200.0, "beth", 1001)
        self.assertEqual((was.version, is_now.version, self.in_force), ("v2", "v1", "v1"))
        self.assertEqual(self.shelf.state.rejected, ["v2"])
        self.assertEqual(self.shelf.state.events[-1].why, "in the place of v2")

    def test_roll_back_twice(self):
        """One can go back as far as versions are kept."""
        self.take("v1", "v2", "v3")
        self.shelf.roll_back(200.0, "beth", 1001)
        self.shelf.roll_back(300.0, "beth", 1001)
        self.assertEqual(self.in_force, "v1")
        error = self.assertRaises(ShelfError, self.shelf.roll_back, 400.0, "beth", 1001)
        self.assertEqual(error.code, "no-version")

    def test_back_and_forth(self):
        """A version that was gone back from can be accepted by its name."""
        self.take("v1", "v2")
        self.shelf.roll_back(200.0, "beth", 1001)
        self.shelf.accept("v2", 300.0, "beth", 1001)
        self.assertEqual((self.in_force, self.shelf.state.forces), ("v2", ["v1", "v2"]))

    def test_back_by_name(self):
        """Who accepts an older version goes back: the newer one is not taken again by itself."""
        self.take("v1")
        self.at = 150.0
        self.take("v2")
        self.shelf.accept("v1", 200.0, "beth", 1001)
        self.assertEqual((self.in_force, self.shelf.state.rejected), ("v1", ["v2"]))
        self.shelf.accept("v2", 300.0, "beth", 1001)
        self.assertEqual((self.in_force, self.shelf.state.rejected), ("v2", []))

    def test_nothing_held(self):
        """Without a version that is held, the kept ones are offered."""
        self.take("v1", "v2")
        error = self.assertRaises(ShelfError, self.shelf.accept, "", 200.0, "beth", 1001)
        self.assertEqual(error.code, "nothing-held")
        self.assertIn("kept are: v1, v2; name one with --version", error.message)
        self.assertEqual(self.assertRaises(ShelfError, self.shelf.reject, 1.0, "b", 1).code, "nothing-held")

    def test_unknown(self):
        """A version that is not kept cannot be accepted, nor one that is in force."""
        self.take("v1")
        for version, code in (("v9", "no-version"), ("v1", "in-force")):
            error = self.assertRaises(ShelfError, self.shelf.accept, version, 200.0, "beth", 1001)
            self.assertEqual(error.code, code)

    def test_file_gone(self):
        """A version whose file is gone cannot come into force, and the one in force stays."""
        self.take("v1")
        self.hold("v2")
        self.shelf.file_of("v2").unlink()
        self.assertRaises(ShelfError, self.shelf.accept, "", 200.0, "beth", 1001)
        self.assertEqual(self.in_force, "v1")

    def test_events_end(self):
        """What was done is kept as far back as anybody asks."""
        self.take("v1", "v2")
        for _ in range(MAX_EVENTS):
            self.shelf.roll_back(200.0, "beth", 1001)
            self.shelf.accept("v2", 200.0, "beth", 1001)
        self.assertEqual(len(self.shelf.state.events), MAX_EVENTS)
