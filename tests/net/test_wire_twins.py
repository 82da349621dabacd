"""What both sides of an exchange do for each piece is the same in Python and compiled, in any order."""

from __future__ import annotations

from types import FunctionType, SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.net.wire import FULL, LOST, UNTAKEN, SideInPython, Wire

# A wire whose side is the twin in Python, whatever was compiled.
_IN_PYTHON = {name: one for name, one in vars(SideInPython).items() if isinstance(one, FunctionType)}
WireInPython: type[Wire] = type("WireInPython", (Wire,), {"__slots__": (), **_IN_PYTHON})

RESET = Failure(ConnectionLost())
DONE = Failure(ConnectionDone())


class Tells:
    """Whatever is called is written down; what is in ``fails`` raises."""

    def __init__(self, name: str, journal: list[Any], fails: frozenset[str]) -> None:
        self._name, self._journal, self._fails = name, journal, fails

    def __getattr__(self, name: str) -> Any:
        def told(*words: Any) -> None:
            self._journal.append((self._name, name, [word for word in words if not isinstance(word, Wire)]))
            if name in self._fails:
                raise ZeroDivisionError(name)

        return told


class Both:
    """A wire, the other one that may feed it, and all that they tell."""

    def __init__(self, kind: type[Wire], fails: frozenset[str] = frozenset()) -> None:
        self.journal: list[Any] = []
        deadlines: Any = Tells("deadlines", self.journal, fails)
        deadlines.now = 5.0
        self.wire, self.other = kind(deadlines), kind(deadlines)
        for name, one in (("wire", self.wire), ("other", self.other)):
            one.sink = Tells(f"sink of the {name}", self.journal, fails)
            one.makeConnection(Tells(f"transport of the {name}", self.journal, fails))

    def step(self, name: str, *words: Any) -> None:
        """Take a step, and write down what came of it."""
        given = [self.other if word == "other" else word for word in words]
        try:
            getattr(self.wire, name)(*given)
        except Exception as problem:
            self.journal.append((type(problem), str(problem)))
        wire, other = self.wire, self.other
        self.journal.append(
            (wire.gone, wire.closing, wire.deadline, wire.on_hold, wire.read_ended, wire.full)
        )
        self.journal.append((wire.source is other, other.on_hold, other.deadline))


STEPS: list[tuple[Any, ...]] = [
    ("dataReceived", b"octets"),
    ("readConnectionLost",),
    ("connectionLost",),
    ("connectionLost", LOST),
    ("connectionLost", DONE),
    ("connectionLost", RESET),
    ("close",),
    ("end_writing",),
    ("fed_by", "other"),
    ("fed_no_more",),
    ("hold", FULL),
    ("hold", UNTAKEN),
    ("go_on", FULL),
    ("go_on", UNTAKEN),
    ("go_on", FULL | UNTAKEN),
    ("pauseProducing",),
    ("resumeProducing",),
    ("abort",),
]
FAILING = ["octets", "half_closed", "lost", "drop", "loseConnection", "unregisterProducer", "pauseProducing"]


class SideTests(SynchronousTestCase):
    """The twins, side by side."""

    @settings(max_examples=150, deadline=None)
    @given(st.lists(st.sampled_from(STEPS), max_size=12), st.frozensets(st.sampled_from(FAILING), max_size=1))
    def test_agree(self, steps: list[tuple[Any, ...]], fails: frozenset[str]) -> None:
        """They tell the same, end in the same state, and let pass what somebody raised."""
        both = [Both(kind, fails) for kind in (Wire, WireInPython)]
        for one in both:
            for step in steps:
                one.step(*step)
        self.assertEqual(both[0].journal, both[1].journal)

    def test_clean(self) -> None:
        """An end is clean where the connection was closed, and is not where it broke."""
        for reason, clean in ((LOST, True), (DONE, True), (RESET, False)):
            one = Both(Wire)
            one.step("connectionLost", reason)
            self.assertIn(("sink of the wire", "lost", [clean]), one.journal)

    def test_without_members(self) -> None:
        """A wire that nobody has begun says which member it lacks."""
        for kind in (Wire, WireInPython):
            wire = kind(SimpleNamespace(now=1.0))  # type: ignore[arg-type]
            self.assertRaises(AttributeError, wire.dataReceived, b"")
            self.assertRaises(AttributeError, wire.end_writing)
            self.assertRaises((AttributeError, TypeError), wire.hold, "much")
