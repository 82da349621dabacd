"""Decide: may they.  The policy is asked with the facts of the exchange."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

from corpproxy.destination.addresses import address_class
from corpproxy.destination.model import AddressClass
from corpproxy.errors import NOWHERE, UpstreamError
from corpproxy.exchange.classify import is_portal
from corpproxy.exchange.commands import Resolve
from corpproxy.exchange.exchange import Exchange, Mode
from corpproxy.exchange.facts import facts_of
from corpproxy.exchange.identify import challenge
from corpproxy.identity.model import ANONYMOUS, UNASKED
from corpproxy.policy.model import Decision, Effect, Facts

# The portal is ours: no rule of a policy can shut people out of the page that explains a refusal.
PORTAL = Decision(Effect.ALLOW, "portal", NOWHERE, "the portal answers everybody")


def decided(exchange: Exchange) -> Decision | None:
    """Give the decision about an exchange; None where a rule asks for the address, see `decide`."""
    destination, in_force = exchange.destination, exchange.in_force
    assert destination is not None
    if exchange.mode is Mode.PORTAL or (
        destination.path and is_portal(exchange, destination.host, destination.port)
    ):
        if exchange.identity is UNASKED:
            # Its pages are a person's own.
            raise challenge(exchange)
        return PORTAL
    if in_force.needs_addresses:
        return None
    facts = facts_of(exchange, destination, exchange.identity, destination.categories, exchange.started)
    if facts.identity is UNASKED:
        _ask_who(exchange, facts)
    # What they are for others like it, those find out if they come.
    exchange.facts = facts
    return in_force.policy.decide(facts, in_force.grants)


async def decide(exchange: Exchange) -> Decision:
    """Give the decision about an exchange where a rule asks for the address of its host: look that up."""
    destination = exchange.destination
    assert destination is not None
    facts = facts_of(exchange, destination, exchange.identity, destination.categories, exchange.started)
    try:
        await _look_up(exchange, facts)
    except UpstreamError:
        # What has no address is still refused, or sent elsewhere, by rules that do not ask for one.
        facts.address_classes = exchange.address_classes = frozenset()
        facts.addresses = exchange.addresses = frozenset()
        facts.countries = exchange.countries = frozenset()
        facts.asns = exchange.asns = frozenset()
        decision = _decided(exchange, facts)
        if decision.effect is Effect.ALLOW:
            raise
        return decision
    return _decided(exchange, facts)


def _decided(exchange: Exchange, facts: Facts) -> Decision:
    """The decision once the addresses are known, or known to be missing; it is never that of others."""
    in_force = exchange.in_force
    if facts.identity is UNASKED:
        _ask_who(exchange, facts)
    return in_force.policy.decide(facts, in_force.grants)


def _ask_who(exchange: Exchange, facts: Facts) -> None:
    """Ask to sign in where the rules depend on who it is and nobody has been asked yet."""
    if exchange.in_force.policy.asks_who(facts):
        raise challenge(exchange)
    exchange.identity = facts.identity = ANONYMOUS


async def _look_up(exchange: Exchange, facts: Facts) -> None:
    """Find the addresses of the host, and what is known of them."""
    host, geography = facts.host, exchange.in_force.geography
    addresses = (str(host.address),) if host.address is not None else await Resolve(host)
    facts.address_classes = exchange.address_classes = classes_of(addresses)
    if exchange.in_force.needs_networks:
        facts.addresses = exchange.addresses = frozenset(addresses)
    if geography is not None:
        facts.countries = exchange.countries = geography.countries(addresses)
        facts.asns = exchange.asns = geography.asns(addresses)


def classes_of(addresses: Iterable[str]) -> frozenset[AddressClass]:
    """The classes of some addresses."""
    return frozenset(address_class(ip_address(text)) for text in addresses)
