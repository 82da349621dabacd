"""Figures of a report, with sensible defaults."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date
from typing import Any

from corpproxy.policy.days import Days
from corpproxy.reports.figures import Counts, Figures, Harm, Limited, Refusal, Row, Slot
from corpproxy.reports.period import Every, period_with

MADE_AT = 1_796_000_000.0


def figures(name: str = "amir", **changed: Any) -> Figures:
    """Figures in which this name stands wherever a name may stand."""
    counts, before = Counts(1200, 5 * 1024 * 1024, 30), Counts(600, 1024, 10)
    row = (Row(name, counts, before, (0, 300, 600, 1200)),)
    made = Figures(
        site=name,
        period=period_with(Every.WEEK, date(2026, 11, 23), Days(UTC, 0)),
        made_at=MADE_AT,
        group="",
        user="",
        total=counts,
        total_before=before,
        people=3,
        people_before=0,
        hosts=7,
        hosts_before=7,
        slots=(Slot("Mon 23", counts, before), Slot("Tue 24", Counts(), Counts())),
        trend=(
            Slot("2026-W46", Counts(), Counts()),
            Slot("2026-W47", before, Counts()),
            Slot("2026-W48", counts, Counts()),
        ),
        new_hosts=(Row(name, Counts(9, 1024, 1)),),
        gone_hosts=(Row(name, Counts(), Counts(8, 10, 0)),),
        top_people=row,
        top_groups=row,
        top_hosts=row,
        top_categories=row,
        refusals=(Refusal(name, name, 25, 3),),
        harms=(Harm(name, name, 3, 20, 2, 1, 1),),
        limited=(Limited(name, name, 4),),
    )
    return replace(made, **changed)
