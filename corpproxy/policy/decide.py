"""
The policy: what one exchange may do, by the rules and by what stays refused whatever they say.

A decision is remembered by exactly the facts that the rules and the safety table read, and until the
next change of any hours, and until anything begins or ends.  What a person confirmed is asked anew each time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, tzinfo
from functools import cached_property
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote

from corpproxy.destination.model import Host
from corpproxy.errors import NOWHERE
from corpproxy.identity.grants import Grant
from corpproxy.identity.model import Identity
from corpproxy.policy.columns import EVERY_CATEGORY
from corpproxy.policy.conditions import What, demanded
from corpproxy.policy.doorway import Doorway
from corpproxy.policy.exceptions import ExceptionEntry, Exceptions
from corpproxy.policy.model import Decision, Effect, Facts, Safety
from corpproxy.policy.networks import Networks
from corpproxy.policy.reader import reader
from corpproxy.policy.reasons import clock, reason_of
from corpproxy.policy.rules import Rule
from corpproxy.policy.safety import check_safety, refuse_address
from corpproxy.policy.staged import Periods, Stages
from corpproxy.policy.table import NO_NETWORKS, Table
from corpproxy.policy.target import target_uri

# Decisions remembered, in two halves of which the older is dropped when the younger is full.  One costs about
# 0.3 KiB, most of it the key, so that this is 10 MB at most.
REMEMBERED_HALF = 16_384

# What the safety table reads, beside what the rules read.
_SAFETY_READS = frozenset({"method", "port", "host.address"})

# What is the same for all requests with one header section, method and authority from one client.  A decision
# that rests on the path too is asked for each time; one that rests on anything else never lasts.
_LASTING = frozenset("identity client listener method scheme host port categories at agent".split())
_PATH = frozenset({"path"})

_ALLOW = Effect.ALLOW
_BLOCK = Effect.BLOCK


class Grants(Protocol):
    """What was granted to people: confirmed warnings, approved requests."""

    def holds(self, identity: Identity, client: str, host: Host, rule: str, at: float, /) -> Grant | None:
        """
        The grant that lets somebody past ``rule``; None without one.

        ``client`` stands for the person where the identity has no name.
        """


@dataclass(frozen=True, slots=True)
class Found:
    """
    What the rules say of one exchange, all counted from 0, and -1 for none.

    ``rule`` decides; ``rehearsed`` is the first rule in shadow that would have decided in its place;
    ``exception`` is the one without which ``passed`` would have decided.
    """

    rule: int
    rehearsed: int = -1
    exception: int = -1
    passed: int = -1


class Lasting(NamedTuple):
    """
    How long a decision holds for others like the one it was made about.

    It holds from ``since`` until ``until``, in POSIX seconds.  Where it rests on the path, ``facts`` are what
    to ask again with, with the path and time of the other one put in.
    """

    since: float
    until: float
    facts: Facts | None


class Policy:
    """
    The rules and the exceptions to them, compiled; see `decide`.

    ``networks`` are the networks that rules name.  ``missing_categories`` are those of lists that could not
    be read and that the policy wants to count then: what refuses by them refuses everything, what allows by
    them allows nothing (`EVERY_CATEGORY` stands for all).  ``time_zone`` is that of sentences.
    ``is_lasting`` says whether what is decided may hold for others like it (see `lasts`).
    Raises ValueError for a network or an expression that is none; the readers of the policy
    file have found these before.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        safety: Safety | None = None,
        *,
        networks: Networks = NO_NETWORKS,
        time_zone: tzinfo = UTC,
        missing_categories: frozenset[str] = frozenset(),
        exceptions: Sequence[ExceptionEntry] = (),
    ) -> None:
        self.rules = tuple(rules)
        self.safety = safety or Safety()
        self.networks = networks
        self.time_zone = time_zone
        self.missing_categories = missing_categories
        self.table = Table(self.rules, networks, missing_categories)
        self.stages = Stages([rule.name for rule in self.rules], [rule.stage for rule in self.rules])
        self.exceptions = Exceptions(exceptions, self.rules, networks, missing_categories)
        self._periods = Periods([rule.stage.period for rule in self.rules])
        self._facts_read = frozenset(self._all_reads() - {"at"} | _SAFETY_READS)
        self._key = _key_reader(self._facts_read, self.stages)
        self.is_lasting = self.reads - _PATH <= _LASTING
        self._reads_path = "path" in self.reads
        self._answers = [_Answer(rule, self.safety, missing_categories) for rule in self.rules]
        self._by_rule_alone = [Found(number) for number in range(-1, len(self.rules))]
        # The rules that count whoever asks and whatever exceptions there are.
        self._plain = self.stages.enforced & ~self.exceptions.taken_away(-1)
        self._nothing = Decision(_BLOCK, "", NOWHERE, "no rule matches", safety=self.safety)
        # The time for which it is known which rules are in force: none yet.
        self._in_force, self._since, self._until = (0, 0), math.inf, -math.inf
        self._young: dict[object, Decision] = {}
        self._old: dict[object, Decision] = {}

    @property
    def reads(self) -> frozenset[str]:
        """The fields of `Facts` that decisions rest on; ``address_classes`` only when a rule needs it."""
        read = {name.partition(".")[0] for name in (*self._facts_read, *self._all_reads())}
        return frozenset(read | {"identity", "client"} if self.stages.has_canaries else read)

    def _all_reads(self) -> frozenset[str]:
        read = self.table.reads | self.exceptions.reads
        return read | {"at"} if self._periods.reads_time else read

    @property
    def categories(self) -> frozenset[str]:
        """Every category that a rule or an exception names where it may make it match."""
        asking: list[Rule | ExceptionEntry] = [*self.rules, *self.exceptions.entries]
        return frozenset(category for one in asking for category in categories_of(one.what))

    def with_missing(self, missing_categories: Iterable[str]) -> Policy:
        """The same policy while the lists of some categories are missing; itself where these are missing."""
        missing = frozenset(missing_categories)
        if missing == self.missing_categories:
            return self
        return self._again(missing, self.exceptions.entries)

    def as_loaded(self, at: float) -> Policy:
        """The same policy with exceptions that do not say when they begin beginning now, as it is loaded."""
        entries = [entry.beginning(at) for entry in self.exceptions.entries]
        if entries == list(self.exceptions.entries):
            return self
        return self._again(self.missing_categories, entries)

    def _again(self, missing_categories: frozenset[str], exceptions: Sequence[ExceptionEntry]) -> Policy:
        return Policy(
            self.rules,
            self.safety,
            networks=self.networks,
            time_zone=self.time_zone,
            missing_categories=missing_categories,
            exceptions=exceptions,
        )

    def asks_who(self, facts: Facts) -> bool:
        """Whether what is decided depends on who asks; ``facts`` are those of somebody without a name."""
        return self._doorway.asks(facts, self.in_force(facts.at))

    @cached_property
    def _doorway(self) -> Doorway:
        return Doorway(self.rules, self.exceptions, self.networks, self.missing_categories)

    def decide(self, facts: Facts, grants: Grants | None = None) -> Decision:
        """Decide on one exchange: the first rule that matches, then what stays refused whatever it says."""
        if not self._since <= facts.at < self._until:
            self._turn(facts.at)
        key = self._key(facts)
        decision = self._young.get(key)
        if decision is None:
            decision = self._old.get(key) or self._answer(self._find(facts, self._in_force), facts)
            if len(self._young) >= REMEMBERED_HALF:
                self._young, self._old = {}, self._young
            self._young[key] = decision
        effect = decision.effect
        if effect is _ALLOW or (effect is _BLOCK and not (grants and decision.may_be_overridden)):
            return decision
        return self._settle(decision, facts, grants)

    def lasts(self, decision: Decision, facts: Facts) -> Lasting | None:
        """
        Say how long a decision, made just now, holds for others like these facts.

        None where it does not: where something that differs between them was looked at, or where a grant
        had a say.
        """
        if not self.is_lasting:
            return None
        key = self._key(facts)
        if self._young.get(key) is not decision and self._old.get(key) is not decision:
            return None
        # No tunnel has a path: the next one differs in nothing but its time.
        return Lasting(self._since, self._until, facts if self._reads_path and facts.path else None)

    def forget(self) -> None:
        """Forget the decisions that are remembered; who measures calls it."""
        self._young, self._old = {}, {}

    def in_force(self, at: float) -> tuple[int, int]:
        """The rules and the exceptions that are in force at a time, as bits; the same until `next_change`."""
        rules = self.table.in_force(at) & self._periods.in_force(at)
        return rules, self.exceptions.in_force(at) if self.exceptions.entries else 0

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """The sizes of answers, in octets and ascending, from which on a rule may decide otherwise."""
        asking: list[Rule | ExceptionEntry] = [*self.rules, *self.exceptions.entries]
        return tuple(sorted({size for one in asking for size in _sizes(one.what)}))

    def next_change(self, at: float) -> float:
        """The first instant after ``at`` when other rules or exceptions may be in force."""
        return min(self.table.next_change(at), self._periods.next_change(at), self.exceptions.next_change(at))

    def find(self, facts: Facts) -> Found:
        """Which rule decides, which would in the place of it, and which exception made the difference."""
        return self._find(facts, self.in_force(facts.at))

    def answer(self, found: Found, facts: Facts, grants: Grants | None = None) -> Decision:
        """What the policy says where this is what was found."""
        return self._settle(self._answer(found, facts), facts, grants)

    def _turn(self, at: float) -> None:
        """
        Work out what is in force now that the time for which this was known is over.

        When it is the same as before, what is remembered stays; a clock that was set back by a little only
        makes the known time begin earlier.
        """
        in_force, until = self.in_force(at), self.next_change(at)
        if in_force != self._in_force:
            self._young, self._old = {}, {}
        self._since = min(self._since, at) if until == self._until and in_force == self._in_force else at
        self._in_force, self._until = in_force, until

    def _find(self, facts: Facts, in_force: tuple[int, int]) -> Found:
        rules, exceptions = in_force
        if not (exceptions or self.stages.are_staged):
            return self._by_rule_alone[self.table.first(facts, rules) + 1]
        matching = self.table.matching(facts, rules)
        row = matching & -matching
        if not row & ~self._plain:
            # No other rule was in shadow before it, and no exception goes past it.
            return self._by_rule_alone[row.bit_length()]
        enforced = self.stages.enforced_for(facts)
        excepting = self.exceptions.matching(facts, exceptions) if exceptions else 0
        if not excepting:
            return self._found(matching, enforced)
        found = self._found(matching & ~self.exceptions.taken_away(excepting), enforced)
        passed = _lowest(matching & enforced)
        if passed in (-1, found.rule):
            return found
        exception = self.exceptions.first_past(excepting, passed)
        return Found(found.rule, found.rehearsed, exception, passed)

    def _found(self, matching: int, enforced: int) -> Found:
        """What is found where these rules match, and these count; the others are in shadow."""
        live = matching & enforced
        found = self._by_rule_alone[(live & -live).bit_length()]
        if live == matching:
            return found
        first = _lowest(matching)
        return Found(found.rule, first) if first != found.rule else found

    def _answer(self, found: Found, facts: Facts) -> Decision:
        rule = found.rule
        decision = self._answers[rule].decision(facts.categories) if rule >= 0 else self._by_none(found)
        if found.exception >= 0:
            decision = self._excepted(decision, found)
        if decision.effect is _ALLOW:
            decision = check_safety(decision, facts)
        return self._rehearsed(decision, found) if found.rehearsed >= 0 else decision

    def _by_none(self, found: Found) -> Decision:
        """What is said where no rule matches, unless an exception is why."""
        if found.exception < 0:
            return self._nothing
        entry = self.exceptions.entries[found.exception]
        return Decision(_ALLOW, entry.name, entry.place, "no other rule matches", safety=self.safety)

    def _excepted(self, decision: Decision, found: Found) -> Decision:
        """The decision of the rule that is left, and that it is left by an exception."""
        entry, passed = self.exceptions.entries[found.exception], self.rules[found.passed]
        reason = f"{decision.reason}; exception '{entry.name}' goes past '{passed.name}'"
        return replace(decision, reason=reason, exception=entry.name)

    def _rehearsed(self, decision: Decision, found: Found) -> Decision:
        """The decision together with what a rule in shadow would have taken away."""
        rule = self.rules[found.rehearsed]
        takes = decision.effect is _ALLOW if rule.effect is not _BLOCK else decision.effect is not _BLOCK
        return replace(decision, would_block=rule.name) if rule.refuses and takes else decision

    def _settle(self, decision: Decision, facts: Facts, grants: Grants | None) -> Decision:
        """Finish what cannot be remembered: whether a warning is confirmed, where a redirect goes."""
        if decision.effect is Effect.REDIRECT:
            return replace(decision, location=_located(decision.location, facts))
        if not decision.may_be_overridden or not grants:
            return decision
        grant = grants.holds(facts.identity, facts.client, facts.host, decision.rule, facts.at)
        if grant is None:
            return decision
        return self._granted(decision, facts, grant)

    def _granted(self, decision: Decision, facts: Facts, grant: Grant) -> Decision:
        """
        The decision about what a grant lets past a rule: allowed, if nothing forbids that.

        What comes behind that rule is asked, too: a rule that no grant goes past refuses, unless another one
        would have let it through before.
        """
        until = clock(grant.until, self.time_zone)
        how = "warning confirmed" if grant.is_own else f"granted by {grant.given_by}"
        for number in self._behind(decision, facts):
            rule = self.rules[number]
            if rule.effect is _ALLOW:
                break
            if not rule.may_be_overridden:
                final = self._answers[number].decision(facts.categories)
                said = f"{final.reason}; no grant goes past it, and that for '{decision.rule}' does not count"
                return replace(final, reason=said)
        reason = f"{how} until {until}"
        allowed = replace(decision, effect=_ALLOW, reason=reason, granted=grant.until, grant=grant.id)
        return check_safety(allowed, facts)

    def _behind(self, decision: Decision, facts: Facts) -> Iterator[int]:
        """The rules that match behind the one of a decision, in their order, by their numbers from 0."""
        rules, exceptions = self.in_force(facts.at)
        left = self.table.matching(facts, rules) & self.stages.enforced_for(facts)
        if exceptions:
            left &= ~self.exceptions.taken_away(self.exceptions.matching(facts, exceptions))
        is_behind = False
        while left:
            number = _lowest(left)
            left &= left - 1
            if is_behind:
                yield number
            is_behind = is_behind or self.rules[number].name == decision.rule


class _Answer:
    """What one rule answers, made once for each category that made it match."""

    def __init__(self, rule: Rule, table: Safety, missing: frozenset[str]) -> None:
        self._rule = rule
        self._safety = rule.safety or table
        self._missing = missing
        self._asked = categories_of(rule.what)
        self._made: dict[str, Decision] = {}

    def decision(self, categories: tuple[str, ...]) -> Decision:
        category = ""
        if self._asked:
            for one in categories:
                if one in self._asked:
                    category = one
                    break
        made = self._made.get(category)
        if made is None:
            made = self._made[category] = self._make(category)
        return made

    def _make(self, category: str) -> Decision:
        rule = self._rule
        return Decision(
            effect=rule.effect,
            rule=rule.name,
            place=rule.place,
            reason=reason_of(rule, category, self._missing),
            say=rule.say,
            category=category,
            location=rule.location,
            warn_seconds=rule.warn_seconds if rule.effect is Effect.WARN else 0,
            safety=self._safety,
            may_be_overridden=rule.may_be_overridden,
        )


def categories_of(what: What) -> frozenset[str]:
    """The categories by which a part may hold."""
    return frozenset(category for part in demanded(what) for category in part.category)


def _sizes(what: What) -> Iterator[int]:
    """Where the sizes that a part asks for begin and end, also below ``not``."""
    for one in what.size:
        if one.least:
            yield one.least
        if one.most is not None:
            yield one.most + 1
    for inner in (*what.all_, *what.any_, *((what.not_,) if what.not_ is not None else ())):
        yield from _sizes(inner)


def _located(template: str, facts: Facts) -> str:
    """Put host and target URI, percent-encoded, into the location of a redirect."""
    if "{" not in template:
        return template
    host = quote(facts.host.uri_host, safe="")
    return template.replace("{host}", host).replace("{uri}", quote(target_uri(facts), safe=""))


def _lowest(bits: int) -> int:
    return (bits & -bits).bit_length() - 1


def _key_reader(read: frozenset[str], stages: Stages) -> Callable[[Facts], Any]:
    """What decisions are remembered by: the facts that are read, and for a canary the rules that count."""
    # The normal form of a host is an address or a name, which its text tells.
    facts_read = reader(read - {"host.address"} if "host.name" in read else read)
    if not stages.has_canaries:
        return facts_read
    return lambda facts: (stages.enforced_for(facts), facts_read(facts))


__all__ = ["EVERY_CATEGORY", "Found", "Grants", "Policy", "refuse_address"]
