"""Quotas in a worker: what it is told of thousands comes in pieces, and what was made good is forgotten."""

from __future__ import annotations

from twisted.internet.defer import succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.policy.quota import Standing, Standings
from corpproxy.supervisor.quotas import BATCH, FORGET_SECONDS, CountedElsewhere, standings_of, telling

NOW = 1_795_430_700.0
PEOPLE = 3 * BATCH


class ToldTests(SynchronousTestCase):
    """A worker that begins is told how everybody stands."""

    def setUp(self):
        self.standings = Standings()
        self.standings.take(
            {("day", f"p{number}"): Standing(number, PEOPLE - 1, NOW) for number in range(PEOPLE)}
        )

    def test_pieces(self):
        """All are told, a piece at a time, and those first who have nothing left."""
        told = []
        steps = sum(1 for _ in telling(self.standings, told.append))
        self.assertEqual((steps, [len(one) for one in told]), (2, [BATCH] * 3))
        self.assertEqual(told[0][0].whom, f"p{PEOPLE - 1}")
        found = {}
        for one in told:
            found |= standings_of(one)
        self.assertEqual(found, self.standings.all)

    def test_meanwhile(self):
        """Who stands otherwise by the time of their piece is told as they stand by then."""
        told = []
        for _ in telling(self.standings, told.append):
            self.standings.take({("day", "p700"): Standing(1, 2, NOW)})
            self.standings.all.pop(("day", "p0"), None)
        found = {one.whom: one.used for some in told for one in some}
        self.assertEqual(found["p700"], 1)

    def test_in_common(self):
        """What many have in common is in memory once."""
        told = []
        for _ in telling(self.standings, told.append):
            pass
        found = standings_of(told[1])
        self.assertEqual(len({id(one.until) for one in found.values()}), 1)


class WorkerTests(SynchronousTestCase):
    """What stands in for the keeper of quotas in a worker."""

    def setUp(self):
        self.clock, self.standings, self.told = Clock(), Standings(), []
        self.clock.advance(NOW)
        self.elsewhere = CountedElsewhere(
            lambda told: succeed(self.told.append(told)),
            lambda asked: succeed(self.told.append(asked)),
            self.standings,
            self.clock,
            self.clock.seconds,
        )
        self.elsewhere.start()

    def test_forgets(self):
        """Who was made good is forgotten here, too: memory does not grow with everybody who ever came."""
        until = NOW + FORGET_SECONDS / 2
        self.standings.take(
            {("day", "amir"): Standing(5, 5, until), ("day", "beth"): Standing(1, 5, NOW * 2)}
        )
        self.clock.advance(FORGET_SECONDS)
        self.assertEqual(list(self.standings.all), [("day", "beth")])
        self.elsewhere.stop()
        self.assertEqual(self.clock.calls, [])

    def test_counts(self):
        """What thousands moved is told in several messages."""
        self.elsewhere.count({("day", f"p{number}"): 1 for number in range(PEOPLE)})
        self.assertEqual([len(one) for one in self.told], [BATCH] * 3)
        self.elsewhere.stop()
