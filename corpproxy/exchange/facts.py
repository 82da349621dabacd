"""Facts: what the policy is told of an exchange."""

from __future__ import annotations

from dataclasses import fields

from corpproxy.born import born
from corpproxy.destination.model import Destination
from corpproxy.exchange.exchange import Exchange
from corpproxy.identity.model import Identity
from corpproxy.policy.model import Facts

_METHODS = {method.encode(): method for method in ("GET", "POST", "HEAD", "CONNECT", "PUT", "OPTIONS")}

_facts = born(Facts, *(one.name for one in fields(Facts)))


def facts_of(
    exchange: Exchange, destination: Destination, identity: Identity, categories: tuple[str, ...], at: float
) -> Facts:
    """Give the facts of an exchange for this person and these categories, at a time in POSIX seconds."""
    return _facts(
        identity,
        exchange.client,
        exchange.listener,
        _METHODS.get(exchange.method) or exchange.method.decode("latin-1"),
        destination.scheme,
        destination.host,
        destination.port,
        destination.path,
        categories,
        at,
        None,
        agent_of(exchange) if exchange.in_force.needs_agent else "",
        exchange.countries,
        exchange.asns,
        exchange.answer,
        exchange.addresses,
    )


def agent_of(exchange: Exchange) -> str:
    """What the client says it is, in its own words; empty when it says nothing."""
    fields = exchange.fields
    value = None if fields is None else fields.get(b"user-agent")
    return "" if value is None else value.decode("latin-1")
