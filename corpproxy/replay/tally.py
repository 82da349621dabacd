"""What a rehearsal found: which decisions change, for whom and where, and what could not be decided."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from corpproxy.audit.record import Record
from corpproxy.audit.results import Kind, ResultCode
from corpproxy.policy.model import Decision, Effect
from corpproxy.policy.partial import Doubt
from corpproxy.replay.deciding import Deciding
from corpproxy.replay.searches import Searches

NEWLY_BLOCKED = "newly blocked"
NEWLY_WARNED = "newly warned"
NEWLY_REDIRECTED = "newly redirected"
NEWLY_ALLOWED = "newly allowed"
OTHERWISE = "refused in another way"

# In the order in which an administrator wants to read them.
KINDS = (NEWLY_BLOCKED, NEWLY_WARNED, NEWLY_REDIRECTED, NEWLY_ALLOWED, OTHERWISE)
_NEW_REFUSALS = {
    Effect.BLOCK.value: NEWLY_BLOCKED,
    Effect.WARN.value: NEWLY_WARNED,
    Effect.REDIRECT.value: NEWLY_REDIRECTED,
}

# Why a record says nothing of a policy: what it is instead of an exchange that rules decided on.
UNREADABLE = "unreadable"
PORTAL = "portal"

_OURS = frozenset({ResultCode.PORTAL, ResultCode.PAC})
_WHOLE = frozenset({Kind.EXCHANGE, Kind.CLOSING})
_RUNNING = frozenset({Kind.OPENING, Kind.PROGRESS})


@dataclass(slots=True)
class Share:
    """Some of the exchanges: how many, of whom, on which hosts."""

    exchanges: int = 0
    people: set[str] = field(default_factory=set)
    hosts: set[str] = field(default_factory=set)

    def add(self, person: str, host: str) -> None:
        """Count one more."""
        self.exchanges += 1
        self.people.add(person)
        self.hosts.add(host)


Shares = defaultdict[str, Share]


def _shares() -> Shares:
    return defaultdict(Share)


@dataclass(slots=True)
class Change:
    """
    The exchanges whose decision changes in one way.

    ``rules`` go by the rule before and the rule after; ``examples`` keep the reference of the last exchange
    of each host, for `corpproxy explain --ref`.
    """

    whole: Share = field(default_factory=Share)
    rules: dict[tuple[str, str], Share] = field(default_factory=lambda: defaultdict(Share))
    hosts: Shares = field(default_factory=_shares)
    users: Shares = field(default_factory=_shares)
    groups: Shares = field(default_factory=_shares)
    categories: dict[str, tuple[str, ...]] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)

    def add(
        self, record: Record, decision: Decision, groups: tuple[str, ...], categories: tuple[str, ...]
    ) -> None:
        """Count one more."""
        person, host = person_of(record), record.host
        self.whole.add(person, host)
        self.rules[record.rule, decision.rule].add(person, host)
        self.hosts[host].add(person, host)
        self.users[person].add(person, host)
        for group in groups or ("",):
            self.groups[group].add(person, host)
        self.categories[host] = categories
        self.examples[host] = record.id


@dataclass(slots=True)
class Tally:
    """
    The sums of one rehearsal.

    ``unchanged`` have the same effect by the same rule, ``by_other_rule`` the same effect by another.
    ``passed_over`` are records that no rule decided, by what they are.  ``ungrouped`` are people who were in
    no group, ``odd_lines`` what could not be read.  ``searches`` are exchanges that go to another host of a
    search engine, by the host before and after, ``unknown_searches`` those of which that is not known.
    """

    unchanged: int = 0
    changes: dict[str, Change] = field(default_factory=lambda: defaultdict(Change))
    by_other_rule: dict[tuple[str, str], Share] = field(default_factory=lambda: defaultdict(Share))
    doubts: dict[Doubt, Share] = field(default_factory=lambda: defaultdict(Share))
    passed_over: Counter[str] = field(default_factory=Counter)
    ungrouped: set[str] = field(default_factory=set)
    searches: dict[tuple[str, str], Share] = field(default_factory=lambda: defaultdict(Share))
    unknown_searches: dict[str, Share] = field(default_factory=lambda: defaultdict(Share))
    odd_lines: int = 0
    first: str = ""
    last: str = ""

    @property
    def undecidable(self) -> int:
        """How many exchanges cannot be decided."""
        return sum(share.exchanges for share in self.doubts.values())

    @property
    def changed(self) -> int:
        """How many exchanges have another effect."""
        return sum(change.whole.exchanges for change in self.changes.values())

    @property
    def decided(self) -> int:
        """How many exchanges were decided again."""
        other = sum(share.exchanges for share in self.by_other_rule.values())
        return self.unchanged + self.changed + other


class Rehearsal:
    """
    Takes records one by one into a tally.

    A tunnel counts once: by its closing record, or by its opening record where that is all there is.  What is
    no exchange (somebody asked for access, or gave it) is none here either.
    ``are_rules_told`` says whether the records name the rule that decided.
    """

    def __init__(self, deciding: Deciding, searches: Searches, *, are_rules_told: bool = True) -> None:
        self._deciding = deciding
        self._searches = searches
        self._are_rules_told = are_rules_told
        self._open: dict[str, Record] = {}
        self.tally = Tally()

    def add(self, record: Record) -> None:
        """Decide one record again."""
        if record.kind in _WHOLE:
            if record.kind is Kind.CLOSING:
                self._open.pop(record.id, None)
            self._count(record)
        elif record.kind in _RUNNING:
            self._open[record.id] = record

    def end(self) -> Tally:
        """Count the tunnels that are still open, and give the sums."""
        for record in self._open.values():
            self._count(record)
        self._open.clear()
        return self.tally

    def _count(self, record: Record) -> None:
        tally = self.tally
        if not record.decision or record.result in _OURS:
            tally.passed_over[record.result.value] += 1
            return
        if record.rule == PORTAL and not record.place:
            tally.passed_over[PORTAL] += 1
            return
        if not tally.first or record.at < tally.first:
            tally.first = record.at
        tally.last = max(tally.last, record.at)
        try:
            verdict = self._deciding.verdict(record)
        except ValueError:
            tally.passed_over[UNREADABLE] += 1
            return
        decision = verdict.decision
        groups = self._deciding.groups_of(record)
        if record.user and not groups:
            tally.ungrouped.add(record.user)
        if decision is None:
            if verdict.doubt is not None:
                tally.doubts[verdict.doubt].add(person_of(record), record.host)
        elif record.decision != decision.effect:
            tally.changes[kind_of(record.decision, decision.effect)].add(
                record, decision, groups, verdict.categories
            )
        elif record.rule == decision.rule or not self._are_rules_told:
            tally.unchanged += 1
        else:
            tally.by_other_rule[record.rule, decision.rule].add(person_of(record), record.host)
        if decision is not None and decision.effect == record.decision == Effect.ALLOW:
            self._count_search(record)

    def _count_search(self, record: Record) -> None:
        found = self._searches.change(record)
        if found is None:
            return
        if found.unknown:
            self.tally.unknown_searches[found.unknown].add(person_of(record), record.host)
        else:
            self.tally.searches[found.before, found.after].add(person_of(record), record.host)


def kind_of(before: str, after: str) -> str:
    """What a change of effect is called."""
    if after == Effect.ALLOW:
        return NEWLY_ALLOWED
    return _NEW_REFUSALS[after] if before == Effect.ALLOW else OTHERWISE


def person_of(record: Record) -> str:
    """Who counts as one person: a user, or a client address where nobody is named."""
    return record.user or record.client
