"""What a node holds of one member's quota, and how fast it is used."""

from __future__ import annotations

import math

from corpproxy.accounting.leases import Borrower
from corpproxy.accounting.minutes import Minutes

# The pace is not told by what moved in less.
PACE_SECONDS = 0.5


class Holding:
    """
    What this node holds of one member's quota until it is made good.

    ``unmet`` is since when somebody wants more than is here, ``touched`` when anybody used or wanted any.
    ``is_over`` says that the common lender has no more, ``shut_until`` that it is away; until
    ``called_until`` others want what is not needed here.
    """

    __slots__ = (
        "borrower",
        "called_until",
        "is_over",
        "looked_at",
        "minutes",
        "moved_before",
        "pace",
        "shut_until",
        "telling",
        "telling_minute",
        "told",
        "told_at",
        "touched",
        "unmet",
        "until",
    )

    def __init__(self, until: float, seconds: float) -> None:
        self.until = until
        self.borrower = Borrower()
        self.told = self.telling = (0, 0)
        self.told_at = -math.inf
        # Those that are not told, where minutes are counted; and the last that is being told.
        self.minutes = Minutes()
        self.telling_minute = 0
        self.touched = -math.inf
        self.looked_at = seconds
        self.unmet: float | None = None
        self.pace = 0.0
        self.moved_before = 0
        self.is_over = False
        self.shut_until = 0.0
        self.called_until = -math.inf

    @property
    def left(self) -> int:
        """What is held, or, less than nothing, was used without being lent."""
        borrower = self.borrower
        return borrower.granted - borrower.returned - borrower.moved

    @property
    def is_told(self) -> bool:
        """Whether the common lender knows all."""
        return self.told == (self.borrower.moved, self.borrower.returned)

    def measure(self, seconds: float) -> None:
        """See how fast it is used."""
        passed = seconds - self.looked_at
        if passed >= PACE_SECONDS:
            moved = self.borrower.moved
            self.pace = max((moved - self.moved_before) / passed, self.pace / 2)
            self.moved_before, self.looked_at = moved, seconds
