"""What can be said against a policy without asking it anything: rules that never match, or say nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from corpproxy.errors import Place, Problem
from corpproxy.policy.conditions import asked_keys
from corpproxy.policy.decide import Policy
from corpproxy.policy.implication import Implications, excludes_itself, implies
from corpproxy.policy.networks import Networks
from corpproxy.policy.rules import Rule
from corpproxy.policy.staged import ALWAYS


def lint(policy: Policy) -> tuple[Problem, ...]:
    """Give what is wrong with the order and the conditions of rules, each at its rule."""
    found = [
        *_shadowed(policy),
        *_contradictions(policy.rules, policy.networks),
        *_silent(policy.rules),
        *_open_end(policy.rules),
    ]
    return tuple(sorted(found))


def _shadowed(policy: Policy) -> Iterator[Problem]:
    """Each rule that an earlier one leaves nothing for."""
    rules, networks = policy.rules, policy.networks
    passed = {name for entry in policy.exceptions.entries for name in entry.past}
    implications = Implications(rules, networks)
    for number, rule in enumerate(rules):
        for earlier in (rules[one] for one in implications.before(number)):
            # Who goes past the earlier rule by an exception may meet the later one.
            if not _counts_before(earlier, rule) or earlier.name in passed:
                continue
            yield _shadow(rule, earlier, asks_the_same=implies(earlier, rule, networks))
            break


def _shadow(rule: Rule, earlier: Rule, *, asks_the_same: bool) -> Problem:
    """That an earlier rule leaves nothing for another: a contradiction where both ask the same."""
    where = f"'{earlier.name}' {_at(earlier.place, rule.place)}"
    if asks_the_same and rule.effect is not earlier.effect:
        said = (
            f"rule '{rule.name}' has 'do: {rule.effect}' and {where} 'do: {earlier.effect}' for the same; "
            "only the first counts, so take one of them out"
        )
        return Problem(rule.place, "contradiction", said)
    return _never(rule, f"{where} comes first" + (" and asks the same" if asks_the_same else ""))


def _counts_before(earlier: Rule, later: Rule) -> bool:
    """Whether an earlier rule counts whenever and for whomever a later one does, also as a rehearsal."""
    counts = earlier.stage.is_enforced or later.stage.is_shadow
    return counts and earlier.stage.period.covers(later.stage.period)


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


def _silent(rules: Sequence[Rule]) -> Iterator[Problem]:
    """Each rule in shadow that allows and keeps no other one from refusing: it leaves no trace."""
    rehearsed = False
    for rule in reversed(rules):
        if rule.refuses and not rule.stage.is_enforced:
            rehearsed = True
        elif rule.stage.is_shadow and not rehearsed:
            said = (
                f"rule '{rule.name}' is in shadow and allows, which the record does not tell; "
                "rehearse the rule that refuses"
            )
            yield Problem(rule.place, "shadow-says-nothing", said, "hint")


def _open_end(rules: Sequence[Rule]) -> Iterator[Problem]:
    """That no rule is without conditions, so that the policy does not say what becomes of the rest."""
    if not rules or any(_is_for_all(rule) for rule in rules):
        return
    staged = next((rule for rule in rules if not asked_keys(rule)), None)
    place, why = rules[-1].place, f"after '{rules[-1].name}' nothing says what becomes of the rest"
    if staged is not None:
        place = staged.place
        why = f"'{staged.name}' does not count for everybody and for ever, so that the rest is left open"
    yield Problem(
        place,
        "no-last-rule",
        f"{why}; end with a rule without conditions, such as {{name: everything else, do: block}}",
    )


def _is_for_all(rule: Rule) -> bool:
    """Whether a rule matches everything, for everybody and for ever."""
    return not asked_keys(rule) and rule.stage.is_enforced and rule.stage.period == ALWAYS


def _never(rule: Rule, why: str) -> Problem:
    return Problem(rule.place, "never-matches", f"rule '{rule.name}' can never match: {why}")


def _at(place: Place, seen_from: Place) -> str:
    return f"at line {place.line}" if place.file == seen_from.file else f"at {place}"
