"""
Tunnel: connect, answer 200, look at the first octets; then octets move until both sides have ended.

The road ends where the octets begin to move: a coroutine that waits costs more memory than all else that an
idle tunnel needs.
"""

from __future__ import annotations

import re

from corpproxy.audit.results import ResultCode
from corpproxy.destination.host import normal_host
from corpproxy.errors import ProtocolError
from corpproxy.exchange.commands import Connection, Establish, OpenTunnel, Peek, Upgrade
from corpproxy.exchange.exchange import Exchange
from corpproxy.exchange.limited import with_notice
from corpproxy.exchange.reach import address_refusal, dial_host
from corpproxy.exchange.refusal import AddressRefused, TunnelEnded
from corpproxy.policy.model import TunnelContent
from corpproxy.preface.first_octets import Start, Verdict

_PORT = re.compile(rb":[0-9]*\Z")

# No Content-Length and no Transfer-Encoding may follow a 2xx to CONNECT (RFC 9110, section 9.3.6).
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
# The same for every tunnel.
_ESTABLISH, _PEEK = Establish(ESTABLISHED), Peek()


async def tunnel(exchange: Exchange) -> ResultCode:
    """Open a tunnel, and say whether octets may move through it."""
    destination, decision = exchange.destination, exchange.decision
    assert destination is not None
    assert decision is not None
    exchange.keep = False
    try:
        connection = await OpenTunnel(dial_host(exchange), destination.port, decision.safety.addresses)
    except AddressRefused as refused:
        raise address_refusal(exchange, refused) from refused
    exchange.status = 200
    exchange.opened = True
    await (_establish(exchange) if exchange.limited else _ESTABLISH)
    exchange.forget_head()
    if decision.safety.tunnel_content is TunnelContent.ANY or await _begins_well(exchange, connection):
        exchange.splices = True
    return ResultCode.TUNNELLED


def _establish(exchange: Exchange) -> Establish:
    """Open the tunnel of somebody with limits, who is told when a quota is nearly used up."""
    head = with_notice(exchange, ESTABLISHED)
    return _ESTABLISH if head is ESTABLISHED else Establish(head)


async def _begins_well(exchange: Exchange, connection: Connection) -> bool:
    """Look at the first octets; whether a tunnel follows them."""
    verdict = await _PEEK
    _check(exchange, verdict)
    # What follows is looked at no more, so it must be what was agreed on: a WebSocket, and no request.
    return verdict.start is not Start.WEBSOCKET or await Upgrade(connection, verdict.octets)


def _check(exchange: Exchange, verdict: Verdict) -> None:
    """
    Refuse a tunnel whose first octets are not what its safety table allows.

    The server name must be the name that was decided on: another one would reach a site that no rule saw.
    """
    destination = exchange.destination
    assert destination is not None
    if verdict.start is Start.OTHER:
        raise TunnelEnded(
            "tunnel-content", f"neither TLS nor a WebSocket begins the tunnel: {verdict.reason}"
        )
    name = destination.host.name
    # A name that is another one in normal form is that one: one text for both, which the tunnel keeps.
    asked = exchange.server_name = name if verdict.server_name == name else _asked_name(verdict)
    if not asked and destination.host.address is not None:
        return  # an address cannot stand in a ClientHello (RFC 6066, section 3)
    if asked != name:
        raise TunnelEnded(
            "server-name",
            f"the tunnel is for {name}, its first octets ask for {asked or 'no name'}",
        )


def _asked_name(verdict: Verdict) -> str:
    """The host that the first octets ask for, in normal form; empty without one."""
    written: bytes | str = verdict.server_name or ""
    if verdict.host is not None:
        written = _PORT.sub(b"", verdict.host)
    try:
        return normal_host(written).name if written else ""
    except ProtocolError:
        raise TunnelEnded("server-name", "the name that the tunnel asks for is no host") from None
