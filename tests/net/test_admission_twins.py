"""Admission and references: the compiled twin counts and names as the one in Python."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.reference import EPOCH, References
from corpproxy.exchange.exchange import Mode
from corpproxy.exchange.limits import ConnectionLimits
from corpproxy.exchange.refusal import Refusal
from corpproxy.identity.model import ANONYMOUS, Identity
from corpproxy.net import ahead
from corpproxy.net.admission import AdmissionInPython
from corpproxy.net.ahead import tell_twin
from corpproxy.net.crowd import NOBODY, Crowd
from corpproxy.net.downstream import Downstream
from tests.support.examples import EXAMPLES
from tests.support.wires import Site

compiled: Any = import_module("corpproxy._ahead")

PEOPLE = (ANONYMOUS, Identity("amir"), Identity("beth"))
ADDRESSES = ("10.1.2.3", "10.1.2.4")
LIMITS = (
    ConnectionLimits(0, 0, 0, 0, 0),
    ConnectionLimits(100, 2, 2, 2, 2),
    ConnectionLimits(100, 3, 1, 1, 3),
)
ELSEWHERE = (NOBODY, Crowd(3, {ADDRESSES[0]: 1}, {"amir": 1}, {ADDRESSES[1]: 1}, {"beth": 1}))
CALLS = ("opened", "closed", "check_person", "open_tunnel", "tunnel_closed", "refusal")
# A call, of which of some connections, and who is behind its exchange.
STEPS = st.lists(st.tuples(st.sampled_from(CALLS), st.integers(0, 4), st.sampled_from(PEOPLE)), max_size=40)


class Counted(compiled.Admission, AdmissionInPython):
    """The compiled twin, wherever the tests run."""

    __slots__ = ()
    _check_person_in_python = AdmissionInPython.check_person
    _closed_in_python = AdmissionInPython.closed
    _opened_in_python = AdmissionInPython.opened
    _open_tunnel_in_python = AdmissionInPython.open_tunnel
    _refusal_in_python = AdmissionInPython.refusal
    _tunnel_closed_in_python = AdmissionInPython.tunnel_closed


class Silent:
    """A transport that is cut off without a word."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


def clients(site: Any) -> list[Downstream]:
    """Some connections, each with an exchange."""
    made = []
    for number in range(5):
        one = Downstream(site.proxy, Mode.FORWARD, "rooms")
        one.transport = Silent()
        one.address, one._began = ADDRESSES[number & 1], 0.0
        one.exchange = one._exchange()
        made.append(one)
    return made


def counted(kind: Any, steps: Any, limits: ConnectionLimits, elsewhere: Crowd) -> Any:
    """What is said of each step, and what is counted in the end."""
    site = Site(connections=limits)
    admission = kind(site.proxy)
    admission.elsewhere = elsewhere
    ones = clients(site)
    said: list[Any] = []
    for call, which, person in steps:
        one = ones[which]
        if call == "opened" and one in admission.connections:
            continue
        if call in ("check_person", "open_tunnel"):
            if one in admission.tunnels:
                continue  # it is of one person then
            one.exchange.identity = person
        try:
            told = getattr(admission, call)(one.exchange if call == "refusal" else one)
        except Refusal as refused:
            told = refused
        said.append((told.code, told.message) if isinstance(told, Refusal) else told)
    counters = [getattr(admission, name) for name in AdmissionInPython.__slots__ if name.startswith("_by")]
    more = [admission._tunnels_by_address, admission._tunnels_by_person]
    own = {one: number for number, one in enumerate(ones)}
    connections = [(own[one], person) for one, person in admission.connections.items()]
    return said, counters, more, connections, [own[one] for one in admission.tunnels]


class AdmissionTests(SynchronousTestCase):
    """Connections that come and go, and tunnels of some people."""

    def setUp(self) -> None:
        self.addCleanup(tell_twin, compiled, Downstream)
        self.patch(ahead, "Admission", Counted)
        tell_twin(compiled, Downstream)

    @settings(EXAMPLES)
    @given(STEPS, st.sampled_from(LIMITS), st.sampled_from(ELSEWHERE))
    def test_same(self, steps: Any, limits: ConnectionLimits, elsewhere: Crowd) -> None:
        """Both count the same, and refuse the same in the same words."""
        one, other = (counted(kind, steps, limits, elsewhere) for kind in (Counted, AdmissionInPython))
        self.assertEqual(one, other)


class ReferenceTests(SynchronousTestCase):
    """The names of exchanges."""

    @settings(EXAMPLES)
    @given(st.lists(st.floats(EPOCH - 3.0, EPOCH + 3.0), max_size=20), st.sampled_from([0, (1 << 20) - 3]))
    def test_same(self, times: list[float], begun: int) -> None:
        """Both give the same names, whatever the clock says, also where a second has too many."""
        tell_twin(compiled, Downstream)
        one, other = References(5), References(5)
        one.next(EPOCH + 1.5)
        other.next(EPOCH + 1.5)
        one._count = other._count = begun
        for at in times:
            self.assertEqual(compiled.reference(one, at), other.next(at))

    def test_of_another_class(self) -> None:
        """Names that are made otherwise are asked for."""

        class Fixed(References):
            def next(self, at: float) -> str:
                return "fixed"

        self.assertEqual(compiled.reference(Fixed(1), EPOCH + 1.0), "fixed")
