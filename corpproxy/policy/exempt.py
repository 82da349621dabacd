"""
Where nobody is asked to sign in: the ``identity: exempt:`` table, compiled.

It is asked before anybody has a name, so that its entries may look at everything that is known of an exchange
by then, and at nothing else: no names, no groups, no answer, and no address that would have to be looked up
for somebody of whom nothing is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from corpproxy.errors import NOWHERE, Place
from corpproxy.identity.model import EXEMPT, Identity
from corpproxy.identity.people import People
from corpproxy.policy.conditions import What, When, Who, asked_keys
from corpproxy.policy.model import Facts
from corpproxy.policy.networks import Networks
from corpproxy.policy.table import NO_NETWORKS, Table

# Why a key cannot be asked here, and what to do in its place.
_NAMES = "nobody has a name yet where this is asked; let the rules ask it, with 'ask: when-needed'"
_ADDRESSES = "no host is looked up for somebody without a name; name the hosts under 'host' or 'domain'"
_ANSWERS = "there is no answer yet where this is asked; let the rules ask it"
UNKNOWN_KEYS = {
    "user": _NAMES,
    "group": _NAMES,
    "anonymous": _NAMES,
    "address": _ADDRESSES,
    "country": _ADDRESSES,
    "asn": _ADDRESSES,
    "media_type": _ANSWERS,
    "size": _ANSWERS,
}


@dataclass(frozen=True, slots=True)
class Exemption:
    """One entry: who is asked for no credentials, where, when.  An entry that asks nothing exempts nobody."""

    who: Who = field(default_factory=Who)
    what: What = field(default_factory=What)
    when: tuple[When, ...] = ()
    place: Place = NOWHERE

    @property
    def refuses(self) -> bool:
        """It gives something: what cannot be known counts as not holding."""
        return False


class Exemptions:
    """
    The table; ``networks`` and ``missing`` are as in `corpproxy.policy.decide.Policy`.

    ``reads`` are the facts that it looks at, empty when there is no entry.
    Raises ValueError for a network or an expression that is none.
    """

    def __init__(
        self,
        entries: Sequence[Exemption] = (),
        networks: Networks = NO_NETWORKS,
        missing: frozenset[str] = frozenset(),
    ) -> None:
        self.entries = tuple(entry for entry in entries if asked_keys(entry))
        self._networks = networks
        self._table = Table(self.entries, networks, missing)
        self._identities = [replace(EXEMPT, exempt_by=str(entry.place)) for entry in self.entries]
        self.reads = frozenset(name.partition(".")[0] for name in self._table.reads)

    def with_missing(self, missing: frozenset[str]) -> Exemptions:
        """The same table while the lists of some categories are missing: they exempt nobody then."""
        return Exemptions(self.entries, self._networks, missing)

    def holding(self, facts: Facts) -> Exemption | None:
        """The first entry by which nobody is asked for credentials; None where they are."""
        number = self._first(facts)
        return self.entries[number] if number >= 0 else None

    def who(self, facts: Facts, people: People) -> Identity | None:
        """
        Give the identity of a client that sent no credentials, or None: then it must be asked for them.

        A network of the policy names its clients; an exemption lets others through unnamed.
        """
        known = people.by_network(facts.client)
        if known is not None:
            return known
        number = self._first(facts)
        return self._identities[number] if number >= 0 else None

    def _first(self, facts: Facts) -> int:
        return self._table.first(facts) if self.entries else -1

    def next_change(self, at: float) -> float:
        """The first instant after ``at`` when other entries may be in force; infinity without hours."""
        return self._table.next_change(at)


NO_EXEMPTIONS = Exemptions()
