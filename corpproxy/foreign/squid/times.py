"""Squid's ``time`` acls: days by a letter each, and hours that end with their last minute."""

from __future__ import annotations

import re
from collections.abc import Sequence

from corpproxy.foreign.times import EVERY_DAY, MINUTES_OF_DAY, Span

_LETTERS = {"S": 6, "M": 0, "T": 1, "W": 2, "H": 3, "F": 4, "A": 5}
_WORKING_DAYS = frozenset(range(5))
_HOURS = re.compile(r"([0-9]{1,2}):([0-9]{1,2})-([0-9]{1,2}):([0-9]{1,2})")


def read_spans(words: Sequence[str]) -> list[Span]:
    """
    Read the words of a ``time`` acl as Squid does; raises ValueError with what is wrong.

    Squid counts the minute that a span ends with: 12:00-13:00 holds at 13:00:59.
    """
    spans: list[Span] = []
    days: frozenset[int] = frozenset()
    for word in words:
        if not word[:1].isdigit():
            days |= _days(word)
            continue
        spans.append(Span(days or EVERY_DAY, *_hours(word)))
        days = frozenset()
    if days:
        spans.append(Span(days))
    return spans


def _days(word: str) -> frozenset[int]:
    days: frozenset[int] = frozenset()
    for letter in word:
        if letter == "D":
            days |= _WORKING_DAYS
        elif letter in _LETTERS:
            days |= {_LETTERS[letter]}
        elif letter != "-":
            raise ValueError(f"'{letter}' is no day; Squid has S M T W H F A, and D for Monday to Friday")
    return days


def _hours(word: str) -> tuple[int, int]:
    match = _HOURS.fullmatch(word)
    if match is None:
        raise ValueError(f"'{word}' is no time; Squid has hours such as 08:30-15:30")
    hour, minute, last_hour, last_minute = (int(one) for one in match.groups())
    first, last = hour * 60 + minute, last_hour * 60 + last_minute
    if hour > 23 or last > MINUTES_OF_DAY or minute > 59 or last_minute > 59:
        raise ValueError(f"'{word}' is no time of a day")
    if first > last:
        raise ValueError(f"'{word}' ends before it begins, which Squid refuses; write two spans")
    return first, min(last + 1, MINUTES_OF_DAY)
