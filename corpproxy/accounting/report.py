"""Reports on usage: what may be asked, and how sums of the ledger become its rows."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, tzinfo

from corpproxy.accounting.ledger import SLOT_SECONDS


class By(enum.StrEnum):
    """What a report has a row for."""

    USER = "user"
    GROUP = "group"
    CATEGORY = "category"
    HOST = "host"
    HOUR = "hour"
    DAY = "day"

    @property
    def is_time(self) -> bool:
        """Whether the rows follow one another in time."""
        return self in (By.HOUR, By.DAY)

    @property
    def may_overlap(self) -> bool:
        """Whether one octet may stand in several rows: a person has groups, a host has categories."""
        return self in (By.GROUP, By.CATEGORY)


@dataclass(frozen=True, slots=True)
class UsageQuestion:
    """
    What a report is about.

    ``since`` and ``until`` are POSIX seconds (the first included, the second not; None is no end), widened to
    whole slots of the ledger.  ``user`` keeps to one person.  ``zone`` says where hours and days begin.
    """

    by: By
    zone: tzinfo
    since: float | None = None
    until: float | None = None
    user: str | None = None

    @property
    def first_slot(self) -> int:
        """The first slot that counts."""
        return 0 if self.since is None else int(self.since // SLOT_SECONDS) * SLOT_SECONDS

    @property
    def end_slot(self) -> int:
        """The first slot that counts no more."""
        return 2**62 if self.until is None else -int(-self.until // SLOT_SECONDS) * SLOT_SECONDS


@dataclass(frozen=True, slots=True)
class UsageSum:
    """One row of a report; ``name`` is empty where nobody signed in, nothing is categorised, and so on."""

    name: str
    received: int
    sent: int
    exchanges: int

    @property
    def octets(self) -> int:
        """Both directions together."""
        return self.received + self.sent


@dataclass(frozen=True, slots=True)
class UsageReport:
    """The rows of a report, and the sum over everything asked for, in which each octet stands once."""

    question: UsageQuestion
    rows: tuple[UsageSum, ...]
    total: UsageSum


# Names, then received, sent, exchanges; an empty tuple of names is the row without a name.
NamedSums = tuple[tuple[str, ...], int, int, int]


def report(question: UsageQuestion, sums: Iterable[NamedSums]) -> UsageReport:
    """
    Add up sums into a report: a sum with several names counts in each of their rows, and once in the total.

    Rows by time stay in the order they come, others begin with the most octets.
    """
    rows: dict[str, list[int]] = {}
    total = [0, 0, 0]
    for names, *counts in sums:
        _add(total, counts)
        for name in names or ("",):
            _add(rows.setdefault(name, [0, 0, 0]), counts)
    made = [UsageSum(name, *counts) for name, counts in rows.items()]
    if not question.by.is_time:
        made.sort(key=lambda row: (-row.octets, row.name))
    return UsageReport(question, tuple(made), UsageSum("", *total))


def slot_name(slot: int, question: UsageQuestion) -> str:
    """Give the hour or day of a slot in the zone of the question; hours with their offset from UTC."""
    local = datetime.fromtimestamp(slot, question.zone)
    return local.strftime("%Y-%m-%d" if question.by is By.DAY else "%Y-%m-%d %H:00 %z")


def _add(sums: list[int], counts: Iterable[int]) -> None:
    for position, count in enumerate(counts):
        sums[position] += count
