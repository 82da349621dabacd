"""The keeper of quotas: what counts is kept, also when its file turns out to be damaged."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from types import SimpleNamespace

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from corpproxy import node_borrowing, quota_keeper
from corpproxy.accounting.common import Budget, Common, Ledgered
from corpproxy.accounting.quotas import Asked, Charge
from corpproxy.backends.store.quota_file import QUOTA_FILE, QuotaFile
from corpproxy.node_borrowing import SOON_SECONDS, TURN_SECONDS
from corpproxy.policy.limits import Limit, Limits
from corpproxy.policy.quota import Every, Quota, Standing, Standings
from corpproxy.quota_keeper import FORGET_SECONDS, KEEP_SECONDS, QuotaKeeper
from tests.support.rows import rows, tabular
from tests.support.threads import DirectThread

MIB = 1024 * 1024
DAY_SECONDS = 86_400.0
TEXT = b"this is no database at all, but rather some kind of text" * 100


@tabular
class KeeperTests(SynchronousTestCase):
    """Two people below a quota."""

    def setUp(self):
        self.state = Path(self.mktemp())
        self.state.mkdir()
        self.clock = Clock()
        self.clock.advance(1795428010)
        self.set_by = 0.0
        self.quota = Quota(volume=MIB, every=Every.DAY)
        self.patch(quota_keeper, "OneThread", lambda reactor, name: DirectThread())
        self.seen = []
        globalLogPublisher.addObserver(self.seen.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.seen.append)

    def keeper(self):
        """A keeper as of after a start, whose disk answers at once."""
        standings = Standings()
        limits = Limits([Limit("day", quota=self.quota)], standings=standings)
        service = SimpleNamespace(
            state=self.state,
            store=SimpleNamespace(is_shared=False),
            reactor=self.clock,
            now=self.now,
            proxy=SimpleNamespace(in_force=SimpleNamespace(limiting=limits)),
            lasting=SimpleNamespace(standings=standings),
            take_standings=standings.take,
        )
        keeper = QuotaKeeper(service)
        keeper.start()
        return keeper

    def now(self):
        return self.clock.seconds() + self.set_by

    def used(self, keeper):
        standings = keeper.quotas.all(self.now())
        return {whom: standing.used for (_, whom), standing in standings.items()}

    def loud(self):
        return [event.get("then", "") for event in self.seen if event["log_level"].name == "critical"]

    def test_kept(self):
        """What was used is there after a restart."""
        keeper = self.keeper()
        keeper.count({("day", "amir"): 1000, ("day", "beth"): 2000})
        keeper.stop()
        self.assertEqual(self.used(self.keeper()), {"amir": 1000, "beth": 2000})
        self.assertEqual(self.loud(), [])

    def fails_to_load(self, times):
        """The file cannot be read so many times, as one that another program holds."""
        loads = QuotaFile.load
        left = iter(range(times))

        def load(file, now):
            if next(left, None) is not None:
                return fail(sqlite3.OperationalError("database is locked"))
            return loads(file, now)

        self.patch(QuotaFile, "load", load)

    def test_unread(self):
        """While what was used cannot be read nobody has anything left, and nothing is written over it."""
        keeper = self.keeper()
        keeper.count({("day", "amir"): MIB - 1})
        keeper.stop()
        self.fails_to_load(2)
        keeper = self.keeper()
        standings = keeper._service.lasting.standings
        self.assertIn("cannot be read: database is locked", keeper.problem)
        self.assertTrue(standings.of("day", "beth", self.clock.seconds()).is_spent)
        keeper.count({("day", "amir"): 1})
        self.clock.advance(KEEP_SECONDS)
        self.assertTrue(standings.of("day", "amir", self.clock.seconds()).is_spent)
        self.clock.advance(KEEP_SECONDS)
        self.assertEqual(keeper.problem, "")
        self.assertEqual(self.used(keeper), {"amir": MIB})
        self.assertIsNone(standings.of("day", "beth", self.clock.seconds()))
        self.clock.advance(KEEP_SECONDS)
        self.assertEqual(self.used(self.keeper()), {"amir": MIB})

    def test_unread_to_the_end(self):
        """A service that ends before it could read what was used leaves it as it was."""
        keeper = self.keeper()
        keeper.count({("day", "amir"): 1000})
        keeper.stop()
        self.fails_to_load(2)
        keeper = self.keeper()
        keeper.count({("day", "amir"): 1})
        keeper.stop()
        self.fails_to_load(0)
        self.assertEqual(self.used(self.keeper()), {"amir": 1000})

    def set_clock(self, seconds):
        """Set the clock of the machine, on which nothing else depends."""
        self.set_by += seconds

    def test_day_again(self):
        """A clock that is set forward and back comes to a day of which it is known what was used."""
        keeper = self.keeper()
        keeper.count({("day", "amir"): 1000, ("day", "beth"): 10})
        self.clock.advance(KEEP_SECONDS)
        self.set_clock(DAY_SECONDS)
        self.clock.advance(KEEP_SECONDS)
        self.assertEqual(self.used(keeper), {})
        keeper.count({("day", "amir"): 1, ("day", "carl"): 5})
        self.clock.advance(KEEP_SECONDS)
        self.set_clock(-DAY_SECONDS)
        self.clock.pump([KEEP_SECONDS, 0, 0])
        self.assertEqual(self.used(keeper), {"amir": 1000, "beth": 10, "carl": 0})
        standings = keeper._service.lasting.standings
        self.assertEqual(standings.of("day", "amir", self.now()).used, 1000)
        keeper.count({("day", "amir"): 1})
        self.clock.advance(KEEP_SECONDS)
        self.set_clock(DAY_SECONDS)
        self.assertEqual(self.used(self.keeper()), {"amir": 1, "carl": 5})

    def test_day_again_restarted(self):
        """So it is where the service was begun anew in between."""
        keeper = self.keeper()
        keeper.count({("day", "amir"): 1000})
        keeper.stop()
        self.set_clock(DAY_SECONDS)
        keeper = self.keeper()
        keeper.count({("day", "amir"): 1})
        keeper.stop()
        self.set_clock(-DAY_SECONDS)
        self.assertEqual(self.used(self.keeper()), {"amir": 1000})

    def test_day_again_unread(self):
        """While it cannot be read what was used of it, nobody has anything left."""
        keeper = self.keeper()
        keeper.count({("day", "amir"): 1000})
        self.clock.advance(KEEP_SECONDS)
        self.set_clock(DAY_SECONDS)
        self.clock.advance(KEEP_SECONDS)
        self.fails_to_load(1)
        self.set_clock(-DAY_SECONDS)
        self.clock.advance(KEEP_SECONDS)
        standings = keeper._service.lasting.standings
        self.assertTrue(standings.of("day", "amir", self.now()).is_spent)
        self.clock.pump([KEEP_SECONDS, 0, 0])
        self.assertEqual(standings.of("day", "amir", self.now()).used, 1000)

    def test_forgotten(self):
        """What was made good days ago is forgotten on the disk, too."""
        keeper = self.keeper()
        keeper.count({("day", "amir"): 1000})
        self.clock.advance(KEEP_SECONDS)
        for _ in range(4 * 24):
            self.clock.advance(FORGET_SECONDS)
        keeper.stop()
        self.assertNotIn(b"amir", (self.state / QUOTA_FILE).read_bytes())

    @rows(
        hour=(Every.HOUR, 3_600, 5),
        day=(Every.DAY, DAY_SECONDS, 5),
        month=(Every.MONTH, 31 * DAY_SECONDS, 5),
        years=(Every.DAY, 1000 * DAY_SECONDS, 40),
    )
    def test_wrong_for_long(self, every, away, hours):
        """However far and long a clock was ahead: the time that comes again knows what was used of it."""
        self.quota = Quota(volume=MIB, every=every)
        keeper = self.keeper()
        began = self.now()
        keeper.count({("day", "amir"): MIB})
        self.clock.advance(KEEP_SECONDS)
        self.set_clock(away)
        for _ in range(hours):
            keeper.count({("day", "amir"): 1})
            self.clock.pump([KEEP_SECONDS, FORGET_SECONDS, 0])
        self.set_clock(began + 60 - self.now())
        self.clock.pump([KEEP_SECONDS, 0, 0])
        self.assertEqual(self.used(keeper), {"amir": MIB})
        self.assertTrue(keeper._service.lasting.standings.of("day", "amir", self.now()).is_spent)
        keeper.stop()
        self.assertEqual(self.used(self.keeper()), {"amir": MIB})

    def test_started_while_wrong(self):
        """A start while the clock is days ahead gives nobody a day anew, once the clock is right again."""
        keeper = self.keeper()
        began = self.now()
        keeper.count({("day", "amir"): MIB})
        self.clock.advance(KEEP_SECONDS)
        for _ in range(3 * 24):
            # It has run for so long that its clock is believed.
            self.set_by -= FORGET_SECONDS
            self.clock.advance(FORGET_SECONDS)
        keeper.stop()
        self.set_by += 9 * DAY_SECONDS
        keeper = self.keeper()
        for _ in range(5):
            self.clock.pump([KEEP_SECONDS, FORGET_SECONDS, 0])
        self.assertEqual(self.used(keeper), {})
        self.set_clock(began + 60 - self.now())
        self.clock.pump([KEEP_SECONDS, 0, 0])
        self.assertEqual(self.used(keeper), {"amir": MIB})

    def test_forgotten_after_all(self):
        """A clock that was set forward and stays so is believed after two days."""
        keeper = self.keeper()
        keeper.count({("day", "amir"): 1000})
        self.clock.advance(KEEP_SECONDS)
        self.set_clock(1000 * DAY_SECONDS)
        for _ in range(3 * 24):
            self.clock.advance(FORGET_SECONDS)
        keeper.stop()
        self.assertNotIn(b"amir", (self.state / QUOTA_FILE).read_bytes())

    def test_unkept(self):
        """What cannot be kept counts all the same, and is told until it can."""
        keeper = self.keeper()
        self.patch(QuotaFile, "keep", lambda file, rows: fail(sqlite3.OperationalError("disk is full")))
        keeper.count({("day", "amir"): 1000})
        self.clock.advance(KEEP_SECONDS)
        self.assertIn("cannot be kept over a restart: disk is full", keeper.problem)
        self.assertEqual(self.used(keeper), {"amir": 1000})

    def test_damaged_before(self):
        """A damaged file is told loudly, and quotas begin anew."""
        (self.state / QUOTA_FILE).write_bytes(TEXT)
        keeper = self.keeper()
        self.assertEqual(self.loud(), ["begins anew"])
        keeper.count({("day", "amir"): 1000})
        keeper.stop()
        self.assertEqual(self.used(self.keeper()), {"amir": 1000})

    def test_damaged_meanwhile(self):
        """One that is damaged while the service runs is written anew with all that counts."""
        keeper = self.keeper()
        keeper.count({("day", "amir"): 1000})
        self.clock.advance(KEEP_SECONDS)
        keeper._file._close()
        (self.state / QUOTA_FILE).write_bytes(TEXT)
        keeper.count({("day", "beth"): 2000})
        self.clock.advance(KEEP_SECONDS)
        self.assertEqual(self.loud(), ["is written anew from what counts now"])
        self.clock.advance(KEEP_SECONDS)
        self.assertEqual(self.used(self.keeper()), {"amir": 1000, "beth": 2000})


class SharedTests(SynchronousTestCase):
    """A keeper whose quotas are those of other nodes, too."""

    def setUp(self):
        self.state = Path(self.mktemp())
        self.state.mkdir()
        self.clock = Clock()
        self.clock.advance(1795428010)
        for module in (quota_keeper, node_borrowing):
            self.patch(module, "OneThread", lambda reactor, name: DirectThread())
        self.budget = Budget()
        standings = Standings()
        limits = Limits([Limit("day", quota=Quota(volume=MIB, every=Every.DAY))], standings=standings)
        self.until = limits.limits[0].quota.ends(self.clock.seconds())
        self.taken = []
        self.keeper = QuotaKeeper(
            SimpleNamespace(
                state=self.state,
                reactor=self.clock,
                now=self.clock.seconds,
                proxy=SimpleNamespace(
                    in_force=SimpleNamespace(limiting=limits),
                    borrowing=SimpleNamespace(take=self.taken.extend),
                ),
                lasting=SimpleNamespace(standings=standings),
                take_standings=standings.take,
                store=SimpleNamespace(
                    is_shared=True,
                    run="run",
                    settle=lambda moved: succeed(None),
                    borrow=self.borrow,
                    ledgered=lambda limit, whom, now: succeed(
                        Ledgered([row for row in self.rows if whom in (None, row.whom)])
                    ),
                ),
            )
        )
        self.keeper.start()

    def borrow(self, asked):
        return succeed([self.budget.lend("node", "run", one) for one in asked])

    def asked(self, wants, **more):
        return Asked("day", "amir", self.until, 7.0, more.get("seen", 0), more.get("moved", 0), 0, wants)

    def common(self, elsewhere, granted=0.0):
        row = Common("day", "amir", self.until, elsewhere, granted)
        self.successResultOf(Deferred.fromCoroutine(self.keeper.take([row])))

    def test_lent_again(self):
        """A worker that waits is told of more when it comes, by the way that it asked."""
        got = []
        self.keeper.lend("worker", [self.asked(1000)], got.extend)
        self.assertEqual([one.granted for one in got], [0])
        self.clock.advance(SOON_SECONDS)
        self.assertEqual([one.granted for one in got], [0, 16 * 1024])

    def test_here(self):
        """So is the one process where there are no workers."""
        self.keeper.borrow([self.asked(1000)])
        self.clock.advance(SOON_SECONDS)
        self.assertEqual([one.granted for one in self.taken], [0, 16 * 1024])

    def test_buried(self):
        """A worker that died meanwhile is told nothing, and what it may have moved counts."""
        got = []
        self.keeper.lend("worker", [self.asked(1000)], got.extend)
        self.keeper.bury("worker")
        self.clock.advance(SOON_SECONDS)
        self.assertEqual(len(got), 1)

    def test_by_hand(self):
        """What is granted by hand, and who begins anew, is charged for all nodes and holds here at once."""
        self.common(900 * 1024)
        self.keeper.grant("day", "amir", 1000.0)
        self.common(900 * 1024)
        self.assertEqual(self.keeper.quotas.standing("day", "amir", self.clock.seconds()).allowed, MIB + 1000)
        self.assertEqual(self.keeper.charges(), [Charge("day", "amir", self.until, 0.0, 1000.0)])
        self.common(900 * 1024, 1000.0)
        self.rows = [Common("day", "amir", self.until, 900.0 * 1024, 1000.0)]
        self.assertEqual(self.reset(None), 1)
        charges = self.keeper.charges()
        self.assertEqual(charges, [Charge("day", "amir", self.until, -900.0 * 1024, -1000.0)])
        self.keeper.not_charged(charges)
        self.common(900 * 1024, 1000.0)
        standing = self.keeper.quotas.standing("day", "amir", self.clock.seconds())
        self.assertEqual((standing.used, standing.allowed), (0, MIB))
        self.assertEqual(self.keeper.charges(), charges)

    def reset(self, whom):
        return self.successResultOf(Deferred.fromCoroutine(self.keeper.reset("day", whom)))

    def test_reset_elsewhere(self):
        """Who begins anew does so with all that they used on any node, whatever this one knows."""
        self.rows = [Common("day", whom, self.until, 5000.0, 0.0) for whom in ("amir", "beth")]
        self.keeper.count({("day", "amir"): 1000})
        self.assertEqual(self.reset("beth"), 1)
        self.assertEqual(self.keeper.charges(), [Charge("day", "beth", self.until, -5000.0, 0.0)])
        self.rows = self.rows[:1]
        self.assertEqual(self.reset(None), 1)
        charges = [Charge("day", "amir", self.until, -6000.0, 0.0)]
        self.assertEqual(self.keeper.charges(), charges)

    def test_standings(self):
        """Everybody is shown as they stand for all nodes, but for those of another time."""
        self.rows = [
            Common("day", "amir", self.until, 5000.0, 0.0),
            Common("day", "beth", self.until, 7000.0, 100.0),
            Common("day", "carol", self.until + 5, 7000.0, 0.0),
            Common("other", "amir", self.until, 7000.0, 0.0),
        ]
        self.keeper.count({("day", "amir"): 1000})
        found = self.successResultOf(Deferred.fromCoroutine(self.keeper.ledgered(None, None)))
        standings = {
            ("day", "amir"): Standing(6000.0, MIB, self.until),
            ("day", "beth"): Standing(7000.0, MIB + 100.0, self.until),
        }
        shown = Deferred.fromCoroutine(self.keeper.standings(found))
        self.assertEqual(self.successResultOf(shown), standings)

    def test_elsewhere(self):
        """What others used counts here with what is used here, and is told to all processes."""
        self.keeper.count({("day", "amir"): 1000})
        self.common(MIB)
        standing = self.keeper._service.lasting.standings.of("day", "amir", self.clock.seconds())
        self.assertEqual((standing.used, standing.is_spent), (MIB + 1000, True))

    def test_told(self):
        """What moved here without being lent is told with the next turn."""
        self.keeper.count({("day", "amir"): 1000})
        self.clock.advance(TURN_SECONDS)
        self.assertEqual(self.budget.used, 1000)

    def test_stop(self):
        """In the end nothing is on loan any more."""
        self.keeper.borrow([self.asked(1000)])
        self.clock.advance(SOON_SECONDS)
        self.keeper.borrow([Asked("day", "amir", self.until, 7.0, 16384, 1000, 15384, 0)])
        self.successResultOf(Deferred.fromCoroutine(self.keeper.stop_borrowing()))
        (loan,) = self.budget.loans.values()
        self.assertEqual((self.budget.used, loan.granted - loan.returned), (1000, 1000))
        self.assertEqual(self.keeper.shut, 0)
