"""Answers of our own: which page a failure becomes, and what the record calls it."""

from __future__ import annotations

from corpproxy.audit.results import ResultCode
from corpproxy.errors import CorpproxyError, ProtocolError, UpstreamError
from corpproxy.exchange.exchange import Exchange
from corpproxy.exchange.refusal import Refusal, TunnelEnded
from corpproxy.pages.negotiate import Audience, audience
from corpproxy.pages.occasion import Occasion
from corpproxy.pages.page import Page
from corpproxy.policy.approvals import Party
from corpproxy.policy.model import Decision, Effect

# How a tunnel that we ended is recorded: refused by its first octets, or over for a reason of ours.
_TUNNEL_RESULTS = {
    "tunnel-content": ResultCode.BLOCKED,
    "server-name": ResultCode.BLOCKED,
    "tunnel-silent": ResultCode.TIMED_OUT,
    "tunnel-idle": ResultCode.TIMED_OUT,
}


def page_for(failure: CorpproxyError, exchange: Exchange) -> Page | None:
    """
    Turn a failure into its result code and its page.

    None where no page can be sent any more, because a tunnel is open.
    """
    if isinstance(failure, Refusal):
        exchange.result = failure.result
        if failure.decision is not None:
            exchange.decision = failure.decision
        return failure.page
    if isinstance(failure, UpstreamError):
        exchange.result = ResultCode.TIMED_OUT if failure.timed_out else ResultCode.UPSTREAM_FAILED
        exchange.phase = failure.phase
        return failure_page(exchange, failure.code, failure.status, failure.message)
    if isinstance(failure, ProtocolError):
        exchange.keep = False
        late = failure.status == 408
        exchange.result = ResultCode.CLIENT_SLOW if late else ResultCode.MALFORMED
        return failure_page(exchange, failure.code, failure.status, failure.message)
    assert isinstance(failure, TunnelEnded)
    exchange.result = _TUNNEL_RESULTS.get(failure.code, ResultCode.ENDED)
    if exchange.result is ResultCode.BLOCKED:
        _refuse_tunnel(failure, exchange)
    return None


# How the record calls what a decision other than allow leads to.
_RESULTS = {
    Effect.BLOCK: ResultCode.BLOCKED,
    Effect.WARN: ResultCode.WARNED,
    Effect.REDIRECT: ResultCode.REDIRECTED,
}


def refusal(exchange: Exchange, decision: Decision) -> Refusal:
    """Give the refusal that a decision other than allow stands for."""
    result = _RESULTS[decision.effect]
    return Refusal(result, result.value, decision_page(exchange, decision), decision.reason, decision)


def decision_page(exchange: Exchange, decision: Decision) -> Page:
    """The page of a decision that lets nothing through; the portal remembers it for the person."""
    if decision.effect is not Effect.REDIRECT:
        remember_refusal(exchange, decision)
    in_force = exchange.in_force
    may_ask = decision.may_be_overridden and in_force.approvals.may_ask(
        Party(exchange.identity, exchange.client, exchange.listener)
    )
    return in_force.pages.refused(decision, occasion(exchange), _audience(exchange), may_ask=may_ask)


def challenge_page(exchange: Exchange, code: str) -> Page:
    """Ask for credentials (407)."""
    in_force = exchange.in_force
    return in_force.pages.challenge(code, occasion(exchange), _audience(exchange), in_force.challenges)


def failure_page(exchange: Exchange, code: str, status: int = 0, detail: str = "", retry: int = 0) -> Page:
    """The page of a failure, by its symbolic code."""
    return exchange.in_force.pages.failure(
        code, occasion(exchange), _audience(exchange), status=status, detail=detail, retry_seconds=retry
    )


def limit_page(exchange: Exchange) -> Page:
    """Too many connections or tunnels are open (429)."""
    return failure_page(exchange, "too-many-connections", 429, retry=5)


def unavailable_page(exchange: Exchange, code: str) -> Page:
    """We cannot serve for now (503)."""
    return failure_page(exchange, code, 503, retry=30)


def occasion(exchange: Exchange) -> Occasion:
    """What a page says of this exchange."""
    return Occasion(
        exchange.reference,
        exchange.started,
        exchange.client,
        exchange.identity,
        exchange.destination,
        exchange.in_force.version,
    )


def _audience(exchange: Exchange) -> Audience:
    fields = exchange.fields
    if fields is None:
        return audience(None, None)
    return audience(fields.get(b"accept"), fields.get(b"accept-language"))


def _refuse_tunnel(failure: TunnelEnded, exchange: Exchange) -> None:
    """A tunnel that its first octets gave away is a decision of the safety table."""
    allowed = exchange.decision
    assert allowed is not None
    exchange.decision = Decision(
        Effect.BLOCK,
        f"safety: {failure.code}",
        allowed.safety.place,
        f"{failure.message}; '{allowed.rule}' would have allowed it",
        safety=allowed.safety,
    )
    remember_refusal(exchange, exchange.decision)


def remember_refusal(exchange: Exchange, decision: Decision) -> None:
    """Let the portal show a refusal to the person whose exchange it is."""
    if exchange.destination is not None:
        exchange.in_force.refusals.add(decision, occasion(exchange))
