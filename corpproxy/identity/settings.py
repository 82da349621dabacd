"""How people become known: the ``identity:`` table."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from corpproxy.errors import NOWHERE, Place

IpNetwork = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class BasicMethod:
    """Sign-in by name and password (RFC 7617), checked against one htpasswd file."""

    htpasswd: Path
    place: Place = NOWHERE


@dataclass(frozen=True, slots=True)
class NetworkIdentity:
    """Who is asking from these addresses when no credentials were sent: a room, a printer, a wall display."""

    name: str
    addresses: tuple[IpNetwork, ...]
    user: str
    groups: tuple[str, ...] = ()
    place: Place = NOWHERE


@dataclass(frozen=True, slots=True)
class Exemption:
    """
    Where no credentials are asked for.

    ``domains`` are hosts in normal form, each with all names below it.  ``networks`` are names from
    ``identity.networks`` or addresses in CIDR form.  What is given must all hold; one of each is
    enough.
    """

    domains: frozenset[str] = frozenset()
    networks: frozenset[str] = frozenset()
    place: Place = NOWHERE


class Ask(enum.StrEnum):
    """When somebody who has not signed in is asked to."""

    ALWAYS = "always"
    WHEN_NEEDED = "when-needed"


@dataclass(frozen=True, slots=True)
class IdentitySettings:
    """
    How people become known.

    ``groups`` maps a group to its members, as the policy says it; ``groups_file`` adds more of them.
    ``remember_seconds`` is how long credentials that were right need not be checked again.  ``ask`` says
    whether all who have no name are asked to sign in, or those on whose name the rules depend.
    """

    realm: str = "corpproxy"
    methods: tuple[BasicMethod, ...] = ()
    ask: Ask = Ask.ALWAYS
    remember_seconds: int = 7200
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    groups_file: Path | None = None
    networks: tuple[NetworkIdentity, ...] = ()
    exempt: tuple[Exemption, ...] = ()

    @property
    def htpasswd(self) -> Path | None:
        """The htpasswd file of the first Basic method, or None when nobody can sign in with a password."""
        return self.methods[0].htpasswd if self.methods else None
