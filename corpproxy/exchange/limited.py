"""
Limited: which limits an exchange is held to, and what came of it.

Asked when the exchange is about to move something, and again in a round (`corpproxy.net.rounds`) when other
limits may hold.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from corpproxy.exchange.exchange import Exchange
from corpproxy.exchange.facts import facts_of
from corpproxy.exchange.in_force import InForce
from corpproxy.exchange.may import PORTAL
from corpproxy.policy.limits import Applied


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

    def take(self, applied: tuple[Applied, ...], /, *, begins: bool = False) -> None:
        """Hold the exchange to these limits from now on."""

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
