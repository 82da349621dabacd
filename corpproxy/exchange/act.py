"""Act: what the decision leads to."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from corpproxy.audit.results import ResultCode
from corpproxy.exchange.answers import refusal
from corpproxy.exchange.exchange import Exchange
from corpproxy.exchange.forward import forward
from corpproxy.exchange.limited import begin_limited
from corpproxy.exchange.may import PORTAL
from corpproxy.exchange.ourselves import answer_portal, answer_probe, ends_here
from corpproxy.exchange.tunnel import tunnel
from corpproxy.policy.model import Effect

# A member of an enum that is looked up for every exchange costs more than a name of this module.
_ALLOW = Effect.ALLOW


def act(exchange: Exchange) -> Coroutine[Any, Any, ResultCode]:
    """
    Do what the decision says; awaiting it gives the result code of the record.

    It only chooses: as a coroutine of its own it would stand in memory for as long as a tunnel lives.
    """
    decision = exchange.decision
    assert decision is not None
    if decision.effect is not _ALLOW:
        raise refusal(exchange, decision)
    if decision is PORTAL:
        return answer_portal(exchange)
    if exchange.in_force.limiting is not None:
        begin_limited(exchange)
    if exchange.method == b"CONNECT":
        return tunnel(exchange)
    if exchange.known is None and ends_here(exchange):
        return answer_probe(exchange)
    return forward(exchange)
