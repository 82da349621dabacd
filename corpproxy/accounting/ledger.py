"""
The ledger: who moved how many octets where, added up in memory until a store takes them.

The store keeps sums by quarter of an hour, because every time zone of the world is a whole number of
quarters away from UTC: sums by hour or day of any zone can be made from them, those of hours
in UTC could not serve Adelaide (UTC+9:30) or Kathmandu (UTC+5:45).  On the way there they stand by minutes,
because those are what active minutes are told from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple, overload

import msgspec

MINUTE_SECONDS = 60
SLOT_SECONDS = 900

# So many sums are held while the store does not take them (a full disk); about 40 MB.  Beyond it, hosts
# are no longer told apart, but every octet of every person still counts.
MAX_SUMS = 100_000
OTHER_HOSTS = "*"


class Usage(NamedTuple):
    """
    One sum: what one person moved from one device to one host by one rule in one minute.

    ``minute`` is the POSIX second at which it begins.  ``received`` came from the client, ``sent`` went to
    it.  ``device`` is the client's address; ``rule`` is the one that decided.  ``minutes`` is how many active
    minutes this is, which `corpproxy.accounting.activity` tells.
    """

    minute: int
    user: str
    groups: tuple[str, ...]
    categories: tuple[str, ...]
    host: str
    received: int
    sent: int
    exchanges: int
    device: str = ""
    rule: str = ""
    minutes: int = 0


# As the class would make it, without its Python.
_usage: Callable[[tuple[Any, ...]], Usage] = partial(tuple.__new__, Usage)

# Each value that is there once, and for each row which of them it has.
Shared = tuple[tuple[int, ...], list[int]]
SharedTexts = tuple[tuple[str, ...], list[int]]
SharedNames = tuple[tuple[tuple[str, ...], ...], list[int]]


class Columns(msgspec.Struct, frozen=True, array_like=True):
    """What the rows of a batch have, one member of `Usage` after the other."""

    minute: Shared
    user: SharedTexts
    groups: SharedNames
    categories: SharedNames
    host: SharedTexts
    received: list[int]
    sent: list[int]
    exchanges: list[int]
    device: SharedTexts
    rule: SharedTexts
    minutes: list[int]


class Batch(Sequence[Usage]):
    """
    Sums on their way to the store, by columns.

    A busy second brings thousands of rows, of few people, hosts and rules.  As rows, with texts of their own
    in each process that they pass, they would take a kilobyte each, for a moment; and what a process once
    took for a moment it seldom gives back.
    """

    __slots__ = ("columns",)

    def __init__(self, columns: Columns) -> None:
        self.columns = columns

    def __len__(self) -> int:
        return len(self.columns.received)

    def __iter__(self) -> Iterator[Usage]:
        columns = self.columns
        rows = zip(
            _each(columns.minute),
            _each(columns.user),
            _each(columns.groups),
            _each(columns.categories),
            _each(columns.host),
            columns.received,
            columns.sent,
            columns.exchanges,
            _each(columns.device),
            _each(columns.rule),
            columns.minutes,
            strict=True,
        )
        return map(_usage, rows)

    @overload
    def __getitem__(self, place: int) -> Usage: ...
    @overload
    def __getitem__(self, place: slice) -> list[Usage]: ...
    def __getitem__(self, place: int | slice) -> Usage | list[Usage]:
        return list(self)[place]


def in_columns(rows: Sequence[Usage]) -> Columns:
    """The columns of a batch, or of rows that are none yet."""
    if isinstance(rows, Batch):
        return rows.columns
    minute, user, groups, categories, host = (shared(map(itemgetter(place), rows)) for place in range(5))
    received, sent, exchanges = (list(map(itemgetter(place), rows)) for place in range(5, 8))
    device, rule = (shared(map(itemgetter(place), rows)) for place in (8, 9))
    minutes = list(map(itemgetter(10), rows))
    return Columns(minute, user, groups, categories, host, received, sent, exchanges, device, rule, minutes)


def shared(values: Iterable[Any]) -> tuple[tuple[Any, ...], list[int]]:
    """Each value once, and for each that was given which of them it is."""
    numbers: dict[Any, int] = {}
    places = [numbers.setdefault(value, len(numbers)) for value in values]
    return tuple(numbers), places


def _each(column: tuple[tuple[Any, ...], list[int]]) -> Iterator[Any]:
    values, places = column
    return map(values.__getitem__, places)


# Minute, user, groups, categories, host, device, rule.
_Key = tuple[int, str, tuple[str, ...], tuple[str, ...], str, str, str]


class Ledger:
    """The sums that no store has taken yet."""

    __slots__ = ("_max_sums", "_sums")

    def __init__(self, max_sums: int = MAX_SUMS) -> None:
        self._sums: dict[_Key, list[int]] = {}
        self._max_sums = max_sums

    def __len__(self) -> int:
        return len(self._sums)

    # The order is that of Usage; named arguments would cost a third more.
    def add(
        self,
        at: float,
        user: str,
        groups: tuple[str, ...],
        categories: tuple[str, ...],
        host: str,
        received: int,
        sent: int,
        exchanges: int = 1,
        device: str = "",
        rule: str = "",
        minutes: int = 0,
    ) -> None:
        """Add octets that moved ``at``, POSIX seconds; a running tunnel adds its own with ``exchanges=0``."""
        key = (int(at) // 60 * 60, user, groups, categories, host, device, rule)
        row = self._sums.get(key)
        if row is None:
            self._open(key, [received, sent, exchanges, minutes])
        else:
            row[0] += received
            row[1] += sent
            row[2] += exchanges
            row[3] += minutes

    def take_batch(self) -> Batch:
        """Hand out all sums and begin anew."""
        sums, self._sums = self._sums, {}
        minute, user, groups, categories, host, device, rule = (
            shared(map(itemgetter(place), sums)) for place in range(7)
        )
        received, sent, exchanges, minutes = (
            list(map(itemgetter(place), sums.values())) for place in range(4)
        )
        return Batch(
            Columns(minute, user, groups, categories, host, received, sent, exchanges, device, rule, minutes)
        )

    def put_back(self, batch: Iterable[Usage]) -> None:
        """Take back sums that the store could not take; they go out again with the next batch."""
        for row in batch:
            self.add(*row)

    def _open(self, key: _Key, row: list[int]) -> None:
        if len(self._sums) < self._max_sums or key[4] == OTHER_HOSTS:
            self._sums[key] = row
            return
        minute, user, groups, _, _, device, rule = key
        received, sent, exchanges, minutes = row
        slot = slot_of(minute)
        self.add(slot, user, groups, (), OTHER_HOSTS, received, sent, exchanges, device, rule, minutes)


def slot_of(at: float) -> int:
    """The quarter of an hour in which a moment lies, by the POSIX second at which it begins."""
    return int(at) // SLOT_SECONDS * SLOT_SECONDS
