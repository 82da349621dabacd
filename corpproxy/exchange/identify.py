"""Identify: who is asking."""

from __future__ import annotations

from corpproxy.audit.results import ResultCode
from corpproxy.exchange.answers import challenge_page, unavailable_page
from corpproxy.exchange.commands import CheckCredentials
from corpproxy.exchange.exchange import Exchange, Mode
from corpproxy.exchange.facts import facts_of
from corpproxy.exchange.refusal import Refusal, SignInRefused, SignInUnavailable
from corpproxy.identity.model import ANONYMOUS, UNASKED, Identity


def recognised(exchange: Exchange) -> Identity | None:
    """
    Give the identity behind an exchange, where nobody has to be asked for it; else None, see `identify`.

    Credentials that were sent count first, if they were checked before; without them a network of the policy
    names its clients, and an exemption lets them through unnamed.
    """
    in_force = exchange.in_force
    if exchange.mode is Mode.PORTAL:
        return in_force.people.by_network(exchange.client) or ANONYMOUS
    value = exchange.head.fields.get(b"proxy-authorization")
    if value is not None and in_force.challenges:
        return in_force.recall(value, exchange.started)
    known = _without_credentials(exchange)
    if known is not None:
        return known
    if not in_force.challenges:
        return ANONYMOUS
    return None if in_force.people.asks_always else UNASKED


async def identify(exchange: Exchange) -> Identity:
    """
    Give the identity behind credentials that nobody checked before.

    Who sent none is asked for them (407): now, or once the rules prove to depend on it
    (`corpproxy.exchange.may`).
    """
    value = exchange.head.fields.get(b"proxy-authorization")
    if value is None or not exchange.in_force.challenges:
        raise challenge(exchange)
    return await _check(value, exchange)


def _without_credentials(exchange: Exchange) -> Identity | None:
    """Who asks by what is known without a name; None for who must be asked."""
    in_force, destination = exchange.in_force, exchange.destination
    assert destination is not None
    if not in_force.exemptions.entries:
        return in_force.people.by_network(exchange.client)
    facts = facts_of(exchange, destination, ANONYMOUS, destination.categories, exchange.started)
    return in_force.exemptions.who(facts, in_force.people)


async def _check(value: bytes, exchange: Exchange) -> Identity:
    try:
        return await CheckCredentials(value)
    except SignInRefused as refused:
        raise challenge(exchange, refused.code) from refused
    except SignInUnavailable as down:
        raise unavailable(exchange, down) from down


def unavailable(exchange: Exchange, down: SignInUnavailable) -> Refusal:
    """Give the refusal for a directory that is away."""
    page = unavailable_page(exchange, down.code)
    return Refusal(ResultCode.UNAVAILABLE, down.code, page, down.message)


def challenge(exchange: Exchange, code: str = "credentials-missing") -> Refusal:
    """Give the refusal that asks to sign in."""
    return Refusal(ResultCode.CHALLENGED, code, challenge_page(exchange, code))
