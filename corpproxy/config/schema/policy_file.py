"""The policy file as a whole."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from corpproxy.config.schema.audit import AuditTable
from corpproxy.config.schema.cases import CaseTable
from corpproxy.config.schema.categories import CategoriesTable
from corpproxy.config.schema.conditions import CalendarTable, SafetyTable
from corpproxy.config.schema.geography import GeographyTable
from corpproxy.config.schema.identity import IdentityTable
from corpproxy.config.schema.leaves import Clock, Number, OneOrMany, Switch, Text, TimeZone, words
from corpproxy.config.schema.limiting import LimitTable
from corpproxy.config.schema.limits import (
    ConnectionsTable,
    ForwardingTable,
    HttpTable,
    NamesTable,
    TimeoutsTable,
)
from corpproxy.config.schema.listen import ListenTable
from corpproxy.config.schema.named_lists import NamedListTable
from corpproxy.config.schema.reports import MailTable, ReportTable
from corpproxy.config.schema.rules import ApproveTable, ExceptionTable, RuleTable, SafeSearchTable
from corpproxy.config.schema.site import DEFAULT_PORTAL, ContactTable, PacFileTable, PortalAddress
from corpproxy.config.schema.store import StoreTable
from corpproxy.config.schema.table import Table, left_out, listing, mapping, optional
from corpproxy.config.transports import Transports
from corpproxy.policy.days import DAY_BEGINS

TransportsWord = Annotated[Transports, words(Transports)]


class PolicyFile(Table):
    """The policy file: every table that there is."""

    site: Text = Field(default="This site", description="The name of the organisation, for pages.")
    time_zone: TimeZone | None = optional("The time zone of calendars, tests and pages; UTC when left out.")
    day_begins: Clock = Field(
        default=DAY_BEGINS,
        description="When a day begins for quotas, usage and reports (there at the whole hour); what "
        "moves in the night is of the day before.",
    )
    contact: ContactTable = Field(default=left_out(ContactTable), description="Whom people ask.")
    logo: Text | None = optional(
        "A picture for the head of every page: an SVG or PNG file of at most 64 KiB."
    )
    state: Text = Field(
        default="state", description="The folder for what the service itself keeps: records, usage, policies."
    )
    store: StoreTable = Field(
        default=left_out(StoreTable),
        description="Where usage, grants and sums are kept, by one node or by several.",
    )
    watch: Switch = Field(default=False, description="Take up edits of this file without being told to.")
    include: OneOrMany[Text] = listing(
        "Further files whose tables are added to these, as ``rules.d/*.yaml``."
    )
    safety: SafetyTable = Field(
        default=left_out(SafetyTable), description="What is refused whatever the rules say."
    )
    listen: list[ListenTable] = listing("Where the service answers.")
    portal: PortalAddress = Field(
        default=DEFAULT_PORTAL,
        description="The address of people's own pages, answered on the forward port itself.",
    )
    pac: PacFileTable | None = optional(
        "What the PAC file says; without it everything goes to the first forward listener."
    )
    identity: IdentityTable = Field(default=left_out(IdentityTable), description="How people become known.")
    categories: CategoriesTable = Field(
        default=left_out(CategoriesTable), description="What is known of hosts."
    )
    geography: GeographyTable = Field(
        default=left_out(GeographyTable), description="Databases that tell where addresses are."
    )
    lists: dict[str, NamedListTable] = mapping(
        "Names, networks and the like that rules refer to by one name."
    )
    calendars: dict[str, CalendarTable] = mapping("Hours of the week and dates, by name.")
    rules: list[RuleTable] = listing("What is allowed and what is not; the first match decides.")
    exceptions: list[ExceptionTable] = listing("Who may have what in spite of rules, until when.")
    include_exceptions: OneOrMany[Text] = listing(
        "Further files that may hold nothing but ``exceptions:``, as ``exceptions.d/*.yaml``."
    )
    approve: list[ApproveTable] = listing("Who may let whom through for a while, on the portal.")
    safe_search: list[SafeSearchTable] = listing("Who is given the strict addresses of search engines.")
    limits: list[LimitTable] = listing("How fast who may move what; every limit that matches applies.")
    connections: ConnectionsTable = Field(default=left_out(ConnectionsTable), description="How much at once.")
    timeouts: TimeoutsTable = Field(default=left_out(TimeoutsTable), description="How long to wait.")
    http: HttpTable = Field(
        default=left_out(HttpTable), description="How long the parts of a message may be."
    )
    transports: TransportsWord = Field(
        default=Transports.ENGINE,
        description="What carries connections: ``engine``, transports of our own for Linux, or ``twisted``, "
        "those of Twisted, which any system has. A restart takes it up.",
    )
    workers: Number | None = optional(
        "How many processes serve clients, beside the one that keeps sockets and state: one for each core of "
        "the machine when it is left out; ``0`` keeps everything in one process, which takes the least "
        "memory. A restart takes it up."
    )
    forwarding: ForwardingTable = Field(default=left_out(ForwardingTable), description="What servers learn.")
    names: NamesTable = Field(default=left_out(NamesTable), description="How host names are looked up.")
    audit: AuditTable = Field(default=left_out(AuditTable), description="What the record keeps.")
    reports: list[ReportTable] = listing("Reports that are made by themselves, and where they go.")
    mail: MailTable | None = optional("The mail server that sends them.")
    tests: list[CaseTable] = listing("What must come out; one that fails refuses the load.")
