"""Rules and exceptions that the record knows nothing of: perhaps nobody needs them."""

from __future__ import annotations

import math
from collections.abc import Container, Iterator

from corpproxy.errors import Problem
from corpproxy.policy.decide import Policy
from corpproxy.policy.reasons import clock
from corpproxy.policy.staged import Period


def unreached(
    policy: Policy, rules: Container[str], exceptions: Container[str], since: float, now: float
) -> Iterator[Problem]:
    """
    Say which rules and exceptions no exchange met between two moments, in POSIX seconds.

    ``rules`` and ``exceptions`` are the names of those that the record has.  What was not in force at any
    time between says nothing.
    """
    for rule in policy.rules:
        period = rule.stage.period
        if rule.name not in rules and _was_there(period, since, now):
            did = "would have decided" if rule.stage.is_shadow else "decided"
            when = clock(max(since, _begun(period)), policy.time_zone)
            said = f"rule '{rule.name}' {did} no exchange since {when}; take it out if it is not needed"
            yield Problem(rule.place, "unreached-rule", said, "hint")
    for entry in policy.exceptions.entries:
        if entry.name not in exceptions and _was_there(entry.period, since, now):
            when = clock(max(since, _begun(entry.period)), policy.time_zone)
            said = (
                f"exception '{entry.name}' let nothing through since {when}; take it out if it is not needed"
            )
            yield Problem(entry.place, "unreached-exception", said, "hint")


def _was_there(period: Period, since: float, now: float) -> bool:
    return period.start < now and period.end > since


def _begun(period: Period) -> float:
    return -1.0 if math.isinf(period.start) else period.start
