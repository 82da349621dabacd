"""Which name servers answer for a name: those of the policy, by domain, or those of the system."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from twisted.internet.abstract import isIPAddress, isIPv6Address

from corpproxy.net.hosts_file import WatchedFile
from corpproxy.net.name_query import Server

DNS_PORT = 53

# How often it is looked whether /etc/resolv.conf changed: a laptop on another network, a new lease.
CHECK_SECONDS = 5.0

# A server that was silent or refused is asked after the others for so long.
ASIDE_SECONDS = 30.0


def system_servers(text: str) -> tuple[Server, ...]:
    """
    Read the name servers of a resolv.conf(5).

    Its search list and its options are not used: a browser's name is whole, and waiting has limits of our
    own.
    """
    lines = (line.split() for line in text.splitlines())
    addresses = [line[1] for line in lines if len(line) > 1 and line[0] == "nameserver"]
    return tuple(
        (address, DNS_PORT) for address in addresses if isIPAddress(address) or isIPv6Address(address)
    )


class NameServers:
    """
    The servers to ask for a name, the best first.

    The longest domain of the policy that the name is in decides; then the policy's servers; then the
    system's.  No servers at all means that the system has to be asked in another way.
    """

    def __init__(
        self, servers: Sequence[Server], domains: Mapping[str, Sequence[Server]], resolv_conf: Path
    ) -> None:
        self._written = tuple(servers)
        self._domains = {name.lower().strip("."): tuple(own) for name, own in domains.items()}
        self._file = WatchedFile(resolv_conf)
        self._system: tuple[Server, ...] = ()
        self._check_due = float("-inf")
        self._aside: dict[Server, float] = {}

    def for_name(self, name: str, now: float) -> list[Server]:
        """The servers for a name in normal form, in the order to ask them."""
        servers = self._of_domain(name) or self._written or self._of_system(now)
        return sorted(servers, key=lambda server: self._aside.get(server, now) > now)

    def set_aside(self, silent: Iterable[Server], now: float) -> None:
        """Ask these servers after the others for a while."""
        for server in silent:
            self._aside[server] = now + ASIDE_SECONDS

    def _of_domain(self, name: str) -> tuple[Server, ...]:
        while name and self._domains:
            if name in self._domains:
                return self._domains[name]
            name = name.partition(".")[2]
        return ()

    def _of_system(self, now: float) -> tuple[Server, ...]:
        if now >= self._check_due:
            self._check_due = now + CHECK_SECONDS
            if self._file.take_up():
                self._system = system_servers(self._file.text)
        return self._system
