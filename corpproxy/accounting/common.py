"""
One budget for several nodes: what they keep in common lends to each of them, as a node lends to its workers.

What is here has no clock and no database: `lend` is given how a member stands, and what of it is lent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from corpproxy.accounting.leases import Asking, Lender, Loan
from corpproxy.accounting.minutes import Minutes

# How long a node may use a loan without hearing from what lends it: as long as a database may be away before
# somebody who needs little notices.  Who released what a dead node was lent any sooner could lend it twice.
NODE_TERM_SECONDS = 600.0

# Who has wanted more for so long is not kept waiting for nodes that were called and do not answer.
CALL_SECONDS = 5.0


class NodeAsked(NamedTuple):
    """
    What a node tells and asks of one member: see `corpproxy.accounting.leases.Asking`.

    ``allowed`` is what its policy allows, without what was granted; ``waiting`` for how many seconds somebody
    there has wanted more.  Where minutes are counted, ``minute`` is the last and ``minutes`` has a bit for
    each that was not told yet (`corpproxy.accounting.minutes`).
    """

    limit: str
    whom: str
    until: float
    allowed: int
    seen: int
    moved: int
    returned: int
    wants: int
    waiting: float = 0.0
    minute: int = 0
    minutes: int = 0


class NodeLent(NamedTuple):
    """
    What it is answered: see `corpproxy.accounting.leases.Reply`.

    ``returned`` counts what the node gave back and what others released for it.  ``is_over`` says that it
    wants more and will not get any.
    """

    limit: str
    whom: str
    until: float
    granted: int
    returned: int
    calls_back: bool
    is_over: bool


class Moved(NamedTuple):
    """What a node that began anew knows to have been moved, at most, in a run before: ``run`` is its name."""

    run: str
    limit: str
    whom: str
    until: float
    moved: int


class Common(NamedTuple):
    """
    How a member stands in what nodes have in common, as one of them is told.

    ``elsewhere`` is what was used, but for what that node itself told; ``lent`` what nodes hold of the rest,
    and ``wanted`` how much the others want.
    """

    limit: str
    whom: str
    until: float
    elsewhere: float
    granted: float
    lent: int = 0
    wanted: int = 0


class OnLoan(NamedTuple):
    """
    What a node holds of a member's quota; ``host`` is the machine that it runs on, ``silent`` for how many
    seconds it was not heard.  ``is_here`` says that it is the one that asks.
    """

    limit: str
    whom: str
    until: float
    node: str
    host: str
    octets: int
    silent: float
    is_here: bool


class Ledgered(NamedTuple):
    """How members stand in what nodes have in common, and what is on loan to which."""

    members: Sequence[Common] = ()
    loans: Sequence[OnLoan] = ()


@dataclass(slots=True)
class NodeLoan:
    """What was lent to one run of a node, and for how many seconds it was not heard of."""

    node: str
    granted: int = 0
    moved: int = 0
    returned: int = 0
    wants: int = 0
    silent: float = 0.0

    def as_loan(self, patience: float) -> Loan:
        """As a lender sees it who waits so long for those it has called; nobody that is silent wants any."""
        wants = self.wants if self.silent < CALL_SECONDS else 0
        return Loan(self.granted, self.moved, self.returned, wants, patience - self.silent)

    def take(self, loan: Loan) -> None:
        """Be what a lender made of it."""
        self.granted, self.moved = loan.granted, loan.moved
        self.returned, self.wants, self.silent = loan.returned, loan.wants, 0.0

    def release(self) -> None:
        """Lend it no more: the node has stopped, or is heard before it goes on."""
        self.returned = max(self.returned, self.granted - self.moved)
        self.wants = 0


@dataclass(slots=True)
class Budget:
    """
    How a member stands: what all used in all, what was granted, and loans by the runs of nodes.

    ``minutes`` are the last that count, where minutes are counted.
    """

    used: float = 0.0
    granted: float = 0.0
    minutes: Minutes = field(default_factory=Minutes)
    loans: dict[str, NodeLoan] = field(default_factory=dict)

    def lend(self, node: str, run: str, asked: NodeAsked) -> NodeLent:
        """Take down what a node tells, and lend it what it may have."""
        patience = NODE_TERM_SECONDS if asked.waiting < CALL_SECONDS else CALL_SECONDS
        mine = self.loans.setdefault(run, NodeLoan(node))
        lender = Lender(0, {name: loan.as_loan(patience) for name, loan in self.loans.items()})
        before = lender.used
        asking = Asking(asked.seen, asked.moved, asked.returned, asked.wants)
        lender.budget = max(0, int(asked.allowed + self.granted - self.used) + before)
        reply = lender.hear(run, asking, 0.0, patience)
        self.used += self._more(asked, lender.used - before)
        mine.take(lender.loans[run])
        is_over = mine.wants > 0 and lender.is_over(0.0)
        return NodeLent(
            asked.limit, asked.whom, asked.until, reply.granted, mine.returned, reply.calls_back, is_over
        )

    def _more(self, asked: NodeAsked, moved: int) -> int:
        """How much more is used by what a node told: a minute that counts already is no other one."""
        if not asked.minute or moved <= 0:
            return moved
        told = Minutes(asked.minute, asked.minutes)
        # Those before the first that is told by its number.
        before = max(0, moved - told.bits.bit_count())
        return min(moved, before + self.minutes.take_in(told))

    def settle(self, node: str, run: str, moved: int | None) -> None:
        """
        A run of a node is over; ``moved`` is what it moved at most, also where that was never told.

        Where that is not known all that it was lent counts as used.  Told twice, it counts once.
        """
        loan = self.loans.setdefault(run, NodeLoan(node))
        if moved is None:
            moved = loan.granted - loan.returned
        more = max(0, moved - loan.moved)
        self.used += more
        loan.moved += more
        loan.release()

    def release(self) -> int:
        """Lend no more what nodes hold that were not heard of for longer than they may use it."""
        released = 0
        for loan in self.loans.values():
            held = loan.granted - loan.returned - loan.moved
            if held > 0 and loan.silent >= NODE_TERM_SECONDS:
                loan.release()
                released += held
        return released
