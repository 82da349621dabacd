"""
Quotas added up: what each member of each limit has used since it was made good last.

Minutes are those in which something moved, by the clock: one minute however many connections there are.  A
tab that is left open sends a little now and then, and costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from corpproxy.accounting.dividing import Pauses, drained, finished
from corpproxy.accounting.leases import TERM_SECONDS, Asking, Lender, Reply
from corpproxy.policy.limits import Limits
from corpproxy.policy.quota import Member, Quota, Standing

# A minute counts in which more than this moves.  What a page that nobody looks at asks for is less.
ACTIVE_OCTETS = 32 * 1024


class Kept(NamedTuple):
    """What is kept of a member over a restart."""

    limit: str
    whom: str
    until: float
    used: float
    granted: float


class Charge(NamedTuple):
    """
    How much more a member used, or got, since that was told the last time; less where it is negative.

    Where several nodes have one budget each charges what it knows, and the sum stands for all.
    """

    limit: str
    whom: str
    until: float
    used: float
    granted: float


class Asked(NamedTuple):
    """
    What a process tells and asks of one member: see `corpproxy.accounting.leases.Asking`.

    ``until`` is when the quota is made good that it borrowed of, 0 where it does not know; ``asked_at`` is by
    its own clock, and comes back with the answer.
    """

    limit: str
    whom: str
    until: float
    asked_at: float
    seen: int
    moved: int
    returned: int
    wants: int


class Lent(NamedTuple):
    """What it is answered: see `corpproxy.accounting.leases.Reply`."""

    limit: str
    whom: str
    until: float
    asked_at: float
    granted: int
    term: float
    calls_back: bool


@dataclass(slots=True)
class Row:
    """What one member used until it is made good, and what is lent of it."""

    until: float
    used: float = 0.0
    granted: float = 0.0
    minute: int = 0
    octets: int = 0
    # What is lent of it; and whether somebody wants more and will not get any.
    lender: Lender | None = None
    is_over: bool = False

    @property
    def charged(self) -> float:
        """What is used, and what may be by now."""
        return self.used + (self.lender.charged - self.lender.used if self.lender is not None else 0)


class Quotas:
    """
    All that is used; ``changed`` are the members that stand otherwise since that was asked.

    What is about everybody (`loading`, `burying`, `forgetting`) is done a slice at each step, because that
    may be a hundred thousand; between two steps anything may happen.
    """

    def __init__(self) -> None:
        self._quotas: dict[str, Quota] = {}
        self._rows: dict[Member, Row] = {}
        self._changed: set[Member] = set()
        # Limits whose quotas are others than before, and the members that are not looked through for it yet.
        self._redefined: set[str] = set()
        self._unseen: list[Member] = []

    def define(self, limits: Limits) -> None:
        """Count for these limits from now on; what is used stays used."""
        before = self._quotas
        self._quotas = {one.name: one.quota for one in limits.limits if one.quota is not None}
        others = {name for name, quota in self._quotas.items() if quota != before.get(name)}
        if others:
            self._redefined |= others
            self._unseen = list(self._rows)

    def count(self, limit: str, whom: str, octets: int, now: float) -> None:
        """A member moved octets just now."""
        quota = self._quotas.get(limit)
        if quota is None or not quota.holds(now):
            return
        row = self._row(limit, whom, quota, now)
        if quota.volume:
            self._use((limit, whom), row, octets)
        elif _begins_a_minute(row, octets, now):
            self._use((limit, whom), row, 1)

    def lend(self, borrower: str, asked: Asked, now: float, seconds: float) -> Lent:
        """
        A process moved octets of what it was lent, and asks for more.

        ``seconds`` is by a clock that nobody sets: who was not heard of for long is told by it.
        """
        quota = self._quotas.get(asked.limit)
        if quota is None or not quota.holds(now):
            # Nothing counts now: as much as it wants, for as long as that is so.
            until = 0.0 if quota is None else quota.ends(now)
            return self._lent(asked, until, Reply(asked.seen + asked.wants, TERM_SECONDS))
        row = self._row(asked.limit, asked.whom, quota, now)
        if asked.until != row.until:
            # It begins to count anew, and what it counted before under this name stays used.
            self._settle((asked.limit, asked.whom), row, borrower)
            return self._lent(asked, row.until, Reply(0, TERM_SECONDS))
        return self._lent(asked, row.until, self._hear(borrower, asked, row, quota, seconds))

    def _hear(self, borrower: str, asked: Asked, row: Row, quota: Quota, seconds: float) -> Reply:
        member = asked.limit, asked.whom
        lender = row.lender
        if lender is None:
            lender = row.lender = Lender(0)
        before = lender.used
        lender.budget = max(0, int(self._left(member, row, quota, seconds)) + before)
        asking = Asking(asked.seen, asked.moved, asked.returned, asked.wants)
        reply = lender.hear(borrower, asking, seconds, self._term(member, seconds))
        if lender.used != before:
            self._use(member, row, lender.used - before)
        if not row.is_over and self._is_over(member, lender, seconds):
            row.is_over = True
            self._changed.add(member)
        return reply

    def burying(self, borrower: str) -> Iterator[None]:
        """A process is over: what it was lent counts as used."""
        pauses = Pauses()
        for member in drained(list(self._rows)):
            row = self._rows.get(member)
            if row is not None:
                self._settle(member, row, borrower)
            if pauses.is_due():
                yield

    def _settle(self, member: Member, row: Row, borrower: str) -> None:
        lender = row.lender
        if lender is not None and borrower in lender.loans:
            loan = lender.loans.pop(borrower)
            self._use(member, row, loan.charged - loan.moved)

    @staticmethod
    def _lent(asked: Asked, until: float, reply: Reply) -> Lent:
        return Lent(asked.limit, asked.whom, until, asked.asked_at, *reply)

    def lent(self, limit: str, whom: str) -> int:
        """What processes hold of it just now, in octets."""
        row = self._rows.get((limit, whom))
        return 0 if row is None else int(row.charged - row.used)

    def grant(self, limit: str, whom: str, more: float, now: float) -> Standing | None:
        """Give a member more, until it is made good again; None where there is no such quota."""
        quota = self._quotas.get(limit)
        if quota is None:
            return None
        row = self._row(limit, whom, quota, now)
        row.granted += more
        row.is_over = False
        self._changed.add((limit, whom))
        return self.standing(limit, whom, now)

    def resetting(self, limit: str, whom: str | None, now: float) -> Generator[None, None, set[str]]:
        """Begin anew for a member, or for all of a limit, a slice at each step; who they were."""
        found = set()
        pauses = Pauses()
        for member in [(limit, whom)] if whom is not None else drained(list(self._rows)):
            row = self._rows.get(member)
            if row is not None and member[0] == limit:
                row.used = row.granted = 0.0
                row.minute = row.octets = 0
                row.is_over = False
                self._changed.add(member)
                found.add(member[1])
            if pauses.is_due():
                yield
        return found

    def standing(self, limit: str, whom: str, now: float) -> Standing | None:
        """How a member stands; None where it used nothing yet, or there is no such quota."""
        return self._standing((limit, whom), now)

    def _standing(self, member: Member, now: float) -> Standing | None:
        limit, whom = member
        quota, row = self._quotas.get(limit), self._rows.get((limit, whom))
        if quota is None or row is None or row.until <= now:
            return None
        # Most were granted nothing, and have one number in common.
        allowed = quota.allowed + row.granted if row.granted else quota.allowed
        return Standing(max(row.used, allowed) if row.is_over else row.used, allowed, row.until)

    def standing_all(self, now: float) -> Generator[None, None, dict[Member, Standing]]:
        """How everybody stands who used anything, a slice at each step."""
        found = {}
        pauses = Pauses()
        for member in drained(list(self._rows)):
            standing = self._standing(member, now)
            if standing is not None:
                found[member] = standing
            if pauses.is_due():
                yield
        return found

    def all(self, now: float) -> dict[Member, Standing]:
        """How everybody stands who used anything, at once."""
        return finished(self.standing_all(now))

    @property
    def has_changed(self) -> bool:
        """Whether `changed` has anybody to give, perhaps."""
        return bool(self._changed or self._unseen)

    def changed(self, now: float, most: int = 1 << 60) -> dict[Member, Standing]:
        """How those stand who stand otherwise since this was asked the last time: of so many at most."""
        self._see(most)
        changed = self._changed
        if most < len(changed):
            changed = {self._changed.pop() for _ in range(most)}
        else:
            self._changed = set()
        found = {member: self.standing(*member, now) for member in changed}
        return {member: standing for member, standing in found.items() if standing is not None}

    def _see(self, most: int) -> None:
        """See of so many members whether their quotas were defined anew."""
        for _ in range(min(most, len(self._unseen))):
            member = self._unseen.pop()
            if member[0] in self._redefined:
                self._changed.add(member)
        if not self._unseen:
            self._redefined.clear()

    def kept(self, members: Iterable[Member]) -> list[Kept]:
        """What is to be kept of these."""
        return [
            Kept(*member, row.until, row.used, row.granted)
            for member in members
            if (row := self._rows.get(member)) is not None
        ]

    def reserved(self, members: Iterable[Member]) -> list[Kept]:
        """The same with what is lent: who dies with it may have used it."""
        return [one._replace(used=self._rows[one.limit, one.whom].charged) for one in self.kept(members)]

    def loading(self, kept: Iterable[Kept], now: float) -> Iterator[None]:
        """Take up what was kept; what has begun to be counted already is added."""
        pauses = Pauses()
        counting = yield from _counting(kept, now, pauses)
        # Names and times that many have in common are there once.
        common: dict[object, Any] = {}
        while counting:
            _, one = counting.popitem()
            member = common.setdefault(one.limit, one.limit), one.whom
            row = self._rows.get(member)
            if row is None:
                row = self._rows[member] = Row(common.setdefault(one.until, one.until))
            row.used += one.used
            row.granted += one.granted
            self._changed.add(member)
            if pauses.is_due():
                yield

    def turn_back(self, kept: Iterable[Kept], now: float) -> Generator[None]:
        """
        The clock was set back: who counted for a later time counts for that of now again.

        ``kept`` is what was kept of all times.  It is done in slices.
        """
        pauses = Pauses()
        known = yield from _counting(kept, now, pauses)
        ends = {name: quota.ends(now) for name, quota in self._quotas.items()}
        for member in {**known, **self._rows}:
            until, row, before = ends.get(member[0], math.inf), self._rows.get(member), known.get(member)
            if row is None or row.until > until:
                row = self._rows[member] = Row(until)
                if before is not None and before.until <= until:
                    row.until, row.used, row.granted = before.until, before.used, before.granted
                self._changed.add(member)
            if pauses.is_due():
                yield

    def forgetting(self, now: float) -> Iterator[None]:
        """Forget what was made good again."""
        pauses = Pauses()
        for member in drained(list(self._rows)):
            row = self._rows.get(member)
            if row is not None and row.until <= now:
                del self._rows[member]
                self._changed.discard(member)
            if pauses.is_due():
                yield

    def quotas(self) -> Mapping[str, Quota]:
        """The quotas by the names of their limits."""
        return self._quotas

    # What is different where the quota is another's, who lends of it to this machine.

    def _use(self, member: Member, row: Row, amount: int) -> None:
        """A member used some of it here."""
        row.used += amount
        self._changed.add(member)

    def _left(self, member: Member, row: Row, quota: Quota, seconds: float) -> float:
        """How much may be lent in all beyond what moved."""
        return quota.allowed + row.granted - row.used

    def _term(self, member: Member, seconds: float) -> float:
        """For how long what is lent now may be used."""
        return TERM_SECONDS

    def _is_over(self, member: Member, lender: Lender, seconds: float) -> bool:
        """Whether somebody wants more and will not get any."""
        return lender.is_over(seconds)

    def _row(self, limit: str, whom: str, quota: Quota, now: float) -> Row:
        row = self._rows.get((limit, whom))
        if row is None or row.until <= now:
            row = self._rows[limit, whom] = Row(quota.ends(now))
        return row


def _counting(kept: Iterable[Kept], now: float, pauses: Pauses) -> Generator[None, None, dict[Member, Kept]]:
    """What counts at a time: of each member what is made good first, as a clock may have been set forward."""
    found: dict[Member, Kept] = {}
    for one in kept:
        before = found.get((one.limit, one.whom))
        if one.until > now and (before is None or one.until < before.until):
            found[one.limit, one.whom] = one
        if pauses.is_due():
            yield
    return found


def _begins_a_minute(row: Row, octets: int, now: float) -> bool:
    """Whether just now enough has moved in the minute of now."""
    minute = int(now // 60)
    if minute != row.minute:
        row.minute, row.octets = minute, 0
    before = row.octets
    row.octets += octets
    return before <= ACTIVE_OCTETS < row.octets
