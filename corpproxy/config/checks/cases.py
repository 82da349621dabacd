"""The ``tests:`` table: times that can be read, rows that fit, and not more than can be run at each load."""

from __future__ import annotations

from corpproxy.config.build_cases import requests_of
from corpproxy.config.build_rules import Rules
from corpproxy.config.checks.examined import Examined
from corpproxy.config.schema.cases import CaseTable
from corpproxy.counted import counted
from corpproxy.policy.calendar import parse_instant

# At each load all of them are run, 10 us each, and those without a time at many times.
MAX_CASES = 10_000


def check(examined: Examined) -> None:
    """Say what is wrong with tests before they are run."""
    zone = Rules(examined.model, examined.shaped.root, examined.attached).time_zone
    count = 0
    for number, table in enumerate(examined.model.tests):
        path = ("tests", number)
        for index, written in enumerate(table.at or ()):
            try:
                parse_instant(written, zone)
            except ValueError as error:
                examined.say((*path, "at", index), "bad-time", str(error))
        for written, row in table.times.items():
            try:
                parse_instant(written, zone)
            except ValueError as error:
                examined.say_of_key((*path, "times", written), "bad-time", str(error))
            _row(examined, number, table, written, row)
        count += _size(table)
        if count > MAX_CASES:
            said = f"with this there are {count} tests, {MAX_CASES} at most; make fewer combinations"
            examined.say(path, "too-many-tests", said)
            return


def _row(examined: Examined, number: int, table: CaseTable, written: str, row: list[str]) -> None:
    users = len(table.user or [""])
    if len(row) not in (1, users):
        words = f"{counted(len(row), 'word')} for {counted(users, 'user')}"
        said = f"this row has {words}; write one for each, or one for all"
        examined.say(("tests", number, "times", written), "row-does-not-fit", said)


def _size(table: CaseTable) -> int:
    """How many cases an entry is."""
    times = len(table.times) or len(table.at or [""])
    return len(table.user or [""]) * times * len(table.client or [""]) * len(requests_of(table))
