"""A node borrows of what nodes have in common: in turns, at once where somebody waits, once more in vain."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from corpproxy import node_borrowing
from corpproxy.accounting.common import Budget, Moved, NodeAsked
from corpproxy.accounting.dividing import SLICE
from corpproxy.accounting.node_quotas import AGAIN_SECONDS, AWAY_SECONDS
from corpproxy.accounting.quotas import Asked, Lent
from corpproxy.backends.store.interface import StoreError
from corpproxy.backends.store.loan_file import LOAN_FILE, LoanFile
from corpproxy.node_borrowing import AT_ONCE, SOON_SECONDS, TURN_SECONDS, NodeBorrowing
from corpproxy.policy.limits import Limit, Limits
from corpproxy.policy.quota import Quota
from tests.support.threads import DirectThread

MIB = 1 << 20
NOW = 1_795_430_700.0
AWAY = StoreError("store-away", "the database does not answer")


class Store:
    """What nodes have in common, in memory."""

    run = "run 2"

    def __init__(self) -> None:
        self.budget = Budget()
        self.asked: list[list[NodeAsked]] = []
        self.settled: list[list[Moved]] = []
        self.is_away = False
        self.answer: Deferred | None = None

    def begin_anew(self) -> Deferred[None]:
        self.run = "run 3"
        return succeed(None)

    def settle(self, moved) -> Deferred[None]:
        if self.is_away:
            return fail(AWAY)
        self.settled.append(moved)
        for one in moved:
            self.budget.settle("node", one.run, one.moved)
        return succeed(None)

    def borrow(self, asked) -> Deferred:
        self.asked.append(asked)
        if self.is_away:
            return fail(AWAY)
        lent = [self.budget.lend("node", self.run, one) for one in asked]
        return succeed(lent) if self.answer is None else self.answer.addCallback(lambda _: lent)


class BorrowingCase(SynchronousTestCase):
    """A node with one worker, a quota of 1 MiB."""

    def setUp(self) -> None:
        self.state = Path(self.mktemp())
        self.state.mkdir()
        self.patch(node_borrowing, "OneThread", lambda reactor, name: DirectThread())
        self.clock = Clock()
        self.clock.advance(1000.0)
        self.store = Store()
        self.lent: list[Lent] = []
        self.borrowing = self.begin()

    def begin(self) -> NodeBorrowing:
        service = SimpleNamespace(state=self.state, reactor=self.clock, now=lambda: NOW, store=self.store)
        made = NodeBorrowing(service, self.lend_again)
        made.quotas.define(Limits([Limit("day", quota=Quota(volume=MIB))]))
        self.until = made.quotas.quotas()["day"].ends(NOW)
        self.borrowing = made
        made.start()
        return made

    def lend_again(self, waiting) -> None:
        for borrower, asked in waiting:
            self.lent.append(self.borrowing.quotas.lend(borrower, asked, NOW, self.clock.seconds()))

    def ask(self, wants: int = 0, moved: int = 0, seen: int = 0) -> Lent:
        asked = Asked("day", "amir", self.until, self.clock.seconds(), seen, moved, 0, wants)
        lent = self.borrowing.quotas.lend("worker", asked, NOW, self.clock.seconds())
        self.borrowing.hasten()
        return lent

    def moved(self) -> list[Moved]:
        return self.successResultOf(LoanFile(self.state / LOAN_FILE, DirectThread()).load_moved())


class TurnTests(BorrowingCase):
    """When it is asked, and for whom."""

    def test_waited_for(self) -> None:
        """Who waits has it asked for at once, and is lent it with the answer, without another question."""
        self.assertEqual(self.ask(wants=1000).granted, 0)
        self.clock.advance(SOON_SECONDS)
        self.assertEqual(len(self.store.asked), 1)
        self.assertEqual([(one.whom, one.granted > 0) for one in self.lent], [("amir", True)])

    def test_nobody_waits(self) -> None:
        """Where nobody wants or moved anything, the store is left alone."""
        self.clock.pump([TURN_SECONDS] * 5)
        self.assertEqual(self.store.asked, [])

    def test_one_at_a_time(self) -> None:
        """While a question is under way there is no other; whoever waits meanwhile is in the next."""
        self.store.answer = answer = Deferred()
        self.ask(wants=1000)
        self.clock.advance(SOON_SECONDS)
        self.ask(wants=2000)
        self.clock.pump([TURN_SECONDS] * 3)
        self.assertEqual(len(self.store.asked), 1)
        self.store.answer = None
        answer.callback(None)
        self.assertTrue(self.lent[0].granted)

    def test_away(self) -> None:
        """A store that is away is asked again with each turn, and no sooner however many wait."""
        self.store.is_away = True
        self.ask(wants=1000)
        self.clock.advance(SOON_SECONDS)
        for _ in range(10):
            self.ask(wants=1000)
            self.clock.advance(SOON_SECONDS)
        self.assertEqual(len(self.store.asked), 1)
        self.clock.advance(TURN_SECONDS)
        self.assertEqual(len(self.store.asked), 2)
        self.store.is_away = False
        self.clock.advance(TURN_SECONDS)
        self.assertEqual(len(self.lent), 1)

    def test_no_answer(self) -> None:
        """One that neither answers nor refuses is away as well; nobody has anything left meanwhile."""
        self.store.answer = answer = Deferred()
        self.ask(wants=1000)
        self.clock.pump([TURN_SECONDS] * round(AWAY_SECONDS + 1))
        self.ask(wants=1000)
        quotas = self.borrowing.quotas
        self.assertTrue(quotas.standing("day", "amir", NOW).is_spent)
        self.assertEqual((quotas.standing("day", "amir", NOW).until, quotas.shut), (NOW + AGAIN_SECONDS, 1))
        answer.callback(None)
        self.assertFalse(quotas.standing("day", "amir", NOW).is_spent)
        self.assertEqual((self.lent[0].granted > 0, quotas.shut), (True, 0))

    def test_many(self) -> None:
        """Thousands of members are looked through in slices, and asked for in one question."""
        quotas = self.borrowing.quotas
        for number in range(1000):
            quotas.count("day", f"p{number}", 10, NOW)
        slices = []
        later = self.clock.callLater
        self.patch(
            self.clock, "callLater", lambda *what, **more: slices.append(what[0]) or later(*what, **more)
        )
        self.clock.advance(TURN_SECONDS)
        self.assertEqual([len(one) for one in self.store.asked], [1000])
        # Asked for, taken, and written to the disk.
        self.assertEqual(slices.count(0), 2 * (1000 // SLICE) + 1000 // AT_ONCE - 1)

    def test_stop(self) -> None:
        """In the end all is told and given back."""
        self.ask(wants=1000)
        self.clock.advance(SOON_SECONDS)
        granted = self.lent[0].granted
        asked = Asked("day", "amir", self.until, 0.0, granted, 600, granted - 600, 0)
        self.borrowing.quotas.lend("worker", asked, NOW, self.clock.seconds())
        self.successResultOf(Deferred.fromCoroutine(self.borrowing.stop()))
        (loan,) = self.store.budget.loans.values()
        self.assertEqual((loan.moved, loan.granted - loan.returned - loan.moved), (600, 0))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_while_away(self) -> None:
        """A store that is away does not keep the service from ending; the disk knows what moved."""
        self.ask(wants=1000)
        self.clock.advance(SOON_SECONDS)
        self.store.is_away = True
        self.ask(moved=600, seen=self.lent[0].granted)
        self.borrowing.keep([("day", "amir")])
        self.successResultOf(Deferred.fromCoroutine(self.borrowing.stop()))
        self.assertGreaterEqual(self.moved()[0].moved, 600)


class AnewTests(BorrowingCase):
    """A node that begins anew."""

    OLD = Moved("run 1", "day", "amir", 1_795_485_600.0, 700)

    def again(self) -> None:
        self.successResultOf(Deferred.fromCoroutine(self.borrowing.stop()))
        LoanFile(self.state / LOAN_FILE, DirectThread()).keep_moved([self.OLD])
        self.store.settled.clear()
        self.begin()

    def test_settled(self) -> None:
        """What runs before moved is accounted for before anything is borrowed, and then forgotten."""
        self.store.is_away = True
        self.again()
        self.ask(wants=1000)
        self.clock.advance(TURN_SECONDS)
        self.assertEqual((self.store.settled, self.store.asked), ([], []))
        self.store.is_away = False
        self.clock.advance(TURN_SECONDS)
        self.assertEqual((self.store.settled, len(self.store.asked)), ([[self.OLD]], 1))
        self.clock.advance(TURN_SECONDS)
        self.assertEqual(len(self.store.settled), 1)
        self.assertEqual({one.run for one in self.moved()}, {"run 2"})

    def test_turned_back(self) -> None:
        """When the clock was set back what was on loan is accounted for, and it is borrowed anew."""
        self.ask(wants=1000)
        self.clock.advance(SOON_SECONDS)
        granted = self.lent[0].granted
        self.ask(seen=granted, moved=700)
        self.store.settled.clear()
        turning = Deferred.fromCoroutine(self.borrowing.begin_anew())
        self.successResultOf(turning)
        # What the worker holds may be used by now.
        self.assertEqual(self.store.settled, [[Moved("run 2", "day", "amir", self.until, granted)]])
        self.assertEqual(self.store.budget.used, granted)
        self.borrowing.quotas.count("day", "amir", 50, NOW)
        self.clock.advance(TURN_SECONDS)
        self.assertEqual(self.store.budget.used, granted + 50)

    def test_turned_back_meanwhile(self) -> None:
        """A question that is under way then is waited for: what it brings belongs to the run before."""
        self.store.answer = answer = Deferred()
        self.ask(wants=1000)
        self.clock.advance(SOON_SECONDS)
        turning = Deferred.fromCoroutine(self.borrowing.begin_anew())
        self.assertNoResult(turning)
        answer.callback(None)
        self.clock.advance(SOON_SECONDS)
        self.successResultOf(turning)
        (old,) = self.store.budget.loans.values()
        self.assertEqual((old.granted - old.returned - old.moved, self.store.run), (0, "run 3"))

    def test_damaged(self) -> None:
        """A file that is damaged is said loudly; nothing is known of what runs before moved."""
        seen: list[dict] = []
        globalLogPublisher.addObserver(seen.append)
        self.addCleanup(globalLogPublisher.removeObserver, seen.append)
        self.successResultOf(Deferred.fromCoroutine(self.borrowing.stop()))
        for path in self.state.glob("loans*"):
            path.unlink()
        (self.state / LOAN_FILE).write_bytes(b"this is no database at all, but rather some text" * 100)
        self.store.settled.clear()
        self.begin()
        self.assertEqual(self.store.settled, [[]])
        self.assertEqual([one["log_level"].name for one in seen], ["critical"])
