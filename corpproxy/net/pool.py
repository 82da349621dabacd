"""
The pool: connections to servers between exchanges, bounded for each server and in all.

A connection is given out again only to an exchange that may reach the address it goes to, and never when a
client signed in on it.  An exchange that finds its server at the bound waits its turn.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from corpproxy.destination.model import AddressClass
from corpproxy.errors import UpstreamError
from corpproxy.exchange.limits import ConnectionLimits
from corpproxy.net.upstream import Server, Upstream

# Kept connections to all servers together, on any machine.  A school at work has a few hundred servers warm.
MAX_KEPT = 4_000
# As many where descriptors are left for them: beside 50,000 hosts that come again and again each of these
# spares a new connection, which is a third of the price of such an exchange.  One costs some 2 KiB.
MOST_KEPT = 16_000
# What is kept has so long to be used again: one that comes while all are younger is not kept instead of one
# of them.  If each took the place of the oldest, many hosts in turn would find nothing but what was closed a
# moment ago.
KEPT_AT_LEAST_SECONDS = 30.0
# The share of the descriptors that are in use up to which more are kept than every machine has, and from
# which on these go for what is used.  Between the two nothing is closed, or each that comes would close one.
ROOM_SHARE = 0.75
CROWDED_SHARE = 0.875
# Of few descriptors no more are kept: clients, who come by none of the ways above, need some, too.
KEPT_SHARE = 0.25

Turn = Deferred[Upstream | None]


class _Line:
    """The connections to one server: how many are open, which are kept, who waits."""

    __slots__ = ("kept", "open", "waiting")

    def __init__(self) -> None:
        self.open: set[Upstream] = set()
        self.kept: list[Upstream] = []
        # A queue once somebody waits: few ever do, and an empty one is larger than all else here.
        self.waiting: deque[Turn] | None = None


class Pool:
    """
    Keeps connections between exchanges; ``reused`` and ``opened`` count for the metrics.

    ``used`` gives the share of this process's ``descriptors`` that are in use.
    """

    __slots__ = (
        "_at_most",
        "_clock",
        "_dialling",
        "_kept",
        "_lines",
        "_most",
        "_used",
        "limits",
        "opened",
        "reused",
        "wait_seconds",
    )

    def __init__(
        self,
        clock: IReactorTime,
        limits: ConnectionLimits,
        wait_seconds: float,
        used: Callable[[], float] = lambda: 1.0,
        descriptors: float = math.inf,
    ) -> None:
        self._clock = clock
        self._used = used
        self.limits = limits
        self.wait_seconds = wait_seconds
        self._lines: dict[Server, _Line] = {}
        self._kept: OrderedDict[Upstream, None] = OrderedDict()
        # What is kept on any machine; more than that makes room for what is used.
        share = max(1.0, descriptors * KEPT_SHARE)
        self._most, self._at_most = int(min(MAX_KEPT, share)), int(min(MOST_KEPT, share))
        self._dialling: dict[Server, int] = {}
        self.reused = 0
        self.opened = 0

    @property
    def kept(self) -> int:
        """How many connections wait for an exchange."""
        return len(self._kept)

    @property
    def in_use(self) -> int:
        """How many connections serve one."""
        return sum(len(line.open) for line in self._lines.values()) - len(self._kept)

    def take(self, server: Server, addresses: frozenset[AddressClass]) -> Upstream | None:
        """Give a kept connection to a server whose address is of one of these classes: the one used last."""
        line = self._lines.get(server)
        if line is None:
            return None
        kept = line.kept
        for at in range(len(kept) - 1, -1, -1):
            if kept[at].address_class in addresses:
                upstream = kept.pop(at)
                del self._kept[upstream]
                self.reused += 1
                return upstream
        return None

    def may_open(self, server: Server) -> bool:
        """Whether one more connection to a server fits its bound; if so it counts, as one being dialled."""
        line = self._lines.get(server)
        dialling = self._dialling.get(server, 0)
        if (len(line.open) if line else 0) + dialling >= self.limits.per_server > 0:
            if line is None or not line.kept:
                return False
            # Kept, and yet not taken: it goes to an address that this exchange may not reach, or is stale.
            self._forget(line, line.kept[0]).close()
        self._dialling[server] = dialling + 1
        return True

    def turn(self, server: Server) -> Turn:
        """
        Wait until a connection to a server comes back, or one more may be opened (None).

        Fails with `UpstreamError` (``server-busy``) when the turn does not come in time.
        """
        line = self._lines.setdefault(server, _Line())
        if line.waiting is None:
            line.waiting = deque()
        turn: Turn = Deferred(line.waiting.remove)
        line.waiting.append(turn)
        call = self._clock.callLater(self.wait_seconds, self._waited_in_vain, server, turn)
        turn.addBoth(_stop, call)
        return turn

    def part_with(self, upstream: Upstream) -> None:
        """A connection has become a tunnel: it comes back no more, and counts for its client alone."""
        self.closed(upstream)

    def opened_tunnel(self) -> None:
        """
        A connection was made that never comes here: that of a tunnel, which its client alone may have.

        ``native/reach.c`` does it as well.
        """
        self.opened += 1
        if len(self._kept) > self._most:
            self._make_room()

    def opened_one(self, upstream: Upstream) -> None:
        """A connection that was being dialled is there."""
        self._dialled(upstream.server)
        self.opened += 1
        line = self._lines.get(upstream.server)
        if line is None:
            line = self._lines[upstream.server] = _Line()
        line.open.add(upstream)
        if len(self._kept) > self._most:
            self._make_room()

    def dialled_in_vain(self, server: Server) -> None:
        """A connection that was being dialled will not come."""
        self._dialled(server)
        self._next(server)

    def give_back(self, upstream: Upstream) -> None:
        """Take a connection whose exchange is over: for who waits, or to be kept."""
        line = self._lines[upstream.server]
        if upstream.bound:
            upstream.discard()
            return
        if line.waiting:
            self.reused += 1
            line.waiting.popleft().callback(upstream)
            return
        if len(line.kept) >= self.limits.kept_per_server:
            upstream.discard()
            return
        if self._is_full:
            oldest = next(iter(self._kept))
            if upstream.deadline - oldest.deadline < KEPT_AT_LEAST_SECONDS:
                upstream.discard()
                return
            oldest.discard()
        line.kept.append(upstream)
        self._kept[upstream] = None

    def closed(self, upstream: Upstream) -> None:
        """Forget a connection; who waits for its server may open another."""
        line = self._lines.get(upstream.server)
        if line is None or upstream not in line.open:
            return
        self._forget(line, upstream)
        self._next(upstream.server)

    def close(self) -> None:
        """Close all that is kept."""
        for upstream in list(self._kept):
            upstream.discard()

    @property
    def _is_full(self) -> bool:
        kept = len(self._kept)
        return kept >= self._most and (kept >= self._at_most or self._used() >= ROOM_SHARE)

    def _make_room(self) -> None:
        """Connections that are used need the descriptors of those that are kept: two go for each."""
        for _ in range(2):
            if len(self._kept) > self._most and self._used() >= CROWDED_SHARE:
                next(iter(self._kept)).discard()

    def _forget(self, line: _Line, upstream: Upstream) -> Upstream:
        line.open.discard(upstream)
        if upstream in self._kept:
            del self._kept[upstream]
            line.kept.remove(upstream)
        return upstream

    def _dialled(self, server: Server) -> None:
        left = self._dialling[server] - 1
        if left:
            self._dialling[server] = left
        else:
            del self._dialling[server]

    def _next(self, server: Server) -> None:
        line = self._lines.get(server)
        if line is None:
            return
        if line.waiting and self.may_open(server):
            line.waiting.popleft().callback(None)
        elif not line.open and not line.waiting:
            del self._lines[server]

    def _waited_in_vain(self, server: Server, turn: Turn) -> None:
        waiting = self._lines[server].waiting
        assert waiting is not None
        waiting.remove(turn)
        message = f"all connections to {server.host} are in use"
        turn.errback(UpstreamError("server-busy", message, phase="connect", timed_out=True))


def _stop(result: Upstream | None, call: object) -> Upstream | None:
    if call.active():  # type: ignore[attr-defined]
        call.cancel()  # type: ignore[attr-defined]
    return result
