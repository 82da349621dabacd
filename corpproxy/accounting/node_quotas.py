"""
Quotas of a node that has them in common with others: it borrows of them, and lends to its workers.

What it may lend is what it holds of a loan.  It asks for more before that is lent: enough for some seconds
at the pace of the last ones, and a part of what is left of the quota at least, so that who is far from the
end costs the common lender little.  What nobody here needs goes back after a while, and at once where others
want it.

What is not lent (minutes, and what is only recorded) is told in the same way, as what moved.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Iterator
from typing import NamedTuple

from corpproxy.accounting.common import NODE_TERM_SECONDS, Common, Moved, NodeAsked, NodeLent
from corpproxy.accounting.dividing import Pauses, drained
from corpproxy.accounting.holding import Holding
from corpproxy.accounting.leases import LEAST_OCTETS, TERM_SECONDS, Lender, Reply
from corpproxy.accounting.quotas import Asked, Lent, Quotas, Row
from corpproxy.policy.limits import Limits
from corpproxy.policy.quota import Member, Quota, Standing

# A node holds such a part of what is left at least, and what is used in so long.
PART_OF_QUOTA = 16
HOLD_SECONDS = 10.0
# What nobody used for so long goes back.
IDLE_SECONDS = 60.0
# What moved is told after so long; sooner where more than this part of the quota is used, or more is wanted.
TELL_SECONDS = 5.0
NEAR = 0.75
# So long somebody waits for a lender that does not answer, before it counts as away; then it is as the policy
# says, and for so long until somebody may try again.
AWAY_SECONDS = 5.0
AGAIN_SECONDS = 60.0
# Who was called gives back for so long what it does not need.
CALLED_SECONDS = 3.0


class Waiting(NamedTuple):
    """A process that waits for more than is here, and its question."""

    borrower: str
    asked: Asked


class NodeQuotas(Quotas):
    """
    Quotas that others lend.

    ``is_urgent`` says that somebody waits for `asks` to be asked.
    """

    def __init__(self) -> None:
        super().__init__()
        self.is_urgent = False
        self._holdings: dict[Member, Holding] = {}
        # Those to be looked after in the next turn; and all that hold anything, the longest idle first.
        self._due: dict[Member, None] = {}
        self._resting: dict[Member, None] = {}
        self._waiting: dict[Member, dict[str, Asked]] = {}
        # Those who have nothing more because what lends is away.
        self._shut: set[Member] = set()
        # When something is made good next, and the times of each limit: since when is known until when.
        self._periods: dict[str, tuple[float, float]] = {}
        self._seconds = 0.0
        # Since when the lender has not answered; None when it has.
        self._silent_since: float | None = None

    # Workers.

    def lend(self, borrower: str, asked: Asked, now: float, seconds: float) -> Lent:
        """A process moved octets of what it was lent, and asks for more."""
        self._seconds = seconds
        lent = super().lend(borrower, asked, now, seconds)
        member = asked.limit, asked.whom
        row, holding = self._rows.get(member), self._holdings.get(member)
        if row is None or row.lender is None or holding is None or lent.until != holding.until:
            return lent
        if asked.wants > 0:
            self._touch(member, holding, seconds)
        self._due[member] = None
        if asked.wants <= 0 or lent.granted > asked.seen:
            self._waits_no_more(member, borrower)
        else:
            self._note_unmet(member, holding, borrower, asked, now, seconds)
        return lent._replace(calls_back=lent.calls_back or seconds < holding.called_until)

    def burying(self, borrower: str) -> Iterator[None]:
        """A process is over: what it was lent counts as used."""
        yield from super().burying(borrower)
        pauses = Pauses()
        for member in list(self._waiting):
            self._waits_no_more(member, borrower)
            if pauses.is_due():
                yield

    def answerable(self) -> Iterator[list[Waiting]]:
        """Those who wait for more where there is some now, a slice at each step: ask for them once more."""
        found = []
        pauses = Pauses()
        for member in list(self._waiting):
            holding = self._holdings.get(member)
            if holding is not None and (holding.is_over or self._free(member, holding) > 0):
                waiting = self._waiting.get(member, {})
                found += [Waiting(borrower, asked) for borrower, asked in waiting.items()]
            if pauses.is_due():
                yield found
                found = []
        yield found

    def _note_unmet(
        self, member: Member, holding: Holding, borrower: str, asked: Asked, now: float, seconds: float
    ) -> None:
        self._waiting.setdefault(member, {})[borrower] = asked
        if holding.unmet is None:
            holding.unmet = seconds
        self.is_urgent = self.is_urgent or not holding.is_over
        if self.is_away(seconds) and not self._goes_on(member):
            holding.shut_until = now + AGAIN_SECONDS
            self._shut.add(member)
            self._changed.add(member)

    def _waits_no_more(self, member: Member, borrower: str) -> None:
        waiting = self._waiting.get(member)
        if waiting is not None:
            waiting.pop(borrower, None)
            if not waiting:
                del self._waiting[member]
                self._holdings[member].unmet = None

    # What lends to this node.

    def asking(self, seconds: float) -> Generator[None, None, list[NodeAsked]]:
        """
        What to tell and to ask now, of all members together, a slice at each step.

        It is answered by `taking` or `not_answered`.
        """
        self._seconds, self.is_urgent = seconds, False
        self._end_rest(seconds)
        due, self._due = self._due, {}
        asked = []
        pauses = Pauses()
        for member in due:
            holding = self._holdings.get(member)
            if holding is not None:
                one = self._ask(member, holding, seconds)
                if one is not None:
                    asked.append(one)
                elif not holding.is_told or member in self._waiting:
                    self._due[member] = None
            if pauses.is_due():
                yield
        if asked:
            self.note_silence(seconds)
        return asked

    def taking(self, lent: Iterable[NodeLent], asked_at: float) -> Iterator[None]:
        """Take what was asked for, or less, a slice at each step."""
        self._silent_since = None
        pauses = Pauses()
        for one in lent:
            member = one.limit, one.whom
            holding = self._holdings.get(member)
            if holding is not None and holding.until == one.until:
                self._take(member, holding, one, asked_at)
            if pauses.is_due():
                yield

    def not_answered(self, asked: Iterable[NodeAsked]) -> None:
        """Nobody answered; it is asked once more."""
        for one in asked:
            self._due[one.limit, one.whom] = None

    def note_silence(self, seconds: float) -> None:
        """What lends to this node does not answer."""
        if self._silent_since is None:
            self._silent_since = seconds

    def is_away(self, seconds: float) -> bool:
        """Whether what lends to this node has not answered for too long."""
        return self._silent_since is not None and seconds - self._silent_since >= AWAY_SECONDS

    @property
    def shut(self) -> int:
        """How many members have nothing more because what lends is away."""
        return len(self._shut)

    def put_common(self, row: Common, now: float) -> None:
        """Take up how a member stands in what all have in common."""
        member = row.limit, row.whom
        mine = self._rows.get(member)
        if mine is None or mine.until != row.until:
            if not self._is_of_now(row, now):
                # Of a node whose clock is wrong, or of what is made good here already.
                return
            mine = self._rows[member] = Row(row.until)
        holding = self._holdings.get(member)
        if holding is not None and holding.until != row.until:
            holding = None
        used = row.elsewhere + (holding.borrower.moved if holding is not None else 0)
        quota = self._quotas.get(row.limit)
        free = quota.allowed + row.granted - used - row.lent if quota is not None else 0.0
        if row.granted > mine.granted or used < mine.used or free >= LEAST_OCTETS:
            mine.is_over = False
            if holding is not None:
                holding.is_over = False
        mine.used, mine.granted = used, row.granted
        if holding is not None and row.wanted > free:
            self._call(member, holding)
        self._changed.add(member)

    def common_standing(self, row: Common, now: float) -> Standing | None:
        """How a member stands by what all have in common; None where that does not count now."""
        quota = self._quotas.get(row.limit)
        if quota is None or not self._is_of_now(row, now):
            return None
        holding = self._holdings.get((row.limit, row.whom))
        mine = holding.borrower.moved if holding is not None and holding.until == row.until else 0
        return Standing(row.elsewhere + mine, quota.allowed + row.granted, row.until)

    def moved_at_most(self, members: Iterable[Member], run: str) -> list[Moved]:
        """What these may have moved in this run: what its workers hold may be used by now."""
        found = []
        for member in members:
            holding = self._holdings.get(member)
            if holding is not None:
                lent = self.lent(*member)
                found.append(Moved(run, *member, holding.until, holding.borrower.moved + lent))
        return found

    def members(self) -> list[Member]:
        """Those of whom anything was borrowed or told."""
        return list(self._holdings)

    def begin_anew(self) -> None:
        """Hold nothing from now on, and count from nothing: another run accounts for what was."""
        for known in (self._holdings, self._due, self._resting, self._waiting, self._periods):
            known.clear()
        self._shut.clear()
        self._next_end = math.inf
        self.is_urgent = False

    def end(self) -> None:
        """Give all back with the next question."""
        for member, holding in self._holdings.items():
            holding.touched = holding.told_at = -math.inf
            self._due[member] = None

    def _ask(self, member: Member, holding: Holding, seconds: float) -> NodeAsked | None:
        quota = self._quotas.get(member[0])
        row = self._rows.get(member)
        if row is None or row.until != holding.until:
            self._forget_holding(member)
            return None
        holding.measure(seconds)
        wants = self._wants(member, holding, row, quota, seconds) if quota is not None else 0
        borrower = holding.borrower
        if not (wants or self._is_to_be_told(holding, row, quota, seconds) or holding.shut_until):
            return None
        holding.telling, holding.told_at = (borrower.moved, borrower.returned), seconds
        waiting = seconds - holding.unmet if holding.unmet is not None else 0.0
        allowed = quota.allowed if quota is not None else 0
        minutes = holding.minutes
        holding.telling_minute = minutes.last
        asking = borrower.ask(wants)
        return NodeAsked(*member, holding.until, allowed, *asking, waiting, minutes.last, minutes.bits)

    def _is_to_be_told(self, holding: Holding, row: Row, quota: Quota | None, seconds: float) -> bool:
        borrower = holding.borrower
        if borrower.holds and (
            seconds < holding.called_until or borrower.until - seconds < NODE_TERM_SECONDS / 2
        ):
            return True
        is_near = quota is None or quota.minutes > 0 or row.used >= NEAR * (quota.allowed + row.granted)
        is_late = is_near or seconds - holding.told_at >= TELL_SECONDS
        return not holding.is_told and (is_late or holding.told[1] != borrower.returned)

    def _wants(self, member: Member, holding: Holding, row: Row, quota: Quota, seconds: float) -> int:
        """Give back what is not needed, and say what more could be used."""
        free = self._free(member, holding)
        unmet = sum(asked.wants for asked in self._waiting.get(member, {}).values())
        is_idle = seconds - holding.touched >= IDLE_SECONDS and not self.lent(*member)
        if is_idle or not quota.lands:
            holding.borrower.give_back(free)
            return 0
        if seconds < holding.called_until:
            needs = unmet + int(holding.pace / 2)
            holding.borrower.give_back(free - needs)
        else:
            left = int(quota.allowed + row.granted - row.used)
            needs = max(unmet, int(holding.pace * HOLD_SECONDS), left // PART_OF_QUOTA, LEAST_OCTETS)
        return needs - free if free < needs / 2 or unmet > free else 0

    def _call(self, member: Member, holding: Holding) -> None:
        holding.called_until = self._seconds + CALLED_SECONDS
        self._due[member] = None

    def _take(self, member: Member, holding: Holding, lent: NodeLent, asked_at: float) -> None:
        borrower = holding.borrower
        borrower.take(Reply(lent.granted, NODE_TERM_SECONDS), asked_at, borrower.holds)
        borrower.returned = max(borrower.returned, lent.returned)
        holding.told = holding.telling
        holding.minutes = holding.minutes.since(holding.telling_minute)
        if lent.calls_back:
            self._call(member, holding)
        if holding.is_over != lent.is_over or holding.shut_until:
            holding.is_over, holding.shut_until = lent.is_over, 0.0
            self._shut.discard(member)
            self._rows[member].is_over = False
            self._changed.add(member)
        if member in self._waiting or not holding.is_told:
            self._due[member] = None
        if borrower.holds:
            self._resting.setdefault(member, None)

    def _end_rest(self, seconds: float) -> None:
        """Look after what nobody used for a while; those stand first."""
        for _ in range(len(self._resting)):
            member = next(iter(self._resting))
            holding = self._holdings[member]
            if seconds - holding.touched < IDLE_SECONDS:
                break
            self._due[member] = None
            del self._resting[member]
            if holding.borrower.holds and self.lent(*member):
                # A worker has some of it yet.
                self._resting[member] = None

    # What is different from quotas of one's own.

    def standing(self, limit: str, whom: str, now: float) -> Standing | None:
        """How a member stands; nothing is left of what another lends who is away."""
        standing = super().standing(limit, whom, now)
        holding = self._holdings.get((limit, whom))
        if standing is not None and holding is not None and holding.shut_until > now:
            return Standing(0.0, 0.0, min(standing.until, holding.shut_until))
        return standing

    def grant(self, limit: str, whom: str, more: float, now: float) -> Standing | None:
        """Give a member more, until it is made good again."""
        holding = self._holdings.get((limit, whom))
        if holding is not None:
            holding.is_over = False
        super().grant(limit, whom, more, now)
        return super().standing(limit, whom, now)

    def resetting(self, limit: str, whom: str | None, now: float) -> Generator[None, None, set[str]]:
        """Begin anew for a member, or for all of a limit."""
        found = yield from super().resetting(limit, whom, now)
        pauses = Pauses()
        for one in found:
            holding = self._holdings.get((limit, one))
            if holding is not None:
                holding.is_over = False
            if pauses.is_due():
                yield
        return found

    def define(self, limits: Limits) -> None:
        """Count for these limits from now on; what is used stays used."""
        super().define(limits)
        self._periods.clear()

    def forgetting(self, now: float) -> Iterator[None]:
        """Forget what was made good again."""
        yield from super().forgetting(now)
        pauses = Pauses()
        for member in drained(list(self._holdings)):
            holding = self._holdings.get(member)
            if holding is not None and holding.until <= now:
                self._forget_holding(member)
            if pauses.is_due():
                yield

    def _use(self, member: Member, row: Row, amount: int) -> None:
        super()._use(member, row, amount)
        holding = self._held(member, row)
        holding.borrower.move(amount)
        quota = self._quotas.get(member[0])
        if quota is not None and quota.minutes:
            holding.minutes.count(row.minute)
        self._touch(member, holding, self._seconds)

    def _left(self, member: Member, row: Row, quota: Quota, seconds: float) -> float:
        holding = self._held(member, row)
        if self._goes_on(member) and self.is_away(seconds):
            return super()._left(member, row, quota, seconds)
        return holding.left if seconds < holding.borrower.until else 0

    def _term(self, member: Member, seconds: float) -> float:
        if self._goes_on(member) and self.is_away(seconds):
            return TERM_SECONDS
        holding = self._holdings.get(member)
        until = holding.borrower.until if holding is not None else 0.0
        return min(TERM_SECONDS, max(0.0, until - seconds))

    def _is_over(self, member: Member, lender: Lender, seconds: float) -> bool:
        holding = self._holdings.get(member)
        return holding is not None and holding.is_over and super()._is_over(member, lender, seconds)

    def _goes_on(self, member: Member) -> bool:
        quota = self._quotas.get(member[0])
        return quota is not None and quota.goes_on

    # Inside.

    def _held(self, member: Member, row: Row) -> Holding:
        holding = self._holdings.get(member)
        if holding is None or holding.until != row.until:
            self._waiting.pop(member, None)
            holding = self._holdings[member] = Holding(row.until, self._seconds)
            self._shut.discard(member)
        return holding

    def _free(self, member: Member, holding: Holding) -> int:
        return max(0, holding.left - self.lent(*member))

    def _touch(self, member: Member, holding: Holding, seconds: float) -> None:
        holding.touched = seconds
        self._due[member] = None
        if self._resting.pop(member, member) is None:
            self._resting[member] = None

    def _forget_holding(self, member: Member) -> None:
        for known in (self._holdings, self._due, self._resting, self._waiting):
            known.pop(member, None)
        self._shut.discard(member)

    def _is_of_now(self, row: Common, now: float) -> bool:
        """Whether a row is of the time that counts now; it is worked out once for all members of a limit."""
        quota = self._quotas.get(row.limit)
        if quota is None:
            # Another version of the policy has such a limit, perhaps.
            return True
        since, until = self._periods.get(row.limit, (math.inf, -math.inf))
        if not since <= now < until:
            since, until = self._periods[row.limit] = now, quota.ends(now)
        return until == row.until
