"""Explanations as people and as programs read them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import tzinfo
from itertools import zip_longest
from types import MappingProxyType
from typing import Any

from corpproxy.destination.model import Match
from corpproxy.errors import Place
from corpproxy.identity.model import GroupSource, Identity
from corpproxy.policy.explain import ExceptionStep, Explanation, SafetyStep, Step
from corpproxy.policy.mismatch import address_in_words
from corpproxy.policy.model import Decision, Effect, Facts
from corpproxy.policy.reasons import clock
from corpproxy.policy.staged_text import answered_for, past_in_words, period_in_words
from corpproxy.policy.target import target_uri

_GROUP_SOURCES = {GroupSource.FILE.value: "groups file", GroupSource.NETWORK.value: "network"}

# Where the entries of lists stand, for those that are known.
Lines = Mapping[Match, Place]
NO_LINES: Lines = MappingProxyType({})


def as_text(explanation: Explanation, time_zone: tzinfo, lines: Lines = NO_LINES) -> str:
    """Give an explanation as lines for a terminal, times in a time zone."""
    return "\n".join(_lines(explanation, time_zone, lines)) + "\n"


def as_mapping(explanation: Explanation, time_zone: tzinfo, lines: Lines = NO_LINES) -> dict[str, Any]:
    """Give an explanation as values that JSON has."""
    facts, decision = explanation.facts, explanation.decision
    return {
        "asked": {
            "user": facts.identity.name,
            "groups": list(facts.identity.groups),
            "groups_from": list(facts.identity.groups_from),
            "known_by": facts.identity.source,
            "client": facts.client,
            "listener": facts.listener,
            "method": facts.method,
            "target": target_uri(facts),
            "at": clock(facts.at, time_zone),
        },
        "categories": [
            {"category": one.category, "list": one.list, "entry": one.entry, "line": _line(one, lines)}
            for one in explanation.matches
        ],
        "rules": [_step_mapping(step) for step in explanation.steps],
        "exceptions": [_exception_mapping(step) for step in explanation.exceptions],
        "safety": [
            {"entry": one.entry, "place": str(one.place), "refusal": one.refusal}
            for one in explanation.safety
        ],
        "decision": {
            "effect": str(decision.effect),
            "rule": decision.rule,
            "place": str(decision.place),
            "reason": decision.reason,
            "say": decision.say,
            "category": decision.category,
            "location": decision.location,
            "would_block": decision.would_block,
            "exception": decision.exception,
        },
        "also_refusing": [rule.name for rule in explanation.also_refusing],
        "dial_host": explanation.dial_host.name,
    }


def _step_mapping(step: Step) -> dict[str, Any]:
    return {
        "rule": step.rule.name,
        "place": str(step.rule.place),
        "effect": str(step.rule.effect),
        "matches": step.matches,
        "decides": step.decides,
        "reached": step.reached,
        "why": step.words,
        "stage": step.rule.stage.in_words,
        "in_shadow": step.in_shadow,
        "passed_by": step.passed_by,
        "owner": step.rule.stage.owner,
        "reason": step.rule.stage.reason,
    }


def _exception_mapping(step: ExceptionStep) -> dict[str, Any]:
    entry = step.entry
    return {
        "exception": entry.name,
        "place": str(entry.place),
        "past": list(entry.past),
        "matches": step.matches,
        "why": step.words,
        "owner": entry.owner,
        "reason": entry.reason,
    }


def _line(match: Match, lines: Lines) -> str:
    place = lines.get(match)
    return "" if place is None else str(place)


def _lines(explanation: Explanation, time_zone: tzinfo, lines: Lines) -> Iterator[str]:
    yield from _asked(explanation, time_zone, lines)
    yield ""
    for exception in explanation.exceptions:
        yield from _exception(exception, explanation, time_zone)
    for step in explanation.steps:
        yield from _step(step)
    for check in explanation.safety:
        yield f"    safety: {check.entry}{_at(check.place)}: {_safety(check, explanation)}"
    yield ""
    yield from _decided(explanation.decision)
    if explanation.also_refusing:
        names = ", ".join(f"'{rule.name}'" for rule in explanation.also_refusing)
        yield f"would be refused later too, by {names}"
    if explanation.dial_host != explanation.facts.host:
        yield f"safe search: connected to {explanation.dial_host.name} for {explanation.facts.host.name}"


def _asked(explanation: Explanation, time_zone: tzinfo, lines: Lines) -> Iterator[str]:
    facts = explanation.facts
    yield f"{facts.method} {target_uri(facts)}"
    yield f"who: {_who(facts)}"
    yield f"when: {clock(facts.at, time_zone)}"
    if not facts.categories:
        yield "categories: none"
    shown = {match.category for match in explanation.matches}
    for match in explanation.matches:
        where = f" at {lines[match]}" if match in lines else ""
        yield f"category {match.category}: list {match.list}, entry {match.entry}{where}"
    for category in facts.categories:
        if category not in shown:
            yield f"category {category}"
    if facts.address_classes is not None and any(step.rule.what.address for step in explanation.steps):
        yield f"address: {address_in_words(facts)}"


def _who(facts: Facts) -> str:
    identity = facts.identity
    name = f"{identity.name} ({identity.source})" if identity.name else f"nobody ({identity.source})"
    groups = f", groups {', '.join(_groups(identity))}" if identity.groups else ", no groups"
    client = f", from {facts.client}" if facts.client else ""
    return f"{name}{groups}{client}" + (f", listener {facts.listener}" if facts.listener else "")


def _groups(identity: Identity) -> Iterator[str]:
    """Each group, with where it comes from if that is not the policy's own table."""
    for group, source in zip_longest(identity.groups, identity.groups_from[: len(identity.groups)]):
        where = _GROUP_SOURCES.get(source or "", "")
        yield f"{group} ({where})" if where else group


def _step(step: Step) -> Iterator[str]:
    mark = "->" if step.decides else "  "
    verb = "matches" if step.matches else "does not match"
    if not step.reached:
        verb = f"not reached; {verb}"
    if step.matches and step.passed_by:
        verb = f"{verb}, but exception '{step.passed_by}' goes past it"
    does = ", ".join(one for one in (step.rule.effect.value, _stage(step)) if one)
    yield f"{mark}  {step.rule.name} ({does}){_at(step.rule.place)}: {verb}: {step.words}"


def _stage(step: Step) -> str:
    stage = step.rule.stage
    if not stage.is_canary:
        return stage.in_words
    return f"{stage.in_words}, {'not for' if step.in_shadow else 'for'} this person"


def _exception(step: ExceptionStep, explanation: Explanation, time_zone: tzinfo) -> Iterator[str]:
    entry = step.entry
    verb = "matches" if step.matches else "does not match"
    mark = "+>" if entry.name == explanation.decision.exception else "  "
    words = step.words
    if step.matches:
        until = period_in_words(entry.period, explanation.facts.at, time_zone)
        words = f"{words}; {until}; {answered_for(entry.owner, entry.reason)}"
    yield f"{mark}  exception {entry.name} ({past_in_words(entry)}){_at(entry.place)}: {verb}: {words}"


def _safety(check: SafetyStep, explanation: Explanation) -> str:
    if check.refusal:
        return f"refuses: {check.refusal}"
    if check.entry == "addresses" and explanation.facts.host.address is None:
        allowed = ", ".join(sorted(explanation.decision.safety.addresses)) or "no"
        return f"asked of each address that is dialled; {allowed} addresses may be reached"
    return "does not refuse it"


def _decided(decision: Decision) -> Iterator[str]:
    by = f"'{decision.rule}'{_at(decision.place)}" if decision.rule else "no rule"
    yield f"{decision.effect} by {by}: {decision.reason}"
    if decision.say:
        yield f"the person reads: {decision.say}"
    if decision.effect is Effect.REDIRECT:
        yield f"the browser is sent to {decision.location}"
    if decision.would_block:
        yield f"in shadow: '{decision.would_block}' would have refused it"


def _at(place: Place) -> str:
    return f" at {place}" if place.file else ""
