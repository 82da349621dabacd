"""Forward: fetch an answer from the server and deliver it to the client."""

from __future__ import annotations

from corpproxy.audit.results import ResultCode
from corpproxy.born import born
from corpproxy.destination.model import Host
from corpproxy.errors import ProtocolError, UpstreamError
from corpproxy.exchange.answered import decide_answer, too_long
from corpproxy.exchange.commands import Answer, Fetch, Relay
from corpproxy.exchange.drain import drain
from corpproxy.exchange.exchange import Exchange
from corpproxy.exchange.known import Known
from corpproxy.exchange.limited import with_notice
from corpproxy.exchange.reach import address_refusal, dial_host
from corpproxy.exchange.refusal import AddressRefused, AnswerTooLong
from corpproxy.http1.forward import forward_plain, forward_request, forward_response, recipe_for
from corpproxy.http1.framing import Framing, framing_toward
from corpproxy.http1.methods import is_safe
from corpproxy.http1.recipe import recipe_of
from corpproxy.http1.steering import expects_continue, max_forwards, upgrade_protocol

# Protocols a client may change to.  WebSocket is what browsers ask for; h2c, which would carry
# requests past the policy, is not forwarded (RFC 9110, section 7.8).
UPGRADES = frozenset({b"websocket"})

# Members of enums that are looked up for every exchange cost more than names of this module.
_FORWARDED = ResultCode.FORWARDED
_CLOSE = Framing.CLOSE

_new_fetch = born(Fetch, "dial", "port", "head", "body", "method", "addresses")
_new_relay = born(Relay, "answer", "head", "framing", "limit_octets")


async def forward(exchange: Exchange) -> ResultCode:
    """Take a request to its server and the answer back."""
    command = _fetch(exchange)
    try:
        answer = await command
    except (UpstreamError, AddressRefused) as failure:
        answer = await _fetch_again(exchange, command, failure)
    limit = await decide_answer(exchange, answer) if exchange.in_force.needs_answer else -1
    if answer.head.status == 101:
        return await _change_protocol(exchange, answer)
    try:
        await _relay(exchange, answer, limit)
    except AnswerTooLong as grew:
        raise too_long(exchange, limit) from grew
    if not exchange.content_over:
        await drain(exchange)
    return _FORWARDED


async def _fetch_again(exchange: Exchange, command: Fetch, failure: UpstreamError | AddressRefused) -> Answer:
    """
    Bring the head of the answer after all, if that can be.

    A kept connection that the server closed just as it was reused says nothing about the request, so a safe
    one without content is sent again, once, on a new connection (RFC 9112, section 9.3.1).
    """
    if isinstance(failure, AddressRefused):
        raise address_refusal(exchange, failure) from failure
    if not (failure.reused and not failure.answered and _may_repeat(exchange)):
        raise failure
    command.fresh = True
    try:
        return await command
    except AddressRefused as refused:
        raise address_refusal(exchange, refused) from refused


def _may_repeat(exchange: Exchange) -> bool:
    return exchange.body.framing is Framing.NONE and is_safe(exchange.method)


def _fetch(exchange: Exchange) -> Fetch:
    destination, decision = exchange.destination, exchange.decision
    assert destination is not None
    assert decision is not None
    dial, head = request_of(exchange)
    return _new_fetch(dial, destination.port, head, exchange.body, exchange.method, decision.safety.addresses)


def request_of(exchange: Exchange) -> tuple[Host, bytes]:
    """Say whom to ask and what: as the last exchange like this one did, or from the beginning."""
    known = exchange.known
    if known is None or known.fields is None:
        return _first_request(exchange)
    return known.dial, same_request(exchange, known)


def same_request(exchange: Exchange, known: Known) -> bytes:
    """Write the head for the server as that of the last exchange like this one was, but for the path."""
    assert known.fields is not None
    head = exchange.head
    target = head.target
    line = b"%b %b HTTP/1.1" % (head.method, target[target.index(b"/", 7) :])
    return line + known.fields.write(head.fields.section)


def _first_request(exchange: Exchange) -> tuple[Host, bytes]:
    """Work out whom to ask and what; where the exchange is known, the next one like it is told."""
    known, destination, decision = exchange.known, exchange.destination, exchange.decision
    assert destination is not None
    assert decision is not None
    place, port = destination.host, destination.port
    is_plain = port == 80 and place.address is None
    head = _first_head(exchange, place.name.encode() if is_plain else _AUTHORITIES[place.name, port])
    dial = dial_host(exchange) if exchange.in_force.safe_search.entries else destination.host
    if known is not None:
        known.dial, known.addresses = dial, decision.safety.addresses
    return dial, head


def _first_head(exchange: Exchange, host: bytes) -> bytes:
    """Write the head for the server; where the exchange is known, the next one like it is told how."""
    head, known, in_force = exchange.head, exchange.known, exchange.in_force
    tells_of_client = in_force.forwarding.forwarded_for
    plain = None if tells_of_client else forward_plain(head, exchange.target.path, host, in_force.via)
    if plain is not None:
        if known is not None:
            known.fields = recipe_of(head.fields, plain[plain.index(b"\r\n") :])
        return plain
    expects_continue(head)  # refuses what nobody can meet, before anything is sent
    via, upgrade = in_force.via, _upgrade(exchange) is not None
    forwarded_for = exchange.client.encode() if tells_of_client else None
    written = forward_request(
        head,
        exchange.target,
        host=host,
        body=exchange.body,
        via=via,
        forwarded_for=forwarded_for,
        upgrade=upgrade,
        max_forwards=max_forwards(head),
    )
    if known is not None:
        known.fields = recipe_for(head, host=host, via=via, forwarded_for=forwarded_for, upgrade=upgrade)
    return written


class _Authorities(dict[tuple[str, int], bytes]):
    """The Host fields for servers: hosts in their normal form, which are the ones that were decided on."""

    BOUND = 8192

    def __missing__(self, key: tuple[str, int]) -> bytes:
        name, port = key
        host = f"[{name}]" if ":" in name else name
        written = (host if port == 80 else f"{host}:{port}").encode()
        if len(self) >= self.BOUND:
            self.clear()
        self[key] = written
        return written


_AUTHORITIES = _Authorities()


def _relay(exchange: Exchange, answer: Answer, limit: int) -> Relay:
    """Say how an answer goes to the client."""
    version = exchange.head.version
    framing = framing_toward(answer.body, version).framing
    exchange.keep = exchange.keep and framing is not _CLOSE and exchange.content_over
    exchange.status = answer.head.status
    try:
        head = forward_response(
            answer.head,
            framing=framing,
            via=exchange.in_force.via,
            keep_alive=exchange.keep,
            client_version=version,
        )
    except ProtocolError as error:
        raise UpstreamError(error.code, error.message, phase="answer", answered=True) from error
    if exchange.limited:
        head = with_notice(exchange, head)
    return _new_relay(answer, head, framing, limit)


def _upgrade(exchange: Exchange) -> bytes | None:
    """The protocol that a client may change to; not where its content would get in between."""
    asked = upgrade_protocol(exchange.head)
    return asked if asked in UPGRADES and exchange.body.framing is Framing.NONE else None


async def _change_protocol(exchange: Exchange, answer: Answer) -> ResultCode:
    agreed = upgrade_protocol(answer.head)
    if agreed is None or agreed != _upgrade(exchange):
        raise UpstreamError(
            "upgrade-not-asked", "the server changed to a protocol nobody asked for", phase="answer"
        )
    exchange.keep = False
    exchange.status = 101
    head = forward_response(answer.head, framing=Framing.NONE, via=exchange.in_force.via, upgrade=True)
    await Relay(answer, head, Framing.NONE)
    exchange.opened = True
    exchange.splices = True
    return ResultCode.UPGRADED
