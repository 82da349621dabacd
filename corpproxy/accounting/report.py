"""Reports on usage: what may be asked, and how sums of the ledger become its rows."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, tzinfo

from corpproxy.accounting.ledger import SLOT_SECONDS
from corpproxy.policy.days import DAY_BEGINS, Days, Span, Unit


class By(enum.StrEnum):
    """What a report has a row for."""

    USER = "user"
    GROUP = "group"
    DEVICE = "device"
    CATEGORY = "category"
    HOST = "host"
    RULE = "rule"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"

    @property
    def is_time(self) -> bool:
        """Whether the rows follow one another in time."""
        return self in _UNITS

    @property
    def may_overlap(self) -> bool:
        """Whether one octet may stand in several rows: a person has groups, a host has categories."""
        return self in (By.GROUP, By.CATEGORY)


_UNITS = {By.HOUR: Unit.HOUR, By.DAY: Unit.DAY, By.WEEK: Unit.WEEK, By.MONTH: Unit.MONTH}


@dataclass(frozen=True, slots=True)
class UsageQuestion:
    """
    What a report is about.

    ``since`` and ``until`` are POSIX seconds (the first included, the second not; None is no end), widened to
    whole slots of the ledger.  ``zone`` and ``day_begins`` say where hours and days begin.  ``per`` asks for
    rows for each hour, day and so on, and not for one over all of them.

    ``user``, ``group`` and so on keep to one; None is everything, an empty name what has none.  A host means
    itself and all below it, a group or a category whatever is in it.
    """

    by: By
    zone: tzinfo = UTC
    since: float | None = None
    until: float | None = None
    user: str | None = None
    group: str | None = None
    device: str | None = None
    category: str | None = None
    host: str | None = None
    rule: str | None = None
    per: Unit | None = None
    day_begins: int = DAY_BEGINS

    @property
    def first_slot(self) -> int:
        """The first slot that counts."""
        return 0 if self.since is None else int(self.since // SLOT_SECONDS) * SLOT_SECONDS

    @property
    def end_slot(self) -> int:
        """The first slot that counts no more."""
        return 2**62 if self.until is None else -int(-self.until // SLOT_SECONDS) * SLOT_SECONDS

    @property
    def slots(self) -> int:
        """How many slots it is about."""
        return (self.end_slot - self.first_slot) // SLOT_SECONDS

    def span(self, slot: int) -> Span:
        """The hour, day and so on of a slot, by which there are rows."""
        return Days(self.zone, self.day_begins).span(self.per or _UNITS[self.by], slot)


@dataclass(frozen=True, slots=True)
class UsageSum:
    """
    One row of a report; ``name`` is empty where nobody signed in, nothing is categorised, and so on.

    ``minutes`` are active ones: a minute of a person counts once, for what most moved for.  ``span`` is the
    hour, day and so on of it in a report that has rows for each.
    """

    name: str
    received: int
    sent: int
    exchanges: int
    minutes: int = 0
    span: str = ""

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


# Names, then received, sent, exchanges, minutes; an empty tuple of names is the row without a name.
NamedSums = tuple[tuple[str, ...], int, int, int, int]
_NOTHING = (0, 0, 0, 0)


def report(question: UsageQuestion, sums: Iterable[NamedSums]) -> UsageReport:
    """
    Add up sums into a report: a sum with several names counts in each of their rows, and once in the total.

    Rows by time stay in the order they come, others begin with the most octets.
    """
    total = [*_NOTHING]
    rows = _rows(question, sums, total)
    return UsageReport(question, tuple(rows), _sum("", total))


def report_per(question: UsageQuestion, spans: Iterable[tuple[str, Iterable[NamedSums]]]) -> UsageReport:
    """Add up the sums of several spans of time into a report with rows for each, in their order."""
    total = [*_NOTHING]
    rows = [row for name, sums in spans for row in _rows(question, sums, total, name)]
    return UsageReport(question, tuple(rows), _sum("", total))


def _rows(
    question: UsageQuestion, sums: Iterable[NamedSums], total: list[int], span: str = ""
) -> list[UsageSum]:
    rows: dict[str, list[int]] = {}
    for names, *counts in sums:
        _add(total, counts)
        for name in names or ("",):
            _add(rows.setdefault(name, [*_NOTHING]), counts)
    made = [_sum(name, counts, span) for name, counts in rows.items()]
    if not question.by.is_time:
        made.sort(key=lambda row: (-row.octets, row.name))
    return made


def _sum(name: str, counts: list[int], span: str = "") -> UsageSum:
    received, sent, exchanges, minutes = counts
    return UsageSum(name, received, sent, exchanges, minutes, span)


def _add(sums: list[int], counts: Iterable[int]) -> None:
    for position, count in enumerate(counts):
        sums[position] += count
