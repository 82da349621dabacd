"""A question put to the policy by hand: what `explain` and the policy's own tests turn into facts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from corpproxy.destination.addresses import address_class
from corpproxy.destination.host import normal_host, parse_authority
from corpproxy.destination.model import AddressClass, Host, Match
from corpproxy.destination.paths import normal_path
from corpproxy.errors import ProtocolError
from corpproxy.identity.model import ANONYMOUS, EXEMPT, GroupSource, Identity
from corpproxy.identity.names import normal_name
from corpproxy.identity.people import People
from corpproxy.policy.exempt import NO_EXEMPTIONS, Exemption, Exemptions
from corpproxy.policy.model import Answer, Facts
from corpproxy.policy.networks import client_address

# Host, scheme, port and path to the categories and the evidence behind them.
Classify = Callable[[Host, str, int, str], tuple[tuple[str, ...], tuple[Match, ...]]]

_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


@dataclass(frozen=True, slots=True)
class Question:
    """
    Who asks for what, when and from where.

    ``url`` is a URL, or host and port for CONNECT.  ``user`` empty is somebody who did not sign in;
    ``groups`` None are those that the policy gives the user.  ``client`` empty is an address in no
    network of the policy, ``listener`` empty the site's first.  ``at`` is POSIX seconds.
    ``answer`` is what the server answers, None asks about the request alone.  ``agent`` is the User-Agent.
    ``addresses`` None looks nothing up: a name is then taken to have a public address in no network that a
    rule names, whose ``countries`` and ``asns`` are not known when they are None.
    """

    url: str
    at: float
    method: str = "GET"
    user: str = ""
    groups: tuple[str, ...] | None = None
    client: str = ""
    listener: str = ""
    addresses: frozenset[str] | None = None
    agent: str = ""
    countries: frozenset[str] | None = None
    asns: frozenset[int] | None = None
    answer: Answer | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """
    What a question is answered with: the lists, the people, the site's first listener.

    ``asks_to_sign_in`` says whether there is a way to sign in: then those who must are asked (407)
    before any rule is, or unless ``asks_always`` those on whose name the rules depend; ``exemptions`` say who
    need not.
    """

    classify: Classify
    people: People
    listener: str = ""
    asks_to_sign_in: bool = False
    asks_always: bool = True
    exemptions: Exemptions = NO_EXEMPTIONS


@dataclass(frozen=True, slots=True)
class Asked:
    """
    A question as facts, with the evidence for the categories.

    ``is_challenged`` says that the proxy would ask to sign in, so that no rule is asked yet; ``exemption`` is
    the one by which it does not.
    """

    facts: Facts
    matches: tuple[Match, ...] = ()
    is_challenged: bool = False
    exemption: Exemption | None = None


# Whether the rules depend on who somebody without a name is: `Policy.asks_who`.
AsksWho = Callable[[Facts], bool]


@dataclass(frozen=True, slots=True)
class Request:
    """What the proxy sees of a URL."""

    method: str
    scheme: str
    host: Host
    port: int
    path: str


def facts_for(question: Question, surroundings: Surroundings, asks_who: AsksWho | None = None) -> Asked:
    """Give the facts of a question; raises ValueError for what no proxy can be asked, and by nobody."""
    seen = read_request(question.method, question.url)
    if question.client and client_address(question.client) is None:
        raise ValueError(f"'{question.client}' is no IP address of a client")
    addresses = question.addresses if seen.host.address is None else frozenset({str(seen.host.address)})
    categories, matches = surroundings.classify(seen.host, seen.scheme, seen.port, seen.path)
    facts = Facts(
        ANONYMOUS,
        question.client,
        question.listener or surroundings.listener,
        seen.method,
        seen.scheme,
        seen.host,
        seen.port,
        seen.path,
        categories,
        question.at,
        frozenset({AddressClass.PUBLIC}) if addresses is None else frozenset(map(address_class, addresses)),
        question.agent,
        question.countries,
        question.asns,
        # A tunnel shows no answer.
        answer=None if seen.method == "CONNECT" else question.answer,
        addresses=addresses or frozenset(),
    )
    identity = _identity(question, facts, surroundings)
    facts.identity = identity or ANONYMOUS
    is_challenged = (
        identity is None
        and surroundings.asks_to_sign_in
        and (surroundings.asks_always or asks_who is None or asks_who(facts))
    )
    is_exempt = identity is not None and identity.source == EXEMPT.source
    exemption = surroundings.exemptions.holding(facts) if is_exempt else None
    return Asked(facts, matches, is_challenged, exemption)


def read_request(method: str, url: str) -> Request:
    """
    Give what the proxy sees of a request: of an https or wss URL, and of ws, only CONNECT to host and port.

    Raises ValueError with what is wrong.
    """
    try:
        if method == "CONNECT" and "://" not in url:
            host, port = parse_authority(url.encode("utf-8", "replace"))
            return _tunnel(host, port)
        return _read_url(method, url)
    except ProtocolError as wrong:
        raise ValueError(f"'{url}' cannot be asked for: {wrong.message}") from None


def _read_url(method: str, url: str) -> Request:
    scheme, found, rest = url.strip().partition("://")
    scheme = scheme.lower()
    if not found or scheme not in _DEFAULT_PORTS:
        raise ValueError(f"'{url}' is no URL that a proxy serves; write http:// or https:// and a host")
    rest = rest.partition("#")[0]
    cut = min((n for n in (rest.find("/"), rest.find("?")) if n >= 0), default=len(rest))
    authority, path = rest[:cut], rest[cut:]
    if authority.rpartition("]")[2].rstrip(":").find(":") >= 0:
        host, port = parse_authority(authority.encode("utf-8", "replace"))
    else:
        host, port = normal_host(authority.rstrip(":")), _DEFAULT_PORTS[scheme]
    if scheme != "http" or method == "CONNECT":
        return _tunnel(host, port)
    return Request(method, "http", host, port, normal_path(path if path.startswith("/") else "/" + path))


def _tunnel(host: Host, port: int) -> Request:
    return Request("CONNECT", "http" if port == 80 else "https", host, port, "")


def _identity(question: Question, facts: Facts, surroundings: Surroundings) -> Identity | None:
    """Who asks; None where the proxy knows nobody."""
    people = surroundings.people
    if not question.user:
        return surroundings.exemptions.who(facts, people)
    identity = people.identity(normal_name(question.user))
    if question.groups is None:
        return identity
    groups = tuple(sorted(question.groups))
    return replace(identity, groups=groups, groups_from=(GroupSource.ASKED.value,) * len(groups))
