"""The grammar read naively, rule after rule: what the compiled columns must agree with."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import re2

from corpproxy.destination.model import AddressClass
from corpproxy.destination.paths import normal_path
from corpproxy.policy.conditions import PortRange, What, Who
from corpproxy.policy.decide import Found
from corpproxy.policy.model import NO_CONTENT
from corpproxy.policy.staged import is_in_share, person_of
from corpproxy.policy.target import target_uri
from tests.policy.builders import NETWORKS


def matches(rule, facts, missing=frozenset()):
    """Whether a rule matches, one key after the other."""
    return _holds(rule.who, rule.what, rule.refuses, facts, missing) and (
        not rule.when or any(w.hours.contains(facts.at) for w in rule.when)
    )


def first(rules, facts, missing=frozenset()):
    """The number of the first rule that matches, or -1."""
    return next((number for number, rule in enumerate(rules) if matches(rule, facts, missing)), -1)


def _holds(who, what, refuses, facts, missing):
    """The keys of both parts and the parts inside them; below ``not`` the unknown counts the other way."""
    for part in (who, what):
        inner = [_alone(one, refuses, facts, missing) for one in part.all_]
        some = [_alone(one, refuses, facts, missing) for one in part.any_]
        if not all(inner) or (part.any_ and not any(some)):
            return False
        if part.not_ is not None and _alone(part.not_, not refuses, facts, missing):
            return False
    return all(_keys(who, what, refuses, facts, missing))


def _alone(part, refuses, facts, missing):
    sides = (part, What()) if isinstance(part, Who) else (Who(), part)
    return _holds(*sides, refuses, facts, missing)


def _keys(who, what, refuses, facts, missing):
    identity = facts.identity
    yield not who.user or identity.name in who.user
    yield not who.group or bool(set(identity.groups) & set(who.group))
    yield not who.network or any(_in_network(facts.client, name) for name in who.network)
    yield not who.listener or facts.listener in who.listener
    by_address = identity.source == "network"
    yield not who.device or (by_address and any(_in_network(facts.client, name) for name in who.device))
    yield not who.agent or any(re2.search(one.encode(), facts.agent.encode()) for one in who.agent)
    yield who.anonymous is None or who.anonymous == (identity.name == "")
    unknown = refuses and any(one in missing or "*" in missing for one in what.category)
    yield not what.category or bool(set(facts.categories) & set(what.category)) or unknown
    if what.uncategorised is not None:
        if missing and not facts.categories and what.uncategorised:
            yield refuses
        else:
            yield what.uncategorised == (not facts.categories)
    yield not what.domain or any(_below(facts.host, name) for name in what.domain)
    yield not what.host or facts.host.name in what.host
    yield not what.url or any(_begins(prefix, facts) for prefix in what.url)
    uri = target_uri(facts).encode("utf-8", "replace")
    yield not what.expression or any(re2.search(one.encode(), uri) for one in what.expression)
    yield not what.method or facts.method in what.method
    yield not what.scheme or facts.scheme in what.scheme
    yield not what.port or any(facts.port == one or _in_range(facts.port, one) for one in what.port)
    yield not what.address or any(_at_address(facts, one, refuses) for one in what.address)
    for asked, known in ((what.country, facts.countries), (what.asn, facts.asns)):
        yield not asked or (refuses if known is None else bool(known & set(asked)))
    segment = normal_path(facts.path).split("?")[0].split("/")[-1].split(";")[0].lower()
    yield not what.extension or any(segment.endswith("." + one) for one in what.extension)
    yield from _answer_keys(what, refuses, facts)


def _at_address(facts, asked, refuses):
    if isinstance(asked, AddressClass):
        return refuses if facts.address_classes is None else asked in facts.address_classes
    if facts.addresses is None:
        return refuses
    # 64:ff9b::a00:7 leads to 10.0.0.7.
    led = {"64:ff9b::a00:7": "10.0.0.7"}
    found = {one for name in facts.addresses for one in (name, led.get(name, name))}
    return any(ip_address(one) in asked for one in found)


def _answer_keys(what, refuses, facts):
    answer = facts.answer
    if facts.method == "CONNECT" and answer is None:
        answer = NO_CONTENT
    for asked in (what.media_type, what.size):
        if asked and answer is None:
            yield not refuses
        elif asked and not answer.is_there:
            yield False
    if answer is not None and answer.is_there:
        stated = answer.media_type
        kind = stated.split("/")[0] + "/*"
        yield not what.media_type or (
            stated in what.media_type or kind in what.media_type if stated else refuses
        )
        if what.size and answer.size is None:
            yield not refuses
        else:
            yield not what.size or any(one.contains(answer.size) for one in what.size)


def _in_network(client, name):
    try:
        address = ip_address(client)
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    ranges = NETWORKS[name] if name in NETWORKS else [ip_network(name)]
    return any(address in one for one in ranges)


def _below(host, domain):
    if host.name == domain:
        return True
    return host.address is None and ("." + host.name).endswith("." + domain)


def _begins(prefix, facts):
    if not _below(facts.host, prefix.host) or prefix.port not in (0, facts.port):
        return False
    path = normal_path(facts.path)
    if prefix.path == "/":
        return True
    rest = path.removeprefix(prefix.path)
    return path.startswith(prefix.path) and (prefix.path[-1] in "/?&=" or rest[:1] in ("", "/", "?"))


def _in_range(port, written):
    return isinstance(written, PortRange) and written.first <= port <= written.last


def found(rules, exceptions, facts):
    """What decides, with exceptions and stages, told rule after rule."""
    running = [
        number
        for number, one in enumerate(exceptions)
        if one.period.contains(facts.at) and matches(one, facts)
    ]
    matching = [
        number
        for number, one in enumerate(rules)
        if one.stage.period.contains(facts.at) and matches(one, facts)
    ]
    left = [n for n in matching if not any(exceptions[e].goes_past(rules[n]) for e in running)]
    rule = _first_that_counts(rules, left, facts)
    rehearsed = left[0] if left and left[0] != rule else -1
    passed = _first_that_counts(rules, matching, facts)
    if passed in (-1, rule):
        return Found(rule, rehearsed)
    exception = next(e for e in running if exceptions[e].goes_past(rules[passed]))
    return Found(rule, rehearsed, exception, passed)


def _first_that_counts(rules, numbers, facts):
    return next((n for n in numbers if _counts(rules[n], facts)), -1)


def _counts(rule, facts):
    stage = rule.stage
    return stage.is_enforced or (stage.is_canary and is_in_share(rule.name, person_of(facts), stage.share))
