"""Whether the service should be given to people: what stands in the way, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from corpproxy.service import CorpproxyService


def reasons_not_ready(service: CorpproxyService) -> list[str]:
    """Why this proxy should not be given to people now, in sentences; none when all is well."""
    reasons = []
    if service.is_last_good:
        reasons.append("the policy file is broken; the last good policy runs")
    if not service.writer.accepts():
        reasons.append(f"records cannot be written: {service.writer.failing_reason}")
    if service.checkpoints.failing_since:
        reasons.append(f"checkpoints cannot be written: {service.checkpoints.failing_reason}")
    if service.bookkeeper.is_failing:
        reasons.append(f"usage cannot be stored: {service.bookkeeper.failing_reason}")
    if service.quota_keeper.problem:
        reasons.append(service.quota_keeper.problem)
    if service.proxy.in_force.policy.missing_categories:
        reasons.append("category lists are missing; rules that block by them block everything")
    reasons += [str(problem) for problem in service.reception.problems if problem.is_error]
    if service.proxy.stopping:
        reasons.append("corpproxy is stopping")
    return reasons
