"""Parts of rates between workers: told in pieces, so that nobody else waits for thousands of them."""

from __future__ import annotations

from twisted.internet.defer import fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.dividing import SLICE
from corpproxy.accounting.sharing import BucketKey
from corpproxy.net.pacing import FORGET_SECONDS, TURN_SECONDS, Pacer
from corpproxy.supervisor.messages import Takings
from corpproxy.supervisor.rates import MOST_NAMES, Dealing, Taking

PEOPLE = 3 * SLICE
RATE = 1_000_000.0


class TurnsClock(Clock):
    """A clock on which each turn of the reactor is made by itself."""

    def turn(self):
        """Make one turn, at most; gives whether there was one."""
        due = [call for call in self.calls if call.getTime() <= self.seconds()]
        if due:
            self.calls.remove(due[0])
            due[0].called = 1
            due[0].func(*due[0].args)
        return bool(due)


class ManyTests(SynchronousTestCase):
    """Two workers and hundreds of people in both, each below a limit of their own."""

    def setUp(self):
        self.clock = TurnsClock()
        self.told = []
        self.dealing = Dealing(self.send, self.clock)
        self.workers = {}
        self.took = []
        for seat in ("first", "second"):
            pacer = Pacer(self.clock)
            self.addCleanup(pacer.stop)
            self.workers[seat] = Taking(pacer, 2, lambda took, seat=seat: self.tell(seat, took))
            for number in range(PEOPLE if seat == "first" else 1):
                pacer.join(f"down p{number}", [(BucketKey("each", f"p{number}", 0), RATE)], lambda: None)

    def tell(self, seat, took):
        self.took.append(len(took.took))
        self.dealing.take(seat, took)
        return succeed({})

    def send(self, seat, parts):
        self.told.append((seat, len(parts.parts)))
        self.workers[seat].take(parts)

    def parts(self, seat):
        buckets = self.workers[seat]._pacer.rates.buckets
        return {key.whom: round(bucket.rate / RATE, 2) for key, bucket in buckets.items()}

    def test_pieces(self):
        """All is told and all is taken, in no message more than a slice of it."""
        self.clock.advance(TURN_SECONDS)
        self.assertEqual(sorted(self.took), [1, SLICE, SLICE, SLICE])
        self.dealing.deal()
        self.clock.advance(0)
        self.assertLessEqual(max(count for _, count in self.told), SLICE)
        first = self.parts("first")
        self.assertEqual((len(first), first["p0"], first["p1"], first["p899"]), (PEOPLE, 0.5, 1.0, 1.0))

    def test_turns(self):
        """A dealing takes several turns, in each of which one message is sent at most; the next waits."""
        self.clock.advance(TURN_SECONDS)
        self.dealing.deal()
        turns = 0
        while self.dealing.is_dealing:
            before = len(self.told)
            self.dealing.deal()
            self.assertEqual(len(self.told), before)
            self.assertTrue(self.clock.turn())
            turns += 1
            self.assertLessEqual(len(self.told) - before, 1)
        self.assertGreater(turns, 3)

    def test_dies_meanwhile(self):
        """A worker that is over in the midst of it is told nothing more, and what it had others have."""
        self.clock.advance(TURN_SECONDS)
        self.dealing.deal()
        self.dealing.forget("first")
        self.clock.advance(0)
        self.assertNotIn("first", [seat for seat, _ in self.told])
        self.dealing.deal()
        self.clock.advance(0)
        self.assertEqual(self.parts("second"), {"p0": 1.0})

    def test_stopped(self):
        """Who stops in the midst of it leaves nothing behind."""
        self.clock.advance(TURN_SECONDS)
        self.dealing.deal()
        self.dealing.stop()
        self.assertFalse(self.clock.turn())


class CrowdTests(SynchronousTestCase):
    """Two workers, in both of which hundreds of people wait below one limit."""

    def setUp(self):
        self.clock = TurnsClock()
        self.dealing = Dealing(self.send, self.clock)
        self.takings, self.parts, self.workers, self.claims = [], [], {}, {}
        for seat in ("first", "second"):
            pacer = Pacer(self.clock)
            self.addCleanup(pacer.stop)
            self.workers[seat] = Taking(pacer, 2, lambda took, seat=seat: self.tell(seat, took))
            site = [(BucketKey("line", "", 0), 1000.0)]
            self.claims[seat] = [pacer.join(f"down p{n}", site, lambda: None) for n in range(PEOPLE)]
            for claim in self.claims[seat]:
                pacer.wait(claim)
        self.addCleanup(self.dealing.stop)

    def tell(self, seat, took):
        self.takings.append(took)
        self.dealing.take(seat, took)
        return succeed({})

    def send(self, seat, parts):
        self.parts.append((seat, parts))
        self.workers[seat].take(parts)

    def deal(self):
        self.clock.advance(TURN_SECONDS)
        self.dealing.deal()
        while self.dealing.is_dealing:
            self.clock.turn()

    def spread(self, seat):
        return self.workers[seat]._pacer.rates.spread

    def test_pieces(self):
        """No message names more than some of those who wait, and none of them is left out."""
        self.deal()
        self.assertLessEqual(
            max(sum(len(one.eager) for one in took.took) for took in self.takings), MOST_NAMES
        )
        self.assertLessEqual(max(len(parts.spread) for _, parts in self.parts), SLICE)
        everybody = {f"down p{number}": 2 for number in range(PEOPLE)}
        self.assertEqual((self.spread("first"), self.spread("second")), (everybody, everybody))
        self.assertEqual(
            {name: len(people) for name, people in self.dealing.waiting().items()}, {"line": PEOPLE}
        )

    def test_changes(self):
        """Then only those are named who wait elsewhere no more."""
        self.deal()
        self.parts.clear()
        for claim in self.claims["second"][:5]:
            self.workers["second"]._pacer.leave(claim)
        self.deal()
        self.deal()
        self.assertEqual(len(self.spread("first")), PEOPLE - 5)
        self.assertEqual(sum(len(parts.spread) for _, parts in self.parts), 10)

    def test_another(self):
        """A worker that takes the place of one is told of all."""
        self.deal()
        self.dealing.forget("first")
        self.spread("first").clear()
        pacer = self.workers["first"]._pacer
        self.workers["first"] = Taking(pacer, 2, lambda took: self.tell("first", took))
        self.deal()
        self.deal()
        self.assertEqual(len(self.spread("first")), PEOPLE)


class NewsTests(SynchronousTestCase):
    """One worker with some people, told to a supervisor that may not hear it."""

    def setUp(self):
        self.clock = Clock()
        self.pacer = Pacer(self.clock)
        self.addCleanup(self.pacer.stop)
        self.told, self.is_heard = [], True
        self.taking = Taking(self.pacer, 2, self.tell)
        self.claims = [self.join(f"p{number}") for number in range(3)]
        self.clock.advance(TURN_SECONDS)

    def tell(self, takings):
        self.told.append(takings)
        return succeed({}) if self.is_heard else fail(ValueError("a bug of the supervisor"))

    def join(self, person):
        return self.pacer.join(f"down {person}", [(BucketKey("each", person, 0), RATE)], lambda: None)

    def turn(self):
        """What is told in the next turn: of whom, who is gone, and whether all before is over."""
        self.told.clear()
        self.clock.advance(TURN_SECONDS)
        return [
            (sorted(one.whom for one in told.took), [one[1] for one in told.gone], told.is_anew)
            for told in self.told
        ]

    def test_nothing(self):
        """All is told at first, and nothing any more while nothing happens."""
        (first,) = self.told
        self.assertEqual((len(first.took), first.gone, first.is_anew), (3, (), True))
        self.assertEqual([self.turn() for _ in range(3)], [[], [], []])

    def test_one(self):
        """Who takes something is told, and nobody else; and once more when they take nothing any more."""
        self.pacer.ask(self.claims[1])
        self.assertEqual([self.turn() for _ in range(3)], [[(["p1"], [], False)], [(["p1"], [], False)], []])

    def test_gone(self):
        """Who is gone is told once."""
        self.pacer.leave(self.claims[1])
        told = [self.turn() for _ in range(round(2 * FORGET_SECONDS / TURN_SECONDS))]
        self.assertEqual([one for one in told if one], [[([], ["p1"], False)]])

    def test_idle(self):
        """When nobody is there any more, all that was told is over with one message."""
        for claim in self.claims:
            self.pacer.leave(claim)
        self.clock.advance(60)
        self.clock.advance(60)
        self.assertEqual(self.told[-1], Takings((), is_anew=True))
        self.claims = [self.join("p0")]
        self.assertEqual(self.turn()[0][0], ["p0"])

    def test_not_heard(self):
        """What was not heard is told once more, with all that was told before."""
        self.is_heard = False
        self.pacer.ask(self.claims[1])
        self.turn()
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.is_heard = True
        self.assertEqual(self.turn(), [(["p0", "p1", "p2"], [], True)])
