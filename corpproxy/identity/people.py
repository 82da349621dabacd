"""The people of a site: their groups, and the identities of rooms and devices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TypeVar

from corpproxy.identity.model import GroupSource, Identity
from corpproxy.identity.settings import Ask, IdentitySettings, IpNetwork, NetworkIdentity

# Entries per person and per client address of a large site; past it all are made anew, in microseconds each.
MAX_REMEMBERED = 50_000

# A name to its groups.
Groups = Mapping[str, tuple[str, ...]]

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class People:
    """
    Gives names their groups and addresses their identities.

    The same name gives the same `Identity` object until the groups change, so that decisions can be
    remembered by it.  A user in no group has no groups, which is no problem.  ``version`` is another one
    whenever groups have changed.  ``asks_always`` is false where people are asked to sign in only when the
    rules depend on who they are.
    """

    __slots__ = (
        "_by_address",
        "_by_network",
        "_common",
        "_file_groups",
        "_identities",
        "_networks",
        "_policy_group_names",
        "_policy_groups",
        "_ranges",
        "asks_always",
        "version",
    )

    def __init__(self, settings: IdentitySettings, file_groups: Groups | None = None) -> None:
        self.asks_always = settings.ask is Ask.ALWAYS
        self._networks = settings.networks
        self._ranges = _most_specific_first(settings.networks)
        self._policy_groups = _by_member(settings.groups)
        self._policy_group_names = frozenset(settings.groups)
        self.version = 0
        self.take_groups(file_groups or {})

    def take_groups(self, file_groups: Groups) -> None:
        """Put what the groups file now says (name to groups) in the place of what it said before."""
        self.version += 1
        self._file_groups = file_groups
        # By source and name.
        self._identities: dict[str, dict[str, Identity]] = {}
        # What people of one class have in common is kept once: their groups, and where these come from.
        self._common: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._by_address: dict[str, Identity | None] = {}
        self._by_network = {
            network.name: self._made(network.user, "network", network.groups) for network in self._networks
        }

    def identity(self, name: str, source: str = "basic") -> Identity:
        """Give the identity of a user whose name is already proven."""
        identities = self._identities.get(source)
        if identities is None:
            identities = self._identities[source] = {}
        found = identities.get(name)
        if found is None:
            found = _bounded(identities)[name] = self._made(name, source)
        return found

    def by_network(self, address: str) -> Identity | None:
        """Give the identity of the most specific network that ``address`` is in, or None."""
        if not self._ranges:
            return None
        try:
            return self._by_address[address]
        except KeyError:
            found = _bounded(self._by_address)[address] = self._find_network(address)
            return found

    @property
    def group_names(self) -> frozenset[str]:
        """Every group that the policy or the groups file names."""
        named = [self._policy_group_names, *(network.groups for network in self._networks)]
        return frozenset().union(*named, *self._file_groups.values())

    @property
    def network_names(self) -> frozenset[str]:
        """The networks of the policy: rooms and devices."""
        return frozenset(network.name for network in self._networks)

    def networks_of(self, address: str) -> tuple[str, ...]:
        """Give the names of the networks that a client address is in, the most specific one first."""
        ip = _address(address)
        if ip is None:
            return ()
        return tuple(dict.fromkeys(network.name for addresses, network in self._ranges if ip in addresses))

    def members(self) -> Groups:
        """Give all names that are in a group, each with its groups, from policy and file."""
        names = {*self._policy_groups, *self._file_groups}
        return {name: self.identity(name).groups for name in sorted(names)}

    def _made(self, name: str, source: str, of_network: Collection[str] = ()) -> Identity:
        """An identity with its groups; of several places that give one, the policy's own table is told."""
        if not of_network and name not in self._file_groups and name not in self._policy_groups:
            return Identity(name, (), source)
        found = dict.fromkeys(of_network, GroupSource.NETWORK.value)
        found |= dict.fromkeys(self._file_groups.get(name, ()), GroupSource.FILE.value)
        found |= dict.fromkeys(self._policy_groups.get(name, ()), GroupSource.POLICY.value)
        common = self._common.setdefault
        groups = tuple(sorted(found))
        groups_from = tuple([found[group] for group in groups])
        return Identity(name, common(groups, groups), source, common(groups_from, groups_from))

    def _find_network(self, address: str) -> Identity | None:
        ip = _address(address)
        for addresses, network in self._ranges:
            if ip is not None and ip in addresses:
                return self._by_network[network.name]
        return None


def _by_member(groups: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
    members: dict[str, list[str]] = defaultdict(list)
    for group, names in groups.items():
        for name in names:
            members[name].append(group)
    return dict(members)


def _most_specific_first(networks: tuple[NetworkIdentity, ...]) -> list[tuple[IpNetwork, NetworkIdentity]]:
    ranges = [(addresses, network) for network in networks for addresses in network.addresses]
    return sorted(ranges, key=lambda pair: -pair[0].prefixlen)


def _address(written: str) -> IPv4Address | IPv6Address | None:
    """Read a client address; a socket that listens on both families writes IPv4 as ::ffff:192.0.2.1."""
    try:
        ip = ip_address(written.partition("%")[0])
    except ValueError:
        return None
    return getattr(ip, "ipv4_mapped", None) or ip


def _bounded(remembered: dict[_Key, _Value]) -> dict[_Key, _Value]:
    if len(remembered) >= MAX_REMEMBERED:
        remembered.clear()
    return remembered
