"""One condition and one exchange in words: what holds and by which evidence, or what stands against it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo

from corpproxy.destination.model import AddressClass, Match
from corpproxy.destination.paths import normal_path
from corpproxy.policy.clauses import Clause
from corpproxy.policy.column import BY_NETWORK
from corpproxy.policy.columns_address import is_inside
from corpproxy.policy.conditions import (
    Conditions,
    UrlPrefix,
    What,
    asked_keys,
    compile_expression,
    octets_in_words,
)
from corpproxy.policy.model import Facts
from corpproxy.policy.networks import IpNetwork, Networks, client_address, ranges_of
from corpproxy.policy.reasons import asked_in_words, both, clock, either, missing_in_words
from corpproxy.policy.target import extensions_of, target_uri

_Said = Callable[[Conditions, Facts], str]


@dataclass(frozen=True, slots=True)
class Held:
    """
    What a compiled table says of one exchange, for its rows and the parts inside them.

    ``columns`` are the rows that each key accepts, as bits; ``matching`` those that all keys accept.
    ``networks`` and ``missing`` (the categories of missing lists) are those of the table.
    """

    facts: Facts
    columns: Mapping[str, int]
    matching: int
    networks: Networks
    missing: frozenset[str]

    def failing(self, asked: Conditions, number: int) -> Iterator[str]:
        """The keys that a row asks and that do not hold."""
        keys = asked_keys(asked)
        return (key for key, rows in self.columns.items() if key in keys and not rows >> number & 1)


def mismatch(clause: Clause, held: Held, time_zone: tzinfo) -> str:
    """Say what first stands against a row: what there is, and what is asked for; empty when it matches."""
    asked = clause.asked
    for key in held.failing(asked, clause.number):
        words = _mismatch_of_key(key, asked, held.facts, time_zone)
        called = _called(asked)
        # A list has more entries than anybody wants to read.
        return f"{words.partition(', asked for')[0]}, not on {called}" if called else words
    for one in clause.every:
        words = mismatch(one, held, time_zone)
        if words:
            return words
    for some in clause.either:
        against = [mismatch(one, held, time_zone) for one in some]
        if all(against):
            return f"none of several holds: {either([f'({words})' for words in against], 'and')}"
    for one in clause.none:
        if one.holds(held.matching):
            if _called(asked):
                return f"{_called(asked)} is empty"
            return f"taken out by 'not': {evidence(one, held)}"
    return ""


def _mismatch_of_key(key: str, asked: Conditions, facts: Facts, time_zone: tzinfo) -> str:
    if key == "when":
        return f"it is {clock(facts.at, time_zone)}, asked for {either([one.name for one in asked.when])}"
    return _MISMATCHES[key](asked, facts)


def evidence(clause: Clause, held: Held, matches: Iterable[Match] = ()) -> str:
    """Say by what every key that is asked holds, and which of several parts does."""
    asked = clause.asked
    words = dict(asked_in_words(asked))
    for key, said in _held(asked, held, matches):
        if said:
            words[key] = said
    who, what = asked.who, asked.what
    every = [evidence(one, held, matches) for one in clause.every]
    if who.all_:
        words["who.all_"] = both(every[: len(who.all_)])
    if what.all_:
        words["what.all_"] = both(every[len(who.all_) :])
    sides = [side for side, part in (("who", who), ("what", what)) if part.any_]
    for side, some in zip(sides, clause.either, strict=True):
        words[f"{side}.any_"] = next(evidence(one, held, matches) for one in some if one.holds(held.matching))
    said = "; ".join(words.values()) or "it is for every exchange"
    called = _called(asked)
    return f"{called}: {said}" if called else said


def _called(asked: Conditions) -> str:
    """What a part is called; empty where it has no name."""
    return asked.who.called or asked.what.called


def _held(asked: Conditions, held: Held, matches: Iterable[Match]) -> Iterator[tuple[str, str]]:
    """Each key for which more can be said than what is asked: which of its values it was."""
    who, what, facts = asked.who, asked.what, held.facts
    if who.user:
        yield "user", f"user {facts.identity.name}"
    if who.group:
        yield "group", f"group {either([one for one in who.group if one in facts.identity.groups])}"
    if who.network:
        yield "network", f"network {either(_networks_of(facts.client, who.network, held.networks))}"
    if who.device:
        yield "device", f"device {either(_networks_of(facts.client, who.device, held.networks))}"
    if who.agent:
        yield "agent", f"agent {either(_found(who.agent, facts.agent))}"
    if what.category:
        yield "category", _category_evidence(what.category, facts, matches, held.missing)
    if what.uncategorised and held.missing:
        yield "uncategorised", "in no category as far as is known, for a list is missing"
    if what.domain:
        yield "domain", f"domain {either([one for one in what.domain if _is_below(facts.host.name, one)])}"
    if what.url:
        yield "url", f"url {either([str(one) for one in what.url if _begins(one, facts)])}"
    if what.expression:
        yield "expression", f"expression {either(_found(what.expression, target_uri(facts)))}"
    if what.address:
        yield "address", _address_evidence(what, facts)
    yield from _held_looked_up(what, facts)
    yield from _held_answer(what, facts)


def _held_looked_up(what: What, facts: Facts) -> Iterator[tuple[str, str]]:
    if what.country:
        known = sorted((facts.countries or frozenset()).intersection(what.country))
        yield "country", f"country {both(known)}" if known else _UNKNOWN.format("country")
    if what.asn:
        numbers = sorted((facts.asns or frozenset()).intersection(what.asn))
        said = f"network {both([f'AS{number}' for number in numbers])}"
        yield "asn", said if numbers else _UNKNOWN.format("network")


_UNKNOWN = "the {} is not known here, so that this refuses it"


def _held_answer(what: What, facts: Facts) -> Iterator[tuple[str, str]]:
    answer = facts.answer
    if what.media_type:
        if answer is None:
            yield "media_type", f"media type {either(what.media_type)}, which the answer must show"
        else:
            stated = answer.media_type
            yield "media_type", f"media type {stated}" if stated else _UNKNOWN.format("media type")
    if what.size:
        wanted = either([str(one) for one in what.size])
        if answer is None or answer.size is None:
            yield "size", f"size {wanted}, which the answer must show"
        else:
            yield "size", f"size {octets_in_words(answer.size)}, {wanted}"


def _category_evidence(
    asked: Sequence[str], facts: Facts, matches: Iterable[Match], missing: frozenset[str]
) -> str:
    held = [one for one in facts.categories if one in asked]
    if not held:
        return missing_in_words(asked, missing)
    for match in matches:
        if match.category == held[0]:
            return f"category {held[0]}: list {match.list}, entry {match.entry}"
    return f"category {either(held)}"


def _user(asked: Conditions, facts: Facts) -> str:
    who = f"user is {facts.identity.name}" if facts.identity.name else "nobody signed in"
    return f"{who}, asked for {either(asked.who.user)}"


def _group(asked: Conditions, facts: Facts) -> str:
    groups = facts.identity.groups
    mine = f"group is {both(groups)}" if groups else "in no group"
    return f"{mine}, asked for {either(asked.who.group)}"


def _network(asked: Conditions, facts: Facts) -> str:
    return f"client is {facts.client or 'of unknown address'}, asked for {either(asked.who.network)}"


def _listener(asked: Conditions, facts: Facts) -> str:
    return f"listener is {facts.listener or 'unknown'}, asked for {either(asked.who.listener)}"


def _device(asked: Conditions, facts: Facts) -> str:
    if facts.identity.source != BY_NETWORK:
        return f"not known by its address alone, asked for {either(asked.who.device)}"
    return f"client is {facts.client}, asked for {either(asked.who.device)}"


def _agent(asked: Conditions, facts: Facts) -> str:
    mine = f"user agent is {facts.agent}" if facts.agent else "no user agent is named"
    return f"{mine}, in which nothing fits {either(asked.who.agent)}"


def _anonymous(asked: Conditions, facts: Facts) -> str:
    if facts.identity.name:
        return f"{facts.identity.name} signed in, asked for nobody"
    return "nobody signed in, asked for somebody"


def _categories(facts: Facts) -> str:
    if not facts.categories:
        return "in no category"
    return f"category is {both(facts.categories)}"


def _category(asked: Conditions, facts: Facts) -> str:
    return f"{_categories(facts)}, asked for {either(asked.what.category)}"


def _uncategorised(asked: Conditions, facts: Facts) -> str:
    if facts.categories or not asked.what.uncategorised:
        return f"{_categories(facts)}, asked for {'none' if asked.what.uncategorised else 'some'}"
    return "in no category as far as is known, but a list is missing"


def _domain(asked: Conditions, facts: Facts) -> str:
    return f"host is {facts.host.name}, asked for {either(asked.what.domain)}"


def _host(asked: Conditions, facts: Facts) -> str:
    return f"host is {facts.host.name}, asked for exactly {either(asked.what.host)}"


def _method(asked: Conditions, facts: Facts) -> str:
    return f"method is {facts.method}, asked for {either(asked.what.method)}"


def _scheme(asked: Conditions, facts: Facts) -> str:
    return f"scheme is {facts.scheme}, asked for {either(asked.what.scheme)}"


def _port(asked: Conditions, facts: Facts) -> str:
    return f"port is {facts.port}, asked for {either([str(port) for port in asked.what.port])}"


def _address(asked: Conditions, facts: Facts) -> str:
    wanted = either([str(one) for one in asked.what.address])
    if facts.address_classes is None:
        return f"address is not known, asked for {wanted}"
    return f"address is {address_in_words(facts)}, asked for {wanted}"


def address_in_words(facts: Facts) -> str:
    """What is known of the addresses of the host: themselves where rules look at them, and their classes."""
    kinds = both(sorted(facts.address_classes or ())) or "none"
    return f"{both(sorted(facts.addresses))} ({kinds})" if facts.addresses else kinds


def _address_evidence(what: What, facts: Facts) -> str:
    """Which of the kinds of address and networks it was."""
    classes, addresses = facts.address_classes or (), facts.addresses or ()
    found = [one for one in what.address if _is_of(one, classes, addresses)]
    return f"address {either([str(one) for one in found])}" if found else _UNKNOWN.format("address")


def _is_of(
    asked: AddressClass | IpNetwork, classes: Iterable[AddressClass], addresses: Iterable[str]
) -> bool:
    if isinstance(asked, AddressClass):
        return asked in classes
    return any(is_inside(one, asked) for one in addresses)


def _country(asked: Conditions, facts: Facts) -> str:
    if facts.countries is None:
        return f"country is not known, asked for {either(asked.what.country)}"
    return f"country is {both(sorted(facts.countries)) or 'none'}, asked for {either(asked.what.country)}"


def _asn(asked: Conditions, facts: Facts) -> str:
    wanted = either([f"AS{number}" for number in asked.what.asn])
    if facts.asns is None:
        return f"network is not known, asked for {wanted}"
    mine = both([f"AS{number}" for number in sorted(facts.asns)])
    return f"network is {mine or 'none'}, asked for {wanted}"


def _media_type(asked: Conditions, facts: Facts) -> str:
    stated = "not stated" if facts.answer is None else facts.answer.media_type or "not stated"
    return _of_answer(facts, f"media type is {stated}", either(asked.what.media_type))


def _size(asked: Conditions, facts: Facts) -> str:
    size = None if facts.answer is None else facts.answer.size
    said = "the size is not known yet" if size is None else f"size is {octets_in_words(size)}"
    return _of_answer(facts, said, either([str(one) for one in asked.what.size]))


def _of_answer(facts: Facts, said: str, wanted: str) -> str:
    """What is said of an answer, where there is one."""
    if facts.is_tunnel:
        return f"a tunnel shows no answer, asked for {wanted}"
    if facts.answer is None:
        return f"waits for the answer, asked for {wanted}"
    return f"{said if facts.answer.is_there else 'the answer has no content'}, asked for {wanted}"


def _extension(asked: Conditions, facts: Facts) -> str:
    wanted = either(asked.what.extension)
    if facts.is_tunnel:
        return f"a tunnel shows no path, asked for extension {wanted}"
    return f"extension is {either(extensions_of(facts.path)) or 'none'}, asked for {wanted}"


def _url(asked: Conditions, facts: Facts) -> str:
    wanted = either([str(url) for url in asked.what.url])
    if facts.is_tunnel and any(_is_below(facts.host.name, url.host) for url in asked.what.url):
        return f"a tunnel shows no path, asked for {wanted}"
    return f"target is {target_uri(facts)}, asked for {wanted}"


def _expression(asked: Conditions, facts: Facts) -> str:
    return f"target is {target_uri(facts)}, in which nothing fits {either(asked.what.expression)}"


_MISMATCHES: dict[str, _Said] = {
    "user": _user,
    "group": _group,
    "network": _network,
    "listener": _listener,
    "device": _device,
    "agent": _agent,
    "anonymous": _anonymous,
    "category": _category,
    "uncategorised": _uncategorised,
    "domain": _domain,
    "host": _host,
    "method": _method,
    "scheme": _scheme,
    "port": _port,
    "address": _address,
    "country": _country,
    "asn": _asn,
    "media_type": _media_type,
    "size": _size,
    "extension": _extension,
    "url": _url,
    "expression": _expression,
}


def _is_below(name: str, domain: str) -> bool:
    return name == domain or name.endswith("." + domain)


def _begins(prefix: UrlPrefix, facts: Facts) -> bool:
    return (
        _is_below(facts.host.name, prefix.host)
        and prefix.port in (0, facts.port)
        and prefix.covers_path(normal_path(facts.path))
    )


def _found(expressions: Sequence[str], text: str) -> list[str]:
    octets = text.encode("utf-8", "replace")
    return [one for one in expressions if compile_expression(one).search(octets)]


def _networks_of(client: str, asked: Sequence[str], networks: Networks) -> list[str]:
    address = client_address(client)
    if address is None:
        return []
    return [name for name in asked if any(address in one for one in ranges_of(name, networks))]
