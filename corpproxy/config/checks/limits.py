"""The ``limits:`` table: names of their own, something to hold to, and nothing that is known too late."""

from __future__ import annotations

from corpproxy.config.checks.conditions import each_part
from corpproxy.config.checks.examined import Examined
from corpproxy.config.nearest import did_you_mean
from corpproxy.config.nodes import Path
from corpproxy.config.schema.conditions import WhatTable, WhoTable
from corpproxy.config.schema.limiting import LimitTable, ThenTable
from corpproxy.policy.conditions import ANSWER_KEYS
from corpproxy.policy.quota import Every, Then

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
        _quota(examined, ("limits", number), limit)
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
    if rates == (None, None, None) and limit.volume is None and limit.minutes is None:
        said = "this limits nothing; say 'rate:', as rate: 1MiB/s, or 'volume:' or 'minutes:' with 'every:'"
        examined.say(path, "limit-of-nothing", said)
    elif None not in rates:
        said = "'download' and 'upload' stand in the place of 'rate', which does nothing here; leave it out"
        examined.say_of_key((*path, "rate"), "needless-field", said, "warning")


def _quota(examined: Examined, path: Path, limit: LimitTable) -> None:
    """Say what keeps a quota from being one."""
    if examined.shaped.is_damaged(path):
        return
    if limit.volume is None and limit.minutes is None:
        for key in ("every", "then", "store_away"):
            if getattr(limit, key) is not None:
                said = f"'{key}' says something of a quota, and there is none; say 'volume:' or 'minutes:'"
                examined.say_of_key((*path, key), "bad-quota", said)
        return
    if limit.volume is not None and limit.minutes is not None:
        said = "one limit counts octets or minutes; write another limit for the minutes"
        examined.say_of_key((*path, "minutes"), "bad-quota", said)
    if limit.every is None:
        examined.say(path, "bad-quota", "a quota is made good again; say when, as every: day")
    elif limit.every not in set(Every):
        _calendar(examined, (*path, "every"), limit.every)
    elif limit.minutes is not None and limit.minutes >= _MINUTES[limit.every]:
        said = f"{limit.every}s have {_MINUTES[limit.every]} minutes at most; this quota is never used up"
        examined.say((*path, "minutes"), "bad-quota", said)
    if limit.volume is not None and not LEAST_VOLUME <= limit.volume <= MOST_VOLUME:
        said = "a quota is from 64KiB to 1024TiB; less lets no page through, and more is none"
        examined.say((*path, "volume"), "bad-quota", said)
    then = limit.then
    if then is not None:
        _then(examined, (*path, "then"), then)
    is_lent = limit.volume is not None and (then is None or then.do is not Then.RECORD)
    if limit.store_away is not None and not is_lent:
        said = "minutes, and what is only recorded, are lent to no node: each goes on by itself; leave it out"
        examined.say_of_key((*path, "store_away"), "needless-field", said, "warning")


def _calendar(examined: Examined, path: Path, name: str) -> None:
    known = examined.names_in(("calendars",))
    if name not in known:
        near = did_you_mean(name, {*Every, *known})
        said = f"'every' wants hour, day, week, month or the name of a calendar, not '{name}'{near}"
        examined.say(path, "unknown-calendar", said)


def _then(examined: Examined, path: Path, then: ThenTable) -> None:
    has_rate = (then.rate, then.download, then.upload) != (None, None, None)
    if then.do is Then.SLOW and not has_rate:
        examined.say(path, "bad-quota", "say how slow, as then: {rate: 256KiB/s}")
    elif then.do not in (None, Then.SLOW) and has_rate:
        examined.say(path, "bad-quota", f"'{then.do}' and a rate do not go together; leave one of them out")
    elif then.do is None and not has_rate:
        examined.say(path, "bad-quota", "say what happens: block, record, or a rate")


LEAST_VOLUME = 64 * 1024
MOST_VOLUME = 1 << 50
_MINUTES = {"hour": 60, "day": 25 * 60, "week": 7 * 24 * 60 + 60, "month": 31 * 24 * 60 + 60}
