"""
The policy: what one exchange may do, by the rules and by what stays refused whatever they say.

A decision is remembered by exactly the facts that the rules and the safety table read, and until the
next change of any hours.  What a person confirmed is asked anew each time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, tzinfo
from operator import attrgetter
from typing import Any, Protocol
from urllib.parse import quote

from corpproxy.destination.model import Host
from corpproxy.errors import NOWHERE
from corpproxy.identity.model import Identity
from corpproxy.policy.columns import EVERY_CATEGORY
from corpproxy.policy.model import Decision, Effect, Facts, Safety
from corpproxy.policy.networks import Networks
from corpproxy.policy.reasons import clock, reason_of
from corpproxy.policy.rules import Rule
from corpproxy.policy.safety import check_safety, refuse_address
from corpproxy.policy.table import NO_NETWORKS, Table
from corpproxy.policy.target import target_uri

# Decisions remembered, in two halves of which the older is dropped when the younger is full.  One costs about
# 0.3 KiB, most of it the key, so that this is 10 MB at most.
REMEMBERED_HALF = 16_384

# What the safety table reads, beside what the rules read.
_SAFETY_READS = ("method", "port", "host.address")

# What is the same for all requests with one header section, method and authority from one client.  A decision
# that rests on anything else is asked for each time.
_LASTING = frozenset("identity client listener method scheme host port categories at agent".split())

_ALLOW = Effect.ALLOW
_BLOCK = Effect.BLOCK


class Grants(Protocol):
    """What was granted to people: confirmed warnings."""

    def holds(self, identity: Identity, client: str, host: Host, rule: str, at: float, /) -> float:
        """
        Until when a warning of ``rule`` is confirmed, in POSIX seconds; 0 when it is not.

        ``client`` stands for the person where the identity has no name.
        """


class Policy:
    """
    The rules, compiled; see `decide`.

    ``networks`` are the networks that rules name.  ``missing_categories`` are those of lists that could not
    be read and that the policy wants to count then: what refuses by them refuses everything, what allows by
    them allows nothing (`EVERY_CATEGORY` stands for all).  ``time_zone`` is that of sentences.
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
    ) -> None:
        self.rules = tuple(rules)
        self.safety = safety or Safety()
        self.networks = networks
        self.time_zone = time_zone
        self.missing_categories = missing_categories
        self.table = Table(self.rules, networks, missing_categories)
        self._facts_read = tuple(sorted(self.table.reads - {"at"} | set(_SAFETY_READS)))
        self._key = _key_reader(self._facts_read)
        self._is_lasting = self.reads <= _LASTING
        self._answers = [_Answer(rule, self.safety, missing_categories) for rule in self.rules]
        self._nothing = Decision(_BLOCK, "", NOWHERE, "no rule matches", safety=self.safety)
        # The time for which it is known which rules are in force: none yet.
        self._in_force, self._since, self._until = 0, math.inf, -math.inf
        self._young: dict[object, Decision] = {}
        self._old: dict[object, Decision] = {}

    @property
    def reads(self) -> frozenset[str]:
        """The fields of `Facts` that decisions rest on; ``address_classes`` only when a rule needs it."""
        return frozenset(name.partition(".")[0] for name in (*self._facts_read, *self.table.reads))

    @property
    def categories(self) -> frozenset[str]:
        """Every category that a rule names."""
        return frozenset(category for rule in self.rules for category in rule.what.category)

    def with_missing(self, missing_categories: Iterable[str]) -> Policy:
        """The same policy while the lists of some categories are missing."""
        return Policy(
            self.rules,
            self.safety,
            networks=self.networks,
            time_zone=self.time_zone,
            missing_categories=frozenset(missing_categories),
        )

    def decide(self, facts: Facts, grants: Grants | None = None) -> Decision:
        """Decide on one exchange: the first rule that matches, then what stays refused whatever it says."""
        if not self._since <= facts.at < self._until:
            self._turn(facts.at)
        key = self._key(facts)
        decision = self._young.get(key)
        if decision is None:
            decision = self._old.get(key) or self._first(facts)
            self._remember(key, decision)
        effect = decision.effect
        if effect is _ALLOW or effect is _BLOCK:
            return decision
        return self._settle(decision, facts, grants)

    def lasts(self, decision: Decision, facts: Facts) -> tuple[float, float] | None:
        """
        From when until when a decision, made just now, holds for the like of these facts without being asked.

        None where it does not: where something that differs between them was looked at, or where a grant
        had a say.
        """
        if not self._is_lasting:
            return None
        key = self._key(facts)
        plain = self._young.get(key) is decision or self._old.get(key) is decision
        return (self._since, self._until) if plain else None

    def decide_by(self, number: int, facts: Facts, grants: Grants | None = None) -> Decision:
        """What the policy would say if this rule (counted from 0; -1 is none) were the first to match."""
        if number < 0:
            return self._nothing
        return self._settle(self._by_rule(number, facts), facts, grants)

    def _turn(self, at: float) -> None:
        """
        Work out which rules are in force now that the time for which this was known is over.

        When they are the same as before, what is remembered stays; a clock that was set back by a little only
        makes the known time begin earlier.
        """
        in_force, until = self.table.in_force(at), self.table.next_change(at)
        if in_force != self._in_force:
            self._young, self._old = {}, {}
        self._since = min(self._since, at) if until == self._until and in_force == self._in_force else at
        self._in_force, self._until = in_force, until

    def _first(self, facts: Facts) -> Decision:
        number = self.table.first(facts, self._in_force)
        return self._by_rule(number, facts) if number >= 0 else self._nothing

    def _by_rule(self, number: int, facts: Facts) -> Decision:
        decision = self._answers[number].decision(facts.categories)
        return check_safety(decision, facts) if decision.effect is _ALLOW else decision

    def _settle(self, decision: Decision, facts: Facts, grants: Grants | None) -> Decision:
        """Finish what cannot be remembered: whether a warning is confirmed, where a redirect goes."""
        if decision.effect is Effect.REDIRECT:
            return replace(decision, location=_located(decision.location, facts))
        if decision.effect is not Effect.WARN or grants is None:
            return decision
        until = grants.holds(facts.identity, facts.client, facts.host, decision.rule, facts.at)
        if not until > facts.at:
            return decision
        reason = f"warning confirmed until {clock(until, self.time_zone)}"
        confirmed = replace(decision, effect=_ALLOW, reason=reason)
        return check_safety(confirmed, facts)

    def _remember(self, key: object, decision: Decision) -> None:
        if len(self._young) >= REMEMBERED_HALF:
            self._young, self._old = {}, self._young
        self._young[key] = decision


class _Answer:
    """What one rule answers, made once for each category that made it match."""

    def __init__(self, rule: Rule, table: Safety, missing: frozenset[str]) -> None:
        self._rule = rule
        self._safety = rule.safety or table
        self._missing = missing
        self._asked = frozenset(rule.what.category)
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
        )


def _located(template: str, facts: Facts) -> str:
    """Put host and target URI, percent-encoded, into the location of a redirect."""
    if "{" not in template:
        return template
    host = quote(facts.host.uri_host, safe="")
    return template.replace("{host}", host).replace("{uri}", quote(target_uri(facts), safe=""))


def _key_reader(read: tuple[str, ...]) -> Callable[[Facts], Any]:
    return attrgetter(*read)


__all__ = ["EVERY_CATEGORY", "Grants", "Policy", "refuse_address"]
