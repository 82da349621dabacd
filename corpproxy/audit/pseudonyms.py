"""
Pseudonyms: a random name for each person and device in each period, which two keepers can resolve together.

The name is made with a random key of the period, which is thrown away when the period is over: from then on
nobody can tell from a name what its pseudonym was.  Who stands behind each pseudonym is written into a table
whose key two keepers can open together (`corpproxy.audit.sealing`), and nobody else, not even who runs the
service.
"""

from __future__ import annotations

import hmac
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from pathlib import Path

import msgspec

from corpproxy.audit.erasure import ADDRESS
from corpproxy.audit.record import Record

# Crockford's alphabet: no letters that look alike, so that a pseudonym can be read out.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
# Of 60 bits: two people of a million have the same one once in two million periods.
_LETTERS = 12
PERSON = "p-"
DEVICE = "d-"
# Where none can be made (the disk is full, a key is gone) nobody is named at all.
NOBODY = "p-none"

_OTHERS = ("group:", "network:")


class Every(StrEnum):
    """How long a pseudonym lasts."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    TERM = "term"


@dataclass(frozen=True, slots=True)
class PseudonymSettings:
    """
    Whether and how long people have pseudonyms; without ``keepers`` they have none.

    ``keepers`` are the files of the public keys by the keepers' names, ``begins`` the first days of terms.
    """

    every: Every = Every.MONTH
    keepers: Mapping[str, Path] = field(default_factory=dict)
    begins: tuple[date, ...] = ()


@dataclass(frozen=True, slots=True)
class Period:
    """A period; ``name`` is also that of its files, ``ends`` is POSIX seconds."""

    name: str
    ends: float


def period_at(at: float, zone: tzinfo, every: Every, begins: Sequence[date] = ()) -> Period:
    """Give the period of a moment; before the first term and after the last one it is the nearest."""
    day = datetime.fromtimestamp(at, zone).date()
    if every is Every.TERM:
        return _term(day, zone, sorted(begins))
    if every is Every.DAY:
        return Period(day.isoformat(), _midnight(day + timedelta(days=1), zone))
    if every is Every.WEEK:
        year, week, weekday = day.isocalendar()
        return Period(f"{year}-W{week:02}", _midnight(day + timedelta(days=8 - weekday), zone))
    following = date(day.year + day.month // 12, day.month % 12 + 1, 1)
    return Period(f"{day:%Y-%m}", _midnight(following, zone))


def _term(day: date, zone: tzinfo, begins: Sequence[date]) -> Period:
    number = bisect_right(begins, day)
    first = begins[number - 1].isoformat() if number else "before"
    last = begins[number] if number < len(begins) else date.max - timedelta(days=1)
    return Period(f"term-{first}", _midnight(last, zone))


def _midnight(day: date, zone: tzinfo) -> float:
    return datetime.combine(day, time(), zone).timestamp()


def pseudonym(kind: str, name: str, key: bytes) -> str:
    """Give the pseudonym of a person or a device, with the key of the period."""
    number = int.from_bytes(hmac.digest(key, f"{kind}{name}".encode("utf-8", "backslashreplace"), "sha256"))
    letters = [_ALPHABET[number >> 5 * place & 31] for place in range(_LETTERS)]
    return kind + "".join(letters)


class Naming:
    """Gives pseudonyms; `corpproxy.backends.records.pseudonym_files` has the one that lasts."""

    def person(self, name: str) -> str:
        """The pseudonym of a person."""
        raise NotImplementedError

    def device(self, address: str) -> str:
        """The pseudonym of a client's address."""
        raise NotImplementedError

    def apply(self, record: Record, *, keeps_user: bool = False) -> Record:
        """Give a record with pseudonyms for all whom it names; an administrator of the machine is kept."""
        left_out = tuple(sorted({*record.left_out, "user"}))
        return msgspec.structs.replace(
            record,
            user=record.user if keeps_user or not record.user else self.person(record.user),
            client=self.device(record.client) if record.client else "",
            whom=self._whom(record.whom),
            left_out=left_out,
        )

    def _whom(self, whom: str) -> str:
        if not whom or whom.startswith(_OTHERS):
            return whom
        if whom.startswith(ADDRESS):
            return ADDRESS + self.device(whom.removeprefix(ADDRESS))
        return self.person(whom)


class Entry(msgspec.Struct, frozen=True):
    """Who stands behind a pseudonym; ``name`` is a person's name or a device's address."""

    pseudonym: str
    name: str
