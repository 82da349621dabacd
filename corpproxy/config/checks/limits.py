"""The ``limits:`` table: names of their own, something to hold to, and nothing that is known too late."""

from __future__ import annotations

from corpproxy.config.checks.conditions import each_part
from corpproxy.config.checks.examined import Examined
from corpproxy.config.nodes import Path
from corpproxy.config.schema.conditions import WhatTable, WhoTable
from corpproxy.config.schema.limiting import LimitTable
from corpproxy.policy.conditions import ANSWER_KEYS

# Those that match are told by one number with a bit for each.
MAX_LIMITS = 200


def check(examined: Examined) -> None:
    """Say which limits hold nobody, and which ask what is not known when they begin to count."""
    if len(examined.model.limits) > MAX_LIMITS:
        count = len(examined.model.limits)
        said = f"{count} limits are too many ({MAX_LIMITS} at most); let one count 'per: group'"
        examined.say(("limits", MAX_LIMITS), "too-many-limits", said)
        return
    for path, part in each_part(examined):
        if path[0] == "limits":
            _keys(examined, path, part)
    first: dict[str, int] = {}
    for number, limit in enumerate(examined.model.limits):
        if limit.name in first:
            place = examined.place(("limits", first[limit.name], "name"))
            said = (
                f"a limit '{limit.name}' stands at {place} already; names in records must tell limits apart"
            )
            examined.say(("limits", number, "name"), "duplicate-limit", said)
        first.setdefault(limit.name, number)
        _holds(examined, number, limit)


def _keys(examined: Examined, path: Path, part: WhoTable | WhatTable) -> None:
    for key in ANSWER_KEYS:
        if getattr(part, key, None) not in (None, []):
            said = f"'{key}' is known only with the answer, and a limit counts from the first octet on"
            examined.say_of_key((*path, key), "limit-too-late", said)


def _holds(examined: Examined, number: int, limit: LimitTable) -> None:
    path = ("limits", number)
    if examined.shaped.is_damaged(path):
        return
    rates = limit.rate, limit.download, limit.upload
    if rates == (None, None, None):
        examined.say(path, "limit-of-nothing", "this limits nothing; say 'rate:', as rate: 1MiB/s")
    elif None not in rates:
        said = "'download' and 'upload' stand in the place of 'rate', which does nothing here; leave it out"
        examined.say_of_key((*path, "rate"), "needless-field", said, "warning")
