"""Limiting: the paces of one exchange, by the limits that hold for it; others when these change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corpproxy.accounting.rates import PIECE_OCTETS
from corpproxy.accounting.sharing import DOWN, UP, BucketKey
from corpproxy.exchange.limited import limits_of
from corpproxy.net.leeways import leeway_of
from corpproxy.net.pacing import Pace

if TYPE_CHECKING:
    from collections.abc import Callable

    from corpproxy.accounting.leeway import Leeway
    from corpproxy.net.downstream import Downstream
    from corpproxy.policy.limits import Applied

# The same person is another one where it is dealt the other way.
_WAYS = ("down ", "up ")


class Limiting:
    """
    Holds one exchange to its limits.

    The content of the answer, and what the server sends in a tunnel, is read off the server's connection at
    one pace; the content of the request, and what the client sends, off the client's at another.  Heads and
    short answers are not kept waiting: they are taken off the buckets when they have moved, and who has moved
    more than there was waits before the next exchange begins.

    An exchange that begins far below its limits has none of this: while it has a leeway
    (`corpproxy.accounting.leeway`) it is a short one, which nothing holds back.  With content that does not
    come whole, or is more than there is, it begins to be held to its limits as all others are.  A tunnel
    takes its leeway along (`corpproxy.net.below`).
    """

    __slots__ = ("_downstream", "_go_on", "_leeway", "_names", "_paces", "_seconds", "_turn", "applied")

    def __init__(self, downstream: Downstream) -> None:
        self._downstream = downstream
        self._paces: list[Pace | None] = [None, None]
        self._leeway: Leeway | None = None
        self._seconds = 0.0
        self._names: set[str] = set()
        # While the exchange waits for its turn: at which pace, and what it then does.
        self._turn: Pace | None = None
        self._go_on: Callable[[], None] | None = None
        self.applied: tuple[Applied, ...] = ()

    # What the record tells.

    @property
    def names(self) -> tuple[str, ...]:
        """The limits that made it wait."""
        for pace in self._paces:
            if pace is not None:
                self._note(pace)
        return tuple(sorted(self._names))

    @property
    def seconds(self) -> float:
        """How long it had to wait in all."""
        return self._seconds + sum(pace.waited() for pace in self._paces if pace is not None)

    @property
    def leeway(self) -> Leeway | None:
        """What a short one has, as long as it is one."""
        return self._leeway

    # What the performer tells.

    def begin(self, go_on: Callable[[], None]) -> bool:
        """Whether the exchange may begin now; else ``go_on`` is called when it may."""
        pacer = self._downstream.proxy.pacer
        for pace in self._paces:
            if pace is not None and pace.claim.member.is_in_debt(pacer.seconds()):
                self._turn, self._go_on = pace, go_on
                pace.wait_for_turn(self._its_turn)
                return False
        return True

    def _its_turn(self) -> None:
        go_on, self._turn, self._go_on = self._go_on, None, None
        if go_on is not None:
            go_on()

    def abandon(self) -> None:
        """The exchange does not begin after all."""
        turn, self._turn, self._go_on = self._turn, None, None
        if turn is not None:
            turn.wait_no_more()

    def lead(self) -> None:
        """Read the connections that the exchange has at its paces."""
        downstream = self._downstream
        if self._leeway is not None:
            if downstream.upstream is None and downstream.exchange.content_over:
                return
            self._leeway = None
            self._hold(0, 0)
        down, up = self._paces
        if down is not None and downstream.upstream is not None:
            # What came with the head of the answer is on its way already.
            down.charge(downstream.exchange.account.sent + downstream.upstream.waiting_octets())
            down.lead(downstream.upstream)
        if up is not None and (downstream.tunnel is not None or not downstream.exchange.content_over):
            up.charge(downstream.exchange.account.received)
            up.lead(downstream)

    def covers(self, octets: int) -> bool:
        """Whether an answer of so many octets may go to the client at once, and counts when it is over."""
        leeway, downstream = self._leeway, self._downstream
        if leeway is None:
            return False
        return leeway.covers(downstream.exchange.account.received, octets, downstream.proxy.pacer.seconds())

    def close(self) -> None:
        """The exchange is over: what it moved in all is taken off the buckets."""
        is_short = self._leeway is not None
        self._leave()
        if is_short and not self._names:
            # Nothing held it, and there is nothing to tell.
            exchange = self._downstream.exchange
            exchange.held, exchange.limited = None, ()

    # Which limits.

    def take(self, applied: tuple[Applied, ...], *, begins: bool = False) -> None:
        """Hold the exchange to these limits from now on; from its first octet, where it begins."""
        self._leave()
        self.applied = applied
        account = self._downstream.exchange.account
        self._hold(*((0, 0) if begins else (account.received, account.sent)))

    def take_over(self, applied: tuple[Applied, ...], received: int, sent: int) -> None:
        """Hold a tunnel to these limits that moved so much below them, which is counted and taken off."""
        self.applied = applied
        self._hold(received, sent)
        self.lead()

    def change(self, applied: tuple[Applied, ...]) -> None:
        """Hold an exchange that runs to these limits from now on; one that waits for its turn, too."""
        go_on = self._go_on
        self.take(applied)
        self.lead()
        if go_on is not None and self.begin(go_on):
            # Not now: whoever looks at the limits looks at others, too.
            self._go_on = go_on
            self._downstream.proxy.reactor.callLater(0, self._its_turn)

    def begin_short(self, leeway: Leeway) -> None:
        """Let the exchange begin far below its limits."""
        self.applied, self._leeway = leeway.applied, leeway

    def _hold(self, received: int, sent: int) -> None:
        """Hold it, of which so many octets each way are counted and taken off."""
        applied, exchange = self.applied, self._downstream.exchange
        members = tuple((one.limit.name, one.whom) for one in applied if one.limit.quota is not None)
        if members:
            self._downstream.proxy.counter.begin(exchange.account, members, received + sent)
        person = exchange.identity.name or exchange.client
        self._paces = [self._pace(person, DOWN, sent), self._pace(person, UP, received)]

    def _pace(self, person: str, way: int, moved: int) -> Pace | None:
        proxy = self._downstream.proxy
        buckets: list[tuple[BucketKey, float]] = []
        for applied in self.applied:
            rate = applied.rate(way)
            if rate:
                buckets.append((BucketKey(applied.limit.name, applied.whom, way), rate))
            quota = applied.limit.quota
            if quota is not None and quota.lands and not applied.is_spent:
                buckets.append(
                    (self._downstream.proxy.borrowing.key((applied.limit.name, applied.whom)), 0.0)
                )
        return Pace(proxy.pacer, _WAYS[way] + person, buckets, moved) if buckets else None

    def _leave(self) -> None:
        self.abandon()
        account = self._downstream.exchange.account
        leeway, self._leeway = self._leeway, None
        if leeway is not None:
            leeway.charge(account.received, account.sent, self._downstream.proxy.pacer.seconds())
            return
        self._downstream.proxy.counter.end(account)
        for pace, moved in zip(self._paces, (account.sent, account.received), strict=True):
            if pace is not None:
                pace.settle(moved)
                self._note(pace)
                self._seconds += pace.waited()
                pace.leave()
        self._paces = [None, None]

    def _note(self, pace: Pace) -> None:
        self._names.update(key.limit for key in pace.held_by)


def limit(downstream: Downstream) -> Limiting | None:
    """Hold an exchange that is about to begin to its limits; None without any."""
    exchange = downstream.exchange
    applied = exchange.limited
    leeway = _leeway(downstream, applied)
    if not applied:
        return None
    exchange.held = limiting = Limiting(downstream)
    if leeway is not None and leeway.covers(exchange.account.received, PIECE_OCTETS, _seconds(downstream)):
        limiting.begin_short(leeway)
    else:
        limiting.take(applied, begins=True)
    return limiting


def _leeway(downstream: Downstream, applied: tuple[Applied, ...]) -> Leeway | None:
    """The leeway of an exchange that may be a short one; it is known for those like it."""
    exchange = downstream.exchange
    known = exchange.known
    if not exchange.content_over or exchange.in_force.limiting is None:
        return None
    leeway = exchange.leeway or (known.leeway if known is not None else None)
    if leeway is not None and leeway.applied is applied:
        return leeway
    return leeway_of(downstream.proxy, exchange, applied)


def _seconds(downstream: Downstream) -> float:
    return downstream.proxy.pacer.seconds()


def limit_again(downstream: Downstream, now: float) -> tuple[Applied, ...]:
    """Hold an exchange that runs to the limits that hold now; gives these."""
    proxy, exchange = downstream.proxy, downstream.exchange
    applied = limits_of(exchange, proxy.in_force, now)
    limiting = exchange.held
    if limiting is None:
        if not applied:
            return applied
        limiting = exchange.held = Limiting(downstream)
        if exchange.leeway is not None:
            # It went ahead below the limits of then, and nothing of it is counted yet.
            limiting.take(applied, begins=bool(exchange.leeway.applied))
            limiting.lead()
            return applied
    if applied != limiting.applied:
        limiting.change(applied)
    return applied
