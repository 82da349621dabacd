"""What the record says of the rules of a policy: ``corpproxy check --since``."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from corpproxy.backends.records.segments import RECORDS_FOLDER
from corpproxy.backends.search import counts
from corpproxy.backends.search.counts import Counted
from corpproxy.cli.audit import Complaints
from corpproxy.cli.failed import WRONG_USAGE, CommandFailed
from corpproxy.cli.moments import moment
from corpproxy.config.configuration import Configuration
from corpproxy.counted import counted
from corpproxy.errors import Place, Problem
from corpproxy.policy.reasons import clock
from corpproxy.policy.unreached import unreached


@dataclass(frozen=True, slots=True)
class Evidence:
    """The record since a moment, in POSIX seconds, and what it says against the policy."""

    since: float
    counted: Counted
    problems: tuple[Problem, ...]


def evidence(configuration: Configuration, written: str, policy_file: str) -> Evidence:
    """Read the record since a moment as people write it; raises CommandFailed without a record."""
    now = time.time()
    try:
        since = moment(written, now, configuration.time_zone)
    except ValueError as error:
        raise CommandFailed(str(error), WRONG_USAGE) from error
    complaints = Complaints()
    try:
        found = counts.counted(configuration.state / RECORDS_FOLDER, since, complaints)
    except FileNotFoundError as error:
        raise CommandFailed(f"{error.filename}: there are no records; the service makes them") from error
    complaints.sum_up()
    return Evidence(since, found, tuple(_problems(configuration, found, since, now, policy_file)))


def _problems(
    configuration: Configuration, found: Counted, since: float, now: float, policy_file: str
) -> Sequence[Problem]:
    reached = found.reached
    known = reached.rules.keys() | reached.rehearsed.keys()
    told = list(unreached(configuration.policy, known, reached.exceptions, since, now))
    if found.is_short_of(since):
        zone = configuration.time_zone
        begins = "is empty" if found.begins is None else f"begins {clock(found.begins, zone)}"
        said = (
            f"the record {begins} and does not go back to {clock(since, zone)}; what it says is of less time"
        )
        told.insert(0, Problem(Place(policy_file), "record-too-short", said, "hint"))
    return told


def summary(found: Evidence, zone: tzinfo) -> str:
    """A line on what was read."""
    exchanges = counted(found.counted.reached.exchanges, "exchange")
    return f"{exchanges} recorded since {clock(found.since, zone)}"


def mapping(found: Evidence, configuration: Configuration) -> dict[str, Any]:
    """What the record says of each rule and exception, as values that JSON has."""
    zone, reached = configuration.time_zone, found.counted.reached
    begins = found.counted.begins
    return {
        "since": datetime.fromtimestamp(found.since, zone).isoformat(),
        "begins": None if begins is None else datetime.fromtimestamp(begins, zone).isoformat(),
        "exchanges": reached.exchanges,
        "rules": [
            {
                "name": rule.name,
                "place": str(rule.place),
                "decided": reached.rules[rule.name],
                "would_block": reached.rehearsed[rule.name],
            }
            for rule in configuration.policy.rules
        ],
        "exceptions": [
            {"name": one.name, "place": str(one.place), "let_through": reached.exceptions[one.name]}
            for one in configuration.policy.exceptions.entries
        ],
    }
