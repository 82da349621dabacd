"""How a client comes and leaves, and how its exchanges end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.logger import Logger
from twisted.python.failure import Failure

from corpproxy import twins
from corpproxy.audit.results import ResultCode
from corpproxy.exchange.answers import failure_page
from corpproxy.exchange.exchange import Exchange
from corpproxy.net.beginning import Beginning
from corpproxy.net.deadlines import NEVER
from corpproxy.net.performer import Performer
from corpproxy.net.splice import join
from corpproxy.net.wire import GONE

if TYPE_CHECKING:
    from corpproxy.net.pins import Pins
    from corpproxy.net.splice import Tunnel
    from corpproxy.net.upstream import Upstream

log = Logger()


class OverInPython(Beginning):
    """
    What a client's connection does when it comes, when an exchange of it is over, and when it is gone.

    It is a part of `corpproxy.net.downstream.Downstream`, and nothing for itself; ``native/over.c`` is made
    after it.
    """

    __slots__ = ("abort_at_end", "pins", "tunnel", "upstream", "when_late")

    abort_at_end: bool
    pins: Pins | None
    tunnel: Tunnel | None
    upstream: Upstream | None
    when_late: Callable[[], None] | None

    def connectionMade(self) -> None:
        self.address = self.transport.getPeer().host
        super().connectionMade()
        self.deadline = self.deadlines.now + self.timeouts.head
        self.proxy.admission.opened(self)  # type: ignore[arg-type]

    @property
    def is_busy(self) -> bool:
        """Whether an exchange is on its road, or its tunnel moves octets."""
        return self.run is not None or self.tunnel is not None

    def connectionLost(self, reason: object = None) -> None:
        self.proxy.admission.closed(self)  # type: ignore[arg-type]
        super().connectionLost(reason)  # type: ignore[arg-type]
        if self.pins is not None:
            self.pins.close()
        if not self.is_busy:
            self._let_go()

    def _let_go(self) -> None:
        """Part with what refers to us: nothing comes of this connection any more."""
        if self.sink is not GONE:
            self.sink = GONE
            del self.held

    def ended(self, error: BaseException | None) -> None:
        """The road is over: so is the exchange, unless it leads into a tunnel."""
        self.run = None
        if error is None and self.exchange.splices:
            try:
                join(self)  # type: ignore[arg-type]
            except Exception as bug:
                self.not_joined(bug)
        else:
            self._over(error)

    def not_joined(self, bug: Exception) -> None:
        """A bug was in the way of its tunnel."""
        if self.tunnel is None:
            self._over(bug)
        else:
            self.tunnel.cancel(bug)

    def _over(self, error: BaseException | None) -> None:
        """The exchange is over: account, audit, and go on with the next request or close."""
        exchange = self.exchange
        joined = self.tunnel is not None
        self.tunnel = None
        self.when_late = None
        self.deadline = NEVER
        upstream = self.upstream
        if upstream is not None:
            self.part()
            upstream.release(False)
        if error is not None:
            self._bug(exchange, error)
        if exchange.held is not None:
            exchange.held.close()
        if exchange.opened or exchange.method == b"CONNECT":
            self.proxy.admission.tunnel_closed(self)  # type: ignore[arg-type]
        keep = exchange.keep and not self.gone and not self.proxy.stopping
        if not keep and not joined:
            # Nobody comes after this exchange to count what the client sent ahead.
            exchange.account.received += len(self.held.octets_held)
            self.held.octets_held = b""
        self.proxy.books.close(exchange)
        if keep:
            # An idle connection keeps nothing of it: its head alone is as large as all the rest.
            del self.exchange
            self._next()
        elif self.gone:
            self._let_go()
        elif self.abort_at_end:
            self.abort()
        elif not self.closing:
            self.close()

    def _bug(self, exchange: Exchange, error: BaseException) -> None:
        exchange.keep = False
        exchange.result, exchange.failure = ResultCode.FAILED, type(error).__name__
        bug = Failure(error, type(error), error.__traceback__)  # type: ignore[no-untyped-call]
        log.failure("exchange {reference} ended by a bug", bug, reference=exchange.reference)
        if exchange.answered or self.gone:
            return
        try:
            Performer(self).respond_page(failure_page(exchange, "internal", 500))  # type: ignore[arg-type]
        except Exception:
            log.failure("exchange {reference} has no page for the bug", reference=exchange.reference)

    def write(self, data: bytes) -> None:
        """Send octets to the client, and count them."""
        exchange = self.exchange
        exchange.answered = True
        exchange.account.sent += len(data)
        self.transport.write(data)

    def part(self) -> None:
        """The exchange needs its server's connection no more: what moved over it is taken down."""
        self.take_down()
        self.upstream = None

    def take_down(self) -> None:
        """Take down what moved over the server's connection until now."""
        upstream = self.upstream
        if upstream is not None:
            self.exchange.up_sent += upstream.sent
            self.exchange.up_received += upstream.received
            upstream.sent = upstream.received = 0

    def _next(self) -> None:
        """Read the next head."""
        raise AssertionError("a whole connection knows how to go on")


if TYPE_CHECKING or twins.ahead is None:
    Over = OverInPython
else:

    class Over(twins.ahead.Over, OverInPython):
        """The compiled twin, which leaves bugs, and the joining of tunnels, to the one in Python."""

        __slots__ = ()
        _connectionLost_in_python = OverInPython.connectionLost
        _connectionMade_in_python = OverInPython.connectionMade
        _ended_in_python = OverInPython.ended
        _over_in_python = OverInPython._over
        _write_in_python = OverInPython.write
