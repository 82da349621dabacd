"""Identify: who is asking."""

from __future__ import annotations

from corpproxy.audit.results import ResultCode
from corpproxy.exchange.answers import challenge_page, unavailable_page
from corpproxy.exchange.commands import CheckCredentials
from corpproxy.exchange.exchange import Exchange, Mode
from corpproxy.exchange.refusal import Refusal, SignInRefused, SignInUnavailable
from corpproxy.identity.model import ANONYMOUS, UNASKED, Identity


async def identify(exchange: Exchange) -> Identity:
    """
    Give the identity behind an exchange.

    Credentials that were sent count first; without them a network of the policy names its
    clients, an exemption lets them through unnamed, and everybody else is asked (407): now, or once the
    rules prove to depend on it (`corpproxy.exchange.may`).
    """
    in_force = exchange.in_force
    if exchange.mode is Mode.PORTAL:
        return in_force.people.by_network(exchange.client) or ANONYMOUS
    value = exchange.head.fields.get(b"proxy-authorization")
    if value is not None and in_force.challenges:
        return in_force.recall(value, exchange.started) or await _check(value, exchange)
    assert exchange.destination is not None
    known = in_force.people.without_credentials(exchange.destination.host, exchange.client)
    if known is not None:
        return known
    if not in_force.challenges:
        return ANONYMOUS
    if not in_force.people.asks_always:
        return UNASKED
    raise challenge(exchange)


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
