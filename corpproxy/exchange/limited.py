"""
Limited: which limits an exchange is held to, and what came of it.

Asked when the exchange is about to move something, and again in a round (`corpproxy.net.rounds`) when other
limits may hold.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from corpproxy.audit.results import ResultCode
from corpproxy.exchange.answers import decision_page
from corpproxy.exchange.ending import Ending
from corpproxy.exchange.exchange import Exchange
from corpproxy.exchange.facts import facts_of
from corpproxy.exchange.in_force import InForce
from corpproxy.exchange.may import PORTAL
from corpproxy.exchange.refusal import Refusal
from corpproxy.policy.limits import Applied, Limits
from corpproxy.policy.model import Decision, Effect, Spent
from corpproxy.policy.reasons import clock

# How the record says that a quota was used up, whether the exchange was refused for it or ended by it.
SPENT = "quota-spent"


class Held(Protocol):
    """How an exchange is held to its limits; what its record tells of them stays when it is closed."""

    @property
    def names(self) -> tuple[str, ...]:
        """The limits that made it wait, in the order of their names."""

    @property
    def seconds(self) -> float:
        """How long it had to wait in all."""

    @property
    def applied(self) -> tuple[Applied, ...]:
        """The limits that hold now."""

    def begin(self, go_on: Callable[[], None], /) -> bool:
        """Whether the exchange may begin now; else ``go_on`` is called when it may."""

    def abandon(self) -> None:
        """The exchange does not begin after all."""

    def lead(self) -> None:
        """Hold the connections that the exchange has now to the limits."""

    def covers(self, octets: int, /) -> bool:
        """Whether an answer of so many octets may go to the client at once."""

    def take(self, applied: tuple[Applied, ...], /, *, begins: bool = False) -> None:
        """Hold the exchange to these limits from now on."""

    def change(self, applied: tuple[Applied, ...], /) -> None:
        """The same for one that runs, or waits for its turn."""

    def close(self) -> None:
        """The exchange is over."""


def limits_of(exchange: Exchange, in_force: InForce, now: float) -> tuple[Applied, ...]:
    """The limits that hold for an exchange at a moment; none for our own pages."""
    limits, destination = in_force.limiting, exchange.destination
    if limits is None or destination is None or exchange.decision is None or exchange.decision is PORTAL:
        return ()
    identity = exchange.identity
    if identity.source not in ("network", "exempt", "anonymous"):
        # The groups of now, where it goes on for long.
        identity = in_force.people.identity(identity.name, identity.source) or identity
    facts = facts_of(exchange, destination, identity, destination.categories, now)
    facts.address_classes = exchange.address_classes
    return limits.find(facts)


def begin_limited(exchange: Exchange) -> None:
    """Find the limits of an exchange that is about to begin; a refusal is raised where a quota is used up."""
    limiting = exchange.in_force.limiting
    assert limiting is not None
    leeway = exchange.leeway or (exchange.known.leeway if exchange.known is not None else None)
    if leeway is not None and leeway.holds(exchange.started):
        # None of these is used up.
        exchange.limited = leeway.applied
        return
    exchange.limited = limits_of(exchange, exchange.in_force, exchange.started)
    blocking = blocked_by(exchange.limited)
    if blocking is not None:
        decision = spent_decision(limiting, blocking, exchange.started)
        page = decision_page(exchange, decision)
        raise Refusal(ResultCode.BLOCKED, SPENT, page, decision.reason, decision)


def blocked_by(limited: tuple[Applied, ...]) -> Applied | None:
    """The first limit of which nothing is left, and that then lets nothing more through."""
    return next((one for one in limited if one.blocks), None)


def spent_decision(limiting: Limits, applied: Applied, now: float) -> Decision:
    """What is decided where a quota is used up; the page says when it opens again."""
    limit, quota = applied.limit, applied.limit.quota
    assert quota is not None
    standing = limiting.standings.of(limit.name, applied.whom, now)
    ends = standing.until if standing is not None else 0.0
    until = clock(ends, quota.time_zone) if ends else "soon"
    if standing is not None and not standing.is_known:
        reason = f"what is left of the quota of '{limit.name}' is not known; it is looked again at {until}"
        spent = Spent(limit.name, "", ends)
        return Decision(Effect.BLOCK, limit.name, limit.place, reason, spent=spent)
    allowed = quota.amount(standing.allowed if standing is not None else quota.allowed)
    reason = f"the quota of '{limit.name}' ({allowed}) is used up until {until}"
    spent = Spent(limit.name, allowed, ends)
    return Decision(Effect.BLOCK, limit.name, limit.place, reason, say=limit.say, spent=spent)


def quota_spent(exchange: Exchange, in_force: InForce, applied: Applied, now: float) -> Ending:
    """Give the ending of an exchange whose quota is used up while it runs."""
    assert in_force.limiting is not None
    decision = spent_decision(in_force.limiting, applied, now)
    return Ending(SPENT, decision, in_force.version, "nothing is left")


def told_of(in_force: InForce, limited: tuple[Applied, ...], now: float) -> tuple[str, ...]:
    """The quotas of which so much is used that the person is told, each with the percentage."""
    limiting = in_force.limiting
    if limiting is None:
        return ()
    found = []
    for applied in limited:
        standing = limiting.standings.of(applied.limit.name, applied.whom, now)
        if applied.limit.quota is not None and standing is not None and standing.is_noticed:
            found.append(f"{applied.limit.name} {standing.percent}%")
    return tuple(found)


def with_notice(exchange: Exchange, head: bytes) -> bytes:
    """
    The head of an answer with how much of a quota is used, where that is nearly all.

    A 2xx to CONNECT may have fields, but for those about a content (RFC 9110, section 9.3.6).
    """
    told = told_of(exchange.in_force, exchange.limited, exchange.started)
    if not told:
        return head
    # A name of the policy may be in any script; a field value is not (RFC 9110, section 5.5).
    value = ", ".join(told).encode("ascii", "replace")
    return b"%bQuota-Used: %b\r\n\r\n" % (head[:-2], value)
