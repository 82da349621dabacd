"""
Quotas added up: what each member of each limit has used since it was made good last.

Minutes are those in which something moved, by the clock: one minute however many connections there are.  A
tab that is left open sends a little now and then, and costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

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


@dataclass(slots=True)
class _Row:
    until: float
    used: float = 0.0
    granted: float = 0.0
    minute: int = 0
    octets: int = 0


class Quotas:
    """All that is used; ``changed`` are the members that stand otherwise since that was asked."""

    def __init__(self) -> None:
        self._quotas: dict[str, Quota] = {}
        self._rows: dict[Member, _Row] = {}
        self._changed: set[Member] = set()

    def define(self, limits: Limits) -> None:
        """Count for these limits from now on; what is used stays used."""
        self._quotas = {one.name: one.quota for one in limits.limits if one.quota is not None}
        self._changed |= self._rows.keys()

    def count(self, limit: str, whom: str, octets: int, now: float) -> None:
        """A member moved octets just now."""
        quota = self._quotas.get(limit)
        if quota is None or not quota.holds(now):
            return
        row = self._row(limit, whom, quota, now)
        if quota.volume:
            row.used += octets
        elif not _begins_a_minute(row, octets, now):
            return
        self._changed.add((limit, whom))

    def grant(self, limit: str, whom: str, more: float, now: float) -> Standing | None:
        """Give a member more, until it is made good again; None where there is no such quota."""
        quota = self._quotas.get(limit)
        if quota is None:
            return None
        self._row(limit, whom, quota, now).granted += more
        self._changed.add((limit, whom))
        return self.standing(limit, whom, now)

    def reset(self, limit: str, whom: str | None, now: float) -> int:
        """Begin anew for a member, or for all of a limit; how many they were."""
        found = [one for one in self._rows if one[0] == limit and whom in (None, one[1])]
        for member in found:
            row = self._rows[member]
            row.used = row.granted = 0.0
            row.minute = row.octets = 0
            self._changed.add(member)
        return len(found)

    def standing(self, limit: str, whom: str, now: float) -> Standing | None:
        """How a member stands; None where it used nothing yet, or there is no such quota."""
        quota, row = self._quotas.get(limit), self._rows.get((limit, whom))
        if quota is None or row is None or row.until <= now:
            return None
        return Standing(row.used, quota.allowed + row.granted, row.until)

    def all(self, now: float) -> dict[Member, Standing]:
        """How everybody stands who used anything."""
        found = {member: self.standing(*member, now) for member in self._rows}
        return {member: standing for member, standing in found.items() if standing is not None}

    def changed(self, now: float) -> dict[Member, Standing]:
        """How those stand who stand otherwise since this was asked the last time."""
        changed, self._changed = self._changed, set()
        found = {member: self.standing(*member, now) for member in changed}
        return {member: standing for member, standing in found.items() if standing is not None}

    def kept(self, members: Iterable[Member]) -> list[Kept]:
        """What is to be kept of these."""
        return [
            Kept(*member, row.until, row.used, row.granted)
            for member in members
            if (row := self._rows.get(member)) is not None
        ]

    def load(self, kept: Iterable[Kept], now: float) -> None:
        """Take up what was kept; what has begun to be counted already is added."""
        for one in kept:
            if one.until <= now:
                continue
            row = self._rows.setdefault((one.limit, one.whom), _Row(one.until))
            row.used += one.used
            row.granted += one.granted
            self._changed.add((one.limit, one.whom))

    def put(self, kept: Kept) -> None:
        """Let a member stand like that: it is known better elsewhere."""
        row = self._rows.setdefault((kept.limit, kept.whom), _Row(kept.until))
        row.until, row.used, row.granted = kept.until, kept.used, kept.granted
        self._changed.add((kept.limit, kept.whom))

    def forget(self, now: float) -> None:
        """Forget what was made good again."""
        for member in [member for member, row in self._rows.items() if row.until <= now]:
            del self._rows[member]
            self._changed.discard(member)

    def quotas(self) -> Mapping[str, Quota]:
        """The quotas by the names of their limits."""
        return self._quotas

    def _row(self, limit: str, whom: str, quota: Quota, now: float) -> _Row:
        row = self._rows.get((limit, whom))
        if row is None or row.until <= now:
            row = self._rows[limit, whom] = _Row(quota.ends(now))
        return row


def _begins_a_minute(row: _Row, octets: int, now: float) -> bool:
    """Count the minute of now, once enough has moved in it; whether it was just now."""
    minute = int(now // 60)
    if minute != row.minute:
        row.minute, row.octets = minute, 0
    before = row.octets
    row.octets += octets
    if before <= ACTIVE_OCTETS < row.octets:
        row.used += 1
        return True
    return False
