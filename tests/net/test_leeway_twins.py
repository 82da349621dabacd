"""What is compiled of leeways does what Python does."""

from __future__ import annotations

from importlib import import_module

from hypothesis import given, settings
from hypothesis import strategies as st

from corpproxy.accounting.leeway import Leeway
from corpproxy.net.ahead import tell_twin
from corpproxy.net.downstream import Downstream
from tests.accounting import test_leeway
from tests.accounting.test_leeway import AT, KIB, LeewayCase
from tests.support.examples import EXAMPLES

SECONDS = st.sampled_from((-1.0, 0.0, 0.001, 0.1, 0.3, 2.0))
ASKED = st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 400 * KIB), SECONDS), max_size=60)


class ByTwin(LeewayCase):
    """Asks the compiled one."""

    def setUp(self) -> None:
        super().setUp()
        self.compiled = import_module("corpproxy._ahead")
        tell_twin(self.compiled, Downstream)

    def takes(self, received: int, sent: int) -> bool:
        """An exchange moves so much."""
        return self.compiled.takes(self.leeway, received, sent, self.now)

    def may_begin(self, at: float = AT) -> bool:
        """Whether one may begin."""
        return self.compiled.may_begin(self.leeway, at)


class TakeTwinTests(ByTwin, test_leeway.TakeTests):
    """What an exchange takes, by the compiled one."""


class BeginTwinTests(ByTwin, test_leeway.BeginTests):
    """Whether an exchange may begin, by the compiled one."""


class SameTests(ByTwin):
    """Both say the same, and leave the same behind."""

    def played(self, is_compiled: bool, asked: list[tuple[int, int, float]]) -> list[object]:
        """What comes of exchanges that move so much, after so many seconds each."""
        self.setUp()
        case: type[LeewayCase] = type(self) if is_compiled else LeewayCase
        found: list[object] = []
        for received, sent, seconds in asked:
            self.now += seconds
            found += [case.may_begin(self, AT + seconds), case.takes(self, received, sent), self.there]
            found += [self.down.seen, self.leeway.received, self.leeway.sent, self.leeway.used_at]
        return [*found, len(self.noted)]

    @settings(EXAMPLES)
    @given(ASKED)
    def test_same(self, asked: list[tuple[int, int, float]]) -> None:
        """Whatever is asked for, and whenever."""
        self.assertEqual(self.played(True, asked), self.played(False, asked))

    def test_no_leeway(self) -> None:
        """What is no leeway is said to be none."""
        self.assertRaises(TypeError, self.compiled.takes, object(), 1, 1, 1.0)
        self.assertRaises(TypeError, self.compiled.may_begin, None, 1.0)

    def test_bug(self) -> None:
        """A fault of who is told goes on to who asked."""

        def fails(leeway: Leeway) -> None:
            raise ValueError("not noted")

        self.leeway._note = fails
        self.assertRaises(ValueError, self.takes, 1, 1)
