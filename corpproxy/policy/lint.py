"""What can be said against a policy without asking it anything: rules that can never match."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from corpproxy.errors import Place, Problem
from corpproxy.policy.conditions import asked_keys
from corpproxy.policy.decide import Policy
from corpproxy.policy.implication import Implications, excludes_itself, implies
from corpproxy.policy.networks import Networks
from corpproxy.policy.rules import Rule


def lint(policy: Policy) -> tuple[Problem, ...]:
    """Give what is wrong with the order and the conditions of rules, each at its rule."""
    found = [
        *_shadowed(policy.rules, policy.networks),
        *_contradictions(policy.rules, policy.networks),
        *_open_end(policy.rules),
    ]
    return tuple(sorted(found))


def _shadowed(rules: Sequence[Rule], networks: Networks) -> Iterator[Problem]:
    """Each rule that an earlier one leaves nothing for."""
    implications = Implications(rules, networks)
    for number, rule in enumerate(rules):
        earlier = next((rules[one] for one in implications.before(number)), None)
        if earlier is not None:
            why = f"'{earlier.name}' {_at(earlier.place, rule.place)} comes first"
            if implies(earlier, rule, networks):
                why += " and asks the same"
            yield _never(rule, why)


def _contradictions(rules: Sequence[Rule], networks: Networks) -> Iterator[Problem]:
    """Each rule whose own conditions exclude each other."""
    for rule in rules:
        what = rule.what
        if what.category and what.uncategorised:
            why = "what is uncategorised has no category"
        elif rule.who.anonymous and (rule.who.user or rule.who.group):
            why = "somebody who did not sign in has no name and no groups"
        elif excludes_itself(rule.who, networks) or excludes_itself(what, networks):
            why = "its 'not' takes out everything that it asks for"
        else:
            continue
        yield _never(rule, why)


def _open_end(rules: Sequence[Rule]) -> Iterator[Problem]:
    """That no rule is without conditions, so that the policy does not say what becomes of the rest."""
    if rules and all(asked_keys(rule) for rule in rules):
        yield Problem(
            rules[-1].place,
            "no-last-rule",
            f"after '{rules[-1].name}' nothing says what becomes of the rest; "
            "end with a rule without conditions, such as {name: everything else, do: block}",
        )


def _never(rule: Rule, why: str) -> Problem:
    return Problem(rule.place, "never-matches", f"rule '{rule.name}' can never match: {why}")


def _at(place: Place, seen_from: Place) -> str:
    return f"at line {place.line}" if place.file == seen_from.file else f"at {place}"
