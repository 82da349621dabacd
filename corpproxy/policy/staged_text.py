"""Periods, stages and exceptions in words."""

from __future__ import annotations

import math
from datetime import tzinfo

from corpproxy.policy.exceptions import ALL_RULES, ExceptionEntry
from corpproxy.policy.reasons import both, clock
from corpproxy.policy.staged import Period


def period_in_words(period: Period, at: float, time_zone: tzinfo) -> str:
    """Why something is in force at an instant as far as its period goes, or not yet or no more."""
    if at < period.start:
        return f"begins {clock(period.start, time_zone)}"
    if at >= period.end:
        return f"ended {clock(period.end, time_zone)}"
    return "has no end" if period.end == math.inf else f"ends {clock(period.end, time_zone)}"


def past_in_words(entry: ExceptionEntry) -> str:
    """What an exception goes past."""
    if ALL_RULES in entry.past:
        return "past all rules that refuse"
    names = both([f"'{name}'" for name in entry.past])
    return f"past {names}"


def answered_for(owner: str, reason: str) -> str:
    """Who answers for something and why it is there, as far as this is written: ``carol: chess club``."""
    return ": ".join(part for part in (owner, reason) if part)
