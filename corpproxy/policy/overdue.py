"""What stands in the policy and will not hold any more: past its end, or at times that do not come."""

from __future__ import annotations

from collections.abc import Iterator

from corpproxy.errors import Problem
from corpproxy.policy.calendar import Calendar
from corpproxy.policy.decide import Policy
from corpproxy.policy.exceptions import ExceptionEntry
from corpproxy.policy.reasons import both, clock
from corpproxy.policy.rules import Rule

# How far is looked for a time: the dates of a calendar are written a school year ahead.
YEAR_SECONDS = 366 * 86_400


def overdue(policy: Policy, now: float) -> Iterator[Problem]:
    """Say which rules and exceptions do not hold any more, or not within a year; ``now`` is POSIX seconds."""
    yield from _ended(policy, now)
    empty = _Empty(now)
    rows: list[tuple[str, Rule | ExceptionEntry]] = [("rule", one) for one in policy.rules]
    rows += [("exception", one) for one in policy.exceptions.entries]
    for kind, row in rows:
        if row.when and all(empty.is_empty(when.hours) for when in row.when):
            names = both([f"'{when.name}'" for when in row.when])
            said = f"{kind} '{row.name}' waits for {names}, which does not come within a year; mend the dates"
            yield Problem(row.place, "never-in-force", said, "warning")


class _Empty:
    """Calendars that do not hold at any time of the year to come; many rules share one."""

    def __init__(self, now: float) -> None:
        self._now = now
        self._known: dict[Calendar, bool] = {}

    def is_empty(self, calendar: Calendar) -> bool:
        """Whether there is no such time."""
        if calendar not in self._known:
            self._known[calendar] = not self._comes(calendar)
        return self._known[calendar]

    def _comes(self, calendar: Calendar) -> bool:
        at = self._now
        while at <= self._now + YEAR_SECONDS:
            if calendar.contains(at):
                return True
            at = calendar.next_change(at)
        return False


def _ended(policy: Policy, now: float) -> Iterator[Problem]:
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
