"""
Leases: one budget lent to several who move octets, so that together they never move more than it.

A `Lender` has the budget and lends parts of it.  A `Borrower` moves no more than it holds, gives back what it
does not use, and stops in time when the lender is not heard of any more.  What was lent stays charged until
somebody accounts for it: when a borrower dies, the budget is used up sooner, and never later.

Both count from the beginning of the loan and never back: all that was lent, moved, given back.  A message
says how far these counts are, so that one that is lost, late or comes twice does no harm: the greatest count
is the one that holds.

Neither has a clock; times are seconds of the clock of whoever calls, and no two clocks are compared: a
loan runs from the moment at which its borrower asked, for so long as the lender says.  The lender's own term
begins later, when the question comes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

# The least that is worth lending, but for the rest of a budget.
LEAST_OCTETS = 16 * 1024

# How long a loan may be used without hearing from the lender: who asks for little, now and then, costs both
# a question in half of this.
TERM_SECONDS = 30.0

# By how much the clock of a borrower may be slower than the lender's: one in a hundred, which no clock is.
DRIFT = 0.01


class Asking(NamedTuple):
    """
    What a borrower tells and asks.

    ``seen`` is what it knows to have been lent in all, ``moved`` and ``returned`` what it moved and gave back
    in all; ``wants`` is how much more it could use.
    """

    seen: int
    moved: int
    returned: int
    wants: int


class Reply(NamedTuple):
    """
    What the lender answers.

    ``granted`` is what is lent to this borrower in all, ``term`` for how many seconds it may be used from the
    moment of the question.  ``calls_back`` says that others want what this one does not need.
    """

    granted: int
    term: float
    calls_back: bool = False


@dataclass(slots=True)
class Loan:
    """
    What was lent to one borrower in all, what it moved and gave back of it, and what it wants just now.

    ``ends`` is when it may not be used any more without another question, by the clock of the lender.
    """

    granted: int = 0
    moved: int = 0
    returned: int = 0
    wants: int = 0
    ends: float = math.inf

    @property
    def charged(self) -> int:
        """What the budget is less because of it: what moved counts even where it was more than was lent."""
        return max(self.granted - self.returned, self.moved)


@dataclass(slots=True)
class Lender:
    """
    Lends a budget, in octets; ``loans`` are by the names of their borrowers, dead ones among them.

    A name is used once: whoever begins anew borrows under another one.
    """

    budget: int
    loans: dict[str, Loan] = field(default_factory=dict)

    @property
    def used(self) -> int:
        """What is known to have moved."""
        return sum(loan.moved for loan in self.loans.values())

    @property
    def charged(self) -> int:
        """What moved, or may have."""
        return sum(loan.charged for loan in self.loans.values())

    @property
    def free(self) -> int:
        """What may be lent."""
        return max(0, self.budget - self.charged)

    def hear(self, borrower: str, asking: Asking, now: float, term: float = TERM_SECONDS) -> Reply:
        """Take down what a borrower tells, lend what it may have; ``now`` is by the lender's clock."""
        loan = self.loans.setdefault(borrower, Loan())
        loan.moved = max(loan.moved, asking.moved)
        loan.returned = max(loan.returned, asking.returned)
        loan.ends = now + term
        if asking.seen >= loan.granted:
            # What was lent last has come; else it is on its way, and this may be an old question.
            loan.wants = asking.wants
            # What moved without being lent is charged already; a piece is what there is on top of it.
            loan.granted = max(loan.granted, loan.moved + loan.returned)
            loan.granted += self._piece(asking.wants)
        return Reply(loan.granted, term, self._calls_back(loan))

    def is_over(self, now: float) -> bool:
        """
        Whether somebody wants more and will not get any: what is left cannot be lent.

        All is lent; what others hold is a rest that is not worth it, or with those who are not heard of.
        """
        if self.free or not any(loan.wants for loan in self.loans.values()):
            return False
        there = (loan for loan in self.loans.values() if loan.ends > now)
        return sum(loan.charged - loan.moved for loan in there) < LEAST_OCTETS

    def _piece(self, wants: int) -> int:
        """Half of what each of those who want some could have, so that all have some to the end."""
        free = self.free
        if wants <= 0 or free <= 0:
            return 0
        wanting = sum(1 for loan in self.loans.values() if loan.wants > 0) or 1
        return min(free, max(min(wants, free // (2 * wanting)), LEAST_OCTETS))

    def _calls_back(self, loan: Loan) -> bool:
        """Whether somebody else wants more than there is."""
        wanted = sum(one.wants for one in self.loans.values() if one is not loan)
        return wanted > self.free


class Borrower:
    """Holds what was lent to it; ``moved``, ``returned`` and ``granted`` are counted from the beginning."""

    __slots__ = ("granted", "moved", "returned", "until")

    def __init__(self) -> None:
        self.granted = 0
        self.moved = 0
        self.returned = 0
        # Until when it may be used, by the borrower's own clock.
        self.until = -math.inf

    @property
    def holds(self) -> int:
        """What is left of all loans."""
        return max(0, self.granted - self.returned - self.moved)

    def may_move(self, now: float) -> int:
        """How much may move now: nothing where the lender was not heard of for too long."""
        return self.holds if now < self.until else 0

    def move(self, octets: int) -> None:
        """Octets moved."""
        self.moved += octets

    def ask(self, wants: int) -> Asking:
        """The question to send; note when it was, for `take`."""
        return Asking(self.granted, self.moved, self.returned, wants)

    def take(self, reply: Reply, asked_at: float, needs: int) -> int:
        """
        Take an answer to a question of a moment; ``needs`` is what will be used before the next one.

        Gives what is given back because others want it, which the lender knows with the next question.
        """
        self.granted = max(self.granted, reply.granted)
        self.until = max(self.until, asked_at + reply.term * (1 - DRIFT))
        return self.give_back(self.holds - needs) if reply.calls_back else 0

    def give_back(self, octets: int) -> int:
        """Use so much of it no more; gives how much that is."""
        octets = max(0, min(octets, self.holds))
        self.returned += octets
        return octets
