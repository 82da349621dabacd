"""By hand: an administrator ends what runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from corpproxy.errors import NOWHERE
from corpproxy.exchange.again import end
from corpproxy.exchange.ending import Ending
from corpproxy.exchange.exchange import Exchange
from corpproxy.policy.model import Decision, Effect

if TYPE_CHECKING:
    from corpproxy.net.downstream import Downstream
    from corpproxy.net.proxy import Proxy

# How the record says that an administrator ended an exchange.
ENDED_BY_HAND = "ended-by-hand"


class Chosen(Struct, frozen=True):
    """
    What is to end: the exchange of a reference, or all of a person or of an unnamed address.

    ``by`` is the administrator, ``why`` the reason.
    """

    by: str
    why: str
    reference: str = ""
    who: str = ""


class Ended(Struct, frozen=True):
    """What was ended: how many exchanges, whose, and to which hosts as the record may name them."""

    count: int = 0
    whom: str = ""
    hosts: tuple[str, ...] = ()


def end_by_hand(proxy: Proxy, chosen: Chosen) -> Ended:
    """End what was chosen of what runs in this process."""
    ended = [
        downstream
        for downstream in list(proxy.admission.connections)
        if downstream.is_busy and _is_chosen(downstream.exchange, chosen)
    ]
    exchanges = [downstream.exchange for downstream in ended]
    for downstream in ended:
        _end(downstream, proxy.in_force.version, chosen)
    hosts = {proxy.books.counted_for(exchange)[0] for exchange in exchanges} - {""}
    whom = {exchange.identity.name or exchange.client for exchange in exchanges}
    return Ended(len(ended), ", ".join(sorted(whom)), tuple(sorted(hosts)))


def all_ended(parts: list[Ended]) -> Ended:
    """What several processes ended, together."""
    whom = {one.whom for one in parts} - {""}
    hosts = {host for one in parts for host in one.hosts}
    return Ended(sum(one.count for one in parts), ", ".join(sorted(whom)), tuple(sorted(hosts)))


def _is_chosen(exchange: Exchange, chosen: Chosen) -> bool:
    if chosen.reference:
        return exchange.reference == chosen.reference
    return bool(chosen.who) and (exchange.identity.name or exchange.client) == chosen.who


def _end(downstream: Downstream, version: str, chosen: Chosen) -> None:
    exchange = downstream.exchange
    reason = chosen.why or "no reason was given"
    ending = Ending(
        ENDED_BY_HAND,
        Decision(Effect.BLOCK, "ended by hand", NOWHERE, reason),
        version,
        f"{chosen.by} ended it",
    )
    # Only a reset tells a client that its answer is not whole; a tunnel knows its own end.
    downstream.abort_at_end = exchange.answered and not exchange.opened
    downstream.cancel(end(exchange, ending))
