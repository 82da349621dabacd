"""What several nodes share is followed: in order, once a second, whatever the store answers."""

from __future__ import annotations

from types import SimpleNamespace

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.common import Common
from corpproxy.accounting.quotas import Charge
from corpproxy.backends.store.interface import Shared, StoreError
from corpproxy.following import FOLLOW_SECONDS, Following

CHARGE = Charge("day", "amir", 100.0, 0.0, 5.0)
ROW = Common("day", "amir", 100.0, 7.0, 5.0)


class Keeper:
    """Quotas with something to charge."""

    def __init__(self, done: list) -> None:
        self.untold = [CHARGE]
        self.done = done

    def charges(self):
        untold, self.untold = self.untold, []
        return untold

    def not_charged(self, charges) -> None:
        self.untold = charges

    async def take(self, rows) -> None:
        self.done.append(("taken", rows))

    async def stop_borrowing(self) -> None:
        self.done.append("given back")


class Store:
    """A store that says what it was asked."""

    is_shared = True

    def __init__(self, done: list) -> None:
        self.done = done
        self.told: Shared | None = Shared(None, None, [ROW])
        self.charging: Deferred[None] = succeed(None)

    def charge(self, charges) -> Deferred[None]:
        self.done.append(("charged", charges))
        return self.charging

    def shared(self, now) -> Deferred[Shared | None]:
        self.done.append("read")
        return succeed(self.told)


class FollowingTests(SynchronousTestCase):
    """A node and its store."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.done: list = []
        self.store, self.keeper = Store(self.done), Keeper(self.done)
        self.following = Following(
            SimpleNamespace(
                store=self.store,
                reactor=self.clock,
                now=self.clock.seconds,
                quota_keeper=self.keeper,
                granting=SimpleNamespace(take=lambda *what: self.done.append(("granted", *what))),
            )
        )

    def test_in_order(self) -> None:
        """What was given here is charged before it is read what others did."""
        self.following.start()
        self.clock.advance(FOLLOW_SECONDS)
        self.assertEqual(self.done, [("charged", [CHARGE]), "read", ("taken", [ROW])])
        self.clock.advance(FOLLOW_SECONDS)
        self.assertEqual(self.done[3:], ["read", ("taken", [ROW])])

    def test_alone(self) -> None:
        """A store that nobody shares is not followed."""
        self.store.is_shared = False
        self.following.start()
        self.clock.advance(FOLLOW_SECONDS)
        self.assertEqual((self.done, self.following.stop()), ([], None))

    def test_not_charged(self) -> None:
        """What could not be charged is charged the next time."""
        self.store.charging = fail(StoreError("store-failed", "the disk is full"))
        self.following.start()
        self.clock.advance(FOLLOW_SECONDS)
        self.assertEqual(self.keeper.untold, [CHARGE])
        self.store.charging = succeed(None)
        self.clock.advance(FOLLOW_SECONDS)
        self.assertEqual(self.keeper.untold, [])
        self.assertEqual(
            [one for one in self.done if one == ("charged", [CHARGE])], [("charged", [CHARGE])] * 2
        )

    def test_away(self) -> None:
        """A store that cannot say what changed changes nothing."""
        self.store.told = None
        self.following.start()
        self.clock.advance(FOLLOW_SECONDS)
        self.assertEqual(self.done, [("charged", [CHARGE]), "read"])

    def test_grants(self) -> None:
        """Grants and requests of other nodes are taken up where there are others."""
        self.store.told = Shared([], [], [])
        self.following.start()
        self.clock.advance(FOLLOW_SECONDS)
        self.assertEqual(self.done[2:], [("granted", [], [])])

    def test_slow(self) -> None:
        """While the store has not answered it is not asked once more."""
        self.store.charging = answer = Deferred()
        self.following.start()
        self.clock.pump([FOLLOW_SECONDS] * 3)
        self.assertEqual(self.done, [("charged", [CHARGE])])
        answer.callback(None)
        self.assertEqual(self.done[1:], ["read", ("taken", [ROW])])

    def test_bug(self) -> None:
        """What goes wrong in one turn is told, and does not end those to come."""
        taking = self.keeper.take
        self.keeper.take = lambda rows: 1 / 0
        self.following.start()
        self.clock.advance(FOLLOW_SECONDS)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.keeper.take = taking
        self.clock.advance(FOLLOW_SECONDS)
        self.assertEqual(self.done[-1], ("taken", [ROW]))

    def test_stop(self) -> None:
        """In the end what is left is charged and what was borrowed given back, behind what is under way."""
        self.store.charging = answer = Deferred()
        self.following.start()
        self.clock.advance(FOLLOW_SECONDS)
        self.keeper.untold = [CHARGE]
        stopping = self.following.stop()
        self.assertNoResult(stopping)
        self.store.charging = succeed(None)
        answer.callback(None)
        self.successResultOf(stopping)
        self.assertEqual(self.done[-2:], [("charged", [CHARGE]), "given back"])
        self.clock.advance(FOLLOW_SECONDS)
        self.assertEqual(self.done[-1], "given back")
