"""The loaded policy: everything the service is built from, checked, and with nothing left to look up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path

from corpproxy.accounting.store_address import StoreAddress
from corpproxy.audit.settings import AuditSettings
from corpproxy.config.listeners import Listener, Purpose
from corpproxy.config.names import NameSettings
from corpproxy.config.transports import Transports
from corpproxy.destination.fetching import UNPROTECTED, Protected
from corpproxy.destination.geography import GeographySettings
from corpproxy.destination.model import Host
from corpproxy.destination.sources import ListSource
from corpproxy.exchange.limits import ConnectionLimits, Forwarding, Timeouts
from corpproxy.http1.limits import Limits as HttpLimits
from corpproxy.identity.settings import IdentitySettings
from corpproxy.pages.pac import PacTable
from corpproxy.pages.site import Contact, Logo
from corpproxy.policy.approvals import Approvals
from corpproxy.policy.calendar import Calendar
from corpproxy.policy.cases import Case
from corpproxy.policy.days import DAY_BEGINS
from corpproxy.policy.decide import Policy
from corpproxy.policy.exempt import NO_EXEMPTIONS, Exemptions
from corpproxy.policy.limits import NO_LIMITS, Limits
from corpproxy.policy.safe_search import SafeSearch
from corpproxy.reports.scheduled import MailSettings, Scheduled


@dataclass(frozen=True, slots=True)
class Configuration:
    """
    One version of the policy.

    ``folder`` is where the policy file is, and where its relative paths begin; all paths here are
    complete.  ``store`` is where what must outlive the service is kept.  ``version`` is made from the texts
    of all its files.  ``pac`` is None when there is no such table.  ``workers`` is 0 for one process that
    does everything, None for one worker for each core.  ``day_begins`` is when days begin, in minutes
    after midnight.
    """

    site: str
    time_zone: tzinfo
    contact: Contact
    logo: Logo | None
    folder: Path
    state: Path
    watch: bool
    listeners: tuple[Listener, ...]
    portal: Host
    pac: PacTable | None
    identity: IdentitySettings
    lists: tuple[ListSource, ...]
    own: Mapping[str, tuple[str, ...]]
    exceptions: Mapping[str, tuple[str, ...]]
    policy: Policy
    approvals: Approvals
    safe_search: SafeSearch
    connections: ConnectionLimits
    timeouts: Timeouts
    forwarding: Forwarding
    http: HttpLimits
    names: NameSettings
    audit: AuditSettings
    cases: tuple[Case, ...]
    version: str
    transports: Transports = Transports.ENGINE
    protected: Protected = UNPROTECTED
    geography: GeographySettings = field(default_factory=GeographySettings)
    calendars: Mapping[str, Calendar] = field(default_factory=dict)
    workers: int | None = None
    exemptions: Exemptions = NO_EXEMPTIONS
    reports: tuple[Scheduled, ...] = ()
    mail: MailSettings | None = None
    limits: Limits = NO_LIMITS
    store: StoreAddress = field(default_factory=StoreAddress)
    day_begins: int = DAY_BEGINS

    def listening(self, purpose: Purpose) -> tuple[Listener, ...]:
        """The listeners that are for one purpose, in their order."""
        return tuple(one for one in self.listeners if one.purpose is purpose)
