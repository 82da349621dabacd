"""What an answer of a name server says: addresses, an alias to follow, or nothing, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from socket import AF_INET, AF_INET6, inet_ntop
from typing import Any

from twisted.names import dns

# How many aliases (CNAME) lead to a name.  Content networks use up to five; more is a circle or a joke.
MAX_ALIASES = 12

# How many addresses of one family are kept.  Dialling never comes further than about 40 in its ten seconds.
MAX_ADDRESSES = 32

# How long an answer with addresses is kept, in seconds. A server that says 0 (keep nothing) is heard, but
# the requests of one page, which come within a second, share one question. The upper bound lets a moved
# server be found within the hour, also where a zone says a week.
MIN_SECONDS = 1.0
MAX_SECONDS = 3600.0

# How long it is kept that a name or its address does not exist (RFC 2308, section 5). Pages ask again and
# again for names that are gone; but a name that an administrator has just added should be there within the
# minute.
MIN_NEGATIVE_SECONDS = 5.0
MAX_NEGATIVE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Found:
    """
    What is known of one address family of a name.

    ``seconds`` is how long it holds. ``alias`` is set when the answer ends at another name, which has to be
    asked for. ``exists`` is false for NXDOMAIN: there is no such name, of whatever family.
    """

    addresses: tuple[str, ...] = ()
    seconds: float = MAX_SECONDS
    alias: str = ""
    exists: bool = True


def kept_seconds(ttl: float) -> float:
    """How long to keep an answer with addresses."""
    return min(max(ttl, MIN_SECONDS), MAX_SECONDS)


def kept_negative_seconds(ttl: float) -> float:
    """How long to keep it that there is nothing."""
    return min(max(ttl, MIN_NEGATIVE_SECONDS), MAX_NEGATIVE_SECONDS)


def read_answer(message: dns.Message, name: str, kind: int) -> Found:
    """
    Read the answer to a question for ``name`` and ``kind`` (``dns.A`` or ``dns.AAAA``).

    Aliases are followed from the name that was asked; records of other names are passed over, whatever they
    say. ``seconds`` is the least of all records on the way, not yet bounded.
    """
    end, ttl = _follow_aliases(message, name)
    addresses: list[str] = []
    for record in message.answers:
        if record.type == kind and record.cls == dns.IN and _text(record.name) == end:
            family = AF_INET if kind == dns.A else AF_INET6
            addresses.append(inet_ntop(family, _payload(record).address))
            ttl = min(ttl, record.ttl)
    if addresses:
        return Found(tuple(dict.fromkeys(addresses))[:MAX_ADDRESSES], ttl)
    negative = _negative_ttl(message)
    if message.rCode == dns.ENAME:
        return Found((), min(ttl, negative or 0.0), exists=False)
    if end != name and negative is None:
        return Found((), ttl, alias=end)
    return Found((), min(ttl, negative or 0.0))


def _follow_aliases(message: dns.Message, name: str) -> tuple[str, float]:
    """The name at the end of the aliases in an answer, and the least time to live on the way."""
    aliases = {
        _text(record.name): (_text(_payload(record).name), record.ttl)
        for record in message.answers
        if record.type == dns.CNAME and record.cls == dns.IN
    }
    ttl = MAX_SECONDS
    for _ in range(MAX_ALIASES):
        if name not in aliases:
            break
        name, seconds = aliases[name]
        ttl = min(ttl, seconds)
    return name, ttl


def _negative_ttl(message: dns.Message) -> float | None:
    """How long nothing holds: the lesser of the SOA record's life and its minimum (RFC 2308, section 5)."""
    for record in message.authority:
        if record.type == dns.SOA and record.cls == dns.IN:
            return float(min(record.ttl, _payload(record).minimum))
    return None


def _payload(record: dns.RRHeader) -> Any:
    """What a record of a known type holds: its type says which attributes there are."""
    return record.payload


def _text(name: dns.Name) -> str:
    return name.name.decode("latin-1").lower().rstrip(".")
