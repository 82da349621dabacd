"""What has ended by itself and still stands in the policy."""

from __future__ import annotations

from collections.abc import Iterator

from corpproxy.errors import Problem
from corpproxy.policy.decide import Policy
from corpproxy.policy.reasons import clock


def overdue(policy: Policy, now: float) -> Iterator[Problem]:
    """Say which rules and exceptions are past their end, in POSIX seconds: nothing of them holds any more."""
    for rule in policy.rules:
        if rule.stage.period.end <= now:
            when = clock(rule.stage.period.end, policy.time_zone)
            said = f"rule '{rule.name}' ended {when}; take it out, or give it another 'until'"
            yield Problem(rule.place, "rule-ended", said, "warning")
    for entry in policy.exceptions.entries:
        if entry.period.end <= now:
            when = clock(entry.period.end, policy.time_zone)
            said = f"exception '{entry.name}' ended {when}; take it out, or give it another 'until'"
            yield Problem(entry.place, "exception-ended", said, "warning")
