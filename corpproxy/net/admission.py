"""Admission: how many connections and tunnels one address, one person and all together may have open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corpproxy import twins
from corpproxy.audit.results import ResultCode
from corpproxy.counted import counted
from corpproxy.exchange.answers import limit_page, unavailable_page
from corpproxy.exchange.exchange import Exchange
from corpproxy.exchange.refusal import Refusal
from corpproxy.net.crowd import NOBODY, Crowd

if TYPE_CHECKING:
    from corpproxy.net.downstream import Downstream
    from corpproxy.net.proxy import Proxy

# An address past its limit is told so (429), on a connection that it opens for that.  Past so many times the
# limit its connections are cut off unheard: those that never ask for anything would use up the limit for all.
CUT_OFF_TIMES = 2

# What other processes are told of begins at this part of a limit, divided by their number: a total is at most
# so much too small, a tenth.
SHARE = 10


class AdmissionInPython:
    """
    Counts what is open, and refuses what is too much.

    A connection belongs to the person who sent a request on it last.  ``elsewhere`` is what other processes
    of this service have open; it is as old as their last report, so that what comes in one second may pass
    a limit once in each of them.  ``native/admission.c`` is made after what each exchange asks here.
    """

    __slots__ = (
        "_by_address",
        "_by_person",
        "_proxy",
        "_tunnels_by_address",
        "_tunnels_by_person",
        "connections",
        "elsewhere",
        "tunnels",
    )

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self.elsewhere = NOBODY
        # Dictionaries, in the order of coming: a set of thousands takes up to four times the memory.  Each
        # connection has its person there, empty before one is known.
        self.connections: dict[Downstream, str] = {}
        self.tunnels: dict[Downstream, None] = {}
        self._by_address: dict[str, int] = {}
        self._by_person: dict[str, int] = {}
        self._tunnels_by_address: dict[str, int] = {}
        self._tunnels_by_person: dict[str, int] = {}

    def opened(self, downstream: Downstream) -> None:
        """
        A client connected.

        It is cut off at once, before it costs more, past the limit for all or far past that of its address.
        """
        self.connections[downstream] = ""
        address, by_address, elsewhere = downstream.address, self._by_address, self.elsewhere
        here = by_address[address] = by_address.get(address, 0) + 1
        limits = self._proxy.in_force.connections
        too_many = 0 < limits.total < len(self.connections) + elsewhere.total
        of_address = here + elsewhere.by_address.get(address, 0)
        if too_many or 0 < limits.per_address * CUT_OFF_TIMES < of_address:
            downstream.abort()

    def closed(self, downstream: Downstream) -> None:
        """A client's connection is gone."""
        person = self.connections.pop(downstream, None)
        if person is None:
            return
        _less(self._by_address, downstream.address)
        if person:
            _less(self._by_person, person)

    def refusal(self, exchange: Exchange) -> Refusal | None:
        """Say why an exchange may not begin: no record can be kept, or its address has too much open."""
        if not self._proxy.books.accepts():
            return Refusal(ResultCode.UNAVAILABLE, "records-full", unavailable_page(exchange, "records-full"))
        limit = exchange.in_force.connections.per_address
        if limit and self._of_address(exchange.client) > limit:
            return _limited(exchange, f"more than {counted(limit, 'connection')} from {exchange.client}")
        return None

    def check_person(self, downstream: Downstream) -> None:
        """Count a connection for the person behind its exchange; `Refusal` when that person has too many."""
        exchange = downstream.exchange
        name = exchange.identity.name
        # One that is gone already is nobody's any more.
        before = self.connections.get(downstream, name)
        if name != before:
            self._belongs(downstream, before, name)
        limit = exchange.in_force.connections.per_person
        if name and limit and self._by_person.get(name, 0) + self.elsewhere.by_person.get(name, 0) > limit:
            raise _limited(exchange, f"more than {counted(limit, 'connection')} of {name}")

    def open_tunnel(self, downstream: Downstream) -> None:
        """
        Count a tunnel, from the moment it is dialled; `Refusal` beyond those that one address and one person
        may have open.
        """
        exchange = downstream.exchange
        limits, name, client = exchange.in_force.connections, exchange.identity.name, exchange.client
        elsewhere = self.elsewhere
        from_here = self._tunnels_by_address.get(client, 0)
        of_address = from_here + elsewhere.tunnels_by_address.get(client, 0)
        if 0 < limits.tunnels_per_address <= of_address:
            raise _limited(exchange, _open(limits.tunnels_per_address, f"from {client}"))
        if name:
            of_name = self._tunnels_by_person.get(name, 0)
            of_person = of_name + elsewhere.tunnels_by_person.get(name, 0)
            if 0 < limits.tunnels_per_person <= of_person:
                raise _limited(exchange, _open(limits.tunnels_per_person, f"of {name}"))
            self._tunnels_by_person[name] = of_name + 1
        self.tunnels[downstream] = None
        self._tunnels_by_address[client] = from_here + 1

    def tunnel_closed(self, downstream: Downstream) -> None:
        """A tunnel is over."""
        if downstream not in self.tunnels:
            return
        exchange = downstream.exchange
        del self.tunnels[downstream]
        _less(self._tunnels_by_address, exchange.client)
        if exchange.identity.name:
            _less(self._tunnels_by_person, exchange.identity.name)

    def crowd(self, processes: int) -> Crowd:
        """
        Give what is open here, for the other processes of this service.

        Who has less than a small share of a limit is left out, as most have: what they have in all processes
        together is at most a part in `SHARE` of the limit.
        """
        limits, share = self._proxy.in_force.connections, SHARE * max(1, processes)
        return Crowd(
            len(self.connections),
            _above(self._by_address, limits.per_address // share),
            _above(self._by_person, limits.per_person // share),
            _above(self._tunnels_by_address, limits.tunnels_per_address // share),
            _above(self._tunnels_by_person, limits.tunnels_per_person // share),
        )

    def _of_address(self, address: str) -> int:
        return self._by_address.get(address, 0) + self.elsewhere.by_address.get(address, 0)

    def _belongs(self, downstream: Downstream, before: str, name: str) -> None:
        if before:
            _less(self._by_person, before)
        if name:
            self._by_person[name] = self._by_person.get(name, 0) + 1
        self.connections[downstream] = name


if TYPE_CHECKING or twins.ahead is None:
    Admission = AdmissionInPython
else:

    class Admission(twins.ahead.Admission, AdmissionInPython):
        """The compiled twin, which leaves it to the one in Python to say what is too much."""

        __slots__ = ()
        _check_person_in_python = AdmissionInPython.check_person
        _closed_in_python = AdmissionInPython.closed
        _opened_in_python = AdmissionInPython.opened
        _open_tunnel_in_python = AdmissionInPython.open_tunnel
        _refusal_in_python = AdmissionInPython.refusal
        _tunnel_closed_in_python = AdmissionInPython.tunnel_closed


def _open(limit: int, whose: str) -> str:
    return counted(limit, f"tunnel {whose} is open", f"tunnels {whose} are open")


def _limited(exchange: Exchange, message: str) -> Refusal:
    return Refusal(ResultCode.LIMITED, "too-many-connections", limit_page(exchange), message)


def _above(counter: dict[str, int], floor: int) -> dict[str, int]:
    return {key: count for key, count in counter.items() if count > floor}


def _less(counter: dict[str, int], key: str) -> None:
    """Count one less, and forget what is at nought: addresses and names come and go for years."""
    left = counter[key] - 1
    if left > 0:
        counter[key] = left
    else:
        del counter[key]
