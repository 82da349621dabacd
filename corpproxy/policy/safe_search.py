"""
Strict search engines and restricted YouTube, without opening TLS.

The engines publish hosts whose addresses serve the same names with the strict setting locked.  So the client
asks for ``www.google.com``, in its CONNECT and in its TLS, and we connect to ``forcesafesearch.google.com``.
Only hosts that an engine documents for this are here; docs/howto/safe-search.rst names the sources.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from corpproxy.destination.host import normal_host
from corpproxy.destination.model import Host
from corpproxy.errors import NOWHERE, Place
from corpproxy.identity.model import Identity
from corpproxy.policy.conditions import NOTHING_IN_PARTICULAR, What, When, Who
from corpproxy.policy.model import Facts
from corpproxy.policy.networks import Networks
from corpproxy.policy.table import NO_NETWORKS, Table


class YouTube(enum.StrEnum):
    """How much YouTube shows."""

    OFF = "off"
    MODERATE = "moderate"
    STRICT = "strict"


# The strict host of each engine, and the hosts that are led to it.  Google's own are told by their shape.
_STRICT_HOSTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "google": ("forcesafesearch.google.com", ()),
    "bing": ("strict.bing.com", ("www.bing.com",)),
    "duckduckgo": (
        "safe.duckduckgo.com",
        ("duckduckgo.com", "www.duckduckgo.com", "start.duckduckgo.com"),
    ),
    "ecosia": ("strict-safe-search.ecosia.org", ("www.ecosia.org",)),
    "yandex": (
        "familysearch.yandex.ru",
        tuple(
            f"{www}{name}"
            for name in ("yandex.ru", "yandex.com", "yandex.by", "yandex.kz", "yandex.com.tr", "ya.ru")
            for www in ("", "www.")
        ),
    ),
}
ENGINES = tuple(_STRICT_HOSTS)

_YOUTUBE_HOSTS = (
    "www.youtube.com",
    "m.youtube.com",
    "youtubei.googleapis.com",
    "youtube.googleapis.com",
    "www.youtube-nocookie.com",
)
_YOUTUBE_STRICT_HOSTS = {
    YouTube.MODERATE: "restrictmoderate.youtube.com",
    YouTube.STRICT: "restrict.youtube.com",
}

# Google serves a search page for nearly every country, and adds some; a name of this shape that is not
# Google's does not exist.
_GOOGLE = re.compile(r"www\.google\.(?:com|cat|(?:com?\.)?[a-z]{2})\Z")
_YOUTUBE = "youtube"
_ENGINE_OF = {name: engine for engine, (_, names) in _STRICT_HOSTS.items() for name in names} | dict.fromkeys(
    _YOUTUBE_HOSTS, _YOUTUBE
)


@dataclass(frozen=True, slots=True)
class SafeSearchEntry:
    """
    One entry of the ``safe_search:`` table: for whom which engines are strict, and how YouTube is restricted.

    The first entry that a person fits counts, the others are not looked at.
    """

    who: Who = field(default_factory=Who)
    engines: tuple[str, ...] = ENGINES
    youtube: YouTube = YouTube.OFF
    place: Place = NOWHERE

    @property
    def what(self) -> What:
        """Nothing is asked of the destination."""
        return NOTHING_IN_PARTICULAR

    @property
    def when(self) -> tuple[When, ...]:
        """It is always in force."""
        return ()

    @property
    def refuses(self) -> bool:
        """It takes something away."""
        return True

    def strict_host(self, engine: str) -> str:
        """The host to connect to for an engine (or ``youtube``), empty where it is left alone."""
        if engine == _YOUTUBE:
            return _YOUTUBE_STRICT_HOSTS.get(self.youtube, "")
        return _STRICT_HOSTS[engine][0] if engine in self.engines else ""


class SafeSearch:
    """The ``safe_search:`` table, compiled.  Raises ValueError for a network that does not exist."""

    def __init__(self, entries: Sequence[SafeSearchEntry] = (), networks: Networks = NO_NETWORKS) -> None:
        self.entries = tuple(entries)
        self._table = Table(self.entries, networks)

    @property
    def reads_agent(self) -> bool:
        """Whether an entry asks for the User-Agent."""
        return "agent" in self._table.reads

    def dial_host(self, host: Host, identity: Identity, client: str, listener: str, agent: str = "") -> Host:
        """
        The host to connect to in the place of ``host`` for this person, or ``host`` itself.

        The name that was asked for stays in the request, in the TLS handshake, and in the record.
        """
        engine = engine_of(host.name) if self.entries else ""
        if not engine:
            return host
        facts = Facts(identity, client, listener, "CONNECT", "https", host, 443, "", (), 0.0, agent=agent)
        number = self._table.first(facts)
        strict = self.entries[number].strict_host(engine) if number >= 0 else ""
        return normal_host(strict) if strict else host


def engine_of(name: str) -> str:
    """The engine (or ``youtube``) that a host in normal form belongs to, empty for all others."""
    engine = _ENGINE_OF.get(name)
    if engine is not None:
        return engine
    return "google" if name.startswith("www.google.") and _GOOGLE.match(name) else ""
