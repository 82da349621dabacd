"""What is in force: the loaded configuration as the road reads it, swapped as one reference by a reload."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from corpproxy.audit.discretion import NO_DISCRETION, Discretion
from corpproxy.audit.settings import AuditSettings
from corpproxy.destination.classifier import Classifier
from corpproxy.destination.geography import Geography
from corpproxy.destination.host import normal_host
from corpproxy.exchange.limits import ConnectionLimits, Forwarding, Timeouts
from corpproxy.http1.limits import Limits as HttpLimits
from corpproxy.http1.sections import Sections
from corpproxy.identity.grants import Grants
from corpproxy.identity.model import Identity
from corpproxy.identity.people import People
from corpproxy.identity.requests import Requests
from corpproxy.pages.portal import Portal
from corpproxy.pages.refusals import Refusals
from corpproxy.pages.render import Pages
from corpproxy.pages.site import Site
from corpproxy.policy.approvals import Approvals
from corpproxy.policy.decide import Policy
from corpproxy.policy.exempt import NO_EXEMPTIONS, Exemptions
from corpproxy.policy.limits import Limits
from corpproxy.policy.safe_search import SafeSearch


@dataclass(frozen=True, slots=True)
class InForce:
    """
    Everything an exchange is decided by, from its first station to its record.

    ``version`` is that of the policy, ``lists`` are the category lists as ``name=version``.
    ``needs_addresses`` says that a rule asks what is known of the addresses of a host, ``needs_networks``
    that it asks for these themselves, ``needs_agent`` for the User-Agent,
    ``needs_answer`` for what only the answer tells, ``geography`` knows where addresses are,
    ``exemptions`` say who need not sign in; ``limiting`` how fast who may move what, None where there is
    nothing to it;
    ``discretion`` says what records leave out by category;
    ``via`` is our pseudonym.  ``recall`` gives the identity behind the value of a Proxy-Authorization field
    that was checked before, ``recognise`` what gives it again later without being told the value.
    ``sections`` are the heads that came before.
    ``challenges`` are the values of Proxy-Authenticate, empty where nobody can sign in.
    """

    version: str
    lists: tuple[str, ...]
    site: Site
    classifier: Classifier
    people: People
    policy: Policy
    approvals: Approvals
    needs_addresses: bool
    safe_search: SafeSearch
    challenges: tuple[bytes, ...]
    recall: Callable[[bytes, float], Identity | None]
    recognise: Callable[[bytes], Callable[[float], Identity | None]]
    grants: Grants
    requests: Requests
    refusals: Refusals
    pages: Pages
    portal: Portal
    limits: HttpLimits
    connections: ConnectionLimits
    timeouts: Timeouts
    forwarding: Forwarding
    via: bytes | None
    audit: AuditSettings
    needs_agent: bool = False
    needs_networks: bool = False
    needs_answer: bool = False
    geography: Geography | None = None
    exemptions: Exemptions = NO_EXEMPTIONS
    limiting: Limits | None = None
    discretion: Discretion = NO_DISCRETION
    # Not handed in: another one, of a reload or with other lists, begins with nothing remembered.
    sections: Sections = field(init=False, default_factory=Sections, compare=False, repr=False)

    def categories_of(self, name: str) -> tuple[str, ...]:
        """The categories of a host by its name in normal form; none of an empty name."""
        if not name:
            return ()
        return self.classifier.classify(normal_host(name), "", 0, "")[0]

    def hides(self, hosts: Iterable[str]) -> bool:
        """Whether there is one among some hosts that nothing that is kept may name."""
        discretion = self.discretion
        return bool(discretion) and any(discretion.hides(self.categories_of(host)) for host in hosts)
