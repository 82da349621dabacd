"""Trends of usage: what each person, group or host moved in the last days, weeks or months, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from corpproxy.accounting.report import By, UsageQuestion, UsageReport
from corpproxy.policy.days import Days, Span, Unit

# How many spans a trend has, as a report has periods.
TREND = 8


@dataclass(frozen=True, slots=True)
class TrendRow:
    """One row: its name, and the octets of each span, both ways together, the earliest first."""

    name: str
    octets: tuple[int, ...]

    @property
    def now(self) -> int:
        """Those of the last span."""
        return self.octets[-1]

    @property
    def before(self) -> int:
        """Those of the one before."""
        return self.octets[-2]


@dataclass(frozen=True, slots=True)
class UsageTrend:
    """
    The rows of a trend, those first that moved most in the last span, and the sum of each span.

    ``is_over`` says whether the last span was over when it was asked for.
    """

    by: By
    unit: Unit
    spans: tuple[Span, ...]
    rows: tuple[TrendRow, ...]
    total: TrendRow
    is_over: bool


def last_spans(unit: Unit, at: float, days: Days) -> tuple[Span, ...]:
    """Give the spans up to the one in which a moment lies, the earliest first."""
    found = [days.span(unit, at)]
    while len(found) < TREND:
        found.append(days.span(unit, found[-1].begins - 1))
    return tuple(reversed(found))


def last_over(unit: Unit, now: float, days: Days) -> tuple[Span, ...]:
    """The same up to the last span that was over at a moment."""
    return last_spans(unit, days.span(unit, now).begins - 1, days)


def questions(asked: UsageQuestion, unit: Unit, spans: Sequence[Span]) -> tuple[UsageQuestion, UsageQuestion]:
    """What is asked for a trend: the sums of each span, and what each is in all."""
    within = replace(asked, since=spans[0].begins, until=spans[-1].ends)
    return replace(within, per=unit), replace(within, by=By(unit.value))


def trend(
    asked: UsageReport, whole: UsageReport, spans: Sequence[Span], unit: Unit, now: float
) -> UsageTrend:
    """Put the sums of spans beside each other; a row that is in one of them is in all."""
    places = {span.name: place for place, span in enumerate(spans)}
    found: dict[str, list[int]] = {}
    for row in asked.rows:
        if row.span in places:
            found.setdefault(row.name, [0] * len(spans))[places[row.span]] += row.octets
    rows = [TrendRow(name, tuple(octets)) for name, octets in found.items()]
    rows.sort(key=lambda row: (*(-octets for octets in reversed(row.octets)), row.name))
    sums = {row.name: row.octets for row in whole.rows}
    total = TrendRow("", tuple(sums.get(span.name, 0) for span in spans))
    is_over = spans[-1].ends <= now
    return UsageTrend(asked.question.by, unit, tuple(spans), tuple(rows), total, is_over)
