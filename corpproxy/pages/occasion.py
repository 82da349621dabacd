"""The occasion of a page: the exchange that it answers, as far as it is known."""

from __future__ import annotations

from dataclasses import dataclass

from corpproxy.destination.model import Destination
from corpproxy.identity.model import ANONYMOUS, Identity
from corpproxy.pages.catalogue import Catalogue
from corpproxy.pages.sheet import Fact
from corpproxy.pages.shown import MAX_URI, shown
from corpproxy.pages.site import Site


@dataclass(frozen=True, slots=True)
class Occasion:
    """
    What a page says of its exchange.

    ``reference`` is the id of the record; ``at`` is POSIX seconds; ``client`` the client's address;
    ``policy`` the version of the policy.  ``destination`` is None where the request was not
    understood so far.
    """

    reference: str
    at: float
    client: str = ""
    identity: Identity = ANONYMOUS
    destination: Destination | None = None
    policy: str = ""

    @property
    def host(self) -> str:
        """The host as a page shows it; a dash where there is none."""
        return shown(self.destination.host.name) if self.destination is not None else "–"

    @property
    def uri(self) -> str:
        """The target as a page shows it, its query left out: screens are looked at over shoulders."""
        if self.destination is None:
            return ""
        return shown(self.destination.uri.partition("?")[0], MAX_URI)


def person_facts(words: Catalogue, occasion: Occasion) -> tuple[Fact, ...]:
    """Say who asked: the name, or the device where nobody signed in."""
    if occasion.identity.name:
        return (Fact("user", words.say("fact.user"), shown(occasion.identity.name)),)
    return (Fact("client", words.say("fact.client"), shown(occasion.client)),) if occasion.client else ()


def closing_facts(words: Catalogue, site: Site, occasion: Occasion) -> tuple[Fact, ...]:
    """Say when it was, and under which reference it is recorded."""
    return (
        Fact("time", words.say("fact.time"), words.time(occasion.at, site.time_zone)),
        Fact("reference", words.say("fact.reference"), shown(occasion.reference), exact=True),
    )
