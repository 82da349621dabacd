"""
The downstream side: one connection to a client, and its exchanges one after another.

What holds between exchanges stands here, their beginning in `corpproxy.net.beginning`, their end in
`corpproxy.net.over`.  What happens during an exchange is the road's, and the performer does what the
road asks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.logger import Logger

from corpproxy import twins
from corpproxy.audit.results import ResultCode
from corpproxy.born import birth
from corpproxy.errors import ClientGone, CorpproxyError, ProtocolError
from corpproxy.exchange.exchange import Mode
from corpproxy.exchange.refusal import TunnelEnded
from corpproxy.exchange.road import cut_off
from corpproxy.http1.head import RequestReader
from corpproxy.net import tunnel_ahead
from corpproxy.net.ahead import Ahead, set_twins
from corpproxy.net.held import Held
from corpproxy.net.over import Over
from corpproxy.net.pins import Pins
from corpproxy.net.run import Run
from corpproxy.net.tunnel_ahead import TunnelAhead
from corpproxy.net.upload import Upload
from corpproxy.net.wire import UNTAKEN

if TYPE_CHECKING:
    from corpproxy.exchange.limits import Timeouts
    from corpproxy.net.deadlines import Deadlines
    from corpproxy.net.first import Outset
    from corpproxy.net.proxy import Proxy
    from corpproxy.net.splice import Tunnel
    from corpproxy.net.upstream import Upstream

log = Logger()


class Downstream(Over):
    """
    One client connection.

    Between exchanges it is its own sink and reads heads.
    ``upstream`` is the server's connection while an exchange has one, ``tunnel`` the tunnel it has become,
    ``pins`` the server connections on which this client signed in, if it ever did.
    """

    __slots__ = (
        "_feeding",
        "waits_for_room",
    )

    def __init__(self, proxy: Proxy, mode: Mode, listener: str) -> None:
        super().__init__(proxy.deadlines)
        self.run: Run | Ahead | TunnelAhead | Outset | None = None
        self.upload: Upload | None = None
        self.pins: Pins | None = None
        self.upstream: Upstream | None = None
        self.tunnel: Tunnel | None = None
        self.abort_at_end = self.waits_for_room = False
        self.proxy = proxy
        self.mode = mode
        self.listener = listener
        self.sink = self
        self.held = Held(self)
        self.when_late: Callable[[], None] | None = None
        self.timeouts = proxy.in_force.timeouts
        # Of its own while half a head has come; see `Heads`.
        self._reader: RequestReader | None = None
        self._began = 0.0
        self._feeding = False

    def pin(self, upstream: Upstream) -> None:
        """The client signs in on a server's connection: it is this client connection's from now on."""
        if self.pins is None:
            self.pins = Pins(self.proxy.pool)
        self.pins.bind(upstream)

    # Between exchanges: reading heads.

    @property
    def pending(self) -> int:
        """How many octets of an unfinished head are held."""
        return self._reader.pending if self._reader is not None else 0

    def half_closed(self) -> None:
        """The client ended its stream between exchanges: there is nothing left to answer."""
        self.lost(True)
        self.close()

    def lost(self, clean: bool) -> None:
        """The connection is gone between exchanges; what was read of a head is recorded."""
        if self.pending and not self.closing:
            exchange = self._exchange()
            exchange.account.received = self.pending
            exchange.result, exchange.failure = ResultCode.CLIENT_GONE, "head-unfinished"
            self._reader = None
            self.proxy.books.close(exchange)

    def deadline_passed(self) -> None:
        """The client was waited for too long."""
        if self.closing:
            self.abort()
        elif self.when_late is not None:
            self.when_late()
        elif isinstance(self.sink, TunnelAhead):
            self.sink.late()
        elif self.is_busy:
            self._late()
        elif self.pending:
            message = f"the request was not complete after {self.timeouts.head:g} s"
            self._refuse(ProtocolError("head-timeout", message, status=408), self.pending)
        else:
            self.close()

    def _late(self) -> None:
        """The client sends its content too slowly, or does not read our answer."""
        if self.full:
            self.cancel(ClientGone("the client does not read"))
            self.abort()
        else:
            self.cancel(ProtocolError("content-timeout", "the content did not come in time", status=408))

    # An exchange.

    def tunnel_over(self, failure: BaseException | None) -> None:
        """Both sides of the tunnel have ended; or ``failure`` ended it before."""
        if isinstance(failure, CorpproxyError):
            cut_off(self.exchange, failure)
            failure = None
        self._over(failure)

    def _next(self) -> None:
        """Read the next head: from what came ahead first, without growing the stack by one call a request."""
        # A reload may have come between the two: the next one is waited for by the new policy.
        self.timeouts = self.proxy.in_force.timeouts
        self.deadline = self.deadlines.now + self.timeouts.idle
        if self.full:
            # Who sends request upon request and reads no answer must not fill our memory with answers.
            self.waits_for_room = True
            return
        self.sink = self
        if self._feeding or (not self.held.octets_held and not self.on_hold):
            return
        self._feeding = True
        try:
            while self.sink is self and not self.closing and not self.gone:
                if self.on_hold:
                    self.go_on(UNTAKEN)
                held, self.held.octets_held = self.held.octets_held, b""
                if not held:
                    return
                self.octets(held)
        finally:
            self._feeding = False

    def resumeProducing(self) -> None:
        super().resumeProducing()
        if self.waits_for_room and not self.full:
            self.waits_for_room = False
            if not self.closing:
                self._next()

    # The service stops.

    def stop_if_idle(self) -> None:
        """Close a connection that serves no exchange; another ends with the one it serves."""
        if not self.is_busy and not self.pending:
            self.close()

    def stop_now(self) -> None:
        """End the exchange that still runs, and the connection."""
        if self.is_busy:
            self.cancel(TunnelEnded("stopping", "corpproxy is stopping"))
        else:
            self.lost(False)  # half a head has its record, too
        self.abort()

    # During an exchange.

    def send_interim(self, octets: bytes) -> None:
        """Send a 1xx: the answer has not begun with it."""
        exchange = self.exchange
        before = exchange.answered
        self.write(octets)
        exchange.answered = before

    def cancel(self, reason: BaseException) -> None:
        """End the present exchange where it waits."""
        if self.run is not None:
            self.run.cancel(reason)
        elif self.tunnel is not None:
            self.tunnel.cancel(reason)

    def client_gone(self) -> None:
        """The client left in the middle of its exchange; one whose end was sent already left nothing."""
        if self.closing and not self.is_busy:
            return
        self.cancel(ClientGone())
        self.abort()


def downstreams(proxy: Proxy, mode: Mode, listener: str) -> Callable[[Deadlines, Timeouts], Downstream]:
    """Give what makes the connections of a listener, with the deadlines and time limits in force then."""
    if twins.born is None:
        return lambda *_: Downstream(proxy, mode, listener)
    return birth(Downstream(proxy, mode, listener), ("deadlines", "timeouts"), ("held",))


set_twins(Downstream)
tunnel_ahead.set_twins(Downstream)
