"""
Approvals: who may let whom past rules, and for how long: the ``approve:`` table.

A person may ask for access where an entry's ``for`` fits, and is let through by somebody whom ``who`` of that
entry fits.  Nothing here decides on an exchange: what is let through is a grant.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields

from corpproxy.destination.model import Host
from corpproxy.errors import NOWHERE, Place
from corpproxy.identity.grants import MAX_SECONDS
from corpproxy.identity.model import Identity
from corpproxy.policy.conditions import What, When, Who
from corpproxy.policy.model import Facts
from corpproxy.policy.networks import Networks
from corpproxy.policy.table import NO_NETWORKS, Table

_NOBODY_IN_PARTICULAR = Who()
_ANYTHING = What()
_NO_HOST = Host("")


@dataclass(frozen=True, slots=True)
class Approval:
    """One entry: ``who`` may let ``for_`` through, for at most so many seconds at a time."""

    who: Who = field(default_factory=Who)
    for_: Who = field(default_factory=Who)
    at_most: float = MAX_SECONDS
    place: Place = NOWHERE


@dataclass(frozen=True, slots=True)
class Party:
    """Somebody who asks or decides, as far as an entry looks at them."""

    identity: Identity
    client: str
    listener: str = ""


@dataclass(frozen=True, slots=True)
class _Row:
    """One side of an entry, as a table of the policy wants it."""

    who: Who
    what: What = _ANYTHING
    when: tuple[When, ...] = ()
    refuses: bool = False


class Approvals:
    """The ``approve:`` table, compiled.  Raises ValueError for a network that does not exist."""

    def __init__(self, entries: Sequence[Approval] = (), networks: Networks = NO_NETWORKS) -> None:
        self.entries = tuple(entries)
        self._who = Table([_Row(one.who) for one in self.entries], networks)
        self._for = Table([_Row(one.for_) for one in self.entries], networks)

    def __bool__(self) -> bool:
        return bool(self.entries)

    def may_ask(self, asker: Party) -> bool:
        """Whether anybody could let this person through."""
        return bool(self.entries) and bool(_matching(self._for, asker))

    def may_decide(self, decider: Party) -> bool:
        """Whether this person may let anybody through; one without a name may not, for it is recorded."""
        named = bool(decider.identity.name) and decider.identity.source not in ("network", "exempt")
        return named and bool(self.entries) and bool(_matching(self._who, decider))

    def at_most(self, decider: Party, asker: Party) -> float:
        """For how many seconds one may let the other through, at most; 0 for not at all."""
        return max((entry.at_most for entry in self._between(decider, asker)), default=0.0)

    def among(self, decider: Party, asker: Party) -> tuple[str, ...] | None:
        """
        Give the groups among which a whole class or room may be let through, empty for everybody.

        None where the entries do not say it by groups: then persons are let through one by one.
        """
        groups: list[str] = []
        for entry in self._between(decider, asker):
            if entry.for_ == _NOBODY_IN_PARTICULAR:
                return ()
            if _asks_only_groups(entry.for_):
                groups += entry.for_.group
        return tuple(dict.fromkeys(groups)) if groups else None

    def may_ask_together(self, asker: Party, *, everybody: bool) -> bool:
        """Whether anybody could give this person something that all of a group or room have, or everybody."""
        fit = _matching(self._for, asker) if self.entries else 0
        return any(
            _is_for_all(one, everybody) for number, one in enumerate(self.entries) if fit >> number & 1
        )

    def may_give_together(self, decider: Party, asker: Party, *, everybody: bool) -> bool:
        """Whether one may give the other something that all of a group or room have, or everybody."""
        return any(_is_for_all(one, everybody) for one in self._between(decider, asker))

    def at_most_whole(self, decider: Party) -> float:
        """For how many seconds somebody may let groups and rooms through by themselves; 0 for not at all."""
        return max((entry.at_most for entry in self._by_groups(decider)), default=0.0)

    def groups_of(self, decider: Party) -> tuple[str, ...]:
        """The groups among which that is; empty for everybody."""
        entries = tuple(self._by_groups(decider))
        if any(entry.for_ == _NOBODY_IN_PARTICULAR for entry in entries):
            return ()
        return tuple(dict.fromkeys(group for entry in entries for group in entry.for_.group))

    def _by_groups(self, decider: Party) -> Iterator[Approval]:
        if self.may_decide(decider):
            fit = _matching(self._who, decider)
            for number, entry in enumerate(self.entries):
                if fit >> number & 1 and (
                    entry.for_ == _NOBODY_IN_PARTICULAR or _asks_only_groups(entry.for_)
                ):
                    yield entry

    def _between(self, decider: Party, asker: Party) -> Iterator[Approval]:
        if self.may_decide(decider):
            both = _matching(self._who, decider) & _matching(self._for, asker)
            yield from (entry for number, entry in enumerate(self.entries) if both >> number & 1)


def _matching(table: Table, party: Party) -> int:
    facts = Facts(party.identity, party.client, party.listener, "GET", "http", _NO_HOST, 80, "/", (), 0.0)
    return table.matching(facts, table.in_force(0.0))


def _is_for_all(entry: Approval, everybody: bool) -> bool:
    """Whether an entry is for everybody; or at least for groups, and not for persons one by one."""
    return entry.for_ == _NOBODY_IN_PARTICULAR or (not everybody and _asks_only_groups(entry.for_))


def _asks_only_groups(who: Who) -> bool:
    empty = _NOBODY_IN_PARTICULAR
    return bool(who.group) and all(
        getattr(who, one.name) == getattr(empty, one.name) for one in fields(who) if one.name != "group"
    )
