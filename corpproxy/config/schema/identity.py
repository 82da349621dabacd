"""The ``identity:`` table: how people become known."""

from __future__ import annotations

from typing import Annotated

from corpproxy.config.schema.conditions import CalendarTable, WhatTable, WhoTable
from corpproxy.config.schema.leaves import Duration, Leaf, OneOrMany, Text, parse_network, words, wrong
from corpproxy.config.schema.table import Table, as_in, asked, listing, mapping, optional
from corpproxy.identity.names import fault_of_name, normal_name
from corpproxy.identity.settings import Ask, IdentitySettings, IpNetwork


def _person(written: str) -> str:
    name = normal_name(written)
    fault = fault_of_name(name)
    if fault:
        raise wrong("bad-name", f"wants the name of a person or group: {fault}")
    return name


PersonName = Annotated[str, Leaf("name", _person, {"type": ["string", "number", "boolean"]})]


def _network(written: str) -> IpNetwork:
    try:
        return parse_network(written)
    except ValueError as error:
        raise wrong("bad-network", str(error)) from None


Network = Annotated[IpNetwork, Leaf("network", _network, {"type": "string"})]


class BasicTable(Table):
    """Sign-in by name and password (RFC 7617)."""

    htpasswd: Text = asked("The file with names and password hashes; ``corpproxy users`` edits it.")


class MethodTable(Table):
    """One way to sign in."""

    basic: BasicTable = asked("Name and password.")


class NetworkTable(Table):
    """Who is asking from some addresses when no credentials were sent: a room, a printer, a wall display."""

    addresses: OneOrMany[Network] = asked("The addresses or networks, as ``10.1.4.0/24``.")
    user: PersonName = asked("The name under which rules, usage and records know these devices.")
    groups: OneOrMany[PersonName] = listing("The groups that ``user`` belongs to there.")


class ExemptTable(Table):
    """
    Where no credentials are asked for; what is given must all hold.

    It is asked before anybody has a name: of ``who`` it takes no ``user``, ``group`` and ``anonymous``, of
    ``what`` nothing that is known only of the server's address or of the answer.
    """

    who: WhoTable | None = optional("Who is asking; everybody when left out.")
    what: WhatTable | None = optional("What is asked for; everything when left out.")
    when: CalendarTable | None = optional("When, as in a rule; always when left out.")


AskWord = Annotated[Ask, words(Ask)]


class IdentityTable(Table):
    """How people become known."""

    realm: Text = as_in(IdentitySettings, "realm", "What browsers show when they ask for the password.")
    ask: AskWord = as_in(
        IdentitySettings,
        "ask",
        "Who is asked to sign in: all who have no name, or only those on whose name the rules depend.",
    )
    methods: list[MethodTable] = listing("The ways to sign in; without one nobody can.")
    remember: Duration = as_in(
        IdentitySettings, "remember_seconds", "How long right credentials need not be checked again."
    )
    groups: dict[str, OneOrMany[PersonName]] = mapping("Groups and their members.")
    groups_file: Text | None = optional(
        "A file with more members, as ``corpproxy users import`` writes it; taken up when it changes."
    )
    networks: dict[str, NetworkTable] = mapping("Rooms and devices that are known by their addresses.")
    exempt: list[ExemptTable] = listing("Where no credentials are asked for.")
