"""Requests on the road, and what a test answers them with."""

from __future__ import annotations

from corpproxy.destination.model import AddressClass
from corpproxy.exchange.commands import (
    Answer,
)
from corpproxy.http1.framing import NO_BODY
from corpproxy.policy.conditions import What
from corpproxy.policy.model import Effect, Safety, TunnelContent
from corpproxy.preface.first_octets import Start, Verdict
from tests.support.builders import (
    BASIC,
    SAFETY,
    domain,
    exchange,
    request_head,
    response_head,
    rule,
)
from tests.support.script import Script

CREDENTIALS = b"Proxy-Authorization: " + BASIC
TLS = Verdict(Start.TLS, server_name="www.example.com")
BLOCKED = rule("no games", Effect.BLOCK, what=domain("games.example"), say="Later.")
WARNED = rule("careful", Effect.WARN, what=domain("bet.example"), warn_seconds=600)
MOVED = rule("moved", Effect.REDIRECT, what=domain("old.example"), location="http://new.example/?from={uri}")
ADDRESSES = rule("inside", Effect.BLOCK, what=What(address=(AddressClass.PRIVATE,)))
ANYTHING = rule("anything", Effect.ALLOW, safety=Safety(tunnel_content=TunnelContent.ANY, place=SAFETY.place))


class Line:
    """An upstream connection, which the road never looks into."""

    address = "93.184.216.34:80"


LINE = Line()


def answer(*parts, body=NO_BODY, **more):
    """What a fetch brings."""
    return Answer(response_head(*parts, **more), body, LINE)


def get(target=b"http://www.example.com/", *fields, method=b"GET", **more):
    """A request on the road."""
    wire = {name: more.pop(name) for name in ("version", "content", "host") if name in more}
    return Script(exchange(request_head(method, target, *fields, **wire), **more))


def connect(target=b"www.example.com:443", *fields, **more):
    """A CONNECT on the road."""
    return get(target, *fields, method=b"CONNECT", **more)
