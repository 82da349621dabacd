"""
What administrators give of quotas that several nodes have in common, and take back: differences, each told
once.

What people use is told in another way (`corpproxy.accounting.node_quotas`).
"""

from __future__ import annotations

from collections.abc import Iterable

from corpproxy.accounting.common import Common
from corpproxy.accounting.quotas import Charge, Kept

_Place = tuple[str, str, float]


class Charging:
    """What is not told yet, by the members of quotas and when these are made good."""

    def __init__(self) -> None:
        self._untold: dict[_Place, Charge] = {}

    def grant(self, row: Kept, more: float) -> None:
        """Somebody got more."""
        self._add(Charge(row.limit, row.whom, row.until, 0.0, more))

    def reset(self, rows: Iterable[Kept]) -> None:
        """These begin anew: what they used, as far as is known here, and were granted is taken off."""
        for row in rows:
            self._add(Charge(row.limit, row.whom, row.until, -row.used, -row.granted))

    def charges(self) -> list[Charge]:
        """Give what is to be told; it counts as told from now on."""
        untold, self._untold = self._untold, {}
        return list(untold.values())

    def undo(self, charges: Iterable[Charge]) -> None:
        """Nothing of these was told."""
        for one in charges:
            self._add(one)

    def on_top(self, row: Common) -> Common:
        """What stands in the common account, with what is not told yet on top of it."""
        one = self._untold.get((row.limit, row.whom, row.until))
        if one is None:
            return row
        return row._replace(elsewhere=row.elsewhere + one.used, granted=row.granted + one.granted)

    def forget(self, now: float) -> None:
        """Forget what was made good again."""
        for place in [place for place in self._untold if place[2] <= now]:
            del self._untold[place]

    def _add(self, charge: Charge) -> None:
        place = charge.limit, charge.whom, charge.until
        before = self._untold.get(place)
        if before is not None:
            charge = charge._replace(used=before.used + charge.used, granted=before.granted + charge.granted)
        self._untold[place] = charge
