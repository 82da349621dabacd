"""
Below: a tunnel far below its limits, which nothing holds back.

Most tunnels are over in a moment, and move less than a picture.  As a short exchange does, such a one takes
what it moves out of the buckets of its person's leeway (`corpproxy.accounting.leeway`), each read of its two
connections at once: a read is never longer than what is there, so that no octet moves that is not.  It has no
claim, and is not dealt to.

Where there is not enough, where somebody waits for what it would take, or once it has moved as much as only
long ones do, it is held to its limits as all others are from then on (`corpproxy.net.limiting`): what it has
moved until then is counted, and taken off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from corpproxy import twins
from corpproxy.accounting.sharing import DOWN, UP
from corpproxy.exchange.limited import limits_of
from corpproxy.net.limiting import Limiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from corpproxy.accounting.leeway import Leeway
    from corpproxy.net.downstream import Downstream
    from corpproxy.net.upstream import Upstream
    from corpproxy.policy.limits import Applied

# What one way of a tunnel moves below its limits before it is held to them: less than what the kernel moves.
BELOW_OCTETS = 64 * 1024


class BelowInPython:
    """
    What is done for each read of the two connections; ``native/below.c`` is made after it.

    ``received`` and ``sent`` were taken off the leeway.  Once another one holds the tunnel, or it is over,
    there is no ``downstream`` any more.
    """

    __slots__ = ("downstream", "leeway", "received", "sent", "upstream")

    downstream: Downstream | None
    upstream: Upstream | None

    def __init__(self, downstream: Downstream, upstream: Upstream, leeway: Leeway) -> None:
        self.downstream = downstream
        self.upstream = upstream
        self.leeway = leeway
        self.received = self.sent = 0

    def ask(self) -> int:
        """How many octets of the server may be read now; where that is none, others say how it goes on."""
        return self._may_move(DOWN, self.sent)

    def took(self, octets: int) -> None:
        """Octets of the server were read."""
        self.sent += octets
        self.leeway.charge(0, octets, self.leeway.used_at)

    def ask_upward(self) -> int:
        """How many octets of the client may be read now."""
        return self._may_move(UP, self.received)

    def took_upward(self, octets: int) -> None:
        """Octets of the client were read."""
        self.received += octets
        self.leeway.charge(octets, 0, self.leeway.used_at)

    def _may_move(self, way: int, moved: int) -> int:
        downstream, octets = self.downstream, 0
        if downstream is None:
            return 0
        if moved < BELOW_OCTETS:
            octets = self.leeway.ready(way, downstream.proxy.pacer.seconds())
        return octets or self.go_on(way)

    if TYPE_CHECKING:

        def go_on(self, way: int) -> int: ...


class UpwardInPython:
    """The pace of the client's connection; ``native/below.c`` has its twin."""

    __slots__ = ("below",)

    def __init__(self, below: BelowInPython) -> None:
        self.below = below

    def ask(self) -> int:
        """How many octets may be read now."""
        return self.below.ask_upward()

    def took(self, octets: int) -> None:
        """Octets were read."""
        self.below.took_upward(octets)


if TYPE_CHECKING or twins.ahead is None:
    _Below = BelowInPython
    _Upward = UpwardInPython
else:
    _Below = twins.ahead.Below
    _Upward = twins.ahead.Upward


class Upward(_Upward):
    """The pace of the client of such a tunnel."""

    __slots__ = ()

    def let_go(self) -> None:
        """The client's connection ends with its tunnel, and has no other pace."""


class Below(_Below):
    """
    Holds a tunnel while it is far below its limits, as its exchange and its record see it.

    It is the pace of the server's connection.
    """

    __slots__ = ()

    def start(self) -> None:
        """Read both connections so from now on; what came before is taken off at once."""
        downstream, upstream = self.downstream, self.upstream
        assert downstream is not None
        assert upstream is not None
        downstream.exchange.held = self
        self._charge(len(downstream.held.octets_held), upstream.waiting_octets())
        upstream.paced_by(self)
        downstream.paced_by(Upward(self))

    def go_on(self, way: int) -> int:
        """
        Say how it goes on where nothing may be moved below its limits now; gives what may be moved.

        Who did nothing for a while has another leeway now, or gets one; else it is held to its limits.
        """
        downstream, leeway = self.downstream, self.leeway
        assert downstream is not None
        if not leeway.is_over:
            self.change(leeway.applied)
            return 0
        exchange, proxy = downstream.exchange, downstream.proxy
        now, limiting = proxy.now(), proxy.in_force.limiting
        applied, another = limits_of(exchange, proxy.in_force, now), None
        if limiting is not None and max(self.received, self.sent) < BELOW_OCTETS:
            person = exchange.identity.name or exchange.client
            another = proxy.leeways.of(person, applied, limiting, now)
        octets = another.ready(way, proxy.pacer.seconds()) if another is not None else 0
        if another is not None and octets:
            self.leeway = another
        else:
            self.change(applied)
        return octets

    def let_go(self) -> None:
        """The server's connection is nobody's any more, and is read as it comes."""
        upstream, self.upstream = self.upstream, None
        if upstream is not None:
            upstream.paced_by(None)

    # What holds an exchange.

    @property
    def names(self) -> tuple[str, ...]:
        """No limit made it wait."""
        return ()

    @property
    def seconds(self) -> float:
        """It never had to wait."""
        return 0.0

    @property
    def applied(self) -> tuple[Applied, ...]:
        """The limits that hold now."""
        return self.leeway.applied

    def begin(self, go_on: Callable[[], None]) -> bool:
        """It has begun long since."""
        return True

    def abandon(self) -> None:
        """It has begun long since."""

    def lead(self) -> None:
        """Its connections are read at its pace already."""

    def covers(self, octets: int) -> bool:
        """There is no answer in a tunnel."""
        return False

    def take(self, applied: tuple[Applied, ...], *, begins: bool = False) -> None:
        """The same as when they change: it has begun."""
        self.change(applied)

    def change(self, applied: tuple[Applied, ...]) -> None:
        """Hold the tunnel to these limits from now on, as all others are."""
        downstream = self.downstream
        assert downstream is not None
        exchange = downstream.exchange
        self._part()
        exchange.limited = exchange.limited or self.leeway.applied
        exchange.held = limiting = Limiting(downstream)
        limiting.take_over(applied, self.received, self.sent)

    def close(self) -> None:
        """The tunnel is over."""
        downstream, leeway = self.downstream, self.leeway
        assert downstream is not None
        exchange = downstream.exchange
        self._part()
        # Where nobody is to be told of a quota, nothing held it, and there is nothing to tell.
        exchange.held, exchange.limited = None, () if leeway.term.is_unshifted else leeway.applied

    def _part(self) -> None:
        """Part with both connections; all that moved is taken off."""
        downstream = self.downstream
        assert downstream is not None
        self._charge()
        self.downstream = None
        self.let_go()
        downstream.paced_by(None)

    def _charge(self, ahead: int = 0, waiting: int = 0) -> None:
        """Take off what moved besides, and what has come and is about to move."""
        downstream = self.downstream
        assert downstream is not None
        account = downstream.exchange.account
        received = max(0, account.received + ahead - self.received)
        sent = max(0, account.sent + waiting - self.sent)
        if received or sent:
            self.received += received
            self.sent += sent
            self.leeway.charge(received, sent, downstream.proxy.pacer.seconds())


def lead_tunnel(downstream: Downstream) -> None:
    """A tunnel begins to move octets: hold it to its limits from the first one on."""
    exchange = downstream.exchange
    held = exchange.held
    leeway = held.leeway if isinstance(held, Limiting) else exchange.leeway
    if leeway is None:
        if held is not None:
            held.lead()
    elif leeway.applied:
        _lead_below(downstream, leeway)


def _lead_below(downstream: Downstream, leeway: Leeway) -> None:
    """Hold one that began far below its limits."""
    exchange, upstream, proxy = downstream.exchange, downstream.upstream, downstream.proxy
    assert upstream is not None
    if not leeway.is_over and downstream.may_be_paced and upstream.may_be_paced:
        Below(downstream, upstream, leeway).start()
        return
    if exchange.held is None:
        exchange.limited = limits_of(exchange, proxy.in_force, proxy.now())
        exchange.held = limiting = Limiting(downstream)
        limiting.take(exchange.limited, begins=True)
    exchange.held.lead()
