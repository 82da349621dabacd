"""A tunnel at work: octets both ways as they come, with half-close and reset arriving as they were sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from corpproxy import twins
from corpproxy.errors import ClientGone, UpstreamError
from corpproxy.exchange.refusal import TunnelEnded
from corpproxy.net.below import lead_tunnel
from corpproxy.net.deadlines import NEVER
from corpproxy.net.wire import GONE

if TYPE_CHECKING:
    from corpproxy.exchange.limits import Timeouts
    from corpproxy.net.downstream import Downstream
    from corpproxy.net.engine.pump import Pump
    from corpproxy.net.upstream import Upstream
    from corpproxy.net.wire import Sink, Wire


# What one way of a tunnel carries before the kernel moves what follows: most tunnels end before that.
COPIED_OCTETS: float = 64 * 1024


def join(downstream: Downstream) -> None:
    """The road of a tunnel, or of an upgrade, is over: let octets move until both sides have ended."""
    exchange, upstream = downstream.exchange, downstream.upstream
    assert upstream is not None
    if exchange.status == 101:
        downstream.proxy.pool.part_with(upstream)
        downstream.proxy.books.opened(exchange)
    tunnel = downstream.tunnel = Tunnel(downstream, upstream, exchange.in_force.timeouts)
    if exchange.in_force.limiting is not None or exchange.held is not None:
        lead_tunnel(downstream)
    tunnel.start()


class TunnelInPython:
    """
    What is done for every tunnel, from its first octet to its end; ``native/tunnel.c`` is made after it.

    All that a tunnel knows stands here.
    """

    __slots__ = (
        "_ended",
        "_idle",
        "_left",
        "_left_inward",
        "_pumps",
        "_until",
        "deadline",
        "downstream",
        "over",
        "place",
        "upstream",
    )

    def __init__(self, downstream: Downstream, upstream: Upstream, timeouts: Timeouts) -> None:
        self.downstream = downstream
        self.upstream = upstream
        self._idle = timeouts.tunnel_idle
        self._until = downstream.deadlines.now + timeouts.tunnel_life
        # The side that has ended its stream, while the other has not.
        self._ended: Wire | None = None
        self._pumps: tuple[Pump, ...] = ()
        self._left = self._left_inward = COPIED_OCTETS
        self.over = False
        self.deadline = NEVER
        self.place = -1

    def start(self) -> None:
        """Join the two, first with what the client sent ahead."""
        downstream, upstream = self.downstream, self.upstream
        deadlines = downstream.deadlines
        # One of three is watched: the two others rest, and there may be thousands.
        deadlines.line_up(self)
        deadlines.drop(downstream, None)
        deadlines.drop(upstream, None)
        downstream.deadline = upstream.deadline = NEVER
        downstream.fed_by(upstream)
        upstream.fed_by(downstream)
        downstream.sink = self
        self.moved()
        ahead = downstream.held.take()
        # Nothing is held from here on; a thousand tunnels would keep a thousand of it.
        del downstream.held
        if ahead:
            self.octets(ahead)
        if not self.over:
            upstream.pass_to(self._inward())

    # From the client to the server.

    def octets(self, data: bytes) -> None:
        """Pass octets on."""
        self.downstream.exchange.account.received += len(data)
        self.upstream.write(data)
        self.moved()
        self._left -= len(data)
        if self._left < 0 and not self.over:
            self._left = NEVER
            self.pump_outward()

    def half_closed(self) -> None:
        """The client ended its stream."""
        self.side_ended(self.downstream)

    def lost(self, clean: bool) -> None:
        """The client is gone."""
        self.side_lost(self.downstream, clean)

    # From the server to the client.

    def _inward(self) -> Sink:
        return InwardInPython(self)

    def _octets_inward(self, data: bytes) -> None:
        self.upstream.received += len(data)
        self.downstream.write(data)
        self.moved()
        self._left_inward -= len(data)
        if self._left_inward < 0 and not self.over:
            self._left_inward = NEVER
            self.pump_inward()

    # Both ways.

    def moved(self) -> None:
        """Octets moved: the idle time begins anew."""
        deadline = self.downstream.deadlines.now + self._idle
        self.deadline = deadline if deadline < self._until else self._until

    def side_ended(self, which: Wire) -> None:
        """One side ended its stream: the other is told, and may go on."""
        if self.over or which is self._ended:
            return
        if self._ended is None:
            self._ended = which
            self._other(which).end_writing()
        else:
            self._finish()

    def side_lost(self, which: Wire, clean: bool) -> None:
        """One side is gone: the other goes the same way, by a reset if it was one."""
        if self.over:
            return
        if clean:
            self._finish()
        else:
            self._break(which)

    def _finish(self) -> None:
        self._part()
        self.upstream.discard()
        self.downstream.close()
        self.downstream.tunnel_over(None)

    def _part(self) -> None:
        self.over = True
        for pump in self._pumps:
            pump.stop()
        downstream, upstream = self.downstream, self.upstream
        deadlines = downstream.deadlines
        deadlines.step_out(self)
        for wire in (downstream, upstream):
            if not wire.gone:
                deadlines.watch(wire)
        downstream.fed_no_more()
        upstream.fed_no_more()
        # Nothing that still comes is anybody's.
        downstream.sink = upstream.sink = GONE
        downstream.part()

    def _other(self, which: Wire) -> Wire:
        return self.upstream if which is self.downstream else self.downstream

    # What the whole tunnel knows.

    deadline_passed: Callable[[], None]
    pump_outward: Callable[[], None]
    pump_inward: Callable[[], None]
    _break: Callable[[Wire], None]


class InwardInPython:
    """The sink of the server; ``native/tunnel.c`` has its twin inside that of the tunnel."""

    __slots__ = ("_tunnel",)

    def __init__(self, tunnel: TunnelInPython) -> None:
        self._tunnel = tunnel

    def octets(self, data: bytes) -> None:
        """Pass octets on."""
        self._tunnel._octets_inward(data)

    def half_closed(self) -> None:
        """The server ended its stream."""
        self._tunnel.side_ended(self._tunnel.upstream)

    def lost(self, clean: bool) -> None:
        """The server is gone."""
        self._tunnel.side_lost(self._tunnel.upstream, clean)


if TYPE_CHECKING or twins.tunnel is None:
    _Tunnel = TunnelInPython
else:

    class _Tunnel(twins.tunnel.Tunnel):
        """The compiled twin, which leaves what is not as ever to the one in Python."""

        __slots__ = ()
        _start_in_python = TunnelInPython.start
        _octets_in_python = TunnelInPython.octets
        _octets_inward_in_python = TunnelInPython._octets_inward
        _part_in_python = TunnelInPython._part
        _other = TunnelInPython._other


class Tunnel(_Tunnel):
    """
    Two connections joined.

    A tunnel is over when both sides have ended, or either is gone.  It has one deadline for both ways, moved
    on by octets in either; those of its connections rest.  It is the sink of its client.
    """

    __slots__ = ()

    # What the kernel moves.

    def pump_outward(self) -> None:
        """
        Let the kernel move what the client sends from now on.

        Octets of a tunnel are nobody's but the two sides', and need not become objects of ours.  Short
        messages cost less when they do: a pipe takes two more system calls for each.
        """
        self._keep(self.downstream.pump_to(self.upstream, self._client_sent, self._server_got))

    def pump_inward(self) -> None:
        """Let the kernel move what the server sends from now on."""
        self._keep(self.upstream.pump_to(self.downstream, self._server_sent, self._client_got))

    def _keep(self, pump: Pump | None) -> None:
        if pump is not None:
            self._pumps += (pump,)

    def _client_sent(self, octets: int) -> None:
        self.downstream.exchange.account.received += octets
        self.moved()

    def _server_got(self, octets: int) -> None:
        self.upstream.sent += octets

    def _server_sent(self, octets: int) -> None:
        self.upstream.received += octets
        self.moved()

    def _client_got(self, octets: int) -> None:
        self.downstream.exchange.account.sent += octets

    # How it ends otherwise.

    def _break(self, which: Wire) -> None:
        """One side was reset, or broke."""
        ended = which is self._ended
        self._part()
        self._other(which).abort()
        if ended:
            # It had said all that it had to say, and did not wait for the rest: so browsers leave a tunnel.
            self.downstream.tunnel_over(None)
        elif which is self.downstream:
            self.downstream.tunnel_over(ClientGone("the client reset the tunnel"))
        else:
            self.downstream.tunnel_over(
                UpstreamError("tunnel-reset", "the server reset the tunnel", phase="content", answered=True)
            )

    def end(self, code: str, message: str) -> None:
        """End the tunnel, for a reason of ours."""
        self.cancel(TunnelEnded(code, message))

    def cancel(self, reason: BaseException) -> None:
        """End the tunnel; ``reason`` is what its record says."""
        if not self.over:
            self._part()
            self.upstream.release(False)
            self.downstream.tunnel_over(reason)

    def deadline_passed(self) -> None:
        """Nothing moved for too long, or the tunnel has lived long enough."""
        if self.downstream.deadlines.now >= self._until:
            self.end("tunnel-life", "the lifetime of the tunnel is over")
        else:
            self.end("tunnel-idle", "nothing moved in the tunnel for too long")
