"""
Rounds: what runs is decided again when what it was decided by has changed.

A coarse tick compares a few references (the policy, the lists, the groups, the grants, the next instant at
which other rules hold).  When one of them is another one, a round begins: everything that runs is asked
whether it may go on (`corpproxy.exchange.again`), in slices so short that nobody waits for them.  The policy
remembers its decisions, so that ten thousand tunnels cost what ten thousand look-ups cost.

Tunnels and upgraded connections are asked at once.  A plain request that ends soon keeps what it began
under, as it always did: a reload breaks no page.  One that lasts (a stream, a long download) is no different
from a tunnel.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from corpproxy.exchange.again import WITHOUT_CREDENTIALS, account_changed, decide_again, end
from corpproxy.exchange.ending import Ending
from corpproxy.exchange.exchange import Exchange
from corpproxy.exchange.limited import blocked_by, quota_spent
from corpproxy.net.limiting import limit_again
from corpproxy.policy.model import Effect

if TYPE_CHECKING:
    from corpproxy.exchange.in_force import InForce
    from corpproxy.net.downstream import Downstream
    from corpproxy.net.proxy import Proxy

log = Logger()

# How often it is looked whether something changed.  People notice a second.
TICK_SECONDS = 0.2
# How long a round goes on before others have their turn.  What the kernel then tells of the connections that
# were closed takes as long again, and ten tunnels are ended in a millisecond.
SLICE_SECONDS = 0.001
# Where others are busy, a round has half as long as they had since its last slice, up to this: it is to end
# within a second of the change on a busy worker, too.
LONGEST_SLICE_SECONDS = 0.002
# A plain request that runs for longer is decided again, as a tunnel is.
LONG_SECONDS = 10.0
# An exchange whose head or sign-in was under way when an account changed has begun within this time.
ACCOUNTS_SECONDS = 300.0
_NEVER = (-math.inf, "")


class Rounds:
    """
    Has what runs decided again.

    ``since`` is when what is in force now was found to be, in POSIX seconds: what began after it needs no
    round.  ``asked`` counts the exchanges that were decided again, ``ended`` those of them that were ended.
    ``seconds`` is the clock of slices.
    """

    def __init__(self, proxy: Proxy, seconds: Callable[[], float] = time.perf_counter) -> None:
        self._proxy = proxy
        self._seconds = seconds
        self.since = -math.inf
        self.asked = 0
        self.ended = 0
        self._seen = _Seen(proxy)
        self._because = ""
        self._accounts: dict[str, tuple[float, str]] = {}
        self._new_accounts = False
        self._queue: list[Downstream] = []
        # When the last slice ended, by the clock of slices.
        self._paused = 0.0
        # What cannot be decided again yet: it was not decided a first time, or may be over soon.
        self._waiting: list[tuple[Downstream, Exchange]] = []
        self._call: IDelayedCall | None = None
        self._loop = LoopingCall(self._tick)
        self._loop.clock = proxy.reactor

    def start(self) -> None:
        """Look for changes from now on."""
        self._seen = _Seen(self._proxy)
        self._loop.start(TICK_SECONDS, now=False)

    def stop(self) -> None:
        """Look no more."""
        if self._loop.running:
            self._loop.stop()
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def accounts_changed(self, reasons: Mapping[str, str]) -> None:
        """The accounts of these people are others now; each with a sentence that says so."""
        now = self._proxy.now()
        self._accounts = {
            name: one for name, one in self._accounts.items() if one[0] > now - ACCOUNTS_SECONDS
        }
        self._accounts |= {name: (now, reason) for name, reason in reasons.items()}
        self._new_accounts = True

    def late(self, downstream: Downstream) -> None:
        """An exchange begins whose first octet came before `since`."""
        self._waiting.append((downstream, downstream.exchange))

    # A round.

    def _tick(self) -> None:
        if self._call is not None:
            return  # the round that goes on comes first, and the change is still there after it
        try:
            self._look()
        except Exception:
            log.failure("whether something changed for what runs cannot be told")

    def _look(self) -> None:
        proxy, before = self._proxy, self._seen
        now = proxy.now()
        changes = before.changes(proxy, now)
        by_grants, new_accounts, self._new_accounts = before.grants_changed(proxy), self._new_accounts, False
        if not (changes or by_grants or new_accounts):
            self._look_at_waiting()
            return
        self._seen, self.since = _Seen(proxy), now
        if changes:
            self._because = " and ".join(changes)
            self._queue = [one for one in proxy.admission.connections if one.is_busy]
        else:
            self._because = "a grant ended"
            self._queue = [one for one in proxy.admission.connections if self._is_concerned(one)]
        self._look_at_waiting()

    def _look_at_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._queue += [one for one, exchange in waiting if one.is_busy and one.exchange is exchange]
        if self._queue:
            self._paused = self._seconds()
            self._slice()

    def _is_concerned(self, downstream: Downstream) -> bool:
        """Whether an exchange rests on a grant or an account that changed."""
        if not downstream.is_busy:
            return False
        exchange = downstream.exchange
        decision = exchange.standing or exchange.decision
        return decision is None or bool(decision.granted) or exchange.identity.name in self._accounts

    def _slice(self) -> None:
        """Go on with the round for a moment."""
        self._call = None
        queue, seconds, now = self._queue, self._seconds, self._proxy.now()
        began = seconds()
        until = began + min(max((began - self._paused) / 2, SLICE_SECONDS), LONGEST_SLICE_SECONDS)
        while queue:
            self._visit(queue.pop(), now)
            if seconds() >= until:
                break
        if queue:
            self._paused = seconds()
            self._call = self._proxy.reactor.callLater(0, self._slice)

    def _visit(self, downstream: Downstream, now: float) -> None:
        if not downstream.is_busy:
            return
        exchange = downstream.exchange
        # Later than now began what began before the clock was set back.
        if self.since <= exchange.started <= now or exchange.ended is not None:
            return
        spent = blocked_by(limit_again(downstream, now))
        if spent is not None and exchange.decision is not None:
            self._end(downstream, exchange, quota_spent(exchange, self._proxy.in_force, spent, now))
            return
        is_tunnel = exchange.opened or exchange.method == b"CONNECT"
        if exchange.decision is None or not (is_tunnel or now - exchange.started >= LONG_SECONDS):
            self._waiting.append((downstream, exchange))
        elif exchange.decision.effect is Effect.ALLOW:
            self._decide(downstream, exchange, now)

    def _decide(self, downstream: Downstream, exchange: Exchange, now: float) -> None:
        self.asked += 1
        try:
            ending = self._ending(exchange, now)
        except Exception as bug:
            # What cannot be decided does not go on; the log and the record get the name of the bug.
            downstream.cancel(bug)
            return
        if ending is not None:
            self._end(downstream, exchange, ending)

    def _end(self, downstream: Downstream, exchange: Exchange, ending: Ending) -> None:
        self.ended += 1
        # Only a reset tells a client that its answer is not whole; a tunnel knows its own end.
        downstream.abort_at_end = exchange.answered and not exchange.opened
        try:
            reason: Exception = end(exchange, ending)
        except Exception as bug:
            reason = bug
        downstream.cancel(reason)

    def _ending(self, exchange: Exchange, now: float) -> Ending | None:
        in_force, identity = self._proxy.in_force, exchange.identity
        changed_at, reason = self._accounts.get(identity.name, _NEVER)
        if changed_at >= exchange.started and identity.source not in WITHOUT_CREDENTIALS:
            return account_changed(exchange, reason, in_force)
        return decide_again(exchange, in_force, now, self._because)


class _Seen:
    """What decisions rest on, as it was at one moment."""

    def __init__(self, proxy: Proxy) -> None:
        in_force, now = proxy.in_force, proxy.now()
        self._in_force = in_force
        self._people, self._groups = in_force.people, in_force.people.version
        self._grants = in_force.grants.version
        self._quotas = _quotas(in_force)
        self._grants_until = in_force.grants.next_end(now)
        self._now = now
        self._until = min(in_force.policy.next_change(now), in_force.exemptions.next_change(now))
        if in_force.limiting is not None:
            self._until = min(self._until, in_force.limiting.next_change(now))

    def changes(self, proxy: Proxy, now: float) -> list[str]:
        """What of it is another now, in words; without grants."""
        before, in_force, found = self._in_force, proxy.in_force, []
        if in_force.version != before.version:
            found.append("the policy changed")
        elif in_force.limiting is not before.limiting:
            found.append("limits changed")
        elif in_force is not before:
            found.append("the category lists changed")
        if _quotas(in_force) != self._quotas:
            found.append("a quota is used up or made good")
        if in_force.people is self._people and in_force.people.version != self._groups:
            found.append("groups changed")
        # A clock that was set back makes old hours hold again.
        if not self._now <= now < self._until:
            found.append("hours began or ended")
        self._now = now
        return found

    def grants_changed(self, proxy: Proxy) -> bool:
        """Whether a grant may have come or gone."""
        return proxy.in_force.grants.version != self._grants or proxy.now() >= self._grants_until


def _quotas(in_force: InForce) -> int:
    limiting = in_force.limiting
    return 0 if limiting is None else limiting.standings.version
