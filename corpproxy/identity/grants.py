"""
Grants: somebody may have this host in spite of this rule, until then.

A confirmed warning makes one, an approved request, and an administrator on the command line.  There is one
mechanism behind them all, so that each ends by itself and each is seen in one list.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from corpproxy.identity.hosts import NormalHost, upward
from corpproxy.identity.model import Identity

# All grants of a site, and those of one person, group or room: who confirms every warning of a day has fewer.
MAX_GRANTS = 20_000
MAX_PER_GRANTEE = 200
# Hosts that go with one: what the pages of a large site need.
MAX_ALSO = 30
# For ever is for exceptions in the policy, which have an owner.
MAX_SECONDS = 24 * 3600.0

GROUP = "group:"
NETWORK = "network:"
ADDRESS = "address:"

# The name of no rule: a grant with it goes past every rule that may be overridden.
ANY_RULE = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """
    One grant.

    ``who`` is a user's name, or a client address, a group or a network behind `ADDRESS`, `GROUP` or
    `NETWORK`.  ``host`` is in normal form and means itself and all below it.  ``rule`` is the name of the
    rule that it goes past, `ANY_RULE` for all that may be overridden.  ``until`` and ``since`` are POSIX
    seconds.  ``given_by`` and ``why`` are for the record.  ``also`` are further hosts, each with the rule it
    goes past.  With ``among`` only people in one of these groups are let through.  ``id`` is a reference of
    its own.
    """

    who: str
    host: str
    rule: str
    until: float
    given_by: str
    why: str
    id: str = ""
    also: tuple[tuple[str, str], ...] = ()
    among: tuple[str, ...] = ()
    since: float = 0.0

    @property
    def is_own(self) -> bool:
        """Whether the person gave it, by confirming a warning."""
        return self.given_by == self.who

    @property
    def hosts(self) -> tuple[str, ...]:
        """Every host that it opens, the one that was asked for first."""
        return tuple(dict.fromkeys((self.host, *(host for host, _ in self.also))))

    @property
    def openings(self) -> tuple[tuple[str, str], ...]:
        """Rule and host of everything that it opens."""
        return ((self.rule, self.host), *((rule, host) for host, rule in self.also))


def grantee(identity: Identity, client: str) -> str:
    """
    Give the ``who`` of a grant for this identity, or for the client address when it has no name.

    A user's name has no colon (RFC 7617, section 2), so that none can pass for an address.
    """
    return identity.name or f"{ADDRESS}{client}"


class Grants:
    """
    The grants that hold now.

    ``version`` changes whenever a grant comes or goes, so that a decision made before can be told from one
    made after.  ``rooms`` gives the names of the networks that a client address is in.
    """

    def __init__(self, limit: int = MAX_GRANTS) -> None:
        self._limit = limit
        self._of: dict[str, dict[str, Grant]] = {}
        self._by_id: dict[str, Grant] = {}
        self._shared = 0
        self.version = 0
        self.rooms: Callable[[str], Iterable[str]] = lambda client: ()

    def holds(self, identity: Identity, client: str, host: NormalHost, rule: str, now: float) -> Grant | None:
        """Give the grant that lets this person or client past ``rule`` at ``host``."""
        if not self._of:
            return None
        names = (grantee(identity, client), *self._shared_names(identity, client))
        found = [one for who in names for one in self._of.get(who, _NONE).values() if one.until > now]
        if not found:
            return None
        above = frozenset(upward(host))
        fit = (one for one in found if _is_for(one, identity) and _opens(one, rule, above))
        return max(fit, key=_until, default=None)

    def _shared_names(self, identity: Identity, client: str) -> Iterator[str]:
        if self._shared:
            yield from (GROUP + group for group in identity.groups)
            yield from (NETWORK + room for room in self.rooms(client))

    def add(self, grant: Grant) -> None:
        """Hold ``grant``, in the place of one for the same person, host and rule."""
        for old in self._in_the_place_of(grant):
            self._drop(old)
        mine = self._of.get(grant.who, _NONE)
        if len(mine) >= MAX_PER_GRANTEE:
            self._drop(min(mine.values(), key=_until))
        elif len(self) >= self._limit:
            self._drop(min(self._by_id.values(), key=_until))
        self._of.setdefault(grant.who, {})[_key(grant)] = self._by_id[_key(grant)] = grant
        self._shared += _is_shared(grant)
        self.version += 1

    def get(self, id: str) -> Grant | None:
        """Give the grant of this id, if it is held."""
        return self._by_id.get(id)

    def end(self, id: str) -> Grant | None:
        """Let go of a grant before its time, and give it; None when there is none of this id."""
        grant = self._by_id.get(id)
        if grant is not None:
            self._drop(grant)
        return grant

    def expire(self, now: float) -> tuple[Grant, ...]:
        """Let go of the grants that ended, and give them."""
        ended = tuple(one for one in self._by_id.values() if one.until <= now)
        for grant in ended:
            self._drop(grant)
        return ended

    def next_end(self, now: float) -> float:
        """Give when the next of those that hold ends; infinity when none holds."""
        return min((one.until for one in self._by_id.values() if one.until > now), default=math.inf)

    def all(self, now: float) -> tuple[Grant, ...]:
        """Give the grants that hold, the one that ends first first."""
        return tuple(sorted((one for one in self._by_id.values() if one.until > now), key=_until))

    def load(self, kept: Iterable[Grant], now: float) -> None:
        """Add the grants that a store kept, those that ended meanwhile left out."""
        for grant in kept:
            if grant.until > now:
                self.add(grant)

    def __len__(self) -> int:
        """How many are held, ended ones included until they expire."""
        return len(self._by_id)

    def _in_the_place_of(self, grant: Grant) -> list[Grant]:
        mine = self._of.get(grant.who, _NONE).values()
        same = [one for one in mine if (one.host, one.rule) == (grant.host, grant.rule)]
        known = self._by_id.get(grant.id)
        return same if known is None or known in same else [*same, known]

    def _drop(self, grant: Grant) -> None:
        key, mine = _key(grant), self._of[grant.who]
        del self._by_id[key], mine[key]
        if not mine:
            del self._of[grant.who]
        self._shared -= _is_shared(grant)
        self.version += 1


_NONE: dict[str, Grant] = {}


def _opens(grant: Grant, rule: str, names: frozenset[str]) -> bool:
    return any(host in names and past in (rule, ANY_RULE) for past, host in grant.openings)


def _key(grant: Grant) -> str:
    """The id, or what stands for one in a grant of a version that had none."""
    return grant.id or f"{grant.who} {grant.host} {grant.rule}"


def _is_for(grant: Grant, identity: Identity) -> bool:
    return not grant.among or any(group in grant.among for group in identity.groups)


def _is_shared(grant: Grant) -> bool:
    return grant.who.startswith((GROUP, NETWORK))


def _until(grant: Grant) -> float:
    return grant.until
