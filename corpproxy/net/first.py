"""
Ahead of its road: the first request of its kind, where nothing has to be waited for but its server.

A page has parts on hosts that nobody asked for before.  What the road would find out of them is there at
once: what is asked for, who asks by credentials that were checked before, what the rules say.  So the
stations are taken without a coroutine that could wait; the request is sent once its server is connected, and
what comes of it is as with any request that goes ahead (`corpproxy.net.ahead`).

This is no other road: the stations are its own.  Where one of them has to wait or refuses, or the exchange is
anything but a plain request that is let through, the road begins, and goes on from what was found.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from twisted.python.failure import Failure

from corpproxy.errors import CorpproxyError, ProtocolError
from corpproxy.exchange.classify import classify
from corpproxy.exchange.exchange import Exchange, Mode
from corpproxy.exchange.forward import request_of
from corpproxy.exchange.identify import recognised
from corpproxy.exchange.known import remember
from corpproxy.exchange.may import PORTAL, decided
from corpproxy.exchange.refusal import Refusal
from corpproxy.exchange.road import cut_short, live
from corpproxy.net.ahead import ask_ahead
from corpproxy.net.reach import Reaching
from corpproxy.net.upstream import Server, Upstream
from corpproxy.policy.model import Effect

if TYPE_CHECKING:
    from corpproxy.net.downstream import Downstream

# Members of enums that are looked up for every exchange cost more than names of this module.
_ALLOW, _FORWARD = Effect.ALLOW, Mode.FORWARD
# As the class would make it, without its Python.
_server: Callable[[tuple[str, int]], Server] = partial(tuple.__new__, Server)


def begin_first(downstream: Downstream, exchange: Exchange) -> None:
    """Take an exchange on its road, or send its request ahead of it."""
    try:
        sent = _may_go_ahead(downstream, exchange) and _find_out(exchange) and _send(downstream, exchange)
    except (Refusal, ProtocolError):
        sent = False  # its road says so
    except Exception as bug:
        downstream.ended(bug)
        return
    if not sent:
        downstream.drive(live(exchange))


def _may_go_ahead(downstream: Downstream, exchange: Exchange) -> bool:
    """Whether it is a plain request, of a kind for which nothing but its server has to be waited for."""
    in_force = exchange.in_force
    return (
        exchange.mode is _FORWARD
        and bool(exchange.head.fields.outline.is_plain)
        and exchange.head.version == 11
        and exchange.method != b"CONNECT"
        and downstream.pins is None
        and in_force.limiting is None
        and not in_force.needs_addresses
        and not in_force.needs_answer
    )


def _find_out(exchange: Exchange) -> bool:
    """Take the stations up to the decision; False where the road has to go on from there."""
    if exchange.decision is not None:
        return True  # it is known, and there was no connection
    exchange.destination = classify(exchange)
    identity = recognised(exchange)
    if identity is None:
        return False
    exchange.identity = identity
    decision = decided(exchange)
    if decision is None:
        return False
    exchange.decision = decision
    remember(exchange)
    return decision.effect is _ALLOW and decision is not PORTAL


def _send(downstream: Downstream, exchange: Exchange) -> bool:
    """Send the request over a kept connection, or once there is one; False where it has to wait its turn."""
    proxy, destination, decision = downstream.proxy, exchange.destination, exchange.decision
    assert destination is not None
    assert decision is not None
    proxy.admission.check_person(downstream)
    pool = proxy.pool
    dial, head = request_of(exchange)
    server = _server((dial.name, destination.port))
    upstream = pool.take(server, decision.safety.addresses)
    if upstream is not None:
        ask_ahead(downstream, upstream, head)
        return True
    if not pool.may_open(server):
        return False
    downstream.run = outset = Outset(downstream, head)
    outset.connect(server, dial)
    return True


class Outset(Reaching):
    """Stands for the road of an exchange while its server is being connected to."""

    __slots__ = ("_downstream", "_head")

    def __init__(self, downstream: Downstream, head: bytes) -> None:
        exchange = downstream.exchange
        assert exchange.decision is not None
        super().__init__(downstream.proxy, exchange, exchange.decision.safety.addresses, pooled=True)
        self._downstream = downstream
        self._head = head

    def reached(self, upstream: Upstream) -> None:
        """The server is connected: the request is sent."""
        ask_ahead(self._downstream, upstream, self._head)

    def not_reached(self, problem: BaseException | Failure) -> None:
        """The server cannot be connected to, or a bug of ours was in the way."""
        reason = problem.value if isinstance(problem, Failure) else problem
        if isinstance(reason, CorpproxyError):
            self._fail(reason)
        else:
            self._downstream.ended(reason)

    def cancel(self, reason: BaseException) -> None:
        """The exchange ends before its server is connected."""
        self.give_up()
        if isinstance(reason, CorpproxyError):
            self._fail(reason)
        else:
            self._downstream.ended(reason)

    def _fail(self, reason: CorpproxyError) -> None:
        self._downstream.drive(cut_short(self._exchange, reason))
