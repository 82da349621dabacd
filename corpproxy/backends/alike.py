"""
Records of exchanges like one before: a copy of its record, with what each has for itself.

To make a record from the beginning takes as long as all else that the books do.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from operator import methodcaller

from corpproxy.audit.record import Record
from corpproxy.audit.results import Kind, ResultCode
from corpproxy.audit.times import utc_text
from corpproxy.exchange.exchange import Exchange
from corpproxy.exchange.in_force import InForce
from corpproxy.policy.model import Decision

SHORT_PATH = 256
# Records remembered by what was decided: there are as many as rules, categories and listeners in use.
MAX_DECIDED = 512

# What `copy.copy` comes to in the end.
copied: Callable[[Record], Record] = methodcaller("__copy__")
# What of a path may have to be left out.
HAS_MORE = re.compile("[?;#]").search
_FORWARDED, _EXCHANGE = ResultCode.FORWARDED, Kind.EXCHANGE


class Decided:
    """
    Remembers a record for each decision, so that those of other people and to other hosts are made of it.

    ``made`` makes one from the beginning; ``agent`` gives the User-Agent as it is recorded.
    """

    __slots__ = ("_agent", "_in_force", "_known", "_made")

    def __init__(
        self,
        made: Callable[[Exchange, Kind, ResultCode, float], Record],
        agent: Callable[[Exchange], str],
    ) -> None:
        self._made = made
        self._agent = agent
        self._in_force: InForce | None = None
        self._known: dict[object, tuple[Decision, Record]] = {}

    def record(self, exchange: Exchange, now: float) -> Record:
        """
        The record of a forwarded exchange of which only the decision came before: of another person, perhaps,
        to another host.
        """
        decision, destination = exchange.decision, exchange.destination
        assert decision is not None
        assert destination is not None
        path, in_force = destination.path, exchange.in_force
        if not is_short(path):
            return self._made(exchange, _EXCHANGE, _FORWARDED, now)
        if in_force is not self._in_force or len(self._known) >= MAX_DECIDED:
            self._known.clear()
            self._in_force = in_force
        categories = destination.categories
        key = (id(decision), exchange.listener, exchange.method, destination.scheme, categories)
        known = self._known.get(key)
        if known is None:
            record = self._made(exchange, _EXCHANGE, _FORWARDED, now)
            # With what its number stands for, so that no other decision gets the same.
            self._known[key] = decision, copied(record)
            return record
        record, identity = like(known[1], exchange, now), exchange.identity
        record.client, record.user = exchange.client, identity.name
        record.groups, record.groups_from = identity.groups, identity.groups_from
        record.source, record.exemption = identity.source, identity.exempt_by
        record.host, record.port = destination.host.name, destination.port
        record.agent = self._agent(exchange)
        return _forwarded(record, exchange, path)


def is_common(exchange: Exchange) -> bool:
    """Whether nothing is known of a forwarded exchange but what all have."""
    decision = exchange.decision
    return (
        exchange.destination is not None
        and decision is not None
        and not (exchange.failure or exchange.phase or exchange.limited or exchange.opened)
        and not (decision.category or decision.granted)
        and exchange.ended is None
        and exchange.held is None
        and exchange.answer is None
        and exchange.address_classes is None
        and exchange.addresses is None
        and exchange.countries is None
        and exchange.asns is None
    )


def _forwarded(record: Record, exchange: Exchange, path: str) -> Record:
    """Put into a record what each answer has for itself; gives the record."""
    record.path = path
    record.status = exchange.status
    seconds = exchange.first_octet_seconds
    record.first_octet_ms = int(seconds * 1000 + 0.5) if seconds >= 0 else None
    return record


def like(other: Record, exchange: Exchange, now: float) -> Record:
    """The record of an exchange that is like another one, but for what each has for itself."""
    account = exchange.account
    record = copied(other)
    record.id = exchange.reference
    record.at = utc_text(exchange.started)
    seconds = now - exchange.started
    # As `round` does it, at a third of its price.
    record.seconds = int(seconds * 1e6 + 0.5) / 1e6 if seconds > 0 else 0.0
    record.received = account.received
    record.sent = account.sent
    record.up_sent = exchange.up_sent
    record.up_received = exchange.up_received
    record.upstream = exchange.upstream
    # Most come over a connection that was there.
    record.connect_ms = record.resolve_ms = None
    if exchange.connect_ms >= 0:
        record.connect_ms = exchange.connect_ms
    if exchange.resolve_seconds >= 0:
        record.resolve_ms = int(exchange.resolve_seconds * 1000 + 0.5)
    return record


def is_short(path: str) -> bool:
    """Whether a path is recorded as it is; most are."""
    return len(path) < SHORT_PATH and not HAS_MORE(path)


def milliseconds(seconds: float) -> int | None:
    """A time as records have it; None for one that was not measured."""
    return int(seconds * 1000 + 0.5) if seconds >= 0 else None
