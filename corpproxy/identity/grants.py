"""
Grants: this identity may have this host in spite of this rule, until then.

A confirmed warning makes one; whatever else lets one person through for a while makes one too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import astuple, dataclass

from corpproxy.identity.hosts import NormalHost, upward
from corpproxy.identity.model import Identity

# All grants of a site, and those of one person: who confirms every warning of a day stays below.
MAX_GRANTS = 20_000
MAX_PER_GRANTEE = 200

Row = tuple[str, str, str, float, str, str]


@dataclass(frozen=True, slots=True)
class Grant:
    """
    One grant.

    ``who`` is a user's name, or ``address:`` and a client address where nobody signed in.  ``host`` is in
    normal form and means itself and all below it.  ``rule`` is the name of the rule it goes past.
    ``until`` is POSIX seconds.  ``given_by`` and ``why`` are for the record.
    """

    who: str
    host: str
    rule: str
    until: float
    given_by: str
    why: str


def grantee(identity: Identity, client: str) -> str:
    """
    Give the ``who`` of a grant for this identity, or for the client address when it has no name.

    A user's name has no colon (RFC 7617, section 2), so that none can pass for an address.
    """
    return identity.name or f"address:{client}"


class Grants:
    """
    The grants that hold now.

    ``version`` changes whenever a grant comes or goes, so that a decision made before can be told from one
    made after.
    """

    def __init__(self, limit: int = MAX_GRANTS) -> None:
        self._limit = limit
        self._of: dict[str, dict[tuple[str, str], Grant]] = {}
        self._count = 0
        self.version = 0

    def holds(self, identity: Identity, client: str, host: NormalHost, rule: str, now: float) -> float:
        """Give until when a grant lets this person or client past ``rule`` at ``host``, or 0."""
        mine = self._of.get(grantee(identity, client))
        if not mine:
            return 0.0
        found = (mine.get((rule, name)) for name in upward(host))
        return max((grant.until for grant in found if grant and grant.until > now), default=0.0)

    def add(self, grant: Grant) -> None:
        """Hold ``grant``, in the place of one for the same person, host and rule."""
        mine = self._of.setdefault(grant.who, {})
        if (grant.rule, grant.host) not in mine:
            if len(mine) >= MAX_PER_GRANTEE:
                self._drop(min(mine.values(), key=_until))
            elif self._count >= self._limit:
                self._drop(min((one for some in self._of.values() for one in some.values()), key=_until))
            self._count += 1
        self._of.setdefault(grant.who, {})[grant.rule, grant.host] = grant
        self.version += 1

    def expire(self, now: float) -> tuple[Grant, ...]:
        """Let go of the grants that ended, and give them."""
        ended = tuple(one for some in self._of.values() for one in some.values() if one.until <= now)
        for grant in ended:
            self._drop(grant)
        return ended

    def next_end(self, now: float) -> float:
        """Give when the next of those that hold ends; infinity when none holds."""
        holding = (one.until for some in self._of.values() for one in some.values() if one.until > now)
        return min(holding, default=math.inf)

    def all(self, now: float) -> tuple[Grant, ...]:
        """Give the grants that hold, the one that ends first first."""
        holding = (one for some in self._of.values() for one in some.values() if one.until > now)
        return tuple(sorted(holding, key=_until))

    def dump(self, now: float) -> list[Row]:
        """Give the grants that hold as rows for a store."""
        return [astuple(grant) for grant in self.all(now)]

    def load(self, rows: Iterable[Row], now: float) -> None:
        """Add the grants that a store kept, those that ended meanwhile left out."""
        for row in rows:
            grant = Grant(*row)
            if grant.until > now:
                self.add(grant)

    def __len__(self) -> int:
        """How many are held, ended ones included until they expire."""
        return self._count

    def _drop(self, grant: Grant) -> None:
        mine = self._of[grant.who]
        del mine[grant.rule, grant.host]
        if not mine:
            del self._of[grant.who]
        self._count -= 1
        self.version += 1


def _until(grant: Grant) -> float:
    return grant.until
