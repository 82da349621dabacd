"""
Ahead of its road: the request of an exchange like one before is sent at once, where nothing has to wait.

What the stations would say of such an exchange is known (`corpproxy.exchange.known`), and there is a
connection to its server.  So the request goes out before the road begins; and where the answer comes whole
with its head, as nearly all do, nothing is left that a road would have to do.

This is no other road.  Nothing is decided here, and whatever goes otherwise is the road's: an answer that is
long, steers the connection or does not come, a client that leaves, a limit.  The road begins then, goes from
station to station as ever, and finds its request sent.

Somebody's limits are no reason to wait while nothing of them bites: what such an exchange may move is known
as well (`corpproxy.accounting.leeway`).  The answer is taken off that, or the road begins where it is more.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING

from corpproxy import twins
from corpproxy.accounting.accounts import Account
from corpproxy.accounting.buckets import BURST_SECONDS, Bucket, Stock
from corpproxy.accounting.leeway import Leeway, Term
from corpproxy.accounting.rates import PIECE_OCTETS
from corpproxy.audit.reference import References
from corpproxy.audit.results import ResultCode
from corpproxy.destination.model import Destination, Host
from corpproxy.exchange.exchange import Exchange, new_exchange
from corpproxy.exchange.forward import same_request
from corpproxy.exchange.in_force import InForce
from corpproxy.exchange.known import Known, recall
from corpproxy.exchange.limits import ConnectionLimits, Timeouts
from corpproxy.exchange.reach import dial_host
from corpproxy.exchange.refusal import Refusal
from corpproxy.exchange.road import live
from corpproxy.http1.fields import Fields, Outline
from corpproxy.http1.forward import forward_response
from corpproxy.http1.framing import NO_BODY, Body, Framing
from corpproxy.http1.head import RequestHead, RequestReader, ResponseHead, ResponseReader
from corpproxy.http1.limits import Limits
from corpproxy.http1.recipe import Recipe
from corpproxy.http1.steering import is_plain
from corpproxy.identity.model import Identity
from corpproxy.net.admission import Admission
from corpproxy.net.crowd import NOBODY
from corpproxy.net.deadlines import NEVER
from corpproxy.net.heads import Heads
from corpproxy.net.held import Held
from corpproxy.net.leeways import begins_below
from corpproxy.net.tunnel_ahead import new_tunnel_ahead, open_ahead
from corpproxy.net.upstream import Server, Upstream, servers
from corpproxy.net.wire import GONE, Wire
from corpproxy.policy.model import Facts
from corpproxy.policy.quota import Standings

if TYPE_CHECKING:
    from corpproxy.errors import UpstreamError
    from corpproxy.net.downstream import Downstream
    from corpproxy.net.run import Run

# As the class would make it, without its Python.
_server: Callable[[tuple[str, int]], Server] = partial(tuple.__new__, Server)

# Members of enums that are looked up for every exchange cost more than names of this module.
_FORWARDED = ResultCode.FORWARDED
_LENGTH, _NONE = Framing.LENGTH, Framing.NONE

# By so much the head of an answer may grow on its way: a Via, and how the connection goes on.
WRITTEN_OCTETS = 1024


def send_ahead(downstream: Downstream, exchange: Exchange) -> bool:
    """Send the request of an exchange like one before; False where its road has to begin first."""
    try:
        return _go(downstream, exchange)
    except Refusal:
        return False  # its road says so
    except Exception as bug:
        downstream.ended(bug)
        return True


def go_in_python(downstream: Downstream, exchange: Exchange) -> bool:
    """Send its request, or open its tunnel; `go` of the compiled twin is made after it."""
    if exchange.method == b"CONNECT":
        return open_ahead(downstream)
    return send_in_python(downstream, exchange)


def send_in_python(downstream: Downstream, exchange: Exchange) -> bool:
    """Send it; ``native/ahead.c`` is made after it."""
    in_force = exchange.in_force
    # What the answer decides, a client that has connections of its own.
    if in_force.needs_answer or downstream.pins is not None:
        return False
    if not recall(exchange):
        return False
    proxy, known = downstream.proxy, exchange.known
    assert known is not None
    if in_force.limiting is not None and not begins_below(proxy, exchange):
        return False
    proxy.admission.check_person(downstream)
    upstream = proxy.pool.take(_server((known.dial.name, known.destination.port)), known.addresses)
    if upstream is None:
        return False
    ask_ahead(downstream, upstream, same_request(exchange, known))
    return True


def ask_ahead(downstream: Downstream, upstream: Upstream, head: bytes) -> None:
    """Send a whole request over a connection to its server, and wait for the answer ahead of the road."""
    exchange = downstream.exchange
    downstream.upstream = upstream
    exchange.upstream = upstream.address
    downstream.run = ahead = Ahead(downstream, upstream)
    upstream.sink = ahead
    upstream.asked_at = downstream.proxy.reactor.seconds()
    upstream.ask(ahead, exchange.method, head, is_whole=True)


class AheadInPython:
    """Takes the answer; ``native/answer.c`` is made after it, where the head of the answer came before."""

    __slots__ = ("_downstream", "_upstream")

    def __init__(self, downstream: Downstream, upstream: Upstream) -> None:
        self._downstream = downstream
        self._upstream = upstream

    def octets(self, data: bytes) -> None:
        """Take octets of the answer."""
        upstream = self._upstream
        upstream.sink = upstream
        upstream.octets(data)


if TYPE_CHECKING or twins.ahead is None:
    _Ahead = AheadInPython
    _go = go_in_python
    # What notes of answers stand under.
    _NOTE = _NOTE_AT_END = ""
else:

    class _Ahead(twins.ahead.Ahead):
        """The compiled twin, which leaves what came otherwise to the one in Python."""

        __slots__ = ()
        _octets_in_python = AheadInPython.octets

    _NOTE, _NOTE_AT_END = twins.ahead.NOTE, twins.ahead.NOTE_AT_END
    _go = twins.ahead.go


class Ahead(_Ahead):
    """
    Stands for the road of an exchange whose request was sent ahead of it, until there is one.

    It is the asker of the server's connection, and takes what comes over it.
    """

    __slots__ = ()

    def answered(self, head: ResponseHead, body: Body) -> None:
        """The answer has begun; most have come whole."""
        downstream, upstream = self._downstream, self._upstream
        exchange = downstream.exchange
        content = None
        is_plain = head.status not in _STEERING and exchange.held is None and not upstream.challenges
        if is_plain and (body.framing is _LENGTH or body.framing is _NONE):
            length = body.length or 0
            if exchange.in_force.limiting is None or self._may_take(exchange, head, length):
                content = upstream.take_whole(length)
        if content is None:
            self._begin_road()
            upstream.asked_no_more().answered(head, body)
            return
        error = None
        try:
            self._deliver(exchange, head, body.framing, content)
        except Exception as bug:
            error = bug
        downstream.ended(error)

    def _may_take(self, exchange: Exchange, head: ResponseHead, length: int) -> bool:
        """Whether there is so much below the limits, with the head of an answer as it may be written."""
        leeway = exchange.leeway
        if leeway is None:
            return False
        octets = head.octets + WRITTEN_OCTETS + length
        return leeway.covers(exchange.account.received, octets, self._downstream.proxy.pacer.seconds())

    def _deliver(self, exchange: Exchange, head: ResponseHead, framing: Framing, content: bytes) -> None:
        """Send a whole answer; with it the exchange has nothing more to do."""
        downstream, upstream = self._downstream, self._upstream
        via, keep, leeway = exchange.in_force.via, exchange.keep, exchange.leeway
        written = forward_response(head, framing=framing, via=via, keep_alive=keep, client_version=11)
        if _NOTE:
            note = (exchange.method, via, keep, len(content), head.status, upstream.keep, written)
            head.fields.outline.note(_NOTE if keep else _NOTE_AT_END, note)
        octets = written + content
        if leeway is not None:
            leeway.charge(exchange.account.received, len(octets), downstream.proxy.pacer.seconds())
        exchange.first_octet_seconds = downstream.proxy.reactor.seconds() - upstream.asked_at
        exchange.status = head.status
        exchange.answered = True
        exchange.account.sent += len(octets)
        downstream.transport.write(octets)
        exchange.up_sent += upstream.sent
        exchange.up_received += upstream.received
        downstream.upstream = None
        upstream.release(True)
        exchange.result = _FORWARDED

    # What is the road's.

    def half_closed(self) -> None:
        """The server closed its side."""
        self._upstream.sink = self._upstream
        self._upstream.half_closed()

    def lost(self, clean: bool) -> None:
        """The server's connection is gone."""
        self._upstream.sink = self._upstream
        self._upstream.lost(clean)

    def interim(self, head: ResponseHead) -> None:
        """A 1xx came."""
        self._begin_road()
        asker = self._upstream.asker
        assert asker is not None
        asker.interim(head)

    def failed(self, error: UpstreamError) -> None:
        """There will be no answer."""
        self._begin_road()
        self._upstream.asked_no_more().failed(error)

    def cancel(self, reason: BaseException) -> None:
        """The exchange ends before its answer has come."""
        self._begin_road().cancel(reason)

    def _begin_road(self) -> Run:
        """Begin the road: from here on it is the one that asks."""
        downstream, upstream = self._downstream, self._upstream
        if upstream.sink is self:
            upstream.sink = upstream
        return downstream.drive(live(downstream.exchange))


def set_twins(downstream: type[Downstream]) -> None:
    """Tell the compiled twin which classes there are; the one of clients is made after this module."""
    if twins.ahead is not None:
        tell_twin(twins.ahead, downstream)


def tell_twin(twin: ModuleType, downstream: type[Downstream]) -> None:
    """Tell a compiled twin which classes there are, and what of Python it calls and gives."""
    response = twins.heads.response if twins.heads else _none
    twin.set_twins(_classes(downstream), response, _FORWARDED, PIECE_OCTETS, BURST_SECONDS)
    twin.set_objects(_objects())


def _classes(downstream: type[Downstream]) -> dict[str, type]:
    return {
        "downstream": downstream,
        "upstream": Upstream,
        "exchange": Exchange,
        "account": Account,
        "in_force": InForce,
        "known": Known,
        "destination": Destination,
        "host": Host,
        "fields": Fields,
        "outline": Outline,
        "reader": ResponseReader,
        "facts": Facts,
        "limits": Limits,
        "timeouts": Timeouts,
        "request_head": RequestHead,
        "server": Server,
        "ahead": Ahead,
        "leeway": Leeway,
        "term": Term,
        "standings": Standings,
        "bucket": Bucket,
        "stock": Stock,
        "held": Held,
        "heads": Heads,
        "request_reader": RequestReader,
        "references": References,
        "admission": Admission,
        "connection_limits": ConnectionLimits,
        "identity": Identity,
        "recipe": Recipe,
    }


def _objects() -> dict[str, object]:
    return {
        "dial_host": dial_host,
        "go_in_python": go_in_python,
        "gone": GONE,
        "is_plain": is_plain,
        "never": NEVER,
        "new_exchange": new_exchange,
        "new_tunnel_ahead": new_tunnel_ahead,
        "no_body": NO_BODY,
        "nobody": NOBODY,
        "read_request": twins.heads.request if twins.heads else _none,
        "refusal": Refusal,
        "servers": servers,
        "wire_lost": Wire.connectionLost,
    }


def _none(*_: object) -> None:
    """Read no head: it is left to the twin in Python."""


# Answers that are more, or less, than an answer: another protocol, and what asks for the password to us.
_STEERING = frozenset({101, 407})
