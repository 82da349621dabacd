"""
What a policy means, checked once its shape is known: names exist, rules can match, files are there.

Each module checks one concern and says every problem it finds.
"""

from __future__ import annotations

from corpproxy.config.checks import (
    audit,
    calendars,
    cases,
    exceptions,
    exempt,
    files,
    geography,
    limits,
    listen,
    lists,
    names,
    reports,
    rules,
    sinks,
    site,
    store,
    values,
)
from corpproxy.config.checks.examined import Examined

CONCERNS = tuple(
    module.check
    for module in (
        names,
        lists,
        rules,
        exceptions,
        exempt,
        limits,
        cases,
        listen,
        files,
        geography,
        sinks,
        reports,
        site,
        store,
        calendars,
        values,
        audit,
    )
)


def check_meaning(examined: Examined) -> None:
    """Run every check; the problems are in ``examined``."""
    for concern in CONCERNS:
        concern(examined)
