"""
Roll-ups: what the record says, added up by the hour of the site, so that common questions need no record.

There are four kinds of sums.  *People*: who had how many exchanges, octets and refusals.  *Places*: the
same by host, categories, rule and result.  *Refusals*: who was refused what by which rule, and how often.
*Deeds*: who asked for what, and who was let through.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import TypeVar

import msgspec

FORMAT = 1

# Results that refused a person something; what limits and quotas refuse among them.
REFUSED = frozenset({"blocked", "warned", "limited"})
# Not a result, but counted beside refusals: a limit made somebody wait.
SLOWED = "slowed"
# What of these is about limits, and not about what was asked for.
QUOTA = "quota"
LIMITS = frozenset({"limited", SLOWED, QUOTA})
# How records say that a quota was used up: it refused the exchange, or ended it.
_SPENT = "quota-spent"
_OVER = frozenset({"exchange", "closing"})
# What of a deed says that somebody was not served by what the rules say.
_TOLD_DEEDS = frozenset({"access-asked", "grant-given"})


class _Line(msgspec.Struct, gc=False, tag_field="v", tag=FORMAT):
    kind: str
    at: str
    result: str
    user: str = ""
    host: str = ""
    rule: str = ""
    ended_rule: str = ""
    failure: str = ""
    deed: str = ""
    whom: str = ""
    received: int = 0
    sent: int = 0
    groups: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    slowed_by: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()


_DECODE = msgspec.json.Decoder(_Line).decode

_Key = TypeVar("_Key")
Groups = tuple[str, ...]
PersonKey = tuple[int, str, Groups, str]
PlaceKey = tuple[int, Groups, str, Groups, str, str]
RefusalKey = tuple[int, str, Groups, str, str, str]
DeedKey = tuple[int, str, str, str, str]


@dataclass(slots=True)
class Sums:
    """
    Sums of some records.

    Keys: people by hour, user, groups, result; places by hour, groups, host, categories, rule, result;
    refusals by hour, user, groups, host, rule, result; deeds by hour, deed, whom, host, rule.  Values of the
    first two: exchanges, octets from clients, octets to them.  ``records`` and ``octets`` are those of the
    lines that were taken.
    """

    people: dict[PersonKey, list[int]] = field(default_factory=dict)
    places: dict[PlaceKey, list[int]] = field(default_factory=dict)
    refusals: dict[RefusalKey, int] = field(default_factory=dict)
    deeds: dict[DeedKey, int] = field(default_factory=dict)
    records: int = 0
    octets: int = 0


class RollUp:
    """Adds records up; ``zone`` says where hours begin."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._hours: dict[str, int] = {}
        self.sums = Sums()

    def take(self, lines: Iterable[bytes]) -> None:
        """Take whole lines with their ends; one that is no record counts for nothing."""
        sums = self.sums
        for line in lines:
            sums.records += 1
            sums.octets += len(line)
            try:
                record = _DECODE(line)
                hour = self._hour(record.at)
            except (msgspec.DecodeError, ValueError, OverflowError, RecursionError):
                continue
            if record.kind in _OVER:
                self._add(record, hour)
            elif record.deed in _TOLD_DEEDS:
                for host in record.hosts or (record.host,):
                    key = hour, record.deed, record.whom, host, record.rule
                    sums.deeds[key] = sums.deeds.get(key, 0) + 1

    def hand_out(self) -> Sums:
        """Give the sums so far, and begin anew."""
        sums, self.sums = self.sums, Sums()
        return sums

    def _add(self, record: _Line, hour: int) -> None:
        sums, user, groups, host = self.sums, record.user, record.groups, record.host
        rule, result = record.rule, record.result
        _count(sums.people, (hour, user, groups, result), record)
        _count(sums.places, (hour, groups, host, record.categories, rule, result), record)
        for limit in record.slowed_by:
            slowed = hour, user, groups, "", limit, SLOWED
            sums.refusals[slowed] = sums.refusals.get(slowed, 0) + 1
        if record.failure == _SPENT:
            spent = hour, user, groups, "", record.ended_rule or rule, QUOTA
            sums.refusals[spent] = sums.refusals.get(spent, 0) + 1
        elif result in REFUSED:
            refusal = hour, user, groups, host, rule, result
            sums.refusals[refusal] = sums.refusals.get(refusal, 0) + 1

    def _hour(self, at: str) -> int:
        """The beginning of the hour of a moment; minutes are remembered, as most records share theirs."""
        minute = at[:16]
        hour = self._hours.get(minute)
        if hour is None:
            if len(self._hours) > 100_000:
                self._hours.clear()
            seconds = int(datetime.fromisoformat(minute + "+00:00").timestamp())
            hour = self._hours[minute] = hour_of(seconds, self._zone)
        return hour


def _count(known: dict[_Key, list[int]], key: _Key, record: _Line) -> None:
    row = known.get(key)
    if row is None:
        known[key] = [1, record.received, record.sent]
    else:
        row[0] += 1
        row[1] += record.received
        row[2] += record.sent


def hour_of(seconds: int, zone: tzinfo) -> int:
    """
    The beginning of the hour of the site in which a moment lies, both in POSIX seconds.

    Where clocks are set within an hour (by half of one, on Lord Howe Island), another one begins there: each
    moment is in one hour, and each hour begins in itself.
    """
    local = datetime.fromtimestamp(seconds, zone)
    begin = seconds - local.minute * 60 - local.second
    if datetime.fromtimestamp(begin, zone).utcoffset() == local.utcoffset():
        return begin
    return _set_at(begin, seconds, zone)


def _set_at(before: int, after: int, zone: tzinfo) -> int:
    """The second from which clocks show what they do after they were set."""
    offset = datetime.fromtimestamp(after, zone).utcoffset()
    while after - before > 1:
        middle = (before + after) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after
