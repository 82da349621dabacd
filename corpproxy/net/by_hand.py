"""By hand: an administrator ends what runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from corpproxy.audit.erasure import ADDRESS
from corpproxy.errors import NOWHERE
from corpproxy.exchange.again import end
from corpproxy.exchange.ending import Ending
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
    """
    What was ended: how many exchanges, whose, and to which hosts as the record may name them.

    ``whom`` is for the record, which has its own way to name people; ``shown`` is what others may see.
    """

    count: int = 0
    whom: str = ""
    shown: str = ""
    hosts: tuple[str, ...] = ()


def end_by_hand(proxy: Proxy, chosen: Chosen) -> Ended:
    """End what was chosen of what runs in this process."""
    count, whom, shown_as, hosts = 0, "", "", set()
    for downstream in list(proxy.admission.connections):
        if not downstream.is_busy:
            continue
        exchange = downstream.exchange
        if chosen.reference and exchange.reference != chosen.reference:
            continue
        shown = proxy.books.shown(exchange)
        if chosen.who and shown.who != chosen.who:
            continue
        count += 1
        whom, shown_as = exchange.identity.name or ADDRESS + exchange.client, shown.who
        hosts.add(shown.host)
        _end(downstream, proxy.in_force.version, chosen)
    return Ended(count, whom, shown_as, tuple(sorted(hosts - {""})))


def all_ended(parts: list[Ended]) -> Ended:
    """What several processes ended, together: all of it is of one person."""
    some = next((one for one in parts if one.count), Ended())
    hosts = {host for one in parts for host in one.hosts}
    return Ended(sum(one.count for one in parts), some.whom, some.shown, tuple(sorted(hosts)))


def _end(downstream: Downstream, version: str, chosen: Chosen) -> None:
    exchange = downstream.exchange
    ending = Ending(
        ENDED_BY_HAND,
        Decision(Effect.BLOCK, "ended by hand", NOWHERE, chosen.why),
        version,
        f"{chosen.by} ended it",
    )
    # Only a reset tells a client that its answer is not whole; a tunnel knows its own end.
    downstream.abort_at_end = exchange.answered and not exchange.opened
    downstream.cancel(end(exchange, ending))
