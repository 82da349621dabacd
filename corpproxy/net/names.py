"""
From host names to addresses: written ones, /etc/hosts, then DNS with a cache of our own.

Both families are asked for at once. The answer is there when both are in, or a moment after the first (RFC
8305, section 3); what comes later is taken into the cache. Stale answers are never served: an address that
was somebody's an hour ago may be somebody else's now, and the policy decides on addresses.
"""

from __future__ import annotations

import socket
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from itertools import chain, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred, ensureDeferred, fail
from twisted.internet.interfaces import IReactorTime
from twisted.names import dns

from corpproxy import twins
from corpproxy.config.names import NameSettings
from corpproxy.errors import UpstreamError
from corpproxy.net.hosts_file import CHECK_SECONDS, HostsFile
from corpproxy.net.look_up import Known, LookUp
from corpproxy.net.name_answer import MAX_ALIASES, Found, kept_negative_seconds, kept_seconds, read_answer
from corpproxy.net.name_query import Ask, NoAnswer, Round, Server, ask_server, may_be_asked
from corpproxy.net.name_servers import NameServers
from corpproxy.net.system_names import SystemNames

# How long it is kept that name servers failed: long enough that the requests of one page do not each
# wait for servers that are away, short enough that nobody notices when they are back.
FAILED_SECONDS = 3.0

# Names in the cache.  A school visits some thousand names a day; an entry is about half a kilobyte.
MAX_NAMES = 10_000

# Look-ups under way at once. Each holds two sockets, more while servers are silent. At 50 ms each that is
# 5,000 names a second; the bound is met only when name servers are away, and then failing at once is the
# better answer.
MAX_LOOK_UPS = 256

# Names that never leave this machine (RFC 6761, section 6; RFC 7686): the C library knows them, too.
_LOOPBACK = "localhost"
_NOWHERE = frozenset({"invalid", "onion"})


def reaches_ipv6() -> bool:
    """Whether this machine has a route to the IPv6 Internet; asks the kernel, sends nothing."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.connect(("2000::", 9))
    except OSError:
        return False
    return True


def in_order(addresses: Iterable[str], ipv6: bool) -> tuple[str, ...]:
    """
    Put addresses in the order to try them: the families in turn, IPv6 first (RFC 8305, section 4).

    Without IPv6 on this machine those addresses come last (RFC 6724, section 5, rule 1: avoid what cannot
    be reached).
    """
    given = list(addresses)
    six = [address for address in given if ":" in address]
    four = [address for address in given if ":" not in address]
    if not ipv6:
        return (*four, *six)
    return tuple(address for address in chain(*zip_longest(six, four)) if address is not None)


class NamesInPython:
    """Gives addresses; ``native/names.c`` is made after it, where they are known."""

    __slots__ = twins.BELOW

    if TYPE_CHECKING:
        remembered: int
        _hosts: HostsFile
        _hosts_due: float
        _known: OrderedDict[str, Known]
        _seconds: Callable[[], float]
        _written: Mapping[str, tuple[str, ...]]
        _look_up: Callable[[str], tuple[str, ...] | Deferred[tuple[str, ...]]]

    def addresses(self, host: str) -> tuple[str, ...] | Deferred[tuple[str, ...]]:
        """
        Give the addresses of a host in normal form, in the order to try them; a tuple at once when they are
        known.

        Otherwise a Deferred, which fails with an UpstreamError of phase ``resolve``: ``name-unknown`` when
        the name or an address of it does not exist, ``name-failed`` when that could not be found out.
        Cancelling it leaves others who ask for the same name alone.
        """
        now = self._seconds()
        if now >= self._hosts_due:
            self._hosts_due = now + CHECK_SECONDS
            self._written = self._hosts.take_up()
        written = self._written.get(host)
        if written is not None:
            return written
        known = self._known.get(host)
        if known is None or now >= known.until:
            return self._look_up(host)
        self.remembered += 1
        self._known.move_to_end(host)
        return known.addresses or fail(known.problem())


if twins.wire is None or TYPE_CHECKING:
    _Names = NamesInPython
else:

    class _Names(twins.wire.Names):
        """The compiled twin, which leaves what has to be looked for to the one in Python."""

        __slots__ = ()
        _addresses_in_python = NamesInPython.addresses


class Names(_Names):
    """
    The names that the proxy connects to.

    ``asked``, ``remembered`` and ``failed`` count: look-ups begun, answers out of the cache, look-ups that
    failed.
    """

    __slots__ = (
        "_all",
        "_ask",
        "_clock",
        "_hosts",
        "_hosts_due",
        "_ipv6",
        "_known",
        "_paths",
        "_seconds",
        "_servers",
        "_system",
        "_under_way",
        "_written",
        "asked",
        "failed",
        "remembered",
    )

    def __init__(
        self,
        reactor: Any,
        settings: NameSettings,
        *,
        clock: IReactorTime | None = None,
        ask: Ask | None = None,
        system: SystemNames | None = None,
        ipv6: Callable[[], bool] = reaches_ipv6,
        hosts: Path = Path("/etc/hosts"),
        resolv_conf: Path = Path("/etc/resolv.conf"),
    ) -> None:
        """
        ``ask`` puts one question to one server; ``system`` answers where there is no server.

        Both, ``clock``, ``ipv6`` and the paths are joints for tests; the defaults are the real ones.
        """
        self._clock: IReactorTime = clock or reactor
        self._seconds = self._clock.seconds
        self._ask = ask or _asker(reactor)
        self._system = system or SystemNames(reactor)
        self._ipv6 = ipv6
        self._paths = (hosts, resolv_conf)
        self._known: OrderedDict[str, Known] = OrderedDict()
        self._under_way: dict[str, LookUp] = {}
        self._all: set[LookUp] = set()
        self.use(settings)
        self.asked = 0
        self.remembered = 0
        self.failed = 0

    def use(self, settings: NameSettings) -> None:
        """Take up other settings, as a reload does: what was known by the old ones is forgotten."""
        hosts, resolv_conf = self._paths
        self._servers = NameServers(settings.servers, settings.domains, resolv_conf)
        self._hosts = HostsFile(hosts, self._arranged, settings.hosts)
        self._written = self._hosts.table
        self._hosts_due = float("-inf")
        self._known.clear()
        self._under_way.clear()

    def __len__(self) -> int:
        """How many names the cache holds."""
        return len(self._known)

    def close(self) -> None:
        """End all look-ups; who waits for one gets ``name-failed``."""
        for look_up in list(self._all):
            look_up.stop()
        self._system.close()

    def _look_up(self, host: str) -> tuple[str, ...] | Deferred[tuple[str, ...]]:
        if isIPAddress(host) or isIPv6Address(host):
            return (host,)
        top = host.rpartition(".")[2]
        if top == _LOOPBACK:
            return self._arranged(["::1", "127.0.0.1"])
        if top in _NOWHERE or not may_be_asked(host):
            return fail(UpstreamError("name-unknown", f"there is no name {host!r}", phase="resolve"))
        look_up = self._under_way.get(host)
        if look_up is None:
            if len(self._all) >= MAX_LOOK_UPS:
                message = "too many names are being looked up; the name servers may be away"
                return fail(UpstreamError("name-failed", message, phase="resolve"))
            look_up = self._begin(host)
        return look_up.wait()

    def _begin(self, host: str) -> LookUp:
        self.asked += 1
        look_up = LookUp(self, self._clock, host)
        self._under_way[host] = look_up
        self._all.add(look_up)
        look_up.start()
        return look_up

    def settled(self, look_up: LookUp, known: Known) -> None:
        """A look-up has its answer; what it asked for may still be on the way."""
        self.failed += not known.addresses
        if self._under_way.get(look_up.host) is not look_up:
            return  # It was begun with other settings: who waits has the answer, the cache does not take it.
        del self._under_way[look_up.host]
        self._known.pop(look_up.host, None)
        self._known[look_up.host] = known
        if len(self._known) > MAX_NAMES:
            self._known.popitem(last=False)

    def completed(self, look_up: LookUp, before: Known, known: Known) -> None:
        """The other family of a look-up came late: it joins the first, unless that was replaced since."""
        if self._known.get(look_up.host) is before:
            if before.addresses:
                known.until = min(known.until, before.until)
            self._known[look_up.host] = known

    def ended(self, look_up: LookUp) -> None:
        """Nothing of a look-up is on the way any more."""
        self._all.discard(look_up)

    def known(self, host: str, six: Found | NoAnswer | None, four: Found | NoAnswer | None) -> Known:
        """Put together what is known of both families; None is a family that did not answer yet."""
        now = self._seconds()
        found = [family for family in (six, four) if isinstance(family, Found)]
        full = [family for family in found if family.addresses]
        if full:
            seconds = min(kept_seconds(family.seconds) for family in full)
            return Known(now + seconds, self._arranged(chain(*(family.addresses for family in full))))
        gone = isinstance(four, Found) and not four.exists
        failures = [family for family in (six, four) if isinstance(family, NoAnswer)]
        if failures and not gone:
            message = f"the addresses of {host} cannot be found out: {failures[-1]}"
            return Known(now + FAILED_SECONDS, (), ("name-failed", message, failures[-1].timed_out))
        seconds = min(kept_negative_seconds(family.seconds) for family in found)
        message = f"the name {host} does not exist" if gone else f"the name {host} has no address"
        return Known(now + seconds, (), ("name-unknown", message, False))

    async def family(self, host: str, kind: int) -> Found:
        """Find the addresses of one family, from alias to alias; NoAnswer when servers fail."""
        name, seconds = host, float("inf")
        for _ in range(MAX_ALIASES):
            servers = self._servers.for_name(name, self._seconds())
            if not servers:
                return await self._system.find(name, kind)
            found = read_answer(await self._question(servers, name, kind), name, kind)
            seconds = min(seconds, found.seconds)
            if not found.alias:
                return Found(found.addresses, seconds, exists=found.exists)
            if not may_be_asked(found.alias):
                break
            name = found.alias
        raise NoAnswer(f"the aliases of {host} lead nowhere")

    async def _question(self, servers: list[Server], name: str, kind: int) -> dns.Message:
        question = Round(self._clock, self._ask, servers, name, kind)
        try:
            return await question.start()
        finally:
            self._servers.set_aside(question.silent, self._seconds())

    def _arranged(self, addresses: Iterable[str]) -> tuple[str, ...]:
        given = tuple(addresses)
        # A hosts file may be long; the kernel is asked only where there is an order to choose.
        return given if len(given) == 1 else in_order(given, self._ipv6())


def _asker(reactor: Any) -> Ask:
    def ask(server: Server, name: str, kind: int) -> Deferred[dns.Message]:
        return ensureDeferred(ask_server(reactor, server, name, kind))

    return ask


if twins.wire is not None:
    twins.wire.set_names(Names, Known)
