"""
A decision explained: each rule in turn, why it matches or does not, which one decides, and what safety adds.

It is worked out from the same compiled columns as the decision itself, read bit by bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from corpproxy.destination.model import Host, Match
from corpproxy.errors import Place
from corpproxy.policy.decide import Grants, Policy
from corpproxy.policy.mismatch import evidence, mismatch
from corpproxy.policy.model import Decision, Effect, Facts
from corpproxy.policy.rules import Rule
from corpproxy.policy.safe_search import SafeSearch
from corpproxy.policy.safety import CHECKS


@dataclass(frozen=True, slots=True)
class Step:
    """
    One rule, asked in its turn.

    ``words`` say why it matches or what first stands against it.  ``decides`` is true for the first
    that matches; those after it are not reached, but told all the same.
    """

    rule: Rule
    matches: bool
    decides: bool
    reached: bool
    words: str


@dataclass(frozen=True, slots=True)
class SafetyStep:
    """One entry of the safety table that was asked, and why it refuses, empty when it does not."""

    entry: str
    place: Place
    refusal: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """
    Why the policy decides as it does.

    ``safety`` is empty where nothing is let through.  ``also_refusing`` are rules that come later and would
    refuse it too, so that deleting the deciding one would not open it.  ``dial_host`` is the host that is
    connected to.
    """

    facts: Facts
    matches: tuple[Match, ...]
    decision: Decision
    steps: tuple[Step, ...]
    safety: tuple[SafetyStep, ...]
    also_refusing: tuple[Rule, ...]
    dial_host: Host


def explain(
    policy: Policy,
    facts: Facts,
    matches: Iterable[Match] = (),
    *,
    safe_search: SafeSearch | None = None,
    grants: Grants | None = None,
) -> Explanation:
    """Explain the decision on an exchange; ``matches`` is the evidence for its categories."""
    evident = tuple(matches)
    number = policy.table.first(facts)
    steps = tuple(_steps(policy, facts, evident, number))
    return Explanation(
        facts=facts,
        matches=evident,
        decision=policy.decide_by(number, facts, grants),
        steps=steps,
        safety=tuple(_safety(policy, facts, number, grants)),
        also_refusing=tuple(step.rule for step in steps[number + 1 :] if step.matches and step.rule.refuses)
        if number >= 0
        else (),
        dial_host=_dialled(facts, safe_search),
    )


def _steps(policy: Policy, facts: Facts, matches: tuple[Match, ...], first: int) -> Iterator[Step]:
    held = policy.table.held(facts)
    for number, (rule, clause) in enumerate(zip(policy.rules, policy.table.clauses, strict=True)):
        against = mismatch(clause, held, policy.time_zone)
        words = against or evidence(clause, held, matches)
        yield Step(rule, not against, number == first, first < 0 or number <= first, words)


def _safety(policy: Policy, facts: Facts, number: int, grants: Grants | None) -> Iterator[SafetyStep]:
    """What the safety table says, where a rule lets the exchange through to it."""
    if number < 0:
        return
    decision = policy.decide_by(number, facts, grants)
    if decision.effect is not Effect.ALLOW and not decision.rule.startswith("safety: "):
        return
    for entry, check in CHECKS:
        refusal = check(facts, decision.safety)
        yield SafetyStep(entry, decision.safety.place, refusal)
        if refusal:
            return


def _dialled(facts: Facts, safe_search: SafeSearch | None) -> Host:
    if safe_search is None:
        return facts.host
    return safe_search.dial_host(facts.host, facts.identity, facts.client, facts.listener)
