"""
Ahead of its road: the tunnel of an exchange like one before is opened at once, where nothing has to be asked.

As with requests (`corpproxy.net.ahead`) this decides nothing, and is no other road.  A tunnel like one before
is dialled, established, and looked into, and where it begins with the ClientHello of a client that asks for
the name that was decided on, as nearly all do, its octets move.  Whatever goes otherwise is the road's, which
begins then, and finds the tunnel dialled, or established.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.python.failure import Failure

from corpproxy import twins
from corpproxy.accounting.accounts import Account
from corpproxy.audit.results import ResultCode
from corpproxy.born import born
from corpproxy.destination.model import Destination, Host
from corpproxy.errors import CorpproxyError
from corpproxy.exchange.exchange import FORGOTTEN, Exchange
from corpproxy.exchange.in_force import InForce
from corpproxy.exchange.known import recall
from corpproxy.exchange.limits import Timeouts
from corpproxy.exchange.reach import dial_host
from corpproxy.exchange.road import live
from corpproxy.exchange.tunnel import ESTABLISHED
from corpproxy.http1.fields import Fields, Outline
from corpproxy.net.deadlines import NEVER, Deadlines
from corpproxy.net.held import Held
from corpproxy.net.leeways import begins_below
from corpproxy.net.peeking import Peeking
from corpproxy.net.reach import Reaching
from corpproxy.net.splice import COPIED_OCTETS, Tunnel
from corpproxy.net.upstream import Upstream, servers
from corpproxy.net.wire import GONE, Wire
from corpproxy.policy.model import TunnelContent
from corpproxy.preface.client_hello import quick_server_name
from corpproxy.preface.first_octets import judge_at_once

if TYPE_CHECKING:
    from types import ModuleType

    from corpproxy.destination.model import AddressClass
    from corpproxy.net.downstream import Downstream
    from corpproxy.net.proxy import Proxy
    from corpproxy.net.run import Run

# Members of enums that are looked up for every tunnel cost more than names of this module.
_TUNNELLED, _ANY = ResultCode.TUNNELLED, TunnelContent.ANY


def open_ahead(downstream: Downstream) -> bool:
    """
    Dial the tunnel of an exchange like one before; False, or `Refusal`, where its road has to begin first.

    ``native/open.c`` is made after it.
    """
    exchange, proxy = downstream.exchange, downstream.proxy
    if not recall(exchange):
        return False
    if exchange.in_force.limiting is not None and not begins_below(proxy, exchange):
        return False
    proxy.admission.check_person(downstream)
    proxy.admission.open_tunnel(downstream)
    exchange.keep = False
    assert exchange.destination is not None
    dial = dial_host(exchange)
    assert exchange.decision is not None
    allowed = exchange.decision.safety.addresses
    downstream.run = ahead = new_tunnel_ahead(proxy, exchange, allowed, downstream)
    ahead.connect(servers[dial.name, exchange.destination.port], dial)
    return True


class OpeningInPython:
    """What is done for nearly every tunnel that is opened ahead; ``native/opening.c`` is made after it."""

    __slots__ = ()

    if TYPE_CHECKING:
        _downstream: Downstream
        _exchange: Exchange
        half_closed: Callable[[], None]
        lost: Callable[[bool], None]
        _begin_road: Callable[[], Run]

    def reached(self, upstream: Upstream) -> None:
        """The server is connected: the client is told, and what it sends first is waited for."""
        downstream, exchange = self._downstream, self._exchange
        downstream.upstream = upstream
        exchange.upstream = upstream.address
        exchange.status = 200
        exchange.opened = True
        downstream.write(ESTABLISHED)
        downstream.proxy.books.opened(exchange)
        exchange.forget_head()
        assert exchange.decision is not None
        if exchange.decision.safety.tunnel_content is _ANY:
            self._join()
            return
        downstream.deadline = downstream.deadlines.now + downstream.timeouts.tunnel_first
        held = downstream.held
        downstream.sink = self
        if held.octets_held:
            self.octets(held.take())

    def octets(self, data: bytes) -> None:
        """Look at octets: a whole ClientHello with the right name is passed on, all else is the road's."""
        downstream, exchange = self._downstream, self._exchange
        downstream.held.octets_held = data
        verdict = judge_at_once(data)
        destination = exchange.destination
        assert destination is not None
        name = destination.host.name
        if verdict is not None and verdict.server_name == name:
            exchange.server_name = name
            self._join()
        else:
            self._begin_road()

    def _join(self) -> None:
        downstream, exchange = self._downstream, self._exchange
        downstream.deadline = NEVER
        exchange.result = _TUNNELLED
        exchange.splices = True
        downstream.ended(None)


if TYPE_CHECKING or twins.tunnel is None:
    _Opening = OpeningInPython
else:

    class _Opening(twins.tunnel.Opening):
        """The compiled twin, which leaves what begins otherwise to the one in Python."""

        __slots__ = ()
        _reached_in_python = OpeningInPython.reached
        _octets_in_python = OpeningInPython.octets
        _join = OpeningInPython._join


class TunnelAhead(_Opening, Reaching):
    """
    Stands for the road of a tunnel that is opened ahead of it, until there is one or octets move.

    While its first octets are waited for it is the sink of its client, which tells it when they are late.
    """

    __slots__ = ("_downstream",)

    def __init__(
        self, proxy: Proxy, exchange: Exchange, allowed: frozenset[AddressClass], downstream: Downstream
    ) -> None:
        Reaching.__init__(self, proxy, exchange, allowed, pooled=False)
        self._downstream = downstream

    def not_reached(self, problem: BaseException | Failure) -> None:
        """The server cannot be connected to, or a bug of ours was in the way."""
        reason = problem.value if isinstance(problem, Failure) else problem
        if isinstance(reason, CorpproxyError) and not self._exchange.opened:
            self._begin_road().fail(reason)
        else:
            self._downstream.ended(reason)

    def half_closed(self) -> None:
        """The client ended its stream before it said anything."""
        self._begin_road()
        self._downstream.sink.half_closed()

    def lost(self, clean: bool) -> None:
        """The client is gone."""
        self._begin_road()
        self._downstream.sink.lost(clean)

    def late(self) -> None:
        """The client sent nothing through its tunnel."""
        self._begin_road()
        self._downstream.deadline_passed()

    # What is the road's.

    def cancel(self, reason: BaseException) -> None:
        """The exchange ends before its octets move."""
        run = self._begin_road()
        if not self._exchange.opened:
            run.abandon = self.give_up
        run.cancel(reason)

    def _begin_road(self) -> Run:
        """Begin the road: from here on it is the one that waits."""
        downstream = self._downstream
        deadline = downstream.deadline
        if downstream.sink is self:
            downstream.sink = downstream.held
        run = downstream.drive(live(self._exchange))
        if isinstance(downstream.sink, Peeking):
            # The first octets are waited for since the tunnel stands.
            downstream.deadline = deadline
        return run


# Makes one as its class does.
new_tunnel_ahead: Callable[[Proxy, Exchange, frozenset[AddressClass], Downstream], TunnelAhead] = born(
    TunnelAhead, "_proxy", "_exchange", "_allowed", "_downstream"
)


def set_twins(downstream: type[Downstream]) -> None:
    """Tell the compiled twin of tunnels which classes there are; that of clients is made later."""
    if twins.tunnel is not None:
        tell_twin(twins.tunnel, downstream, Tunnel, TunnelAhead)


def tell_twin(
    twin: ModuleType, downstream: type[Downstream], tunnel: type[Tunnel], opening: type[TunnelAhead]
) -> None:
    """Tell a compiled twin which classes there are."""
    classes = {
        "wire": Wire,
        "downstream": downstream,
        "upstream": Upstream,
        "held": Held,
        "exchange": Exchange,
        "account": Account,
        "destination": Destination,
        "host": Host,
        "in_force": InForce,
        "timeouts": Timeouts,
        "deadlines": Deadlines,
        "fields": Fields,
        "outline": Outline,
        "opening": opening,
        "tunnel": tunnel,
    }
    twin.set_twins(classes, GONE, NEVER, COPIED_OCTETS)
    twin.set_opening(ESTABLISHED, _TUNNELLED, _ANY, quick_server_name, FORGOTTEN)
