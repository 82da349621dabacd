"""What a list said on another day stays as long as a record cites it, and no longer."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
from twisted.internet.error import ProcessDone, ProcessTerminated

from corpproxy.backends.lists.files import index_path
from corpproxy.backends.lists.past import (
    KNOWN_FILE,
    PAST_FOLDER,
    WAITING,
    PastLists,
    is_kept,
    kept_octets,
    known_versions,
    leave,
)
from corpproxy.backends.lists.past_job import PastJob, keep_past
from corpproxy.backends.lists.past_keeper import PastKeeper
from corpproxy.backends.records.cited import OUTLIVED_SECONDS
from corpproxy.backends.records.segments import RECORDS_FOLDER, segment_name
from corpproxy.destination.host import normal_host
from corpproxy.destination.overlay import Layer
from corpproxy.destination.sources import ListSource
from tests.backends.list_samples import write_list
from tests.backends.lists.test_build import ListsTestCase
from tests.backends.lists.test_watch import Reactor

DAY = 86_400.0


class PastCase(ListsTestCase):
    """Two lists, built, with versions of them kept."""

    def setUp(self) -> None:
        super().setUp()
        self.index = self.build()

    @property
    def kept(self) -> Path:
        return self.state / PAST_FOLDER

    def version(self, name: str) -> str:
        """The version of a list that is in force."""
        return self.index.versions[name]

    def keep(self, now: float = 1000.0, *of_one_category: str) -> None:
        """Keep what is in force."""
        leave(self.state)
        keep_past(PastJob(str(self.state), list(of_one_category)), now)

    def change(self, *names: str) -> None:
        """Have the list of advertisements name others, and build again."""
        write_list(self.ads.path, *(f"0.0.0.0 {name}" for name in names))
        self.index = self.build()

    def asked(self, source: ListSource, version: str, host: str, path: str = "") -> list[str] | None:
        """The categories that a version gives a host, None where it is not kept."""
        layer = PastLists(self.state)(source, version)
        return None if layer is None else categories(layer, host, path)

    def record(self, moment: str) -> None:
        """Have records begin at a moment."""
        folder = self.state / RECORDS_FOLDER
        folder.mkdir(exist_ok=True)
        (folder / segment_name(moment, 0, 1)).write_bytes(b"")


def categories(layer: Layer, host: str, path: str) -> list[str]:
    """What a layer says of a host."""
    return [match.category for match in layer.categories(normal_host(host), path)]


class KeepingTests(PastCase):
    """Which versions stand there, and what they say."""

    def test_says_what_it_said(self) -> None:
        """A list of then answers for itself alone, with names, URLs and expressions."""
        self.keep()
        ut1 = self.version("ut1")
        self.assertEqual(self.asked(self.ut1, ut1, "www.ads.example"), ["ads", "publicite"])
        self.assertEqual(self.asked(self.ut1, ut1, "example.com", "/games/1"), ["games"])
        self.assertEqual(self.asked(self.ut1, ut1, "a.example", "/casino7"), ["games"])
        self.assertEqual(self.asked(self.ads, self.version("ads"), "a.example"), ["ads"])

    def test_stays_when_the_list_changes(self) -> None:
        """What a list does not say any more was said by its version of then."""
        self.keep()
        before = self.version("ads")
        self.record("19700101T000000Z")
        self.change("new.example")
        self.keep()
        self.assertEqual(self.asked(self.ads, before, "a.example"), ["ads"])
        self.assertEqual(self.asked(self.ads, self.version("ads"), "a.example"), [])
        self.assertEqual(self.asked(self.ads, self.version("ads"), "new.example"), ["ads"])
        self.assertEqual(
            {name: count for name, (count, _) in kept_octets(self.state).items()}, {"ads": 2, "ut1": 1}
        )

    def test_only_list(self) -> None:
        """The index of the only list is kept as it is, and stays when another takes its place."""
        self.index = self.build(self.ads)
        self.keep()
        (path,) = (self.kept / "ads").glob("*.index")
        self.assertTrue(os.path.samefile(path, index_path(self.state)))
        before = self.version("ads")
        write_list(self.ads.path, "0.0.0.0 new.example")
        self.index = self.build(self.ads)
        self.assertEqual(self.asked(self.ads, before, "a.example"), ["ads"])
        self.assertEqual(self.asked(self.ads, before, "new.example"), [])

    def test_not_kept(self) -> None:
        """A version that nobody kept is not made up, nor is one that is damaged."""
        self.keep()
        self.assertIsNone(self.asked(self.ads, "0123456789ab", "a.example"))
        (self.kept / "ads" / f"{self.version('ads')}.index").write_bytes(b"half")
        self.assertIsNone(self.asked(self.ads, self.version("ads"), "a.example"))

    def test_one_category(self) -> None:
        """A list whose entries are in one category now has them there, whatever it called them."""
        self.keep()
        one = ListSource("ut1", "ut1", self.ut1.path, "bad")
        self.assertEqual(self.asked(one, self.version("ut1"), "www.ads.example"), ["bad"])
        self.assertEqual(self.asked(one, self.version("ut1"), "bbc.co.uk"), [])
        layer = PastLists(self.state)(one, self.version("ut1"))
        assert layer is not None
        self.assertEqual((layer.known_categories, layer.aliases), ({"bad"}, {}))

    def test_own_categories_lost(self) -> None:
        """Where a list was read as one category, its own ones cannot be told."""
        self.ut1 = ListSource("ut1", "ut1", self.ut1.path, "bad")
        self.index = self.build()
        self.keep(1000.0, "ut1")
        version = self.version("ut1")
        self.assertEqual(self.asked(self.ut1, version, "www.ads.example"), ["bad"])
        self.assertIsNone(self.asked(ListSource("ut1", "ut1", self.ut1.path), version, "www.ads.example"))

    def test_missing_list(self) -> None:
        """A list that could not be read has no version."""
        self.ads.path.unlink()
        index_path(self.state).unlink()
        self.index = self.build()
        self.keep()
        self.assertEqual(list(kept_octets(self.state)), ["ut1"])


class ForgettingTests(PastCase):
    """What nobody can cite goes."""

    def setUp(self) -> None:
        super().setUp()
        self.keep(now=0.0)
        self.before = self.version("ads")

    def is_there(self) -> bool:
        return self.asked(self.ads, self.before, "a.example") is not None

    def test_cited(self) -> None:
        """As long as records of its days are kept it stays, and so long that a tunnel may outlive it."""
        self.record("19700301T000000Z")
        self.change("new.example")
        for now, is_there in ((30 * DAY, True), (40 * DAY, True)):
            self.keep(now)
            self.assertEqual(self.is_there(), is_there, now)

    def test_not_cited(self) -> None:
        """When all records are of later days, it goes; the version in force never does."""
        self.change("new.example")
        self.keep(1.0)
        self.record("19710101T000000Z")
        self.keep(2 * OUTLIVED_SECONDS)
        self.assertFalse(self.is_there())
        self.assertEqual(self.asked(self.ads, self.version("ads"), "new.example"), ["ads"])

    def test_back_again(self) -> None:
        """A version that is in force again is not over."""
        self.change("new.example")
        self.keep(1.0)
        write_list(self.ads.path, "0.0.0.0 ads.example", "0.0.0.0 a.example", at=1000.0)
        self.index = self.build()
        self.assertEqual(self.version("ads"), self.before)
        self.keep(2.0)
        self.record("19710101T000000Z")
        self.keep(2 * OUTLIVED_SECONDS)
        self.assertTrue(self.is_there())

    def test_nothing_recorded(self) -> None:
        """Where there is no record yet, an exchange may run that will cite what it began with."""
        self.change("new.example")
        self.keep(1.0)
        self.keep(OUTLIVED_SECONDS)
        self.assertTrue(self.is_there())
        self.keep(OUTLIVED_SECONDS + 2.0)
        self.assertFalse(self.is_there())

    def test_list_gone(self) -> None:
        """A list that is no longer in the policy leaves nothing in the end."""
        self.index = self.build(self.ut1)
        self.keep(1.0)
        self.record("19710101T000000Z")
        self.keep(2 * OUTLIVED_SECONDS)
        self.assertFalse((self.kept / "ads").exists())

    def test_damaged_book(self) -> None:
        """Without what is known of them, versions count as in force until now."""
        (self.kept / KNOWN_FILE).write_bytes(b"{")
        self.change("new.example")
        self.keep(7.0)
        self.assertIn(7.0, known_versions(self.state).until.values())
        self.assertTrue(self.is_there())


class KeeperTests(PastCase):
    """When a running service has it done."""

    def setUp(self) -> None:
        super().setUp()
        self.reactor = Reactor()
        self.keeper = PastKeeper(self.reactor, self.state, (self.ut1, self.ads))

    def child_works(self) -> None:
        child = self.reactor.children[-1]
        keep_past(msgspec.json.decode(child.written, type=PastJob), 1000.0)
        child.ends(ProcessDone(0))

    def test_once(self) -> None:
        """An index is taken up once; after a restart with the same lists there is nothing to do."""
        self.keeper.note(self.index)
        self.child_works()
        self.assertTrue(is_kept(self.state, self.index, ["ads"]))
        self.keeper.note(self.index)
        self.assertEqual(len(self.reactor.children), 1)

    def test_waits_without_a_copy(self) -> None:
        """What waits is a second name of the index, and stays what it is when another one comes."""
        self.keeper.note(self.index)
        (waiting,) = (self.kept / WAITING).iterdir()
        self.assertTrue(os.path.samefile(waiting, index_path(self.state)))
        before = self.version("ads")
        self.change("new.example")
        self.keeper.note(self.index)
        self.assertEqual(len(self.reactor.children), 1)
        self.child_works()
        self.assertEqual(len(self.reactor.children), 2)
        self.record("19700101T000000Z")
        self.child_works()
        self.assertIsNotNone(self.asked(self.ads, self.version("ads"), "a.example"))
        self.assertNotEqual(before, self.version("ads"))

    def test_killed(self) -> None:
        """What a child did not come to is done after the next start."""
        self.keeper.note(self.index)
        self.keeper.stop()
        self.assertEqual(self.reactor.children[0].signals, ["KILL"])
        self.keeper = PastKeeper(self.reactor, self.state, (self.ut1, self.ads))
        self.keeper.note(self.index)
        self.child_works()
        self.assertEqual(list((self.kept / WAITING).iterdir()), [])
        self.assertEqual(self.asked(self.ads, self.version("ads"), "a.example"), ["ads"])

    def test_failure(self) -> None:
        """A disk that is full is told once; the lists are in force all the same."""
        for _ in range(2):
            self.keeper.note(self.index)
            self.reactor.children[-1].ends(ProcessTerminated(1), b"lists-past: No space left on device\n")
        (error,) = self.flushLoggedErrors() or [None]
        self.assertIsNone(error)

    def test_no_index(self) -> None:
        """Where the index is gone before it can be kept, nothing is started."""
        index_path(self.state).unlink()
        self.keeper.note(self.index)
        self.assertEqual(self.reactor.children, [])
