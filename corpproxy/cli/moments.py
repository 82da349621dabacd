"""Moments as people write them on the command line, and the time zone they mean."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from corpproxy.policy.days import Days

_AGO = re.compile(r"(\d+)(s|m|h|d|w)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_CLOCK = re.compile(r"\d{1,2}:\d{2}(:\d{2})?")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")

FORMS = "2026-11-23, 2026-11-23T10:00, 10:00, today, yesterday, or 2h and 7d for so long ago"


def moment(written: str, now: float, zone: tzinfo, *, day_begins: int = 0) -> float:
    """
    Read a moment in the time of ``zone``; gives POSIX seconds.

    A day alone is its beginning.  Days begin so many minutes after midnight.

    :raises ValueError: when it is none, with a sentence that shows the forms.
    """
    return _read(written, now, Days(zone, day_begins), timedelta(0))


def end_moment(written: str, now: float, zone: tzinfo, *, day_begins: int = 0) -> float:
    """Read a moment at which something ends: a day alone is its end, so that ``--until`` includes it."""
    return _read(written, now, Days(zone, day_begins), timedelta(days=1))


def _read(written: str, now: float, days: Days, into_day: timedelta) -> float:
    try:
        return max(0.0, _seconds(written, now, days, into_day))
    except (ValueError, OverflowError):
        raise ValueError(f"'{written}' is no moment; write {FORMS}") from None


def _seconds(written: str, now: float, days: Days, into_day: timedelta) -> float:
    zone = days.zone
    today = datetime.fromtimestamp(now, zone)
    if match := _AGO.fullmatch(written):
        return now - timedelta(**{_UNITS[match[2]]: int(match[1])}).total_seconds()
    if written == "now":
        return now
    if written in ("today", "yesterday"):
        return days.beginning(days.day(now) - timedelta(days=written == "yesterday") + into_day)
    elif _CLOCK.fullmatch(written):
        written = f"{today:%Y-%m-%d}T{written.zfill(len(written) + (written[1] == ':'))}"
    read = datetime.fromisoformat(written)
    if _DAY.fullmatch(written):
        return days.beginning(read.date() + into_day)
    return (read if read.tzinfo else read.replace(tzinfo=zone)).timestamp()


def span(written: str) -> float:
    """
    Read how long something lasts, in seconds: ``7d``, ``2h``.

    :raises ValueError: when it says nothing of the kind, with a sentence that shows the forms.
    """
    match = _AGO.fullmatch(written)
    if match is None:
        raise ValueError(f"'{written}' is no span of time; write it as 30m, 2h or 7d")
    try:
        return timedelta(**{_UNITS[match[2]]: int(match[1])}).total_seconds()
    except OverflowError:
        raise ValueError(f"'{written}' is longer than any calendar") from None


def machine_zone() -> tzinfo:
    """Give the time zone of this machine, for when no policy names one."""
    with suppress(ZoneInfoNotFoundError, ValueError, OSError):
        if name := os.environ.get("TZ"):
            return ZoneInfo(name)
        with Path("/etc/localtime").open("rb") as file:
            return ZoneInfo.from_file(file)
    return UTC
