"""What can be said against a policy without asking it anything: rules that can never match."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network

from corpproxy.errors import Place, Problem
from corpproxy.policy.conditions import UrlPrefix, What, Who, asked_keys
from corpproxy.policy.decide import Policy
from corpproxy.policy.networks import IpNetwork, Networks, ranges_of
from corpproxy.policy.rules import Rule
from corpproxy.policy.staged import ALWAYS


def lint(policy: Policy) -> tuple[Problem, ...]:
    """Give what is wrong with the order and the conditions of rules, each at its rule."""
    found = [
        *_shadowed(policy),
        *_contradictions(policy.rules),
        *_open_end(policy.rules),
    ]
    return tuple(sorted(found))


def implies(later: Rule, earlier: Rule, networks: Networks) -> bool:
    """
    Whether whatever matches ``later`` matches ``earlier``, as far as this can be told from what is written.

    False means that it cannot be told; true is certain while no list is missing.
    """
    return asked_keys(earlier) <= _told_keys(later) and _values_imply(later, earlier, networks)


def _told_keys(rule: Rule) -> frozenset[str]:
    """The keys that a rule says something of: a URL tells the domain too."""
    asked = asked_keys(rule)
    return asked | {"domain"} if "url" in asked else asked


def _values_imply(later: Rule, earlier: Rule, networks: Networks) -> bool:
    return (
        _who_implies(later.who, earlier.who, networks)
        and _what_implies(later.what, earlier.what)
        and (not earlier.when or {one.hours for one in later.when} <= {one.hours for one in earlier.when})
    )


def _shadowed(policy: Policy) -> Iterator[Problem]:
    """Each rule that an earlier one leaves nothing for."""
    rules, networks = policy.rules, policy.networks
    passed = {name for entry in policy.exceptions.entries for name in entry.past}
    # Every pair is looked at: what each rule asks is worked out once, not once a pair.
    asked = [asked_keys(rule) for rule in rules]
    for number, rule in enumerate(rules):
        told = _told_keys(rule)
        for earlier, keys in zip(rules[:number], asked, strict=False):
            # Who goes past the earlier rule by an exception may meet the later one.
            if not _counts_before(earlier, rule) or earlier.name in passed:
                continue
            if keys <= told and _values_imply(rule, earlier, networks):
                why = f"'{earlier.name}' {_at(earlier.place, rule.place)} comes first"
                if implies(earlier, rule, networks):
                    why += " and asks the same"
                yield _never(rule, why)
                break


def _counts_before(earlier: Rule, later: Rule) -> bool:
    """Whether an earlier rule counts whenever and for whomever a later one does, also as a rehearsal."""
    counts = earlier.stage.is_enforced or later.stage.is_shadow
    return counts and earlier.stage.period.covers(later.stage.period)


def _contradictions(rules: Sequence[Rule]) -> Iterator[Problem]:
    """Each rule whose own conditions exclude each other."""
    for rule in rules:
        what = rule.what
        if what.category and what.uncategorised:
            why = "what is uncategorised has no category"
        elif rule.who.anonymous and (rule.who.user or rule.who.group):
            why = "somebody who did not sign in has no name and no groups"
        else:
            continue
        yield _never(rule, why)


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


def _who_implies(later: Who, earlier: Who, networks: Networks) -> bool:
    return (
        _within(later.user, earlier.user)
        and _within(later.group, earlier.group)
        and _within(later.listener, earlier.listener)
        and earlier.anonymous in (None, later.anonymous)
        and (not earlier.network or all(_has_network(earlier, one, networks) for one in later.network))
    )


def _has_network(earlier: Who, name: str, networks: Networks) -> bool:
    if name in earlier.network:
        return True
    wide = [one for written in earlier.network for one in ranges_of(written, networks)]
    return all(any(_is_part(one, other) for other in wide) for one in ranges_of(name, networks))


def _is_part(narrow: IpNetwork, wide: IpNetwork) -> bool:
    if isinstance(narrow, IPv4Network):
        return isinstance(wide, IPv4Network) and narrow.subnet_of(wide)
    return isinstance(wide, IPv6Network) and narrow.subnet_of(wide)


def _what_implies(mine: What, first: What) -> bool:
    return (
        _within(mine.category, first.category)
        and first.uncategorised in (None, mine.uncategorised)
        and (not first.domain or all(_is_below(name, first.domain) for name in _hosts(mine)))
        and (not first.url or all(any(_covers(wide, one) for wide in first.url) for one in mine.url))
        and _within(mine.expression, first.expression)
        and _within(mine.method, first.method)
        and _within(mine.scheme, first.scheme)
        and _within(mine.port, first.port)
        and _within(mine.address, first.address)
    )


def _hosts(what: What) -> Sequence[str]:
    """The names that one of which must be asked for: those of domains, else those of URLs."""
    return what.domain or [url.host for url in what.url]


def _within(narrow: Sequence[object], wide: Sequence[object]) -> bool:
    return not wide or set(narrow) <= set(wide)


def _is_below(name: str, domains: Sequence[str]) -> bool:
    return any(name == domain or name.endswith("." + domain) for domain in domains)


def _covers(wide: UrlPrefix, narrow: UrlPrefix) -> bool:
    return (
        _is_below(narrow.host, (wide.host,))
        and wide.port in (0, narrow.port)
        and wide.covers_path(narrow.path)
    )
