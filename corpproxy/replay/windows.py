"""The spans of time in which the same rules are in force, for moments that come in no order."""

from __future__ import annotations

from bisect import bisect_right

from corpproxy.audit.times import posix_seconds, utc_text
from corpproxy.policy.decide import Policy

_DAY_SECONDS = 86_400.0


class Windows:
    """
    Gives a moment, as records write it, what is in force at it.

    Records end in order but do not begin so: a tunnel that is closed in the lesson began before it.  So the
    changes are kept, and a moment is looked for among them.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        # The window from one edge to the next; texts of this form compare as moments do.
        self._edges: list[float] = []
        self._texts: list[str] = []
        self._in_force: list[object] = []
        self._from, self._to, self._now = "", "", object()

    def in_force(self, at: str) -> object:
        """What is in force then: the same object, or an equal one, where the same rules are."""
        if not self._from <= at < self._to:
            self._find(at)
        return self._now

    def _find(self, at: str) -> None:
        if not self._texts or at < self._texts[0]:
            self._begin(posix_seconds(at) - _DAY_SECONDS)
        while at >= self._texts[-1]:
            self._add(self._policy.next_change(self._edges[-1]))
        number = bisect_right(self._texts, at) - 1
        self._from, self._to = self._texts[number : number + 2]
        self._now = self._in_force[number]

    def _begin(self, edge: float) -> None:
        self._edges, self._texts, self._in_force = [], [], []
        self._add(edge)

    def _add(self, edge: float) -> None:
        edge = min(edge, MAX_EDGE)
        self._edges.append(edge)
        self._texts.append(utc_text(edge) if edge < MAX_EDGE else "~")
        self._in_force.append(self._policy.in_force(edge))


# The end of time: no calendar goes further, and as a text it sorts behind all moments.
MAX_EDGE = 253_402_300_799.0
