"""
Limits: how fast who may move what, when; the ``limits:`` table, compiled.

Unlike rules, every limit that matches applies, and its octets are those of one member: of the person, of
their group, of the whole site.  Which limits hold is asked when an exchange begins, and again whenever other
hours, another policy or a command of an administrator may say otherwise.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

from corpproxy.destination.model import Host
from corpproxy.errors import NOWHERE, Place
from corpproxy.identity.model import Identity
from corpproxy.policy.amounts import rates_in_words
from corpproxy.policy.conditions import What, When, Who, demanded
from corpproxy.policy.model import Facts
from corpproxy.policy.networks import ClientNetworks, Networks
from corpproxy.policy.quota import Quota, Standings, Then
from corpproxy.policy.table import NO_NETWORKS, Table


class Per(enum.StrEnum):
    """Whose octets are counted together."""

    USER = "user"
    GROUP = "group"
    DEVICE = "device"
    NETWORK = "network"
    CATEGORY = "category"
    SITE = "site"


@dataclass(frozen=True, slots=True)
class Limit:
    """
    One row of the table.

    ``download`` and ``upload`` are octets a second toward the client and from it, 0 for as fast as it goes.
    ``quota`` is how much there is in all, None for as much as goes through.  ``say`` is its sentence for the
    person who is slowed, or has used all.
    """

    name: str
    who: Who = field(default_factory=Who)
    what: What = field(default_factory=What)
    when: tuple[When, ...] = ()
    per: Per = Per.USER
    download: int = 0
    upload: int = 0
    quota: Quota | None = None
    say: str = ""
    place: Place = NOWHERE

    @property
    def refuses(self) -> bool:
        """It takes something away: what cannot be known counts as holding."""
        return True

    @property
    def rates_in_words(self) -> str:
        """What it lets through, for people."""
        return rates_in_words(self.download, self.upload)

    @property
    def in_words(self) -> str:
        """All that it says, for people."""
        quota = self.quota.in_words if self.quota is not None else ""
        return "; ".join(part for part in (self.rates_in_words, quota) if part) or "as fast as it goes"

    def holds_until(self, at: float) -> float:
        """When the calendar by which it holds now ceases to; 0 where it holds at all times, or for long."""
        hours = [one.hours for one in self.when if one.hours.contains(at)]
        changes = [(one.next_change(at), one) for one in hours]
        return max((change for change, one in changes if not one.contains(change)), default=0.0)


class Applied(NamedTuple):
    """
    A limit, and the member whose octets it counts: the name of a person, a group and so on.

    ``is_spent`` says that the member has used up the quota.
    """

    limit: Limit
    whom: str
    is_spent: bool = False

    @property
    def blocks(self) -> bool:
        """Whether nothing more may move."""
        quota = self.limit.quota
        return self.is_spent and quota is not None and quota.then is Then.BLOCK

    def rate(self, way: int) -> int:
        """Octets a second that it lets through, down (0) or up (1); 0 for as fast as it goes."""
        limit, quota = self.limit, self.limit.quota
        own = limit.upload if way else limit.download
        if not self.is_spent or quota is None or quota.then is not Then.SLOW:
            return own
        slow = quota.upload if way else quota.download
        return min(own, slow) if own and slow else own or slow


class Limits:
    """
    The table; ``networks`` and ``missing`` are as in `corpproxy.policy.decide.Policy`.

    ``standings`` is what is used of quotas, ``reads`` are the facts that it looks at.  ``is_lasting`` says
    that none of these differ between exchanges of the same person with the same host.
    """

    def __init__(
        self,
        limits: Sequence[Limit],
        networks: Networks = NO_NETWORKS,
        missing: frozenset[str] = frozenset(),
        standings: Standings | None = None,
    ) -> None:
        self.standings = standings or Standings()
        self.limits = tuple(limits)
        self.networks = networks
        self._missing = missing
        self._table = Table(self.limits, networks, missing)
        self.reads = frozenset(name.partition(".")[0] for name in self._table.reads)
        # Whether the same limits hold for all that are alike but for their paths and their answers.
        self.is_lasting = self.reads.isdisjoint(_PASSING)
        self._groups = [
            frozenset(name for part in demanded(limit.who) for name in part.group) for limit in self.limits
        ]
        self._categories = [
            frozenset(name for part in demanded(limit.what) for name in part.category)
            for limit in self.limits
        ]
        self._places = ClientNetworks(networks, networks)

    def with_missing(self, missing: Iterable[str]) -> Limits:
        """The same table while the lists of some categories are missing."""
        return Limits(self.limits, self.networks, frozenset(missing), self.standings)

    def find(self, facts: Facts) -> tuple[Applied, ...]:
        """The limits that apply to an exchange, each with the member that it counts."""
        rows = self._table.matching(facts, self._table.in_force(facts.at))
        found = []
        while rows:
            number = (rows & -rows).bit_length() - 1
            rows &= rows - 1
            limit = self.limits[number]
            members = self._members(number, limit.per, facts)
            if limit.quota is None:
                found += [Applied(limit, whom) for whom in members]
            elif limit.quota.holds(facts.at):
                found += [
                    Applied(limit, whom, self._is_spent(limit.name, whom, facts.at)) for whom in members
                ]
        return tuple(found)

    def of(
        self, identity: Identity, client: str, listener: str, at: float, categories: tuple[str, ...] = ()
    ) -> tuple[Applied, ...]:
        """The limits of somebody now, whatever they ask for; of categories those that are named."""
        facts = Facts(identity, client, listener, "", "", Host(""), 0, "", categories, at)
        found = self._whatever.find(facts)
        return tuple(one for one in found if one.limit.per is not Per.CATEGORY or one.whom in categories)

    @cached_property
    def _whatever(self) -> Limits:
        limits = [replace(one, what=What()) for one in self.limits]
        return Limits(limits, self.networks, self._missing, self.standings)

    def next_change(self, at: float) -> float:
        """The first instant after ``at`` when other limits may be in force; infinity without hours."""
        occasions = [
            one.quota.occasion.hours.next_change(at)
            for one in self.limits
            if one.quota is not None and one.quota.occasion is not None
        ]
        return min(self._table.next_change(at), self.standings.next_end(at), *occasions)

    def _is_spent(self, limit: str, whom: str, at: float) -> bool:
        standing = self.standings.of(limit, whom, at)
        return standing is not None and standing.is_spent

    def _members(self, number: int, per: Per, facts: Facts) -> Sequence[str]:
        if per is Per.USER:
            return (person_of(facts),)
        if per is Per.SITE:
            return ("",)
        if per is Per.DEVICE:
            return (facts.client,)
        if per is Per.GROUP:
            return _of_these(facts.identity.groups, self._groups[number])
        if per is Per.CATEGORY:
            return _of_these(facts.categories, self._categories[number])
        return self._places.of(facts.client) or ("",)


def person_of(facts: Facts) -> str:
    """Who moves octets: a person, or the device of somebody without a name."""
    return facts.identity.name or facts.client


def _of_these(has: Sequence[str], named: frozenset[str]) -> Sequence[str]:
    """Of several groups or categories those that the limit names, or all where it names none."""
    return [one for one in has if not named or one in named] or ("",)


# What differs between exchanges of the same person with the same host, or is not known of each.
_PASSING = frozenset({"path", "address_classes", "addresses", "countries", "asns", "answer"})

NO_LIMITS = Limits(())
