"""A running service takes up its lists as they change, and keeps what it had when something breaks."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from corpproxy.backends.lists.build import Job, build
from corpproxy.backends.lists.files import BUILD_SECONDS, index_path
from corpproxy.backends.lists.watch import LOOK_SECONDS, RETRY_SECONDS, ListKeeper
from corpproxy.destination.index import CategoryIndex
from corpproxy.destination.sources import ListSource
from tests.backends.list_samples import write_list
from tests.backends.lists.test_build import ListsTestCase


class Child:
    """A child process, as its protocol sees it."""

    def __init__(self, protocol: Any) -> None:
        self.protocol = protocol
        self.written = b""
        self.signals: list[str] = []
        self.is_over = False
        protocol.makeConnection(self)

    def writeToChild(self, descriptor: int, octets: bytes) -> None:
        self.written += octets

    def closeStdin(self) -> None:
        pass

    def signalProcess(self, name: str) -> None:
        if self.is_over:
            raise ProcessExitedAlready
        self.signals.append(name)

    def works(self, at: float = 100.0) -> None:
        """Do the job and end well."""
        build(msgspec.json.decode(self.written, type=Job), at)
        self.ends(ProcessDone(0))

    def ends(self, reason: Exception, said: bytes = b"") -> None:
        """End, having said something."""
        self.is_over = True
        self.protocol.errReceived(said)
        self.protocol.processEnded(Failure(reason))


class Reactor(Clock):
    """Time, and children that do nothing by themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.children: list[Child] = []

    def spawnProcess(self, protocol: Any, executable: str, args: Any, env: Any) -> Child:
        child = Child(protocol)
        self.children.append(child)
        return child


class KeeperTests(ListsTestCase):
    """The keeper, with children in hand."""

    def setUp(self) -> None:
        super().setUp()
        self.reactor = Reactor()
        self.taken: list[CategoryIndex] = []

    def keeper(self) -> ListKeeper:
        keeper = ListKeeper(
            self.reactor,
            (self.ut1, self.ads),
            self.state,
            self.taken.append,
            lambda: 2000.0 + self.reactor.seconds(),
        )
        self.addCleanup(keeper.stop)
        return keeper

    def looks(self, times: int = 1) -> None:
        for _ in range(times):
            self.reactor.advance(LOOK_SECONDS)

    @property
    def children(self) -> list[Child]:
        return self.reactor.children

    def started(self) -> ListKeeper:
        """A keeper whose first index is built."""
        keeper = self.keeper()
        keeper.start()
        self.children[-1].works()
        return keeper

    def test_first_start(self) -> None:
        """Without an index one is built at once, and until then the lists are missing."""
        keeper = self.keeper()
        keeper.start()
        self.assertEqual((keeper.index, self.taken, keeper.is_building), (None, [], True))
        self.assertEqual([problem.code for problem in keeper.problems], ["list-missing"] * 2)
        self.assertEqual((keeper.ages, keeper.entries), ({}, {}))
        self.children[0].works()
        self.assertEqual(self.taken, [keeper.index])
        self.assertEqual((keeper.problems, keeper.is_building), ((), False))
        self.assertEqual(keeper.ages["ads"], 1000.0)
        self.assertEqual(keeper.entries, {"ut1": 7, "ads": 2})
        self.looks(10)
        self.assertEqual(len(self.children), 1)

    def test_start_with_an_index(self) -> None:
        """An index of before is in force at once, and nothing is built while the lists are as they were."""
        self.build()
        keeper = self.keeper()
        keeper.start()
        self.assertEqual(len(self.taken), 1)
        self.looks(3)
        self.assertEqual((len(self.taken), self.children), (1, []))

    def test_start_with_an_old_index(self) -> None:
        """An index of before is in force while the lists that changed meanwhile are built."""
        self.build(self.ads)
        keeper = self.keeper()
        keeper.start()
        self.assertEqual([problem.message[:10] for problem in keeper.problems], ["list 'ut1'"])
        self.assertEqual((len(self.taken), len(self.children)), (1, 1))
        self.children[0].works()
        self.assertEqual((len(self.taken), keeper.problems), (2, ()))

    def test_change(self) -> None:
        """A change is taken up when it looks the same twice: a download may be under way."""
        keeper = self.started()
        for at in (10.0, 20.0):
            write_list(self.ads.path, "0.0.0.0 b.example", at=at)
            self.looks()
            self.assertEqual(len(self.children), 1)
        self.looks()
        self.assertEqual((len(self.children), keeper.is_building), (2, True))
        self.assertEqual(self.said(keeper.index, "a.example"), "ads:ads")
        self.looks(5)
        self.assertEqual(len(self.children), 2)
        self.children[1].works()
        self.assertEqual(self.said(keeper.index, "b.example"), "ads:ads")
        # Another change right behind it is taken up too.
        write_list(self.ads.path, "0.0.0.0 c.example", at=30.0)
        self.looks(2)
        self.assertEqual(len(self.children), 3)

    def test_list_breaks(self) -> None:
        """A list that disappears keeps its entries, with one problem, and is not tried again and again."""
        keeper = self.started()
        self.ads.path.unlink()
        self.looks(2)
        self.children[1].works()
        self.assertEqual([problem.code for problem in keeper.problems], ["list-kept"])
        self.assertEqual(self.said(keeper.index, "a.example"), "ads:ads")
        self.looks(5)
        self.assertEqual(len(self.children), 2)
        write_list(self.ads.path, "0.0.0.0 d.example", at=40.0)
        self.looks(2)
        self.children[2].works()
        self.assertEqual(keeper.problems, ())

    def test_build_fails(self) -> None:
        """A build that fails leaves the index in force, says why, and is tried again later, not at once."""
        keeper = self.started()
        write_list(self.ads.path, "0.0.0.0 b.example", at=10.0)
        self.looks(2)
        self.children[1].ends(ProcessTerminated(1), b"the index cannot be written: No space left on device\n")
        (problem,) = keeper.problems
        self.assertEqual(problem.code, "lists-not-built")
        self.assertIn("No space left", problem.message)
        self.assertEqual((self.said(keeper.index, "a.example"), len(self.taken)), ("ads:ads", 1))
        self.looks(5)
        self.assertEqual(len(self.children), 2)
        self.reactor.advance(RETRY_SECONDS)
        self.assertEqual(len(self.children), 3)
        self.children[2].works()
        self.assertEqual(keeper.problems, ())

    def test_killed(self) -> None:
        """A child that was killed for lack of memory is told as that."""
        keeper = self.keeper()
        keeper.start()
        self.children[0].ends(ProcessTerminated(signal=signal.SIGKILL))
        self.assertIn("ended with 9", keeper.problems[0].message)

    def test_hangs(self) -> None:
        """A child that hangs is killed, and another tried."""
        keeper = self.keeper()
        keeper.start()
        self.reactor.advance(BUILD_SECONDS)
        self.assertEqual(self.children[0].signals, ["KILL"])
        self.children[0].ends(ProcessTerminated(signal=signal.SIGKILL))
        self.assertFalse(keeper.is_building)
        self.looks()
        self.assertEqual(len(self.children), 2)

    def test_built_by_somebody_else(self) -> None:
        """An index that the command line built is taken up."""
        keeper = self.started()
        write_list(self.ads.path, "0.0.0.0 b.example", at=10.0)
        self.build()
        self.looks()
        self.assertEqual(self.said(keeper.index, "b.example"), "ads:ads")
        self.looks(3)
        self.assertEqual((len(self.taken), len(self.children)), (2, 1))

    def test_index_damaged(self) -> None:
        """An index file that is damaged under us changes nothing, and is built again."""
        keeper = self.started()
        beside = self.state / "x"
        beside.write_bytes(b"garbage")
        os.replace(beside, index_path(self.state))
        self.looks(2)
        self.assertEqual([problem.code for problem in keeper.problems], ["bad-list-index"])
        self.assertEqual(self.said(keeper.index, "a.example"), "ads:ads")
        self.assertEqual(len(self.children), 2)
        self.children[1].works()
        self.assertEqual(keeper.problems, ())

    def test_stop(self) -> None:
        """Stopping ends a build that is under way, and nobody is told of it."""
        keeper = self.keeper()
        keeper.start()
        keeper.stop()
        self.assertEqual(self.children[0].signals, ["KILL"])
        self.children[0].ends(ProcessTerminated(signal=signal.SIGKILL))
        self.assertEqual((self.taken, self.reactor.getDelayedCalls()), ([], []))

    def test_asked_to_build(self) -> None:
        """A build can be asked for; one under way is let go on."""
        keeper = self.started()
        keeper.build()
        keeper.build()
        self.assertEqual(len(self.children), 2)

    def test_no_lists(self) -> None:
        """A policy without lists has nothing to look after."""
        keeper = ListKeeper(self.reactor, (), self.state, self.taken.append, lambda: 0.0)
        keeper.start()
        keeper.build()
        self.assertEqual((self.children, self.reactor.getDelayedCalls(), keeper.problems), ([], [], ()))
        keeper.stop()


class ProcessTests(ListsTestCase, TestCase):
    """The keeper with a real child."""

    def test_real_child(self) -> Deferred[CategoryIndex]:
        """A child on the real reactor builds the first index."""
        from twisted.internet import reactor

        built: Deferred[CategoryIndex] = Deferred()
        ads = ListSource("ads", "hosts", self.ads.path.resolve(), "ads")
        keeper = ListKeeper(reactor, [ads], self.state.resolve(), built.callback, time.time)
        keeper.start()
        self.addCleanup(keeper.stop)
        built.addCallback(lambda index: self.assertEqual(self.said(index, "a.example"), "ads:ads"))
        return built
