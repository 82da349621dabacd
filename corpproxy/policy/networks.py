"""Which of the networks that rules name a client is in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

IpNetwork = IPv4Network | IPv6Network
Networks = Mapping[str, Sequence[IpNetwork]]

# Clients remembered with the networks they are in; a large site has as many devices, 0.2 KiB each.
MAX_REMEMBERED = 16_384


class ClientNetworks:
    """
    Gives a client's address the networks it is in, of those that are asked for.

    A network is a name of the policy or a range written as CIDR.  Raises ValueError for one that is neither.
    """

    def __init__(self, asked: Iterable[str], networks: Networks) -> None:
        self._ranges = [
            (written, one) for written in sorted(set(asked)) for one in ranges_of(written, networks)
        ]
        self._remembered: dict[str, tuple[str, ...]] = {}

    def of(self, client: str) -> tuple[str, ...]:
        """Give the names of the networks that contain an address; of something that is no address, none."""
        found = self._remembered.get(client)
        if found is None:
            found = self._look_up(client)
            if len(self._remembered) >= MAX_REMEMBERED:
                self._remembered.clear()
            self._remembered[client] = found
        return found

    def _look_up(self, client: str) -> tuple[str, ...]:
        address = client_address(client)
        if address is None:
            return ()
        return tuple(dict.fromkeys(name for name, one in self._ranges if address in one))


def client_address(written: str) -> IPv4Address | IPv6Address | None:
    """Read a client's address; a socket for both families writes IPv4 as ``::ffff:192.0.2.1``."""
    try:
        address = ip_address(written.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def ranges_of(written: str, networks: Networks) -> Sequence[IpNetwork]:
    """The ranges of a network by its name, or written as CIDR; raises ValueError for one that is neither."""
    if written in networks:
        return networks[written]
    try:
        return (ip_network(written),)
    except ValueError:
        raise ValueError(f"there is no network '{written}'") from None
