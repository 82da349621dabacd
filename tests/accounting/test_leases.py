"""One budget lent to several: together they never move more, whatever becomes of them and of messages."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.leases import LEAST_OCTETS, TERM_SECONDS, Asking, Borrower, Lender

KIB = 1024


class Somebody:
    """A borrower with its link to the lender, a clock of its own, and an appetite."""

    def __init__(self, name: str, lender: Lender, chance: random.Random) -> None:
        self.name = name
        self.borrower = Borrower()
        self.is_dead = False
        self.appetite = 0
        self.moved_after_term = False
        self._lender = lender
        self._chance = chance
        # Clocks differ in what they show, and run a little slower or faster.
        self._offset = chance.uniform(-1e6, 1e6)
        self._pace = chance.uniform(0.995, 1.005)
        # Questions and answers under way: when they arrive, and what.
        self.questions: list[tuple[float, float, Asking]] = []
        self.answers: list[tuple[float, float, object]] = []
        # When the lender's term of what it lent last ends, by the lender's clock.
        self.term_ends = 0.0

    def clock(self, now: float) -> float:
        return self._offset + now * self._pace

    def ask(self, now: float, loses: float) -> None:
        asking = self.borrower.ask(self.appetite)
        self._send(self.questions, now, (self.clock(now), asking), loses)

    def _send(self, link: list, now: float, what: tuple, loses: float) -> None:
        """Some messages are lost, some are late, some come twice."""
        for _ in range(self._chance.choice((1, 1, 1, 2))):
            if self._chance.random() >= loses:
                late = self._chance.choice((0.0, 0.01, 0.5, 3.0, 30.0)) if loses else 0.0
                link.append((now + late, *what))

    def deliver(self, now: float, loses: float) -> None:
        due, self.questions = _due(self.questions, now)
        for _, asked_at, asking in due:
            reply = self._lender.hear(self.name, asking, now)
            self.term_ends = max(self.term_ends, now + reply.term)
            self._send(self.answers, now, (asked_at, reply), loses)
        due, self.answers = _due(self.answers, now)
        for _, asked_at, reply in due:
            if not self.is_dead:
                self.borrower.take(reply, asked_at, self.appetite)

    def move(self, now: float) -> None:
        octets = min(
            self.appetite, self.borrower.may_move(self.clock(now)), self._chance.randrange(1, 1 << 22)
        )
        if octets > 0:
            self.borrower.move(octets)
            self.appetite -= octets
            self.moved_after_term |= now >= self.term_ends


def _due(link: list, now: float) -> tuple[list, list]:
    return [one for one in link if one[0] <= now], [one for one in link if one[0] > now]


class LeaseTests(SynchronousTestCase):
    """Borrowers that die, messages that are lost, clocks that differ."""

    @given(
        st.integers(0, 1 << 32),
        st.integers(0, 200 << 20),
        st.integers(1, 6),
        st.sampled_from([0.0, 0.1, 0.5]),
    )
    @settings(max_examples=150, deadline=None)
    def test_never_more(self, seed: int, budget: int, count: int, loses: float) -> None:
        """The sum never passes the budget, nobody moves what it does not hold or after its term."""
        chance = random.Random(seed)
        lender = Lender(budget)
        people = [Somebody(f"b{number}", lender, chance) for number in range(count)]
        now = 0.0
        for _ in range(120):
            now += chance.choice((0.01, 0.1, 0.25, 1.0, 7.0))
            for one in people:
                one.deliver(now, loses)
                if one.is_dead:
                    continue
                if chance.random() < 0.3:
                    one.appetite += chance.randrange(0, max(1, budget))
                one.move(now)
                if chance.random() < 0.1:
                    one.borrower.give_back(chance.randrange(0, 1 << 22))
                if chance.random() < 0.6:
                    one.ask(now, loses)
                one.is_dead = chance.random() < 0.01
            moved = sum(one.borrower.moved for one in people)
            self.assertLessEqual(moved, budget)
            self.assertGreaterEqual(lender.charged, moved)
            self.assertLessEqual(lender.charged, budget)
            for one in people:
                held = one.borrower.granted - one.borrower.returned
                self.assertLessEqual(one.borrower.moved, held)
                self.assertFalse(one.moved_after_term)

    @given(st.integers(0, 1 << 32), st.integers(LEAST_OCTETS, 100 << 20), st.integers(1, 6), st.booleans())
    @settings(max_examples=100, deadline=None)
    def test_nobody_starves(self, seed: int, budget: int, count: int, dies: bool) -> None:
        """While budget is left whoever wants more gets some, though others hold what they do not need."""
        chance = random.Random(seed)
        lender = Lender(budget)
        people = [Somebody(f"b{number}", lender, chance) for number in range(count)]
        now = 0.0
        # At first all want much, and some of it is lent to each.
        for one in people:
            one.appetite = budget
            one.ask(now, 0.0)
            one.deliver(now, 0.0)
        if dies and count > 1:
            people[-1].is_dead = True
        hungry, *others = people
        for one in others:
            one.appetite = 0
        for _ in range(400):
            now += 0.25
            for one in people:
                if not one.is_dead:
                    one.ask(now, 0.0)
                    one.deliver(now, 0.0)
                    one.move(now)
        dead = sum(lender.loans[one.name].charged for one in people if one.is_dead)
        self.assertEqual(hungry.borrower.moved, budget - dead)
        self.assertEqual(lender.free, 0)

    def test_pieces_shrink(self) -> None:
        """The less there is left, the less is lent at once; the rest is lent whole."""
        lender, borrower = Lender(1 << 20), Borrower()
        pieces = []
        while lender.free:
            before = borrower.granted
            borrower.take(lender.hear("one", borrower.ask(1 << 30), 0.0), 0.0, 1 << 30)
            pieces.append(borrower.granted - before)
        self.assertEqual(pieces, sorted(pieces, reverse=True))
        self.assertEqual((pieces[0], sum(pieces)), (1 << 19, 1 << 20))
        self.assertGreaterEqual(pieces[-1], 1)

    def test_term(self) -> None:
        """Who does not hear from the lender stops before the lender's term ends."""
        lender, borrower = Lender(1 << 20), Borrower()
        borrower.take(lender.hear("one", borrower.ask(1 << 20), 0.0), 50.0, 1 << 20)
        self.assertEqual(borrower.may_move(50.0 + TERM_SECONDS * 0.98), borrower.holds)
        self.assertEqual(borrower.may_move(50.0 + TERM_SECONDS * 0.995), 0)
        borrower.take(lender.hear("one", borrower.ask(0), 0.0), 60.0, 1 << 20)
        self.assertEqual(borrower.may_move(61.0), borrower.holds)

    def test_old_question(self) -> None:
        """A question that comes again after its answer lends nothing more."""
        lender, borrower = Lender(1 << 20), Borrower()
        question = borrower.ask(LEAST_OCTETS)
        first = lender.hear("one", question, 0.0)
        self.assertEqual(lender.hear("one", question, 0.0).granted, first.granted)

    def test_moved_more(self) -> None:
        """A head that moved before anything was lent counts, too."""
        lender = Lender(100)
        lender.hear("one", Asking(0, 70, 0, 0), 0.0)
        self.assertEqual((lender.used, lender.charged, lender.free), (70, 70, 30))

    def test_over(self) -> None:
        """When there is nothing but crumbs, and what the dead and the silent hold, it is over."""
        lender, one, other = Lender(1 << 20), Borrower(), Borrower()
        other.take(lender.hear("other", other.ask(1 << 19), 0.0), 0.0, 0)
        while lender.free:
            one.take(lender.hear("one", one.ask(1 << 20), 1.0), 1.0, 1 << 20)
            one.move(one.holds)
        lender.hear("one", one.ask(1 << 20), 2.0)
        self.assertFalse(lender.is_over(5.0))
        self.assertTrue(lender.is_over(0.0 + TERM_SECONDS))

    def test_not_over(self) -> None:
        """Where nobody wants more it is not over: a rest may be lent another day."""
        lender = Lender(LEAST_OCTETS)
        lender.hear("one", Asking(0, LEAST_OCTETS - 1, 0, 0), 0.0)
        self.assertFalse(lender.is_over(1.0))
