"""Drain: what is left of a request that was answered before its end."""

from __future__ import annotations

from corpproxy.errors import ClientGone, ProtocolError
from corpproxy.exchange.commands import Drain
from corpproxy.exchange.exchange import Exchange
from corpproxy.exchange.refusal import TunnelEnded


async def drain(exchange: Exchange) -> None:
    """
    Let the client send the rest of its request, so that it gets to read the answer.

    The answer is out and its outcome stands, whatever the client does now.
    """
    if exchange.content_over:
        return
    try:
        await Drain()
    except (ClientGone, ProtocolError, TunnelEnded):
        exchange.keep = False
