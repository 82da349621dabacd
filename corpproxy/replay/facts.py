"""A record turned back into the facts that were decided on, and what of them it does not hold."""

from __future__ import annotations

from functools import lru_cache

from corpproxy.audit.record import NO_CONTENT, UNKNOWN_CONTENT, Record
from corpproxy.audit.redact import BLANK, MAX_AGENT, MAX_METHOD, MAX_PATH
from corpproxy.audit.times import posix_seconds
from corpproxy.destination.addresses import address_class
from corpproxy.destination.host import normal_host
from corpproxy.destination.model import AddressClass, Host
from corpproxy.errors import ProtocolError
from corpproxy.identity.model import Identity
from corpproxy.policy.model import Answer, Facts
from corpproxy.policy.partial import Gaps

# What a missing fact is called where people read of it.
WHO = "who it was"
HOST = "the host"
PATH = "the whole path"
METHOD = "the whole method"
AGENT = "the User-Agent"
LISTENER = "the listener"
ADDRESSES = "the addresses of the host"
COUNTRIES = "the countries of the host"
NETWORKS = "the networks of the host"
ANSWER = "what the answer was"

# Hosts remembered in their normal form; a week of a school names a few ten thousand.
MAX_HOSTS = 65_536

_CUT = "…"
_CLASSES = {kind.value: kind for kind in AddressClass}


def facts_of(record: Record) -> Facts:
    """
    Give the facts that a record holds: who asked, with the groups of that time, for what, when.

    Where something was not recorded, the fact is as if it were not there; `gaps_of` says what that is.
    Raises ValueError for a record whose moment cannot be read.
    """
    return Facts(
        Identity(record.user, record.groups, record.source, record.groups_from),
        record.client,
        record.listener,
        record.method,
        record.scheme,
        host_of(record.host),
        record.port,
        record.path,
        record.categories,
        posix_seconds(record.at),
        _of_literal(record) or address_classes_of(record),
        agent=record.agent,
        countries=_known(record.countries),
        asns=_numbers(record.asns),
        answer=_answer(record),
        addresses=_addresses(record),
    )


def gaps_of(record: Record) -> Gaps:
    """Say what a record does not hold of what rules may read."""
    missing: dict[str, str] = {}
    path = record.path
    if BLANK in path or _is_cut(path, MAX_PATH):
        missing["path"] = PATH
    if _is_cut(record.method, MAX_METHOD):
        missing["method"] = METHOD
    # What is not ASCII is spelled in another way than rules read it.
    if "agent" in record.left_out or _is_cut(record.agent, MAX_AGENT) or not record.agent.isascii():
        missing["agent"] = AGENT
    if not record.media_type and record.method != "CONNECT":
        missing["answer"] = ANSWER
    if "listener" in record.left_out:
        missing["listener"] = LISTENER
    if not record.addresses and host_of(record.host).address is None:
        missing["address_classes"] = ADDRESSES
    if _addresses(record) is None:
        missing["addresses"] = ADDRESSES
    if not record.countries:
        missing["countries"] = COUNTRIES
    if not record.asns:
        missing["asns"] = NETWORKS
    missing |= _forgotten(record)
    return Gaps(missing, query="query" in record.left_out)


def _forgotten(record: Record) -> dict[str, str]:
    """What was erased since, and what the table ``audit:`` left out as nobody's business."""
    erased = record.erased or {}
    missing: dict[str, str] = {}
    if "who" in erased:
        missing |= dict.fromkeys(("identity.name", "client", "agent"), WHO)
    if "user" in record.left_out:
        missing |= dict.fromkeys(("identity.name", "client"), WHO)
    if "where" in erased or "host" in record.left_out:
        missing |= {"host.name": HOST, "addresses": HOST}
    if "host" in record.left_out:
        missing |= {"port": HOST, "address_classes": ADDRESSES, "countries": COUNTRIES, "asns": NETWORKS}
    if "url" in erased or "path" in record.left_out:
        missing["path"] = PATH
    return missing


def _known(recorded: tuple[str, ...]) -> frozenset[str] | None:
    """What was known, where a rule read it; ``none`` stands for nothing at all."""
    return frozenset(recorded) - {"none"} if recorded else None


def _numbers(recorded: tuple[str, ...]) -> frozenset[int] | None:
    known = _known(recorded)
    return None if known is None else frozenset(int(one.removeprefix("AS")) for one in known)


def _answer(record: Record) -> Answer | None:
    """What the answer said of its content, where rules were told."""
    if not record.media_type:
        return None
    stated = "" if record.media_type == UNKNOWN_CONTENT else record.media_type
    return Answer(stated, record.size, is_there=record.media_type != NO_CONTENT)


def _of_literal(record: Record) -> frozenset[AddressClass] | None:
    """The class of a host that is an address, whether or not it was recorded."""
    literal = host_of(record.host).address
    return None if literal is None else frozenset({address_class(literal)})


def _addresses(record: Record) -> frozenset[str] | None:
    """The addresses themselves, where a rule read them; those of a host that is one are no secret."""
    literal = host_of(record.host).address
    if literal is not None:
        return frozenset({str(literal)})
    # A host that could not be looked up has none, whoever read them.
    return _known(record.resolved or (record.addresses if record.addresses == ("none",) else ()))


def address_classes_of(record: Record) -> frozenset[AddressClass] | None:
    """The classes of the host's addresses, where they were read."""
    if not record.addresses:
        return None
    return frozenset(_CLASSES[one] for one in record.addresses if one in _CLASSES)


@lru_cache(maxsize=MAX_HOSTS)
def host_of(name: str) -> Host:
    """A recorded host; it is in its normal form already."""
    try:
        return normal_host(name)
    except ProtocolError:
        return Host(name)


def _is_cut(text: str, length: int) -> bool:
    return len(text) >= length and text.endswith(_CUT)
