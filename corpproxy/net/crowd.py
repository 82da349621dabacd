"""How much is open, by address and by person: what the workers of one service tell each other of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from msgspec import Struct, field


class Crowd(Struct, frozen=True):
    """
    Connections and tunnels that are open, by client address and by person.

    A key that has little open is left out (see `Admission.crowd`); ``total`` counts every connection.
    """

    total: int = 0
    by_address: dict[str, int] = field(default_factory=dict)
    by_person: dict[str, int] = field(default_factory=dict)
    tunnels_by_address: dict[str, int] = field(default_factory=dict)
    tunnels_by_person: dict[str, int] = field(default_factory=dict)


NOBODY = Crowd()


def together(crowds: Iterable[Crowd]) -> Crowd:
    """Add up what several have open."""
    total = 0
    sums: tuple[Counter[str], ...] = (Counter(), Counter(), Counter(), Counter())
    for crowd in crowds:
        total += crowd.total
        parts = (crowd.by_address, crowd.by_person, crowd.tunnels_by_address, crowd.tunnels_by_person)
        for counted, more in zip(sums, parts, strict=True):
            counted.update(more)
    return Crowd(total, *map(dict, sums))
