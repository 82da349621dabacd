"""
One budget for several nodes: each charges to a common account what it counted, and takes up what stands
there.

What a node counts counts at once on that node; what the others count, when it is told.
"""

from __future__ import annotations

from collections.abc import Iterable

from corpproxy.accounting.quotas import Charge, Kept, Quotas
from corpproxy.policy.quota import Member


class Charging:
    """What of the quotas of a node stands in the common account already."""

    def __init__(self, quotas: Quotas) -> None:
        self._quotas = quotas
        self._charged: dict[Member, Kept] = {}

    def begin(self, rows: Iterable[Kept]) -> None:
        """Take what was kept here over a restart for charged."""
        self._charged.update({(row.limit, row.whom): row for row in rows})

    def charges(self, members: Iterable[Member]) -> list[Charge]:
        """Give what these used and got that is not charged yet; it counts as charged from now on."""
        found = []
        for row in self._quotas.kept(members):
            used, granted = self._uncharged(row)
            if used or granted:
                found.append(Charge(row.limit, row.whom, row.until, used, granted))
                self._charged[row.limit, row.whom] = row
        return found

    def undo(self, charges: Iterable[Charge]) -> None:
        """Nothing of these charges is in the account."""
        for one in charges:
            row = self._charged[one.limit, one.whom]
            if row.until == one.until:
                self._charged[one.limit, one.whom] = row._replace(
                    used=row.used - one.used, granted=row.granted - one.granted
                )

    def take(self, rows: Iterable[Kept]) -> None:
        """Take up what stands in the account, with what is not charged yet on top of it."""
        for row in rows:
            member = row.limit, row.whom
            (mine,) = self._quotas.kept([member]) or [row]
            if mine.until > row.until:
                # A quota that was made good here meanwhile, and not there.
                continue
            used, granted = self._uncharged(mine) if mine.until == row.until and mine is not row else (0, 0)
            self._charged[member] = row
            self._quotas.put(row._replace(used=row.used + used, granted=row.granted + granted))

    def forget(self, now: float) -> None:
        """Forget what was made good again."""
        for member in [member for member, row in self._charged.items() if row.until <= now]:
            del self._charged[member]

    def _uncharged(self, row: Kept) -> tuple[float, float]:
        before = self._charged.get((row.limit, row.whom))
        if before is None or before.until != row.until:
            return row.used, row.granted
        return row.used - before.used, row.granted - before.granted
