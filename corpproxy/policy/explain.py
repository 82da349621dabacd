"""
A decision explained: each rule in turn, why it matches or does not, which one decides, and what safety adds.

It is worked out from the same compiled columns as the decision itself, read bit by bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from corpproxy.destination.model import Host, Match
from corpproxy.errors import Place
from corpproxy.policy.decide import Found, Grants, Policy
from corpproxy.policy.exceptions import ExceptionEntry
from corpproxy.policy.mismatch import evidence, mismatch
from corpproxy.policy.model import Decision, Effect, Facts
from corpproxy.policy.rules import Rule
from corpproxy.policy.safe_search import SafeSearch
from corpproxy.policy.safety import CHECKS
from corpproxy.policy.staged_text import period_in_words


@dataclass(frozen=True, slots=True)
class Step:
    """
    One rule, asked in its turn.

    ``words`` say why it matches or what first stands against it.  ``decides`` is true for the first
    that matches; those after it are not reached, but told all the same.  ``in_shadow`` is one that counts for
    nobody, or not for whoever asks; ``passed_by`` names the exception that takes it away.
    """

    rule: Rule
    matches: bool
    decides: bool
    reached: bool
    words: str
    in_shadow: bool = False
    passed_by: str = ""


@dataclass(frozen=True, slots=True)
class ExceptionStep:
    """One exception, and why it matches or what first stands against it."""

    entry: ExceptionEntry
    matches: bool
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
    refuse it too, so that deleting the deciding one would not open it; rules in shadow and those that an
    exception takes away are not among them.  ``dial_host`` is the host that is connected to.
    """

    facts: Facts
    matches: tuple[Match, ...]
    decision: Decision
    steps: tuple[Step, ...]
    safety: tuple[SafetyStep, ...]
    also_refusing: tuple[Rule, ...]
    dial_host: Host
    exceptions: tuple[ExceptionStep, ...] = ()


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
    found = policy.find(facts)
    exceptions = tuple(_exceptions(policy, facts, evident))
    steps = tuple(_steps(policy, facts, evident, found, exceptions))
    return Explanation(
        facts=facts,
        matches=evident,
        decision=policy.answer(found, facts, grants),
        steps=steps,
        safety=tuple(_safety(policy, facts, found, grants)),
        also_refusing=tuple(_also_refusing(steps[found.rule + 1 :] if found.rule >= 0 else ())),
        dial_host=_dialled(facts, safe_search),
        exceptions=exceptions,
    )


def _also_refusing(later: Iterable[Step]) -> Iterator[Rule]:
    for step in later:
        if step.matches and step.rule.refuses and not step.in_shadow and not step.passed_by:
            yield step.rule


def _steps(
    policy: Policy,
    facts: Facts,
    matches: tuple[Match, ...],
    found: Found,
    exceptions: tuple[ExceptionStep, ...],
) -> Iterator[Step]:
    held = policy.table.held(facts)
    enforced = policy.stages.enforced_for(facts)
    for number, (rule, clause) in enumerate(zip(policy.rules, policy.table.clauses, strict=True)):
        against = mismatch(clause, held, policy.time_zone)
        if not rule.stage.period.contains(facts.at):
            against = against or period_in_words(rule.stage.period, facts.at, policy.time_zone)
        passing = (step.entry.name for step in exceptions if step.matches and step.entry.goes_past(rule))
        yield Step(
            rule,
            not against,
            number == found.rule,
            found.rule < 0 or number <= found.rule,
            against or evidence(clause, held, matches),
            in_shadow=not enforced >> number & 1,
            passed_by=next(passing, ""),
        )


def _exceptions(policy: Policy, facts: Facts, matches: tuple[Match, ...]) -> Iterator[ExceptionStep]:
    table = policy.exceptions.table
    held = table.held(facts)
    for entry, clause in zip(policy.exceptions.entries, table.clauses, strict=True):
        against = mismatch(clause, held, policy.time_zone)
        if not entry.period.contains(facts.at):
            against = against or period_in_words(entry.period, facts.at, policy.time_zone)
        yield ExceptionStep(entry, not against, against or evidence(clause, held, matches))


def _safety(policy: Policy, facts: Facts, found: Found, grants: Grants | None) -> Iterator[SafetyStep]:
    """What the safety table says, where the exchange is let through to it."""
    if found.rule < 0 and found.exception < 0:
        return
    decision = policy.answer(found, facts, grants)
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
    return safe_search.dial_host(facts.host, facts.identity, facts.client, facts.listener, facts.agent)
