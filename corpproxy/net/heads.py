"""Readers of request heads, shared: nearly every head comes whole, and leaves nothing in its reader."""

from __future__ import annotations

from corpproxy.exchange.in_force import InForce
from corpproxy.http1.head import RequestReader
from corpproxy.http1.sections import Sections


class Heads:
    """
    Gives all connections one reader, by the limits in force.

    One that holds half a head is its connection's own from then on, and the others get another.  So a
    connection that waits for its next request has none.
    """

    __slots__ = ("_reader", "_sections")

    def __init__(self, in_force: InForce) -> None:
        self._sections: Sections = in_force.sections
        self._reader = RequestReader(in_force.limits, in_force.sections)

    def reader(self, in_force: InForce) -> RequestReader:
        """Give the reader, which holds nothing; `part_with` it where that changes."""
        if in_force.sections is not self._sections:
            self.part_with(in_force)
        return self._reader

    def part_with(self, in_force: InForce) -> None:
        """Leave the reader to who has it, and make another for the next ones."""
        self._sections = in_force.sections
        self._reader = RequestReader(in_force.limits, in_force.sections)
