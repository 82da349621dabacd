"""
The road of an exchange, on one page.

    accept -> read head -> classify -> identify -> decide -> act -> account -> audit

The first two stations and the last two lie with whoever drives the road: the exchange begins when its
head is read, and is accounted for and recorded when the road ends, whichever way it ends.
"""

from __future__ import annotations

from corpproxy.audit.results import ResultCode
from corpproxy.errors import ClientGone, CorpproxyError, ProtocolError, UpstreamError
from corpproxy.exchange.act import act
from corpproxy.exchange.answers import page_for
from corpproxy.exchange.classify import classify
from corpproxy.exchange.commands import Respond
from corpproxy.exchange.drain import drain
from corpproxy.exchange.exchange import Exchange
from corpproxy.exchange.identify import identify, recognised
from corpproxy.exchange.known import recall, remember
from corpproxy.exchange.may import decide, decided
from corpproxy.exchange.reach import address_refusal
from corpproxy.exchange.refusal import AddressRefused, Refusal, TunnelEnded

# What the stations raise instead of an outcome; anything else is a bug of ours and ends the connection.
Failure = Refusal | ProtocolError | UpstreamError | TunnelEnded


async def live(exchange: Exchange) -> None:
    """Take one exchange from its request head to its outcome."""
    try:
        # What went ahead has its decision.
        if exchange.decision is None and not recall(exchange):
            exchange.destination = exchange.destination or classify(exchange)
            exchange.identity = recognised(exchange) or await identify(exchange)
            exchange.decision = decided(exchange) or await decide(exchange)
            remember(exchange)
        exchange.result = await act(exchange)
    except (Refusal, ProtocolError, UpstreamError, TunnelEnded) as failure:
        await answer(failure, exchange)
    except ClientGone as gone:
        _left(exchange, gone)


async def refuse(exchange: Exchange, failure: Refusal | ProtocolError) -> None:
    """Take an exchange that ended before its road began: a malformed head, or one connection too many."""
    exchange.keep = False
    await answer(failure, exchange)


async def cut_short(exchange: Exchange, failure: CorpproxyError) -> None:
    """Take an exchange to its outcome whose server was not reached ahead of its road."""
    if isinstance(failure, ClientGone):
        _left(exchange, failure)
        return
    if isinstance(failure, AddressRefused):
        failure = address_refusal(exchange, failure)
    assert isinstance(failure, Refusal | ProtocolError | UpstreamError | TunnelEnded)
    await answer(failure, exchange)


async def answer(failure: Failure, exchange: Exchange) -> None:
    """Say what failed, in the record always, and to the client if no answer has begun."""
    exchange.failure = failure.code
    page = page_for(failure, exchange)
    if page is None or exchange.answered:
        exchange.keep = False
        return
    try:
        await Respond(page)
    except ClientGone as gone:
        _left(exchange, gone)
        return
    await drain(exchange)


def cut_off(exchange: Exchange, failure: CorpproxyError) -> None:
    """Say what ended a tunnel, or an upgraded connection, before both sides had: nobody can be answered."""
    if isinstance(failure, ClientGone):
        _left(exchange, failure)
        return
    exchange.failure = failure.code
    page_for(failure, exchange)
    exchange.keep = False


def _left(exchange: Exchange, gone: ClientGone) -> None:
    exchange.keep = False
    exchange.result, exchange.failure = ResultCode.CLIENT_GONE, gone.code
