"""The last days of one person: what they moved on each, for their own page."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from corpproxy.accounting.report import By, UsageQuestion, UsageReport
from corpproxy.policy.days import Days

# Two weeks: today beside the same day of the last week, and of the one before.
LAST_DAYS = 14


class DayUse(NamedTuple):
    """
    One day: its name, as 2026-11-23, and the octets of it.

    As in the ledger, ``received`` are those that came from the person, ``sent`` those that went to them.
    """

    name: str
    received: int
    sent: int

    @property
    def octets(self) -> int:
        """Both ways together."""
        return self.received + self.sent


def question_of(user: str, at: float, days: Days) -> UsageQuestion:
    """What is asked of the store for the page of a person at a moment."""
    today = days.day(at)
    return UsageQuestion(
        By.DAY,
        days.zone,
        since=days.beginning(today - timedelta(days=LAST_DAYS - 1)),
        until=days.beginning(today + timedelta(days=1)),
        user=user,
        day_begins=days.begins,
    )


def last_days(answer: UsageReport, at: float, days: Days) -> tuple[DayUse, ...]:
    """Each of the days, the last one last; one on which nothing moved is there, too."""
    found = {row.name: row for row in answer.rows}
    today = days.day(at)
    names = [(today - timedelta(days=ago)).isoformat() for ago in reversed(range(LAST_DAYS))]
    return tuple(
        DayUse(name, found[name].received, found[name].sent) if name in found else DayUse(name, 0, 0)
        for name in names
    )
