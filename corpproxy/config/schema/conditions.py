"""Who asks for what, when: the one grammar of all tables that choose exchanges."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar

from corpproxy.config.nearest import did_you_mean
from corpproxy.config.schema.leaves import (
    Leaf,
    OneOrMany,
    Port,
    Switch,
    Text,
    TimeZone,
    parse_network,
    parsed,
    words,
    wrong,
)
from corpproxy.config.schema.table import Table, listing, mapping, optional
from corpproxy.destination.model import AddressClass
from corpproxy.policy.calendar import Dates, Span, parse_dates, parse_days, parse_spans
from corpproxy.policy.conditions import (
    PortRange,
    SizeRange,
    UrlPrefix,
    parse_address,
    parse_asn,
    parse_country,
    parse_domain,
    parse_expression,
    parse_extension,
    parse_host,
    parse_media_type,
    parse_ports,
    parse_size_range,
    parse_url,
)
from corpproxy.policy.model import ConnectTo, Safety, TunnelContent
from corpproxy.policy.networks import IpNetwork

AddressClassWord = Annotated[AddressClass, words(AddressClass, "address class")]


def parse_address_kind(written: str) -> AddressClass | IpNetwork:
    """Read a kind of network, ``private``, or a network, ``10.1.4.0/24``; raises ValueError."""
    kind = _CLASSES.get(written)
    return parse_network(written) if kind is None else kind


_CLASSES = {kind.value: kind for kind in AddressClass}


def _address_kind(written: str) -> AddressClass | IpNetwork:
    try:
        return parse_address_kind(written)
    except ValueError as error:
        if any(letter in written for letter in "/:.0123456789"):
            raise wrong("bad-network", str(error)) from None
    said = f"wants one of {', '.join(_CLASSES)}, or a network such as 10.1.4.0/24, not '{written}'"
    raise wrong("unknown-word", said + did_you_mean(written, _CLASSES))


AddressKind = Annotated[
    AddressClass | IpNetwork,
    Leaf(
        "address class or network",
        _address_kind,
        {"anyOf": [{"enum": list(_CLASSES)}, {"type": "string", "pattern": "^[0-9A-Fa-f:.]+(/[0-9]+)?$"}]},
    ),
]
ServerAddress = Annotated[str, parsed("IP address", parse_address, "bad-address")]
Scheme = Annotated[str, words(("http", "https"))]
Domain = Annotated[str, parsed("name", parse_domain, "bad-host")]
Url = Annotated[UrlPrefix, parsed("beginning of a URL", parse_url, "bad-url")]
MediaType = Annotated[str, parsed("media type", parse_media_type, "bad-media-type")]
SizeRangeText = Annotated[SizeRange, parsed("range of sizes", parse_size_range, "bad-size-range")]
Country = Annotated[str, parsed("country", parse_country, "bad-country")]
NetworkNumber = Annotated[int, parsed("network number", parse_asn, "bad-network-number")]
HostName = Annotated[str, parsed("name or address", parse_host, "bad-host")]
Extension = Annotated[str, parsed("extension", parse_extension, "bad-extension")]
Expression = Annotated[str, parsed("regular expression", parse_expression, "bad-expression")]
Ports = Annotated[int | PortRange, parsed("port or range", parse_ports, "bad-port")]
Days = Annotated[frozenset[int], parsed("days", parse_days, "bad-days")]
HoursOfDay = Annotated[tuple[Span, ...], parsed("hours", parse_spans, "bad-hours")]
DateRange = Annotated[Dates, parsed("dates", parse_dates, "bad-dates")]


def _method(written: str) -> str:
    # A token (RFC 9110, section 9.1); case counts, and all methods in use are upper case.
    if not re.fullmatch("[A-Z0-9!#$%&'*+.^_`|~-]{1,64}", written):
        raise wrong("bad-method", f"wants a request method such as GET or CONNECT, not '{written}'")
    return written


Method = Annotated[str, Leaf("method", _method, {"type": "string"})]


class WhoTable(Table):
    """
    Who is asking.

    All fields that are given must hold; of the values of one field, one is enough.
    ``{not: {group: staff}}`` is everybody who is not in the group, and who did not sign in is not.
    """

    user: OneOrMany[Text] = listing("Names of people.")
    group: OneOrMany[Text] = listing("Names of groups.")
    network: OneOrMany[Text] = listing("Names from ``identity.networks``, or networks as ``10.1.4.0/24``.")
    listener: OneOrMany[Text] = listing("Names of listeners that the exchange came in by.")
    device: OneOrMany[Text] = listing(
        "Names from ``identity.networks`` from where the exchange comes without anybody having signed in."
    )
    anonymous: Switch | None = optional("Whether nobody has signed in.")
    agent: OneOrMany[Expression] = listing("Regular expressions (RE2) that are found in the User-Agent.")
    list_: OneOrMany[Text] = listing(
        "Names from ``lists:``, of users, groups, networks or agents.", alias="list"
    )
    all_: list[WhoTable] = listing("Further conditions that must all hold.", alias="all")
    any_: list[WhoTable] = listing("Further conditions of which one must hold.", alias="any")
    not_: WhoTable | None = optional("Conditions that must not hold together.", alias="not")


class WhatTable(Table):
    """
    What is asked for.

    All fields that are given must hold; of the values of one field, one is enough.
    """

    category: OneOrMany[Text] = listing("Categories, from lists or of your own.")
    uncategorised: Switch | None = optional("Whether no list knows the destination.")
    domain: OneOrMany[Domain] = listing("Names, each with all below it.")
    host: OneOrMany[HostName] = listing("Names or addresses, each exactly so, without what is below.")
    list_: OneOrMany[Text] = listing("Names from ``lists:``, of what is asked for.", alias="list")
    url: OneOrMany[Url] = listing("The beginning of a URL, as ``http://example.com/games``.")
    expression: OneOrMany[Expression] = listing("Regular expressions (RE2) that are found in the URL.")
    extension: OneOrMany[Extension] = listing("How the last segment of the path ends, as ``exe``.")
    method: OneOrMany[Method] = listing("Request methods; CONNECT for tunnels.")
    scheme: OneOrMany[Scheme] = listing("``http`` or ``https``; a tunnel is https, to port 80 http.")
    port: OneOrMany[Ports] = listing("Ports of the server, and ranges of them as ``8000-8999``.")
    address: OneOrMany[AddressKind] = listing(
        "Kinds of network that an address of the server belongs to, as ``private``, and networks as "
        "``10.1.4.0/24``."
    )
    country: OneOrMany[Country] = listing("Countries of the server's address, as ``GB``.")
    asn: OneOrMany[NetworkNumber] = listing(
        "Numbers of the networks that have the server's address, as ``AS13335``."
    )
    media_type: OneOrMany[MediaType] = listing(
        "What the answer is, as ``video/*``; it is decided again when the answer is there."
    )
    size: OneOrMany[SizeRangeText] = listing(
        "How long the content of the answer is, as ``over 100MiB`` or ``up to 1KiB``."
    )
    all_: list[WhatTable] = listing("Further conditions that must all hold.", alias="all")
    any_: list[WhatTable] = listing("Further conditions of which one must hold.", alias="any")
    not_: WhatTable | None = optional("Conditions that must not hold together.", alias="not")


class CalendarTable(Table):
    """
    A time: hours of the week, dates, and what is said of other calendars.

    A time counts when everything that is given has it: its weekday, its date and its time of day, one of the
    calendars that are named, and so on.  Hours that end before they begin go past midnight.

    Where one is wanted, a name stands for the calendar of that name, and a list for any of its entries.
    """

    short_for: ClassVar[str] = "calendar"

    days: OneOrMany[Days] = listing("Days, as ``mon-fri`` or ``[sat, sun]``; every day when left out.")
    hours: OneOrMany[HoursOfDay] = listing('Times of day, as ``"08:30-15:30"``; the whole day when left out.')
    dates: OneOrMany[DateRange] = listing("Dates, as ``2026-12-25`` or ``2026-12-19/2027-01-04``.")
    terms: dict[str, OneOrMany[DateRange]] = mapping(
        "Dates with a name, of which one must hold: terms, exam weeks, as ``autumn: 2026-09-07/2026-12-18``."
    )
    file: Text | None = optional("An iCalendar file (RFC 5545): the times of its events.")
    events: OneOrMany[Text] = listing(
        "Words of which one is in the summary or a category of an event; every event when left out."
    )
    calendar: OneOrMany[Text] = listing("Names from ``calendars:``, of which one must hold too.")
    except_: CalendarTable | None = optional("What is taken out of this.", alias="except")
    all_: list[CalendarTable] = listing("Further times that must all hold.", alias="all")
    any_: list[CalendarTable] = listing("Further times of which one must hold.", alias="any")
    not_: CalendarTable | None = optional("A time that must not hold.", alias="not")
    time_zone: TimeZone | None = optional("The time zone of days, hours and dates, when not the site's.")


ConnectToWord = Annotated[ConnectTo, words(ConnectTo)]
TunnelContentWord = Annotated[TunnelContent, words(TunnelContent)]


_SAFE = Safety()


class SafetyTable(Table):
    """
    What is refused whatever the rules say.

    In a rule it stands in the place of the ``safety:`` table; what a rule leaves out is as that table has it.
    """

    connect_ports: OneOrMany[Port] | None = optional(
        "Ports that tunnels may go to; an empty list is every port. "
        f"Without the field: {', '.join(map(str, sorted(_SAFE.connect_ports, reverse=True)))}."
    )
    connect_to: ConnectToWord | None = optional(
        f"Whether tunnels may name an address instead of a host name. Without the field: {_SAFE.connect_to}."
    )
    tunnel_content: TunnelContentWord | None = optional(
        f"What the first octets of a tunnel may be. Without the field: {_SAFE.tunnel_content}."
    )
    addresses: OneOrMany[AddressClassWord] | None = optional(
        f"Kinds of address that may be connected to. Without the field: {', '.join(sorted(_SAFE.addresses))}."
    )
