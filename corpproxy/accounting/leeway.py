"""
Leeway: what the exchanges of one person may move while nothing of their limits bites.

Most exchanges are short, over in a moment, and far below all limits.  Such a one has no claim of its own
(`corpproxy.accounting.rates`): it takes what it moves out of the buckets at once, all of it or nothing.
So it never moves more than there is and never waits; where there is not enough, it is for others to say how
it goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from corpproxy.accounting.buckets import Bucket, Stock
from corpproxy.accounting.rates import ANY, PIECE_OCTETS
from corpproxy.policy.limits import Applied, Limits
from corpproxy.policy.quota import Member


class Term:
    """
    How long the limits that were found hold: from ``since`` until ``until`` (POSIX seconds), while nothing
    shifts in how members of quotas stand.
    """

    __slots__ = ("limiting", "shifts", "since", "standings", "until")

    def __init__(self, limiting: Limits, at: float) -> None:
        self.limiting = limiting
        self.standings = limiting.standings
        self.shifts = limiting.standings.shifts
        self.since = at
        self.until = limiting.next_change(at)

    @property
    def is_unshifted(self) -> bool:
        """Whether members stand as at its beginning: who has nothing left, and who is told how little."""
        return bool(self.shifts == self.standings.shifts)

    def holds(self, at: float) -> bool:
        """Whether the same limits hold as at its beginning; not after a clock was set back."""
        return self.shifts == self.standings.shifts and self.since <= at < self.until


class Leeway:
    """
    What one person may move below the same limits, whatever the number of exchanges.

    ``applied`` are these limits, which hold as long as ``term``.  ``down`` and ``up`` are the buckets of
    their rates, ``lent`` what is lent of their quotas, ``members`` whose octets their quotas count.
    ``received`` and ``sent`` moved since it was noted the last time that anything did; ``note`` is called for
    the first of them.  ``used_at`` is when something moved last.
    """

    __slots__ = (
        "_all",
        "_note",
        "applied",
        "down",
        "is_noted",
        "is_over",
        "lent",
        "members",
        "person",
        "received",
        "sent",
        "term",
        "up",
        "used_at",
    )

    def __init__(
        self,
        person: str,
        applied: tuple[Applied, ...],
        term: Term,
        down: Sequence[Bucket],
        up: Sequence[Bucket],
        lent: Sequence[Stock],
        note: Callable[[Leeway], None],
        now: float,
    ) -> None:
        self.person = person
        self.applied = applied
        self.term = term
        self.down, self.up, self.lent = tuple(down), tuple(up), tuple(lent)
        self._all = (*self.down, *self.up, *self.lent)
        self.members: tuple[Member, ...] = tuple(
            (one.limit.name, one.whom) for one in applied if one.limit.quota is not None
        )
        self._note = note
        self.is_noted = self.is_over = False
        self.received = self.sent = 0
        self.used_at = now

    def holds(self, at: float) -> bool:
        """Whether these are the limits at this time (POSIX seconds)."""
        return not self.is_over and self.term.holds(at)

    def may_begin(self, at: float) -> bool:
        """Whether an exchange may begin at this time (POSIX seconds), as there is something left."""
        term = self.term
        # Written out: it is asked for every exchange.
        if term.shifts != term.standings.shifts or not term.since <= at < term.until or self.is_over:
            return False
        for bucket in self._all:  # noqa: SIM110
            if bucket.tokens < PIECE_OCTETS:
                return False
        return True

    def covers(self, received: int, sent: int, now: float) -> bool:
        """Whether there is so much in all buckets; ``now`` is by a clock that nobody sets."""
        if self.is_over:
            return False
        for bucket in self.down:
            bucket.fill(now)
            if bucket.tokens < sent:
                return False
        for bucket in self.up:
            bucket.fill(now)
            if bucket.tokens < received:
                return False
        both = received + sent
        for stock in self.lent:  # noqa: SIM110
            if stock.tokens < both or now >= stock.until:
                return False
        return True

    def ready(self, way: int, now: float) -> int:
        """
        How much may be moved at once one way (`corpproxy.accounting.sharing`).

        It is 0 where that is not worth a turn, and where somebody waits for one of them: then it is dealt.
        """
        if self.is_over:
            return 0
        least = float(ANY)
        for bucket in self.up if way else self.down:
            bucket.fill(now)
            least = 0.0 if bucket.hungry else min(least, bucket.tokens)
        for stock in self.lent:
            least = 0.0 if stock.hungry or now >= stock.until else min(least, stock.tokens)
        if least < PIECE_OCTETS:
            return 0
        self.used_at = now
        return int(least)

    def takes(self, received: int, sent: int, now: float) -> bool:
        """Take so much out of all buckets, if it is there; an exchange that moves it is over then."""
        if not self.covers(received, sent, now):
            return False
        self.charge(received, sent, now)
        return True

    def charge(self, received: int, sent: int, now: float) -> None:
        """So much moved, whether it was there or not."""
        for bucket in self.down:
            bucket.tokens -= sent
        for bucket in self.up:
            bucket.tokens -= received
        for stock in self.lent:
            stock.tokens -= received + sent
        self.received += received
        self.sent += sent
        self.used_at = now
        if not self.is_noted:
            self.is_noted = True
            self._note(self)

    def settle(self) -> int:
        """Tell who deals rates what moved since the last time; gives how much it is, both ways together."""
        person, moved = self.person, self.received + self.sent
        for buckets, octets in ((self.down, self.sent), (self.up, self.received)):
            for bucket in buckets:
                bucket.note(person, octets)
        self.received = self.sent = 0
        self.is_noted = False
        return moved
