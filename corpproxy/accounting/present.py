"""
The present: who uses the line now, and what runs, for whoever looks.

Each process tells what it sees itself; `together` makes one answer of what several tell.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

# People whom one process tells of, and rows of either kind that one answer has, at most.
MAX_PEOPLE = 5_000
MAX_ROWS = 1_000
# Addresses that are told of one person.
MAX_ADDRESSES = 4


_Row = TypeVar("_Row", bound="Person | Running")


class View(StrEnum):
    """What is looked at: people, or what runs for them."""

    PEOPLE = "people"
    RUNNING = "running"


class Sort(StrEnum):
    """By what rows are put in order, the largest first; names from the first letter on."""

    RATE = "rate"
    DOWN = "down"
    UP = "up"
    MOVED = "moved"
    AGE = "age"
    TUNNELS = "tunnels"
    WHO = "who"
    HOST = "host"


class Question(Struct, frozen=True):
    """
    What somebody wants to see.

    ``text`` is looked for, in any case of letters, in names, groups, addresses, hosts, categories and rules.
    """

    view: View = View.PEOPLE
    sort: Sort = Sort.RATE
    text: str = ""
    limit: int = 100


class Person(Struct, frozen=True):
    """
    One person, or one address of which nobody knows whose it is (then ``named`` is not set).

    ``received`` came from their clients, ``sent`` went to them: octets since somebody began to look.  Rates
    are octets a second.  ``ended`` and ``refused`` count exchanges since then.  ``slowed`` are the limits for
    which something of theirs waited just now.
    """

    who: str
    named: bool
    addresses: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    connections: int = 0
    tunnels: int = 0
    running: int = 0
    received: int = 0
    sent: int = 0
    received_rate: float = 0.0
    sent_rate: float = 0.0
    ended: int = 0
    refused: int = 0
    slowed: tuple[str, ...] = ()


class Running(Struct, frozen=True):
    """
    One exchange that runs.

    ``received`` and ``sent`` are its octets so far, on the client's side.  ``started`` is POSIX seconds.
    ``worker`` is the number of the process that has it, 0 where there is one.
    """

    reference: str
    worker: int
    who: str
    client: str
    groups: tuple[str, ...]
    method: str
    is_tunnel: bool
    host: str
    port: int
    categories: tuple[str, ...]
    rule: str
    started: float
    received: int
    sent: int
    received_rate: float = 0.0
    sent_rate: float = 0.0
    slowed: tuple[str, ...] = ()


class Present(Struct, frozen=True):
    """
    What one look saw.

    ``seconds`` is the time over which rates were taken, 0 at the first look.  ``connections``, ``tunnels``
    and ``exchanges`` are what is open and runs, ``ended`` and ``refused`` exchanges a second.  ``found`` is
    how many rows there were before the limit.
    """

    seconds: float = 0.0
    connections: int = 0
    tunnels: int = 0
    exchanges: int = 0
    received_rate: float = 0.0
    sent_rate: float = 0.0
    ended: float = 0.0
    refused: float = 0.0
    found: int = 0
    people: tuple[Person, ...] = ()
    running: tuple[Running, ...] = ()


def together(seen: Sequence[Present], question: Question) -> Present:
    """Make one answer of what several processes saw, with the rows that are asked for, in order."""
    people = _add_up(one.people for one in seen)
    running = [row for one in seen for row in one.running]
    if question.view is View.PEOPLE:
        matching = [person for person in people if matches(person, question.text)]
        found, shown = len(matching), first_of(matching, question)
        running = []
    else:
        found, shown = sum(one.found for one in seen), []
        running = first_of(running, question)
    return Present(
        max((one.seconds for one in seen), default=0.0),
        sum(one.connections for one in seen),
        sum(one.tunnels for one in seen),
        sum(one.exchanges for one in seen),
        sum(one.received_rate for one in seen),
        sum(one.sent_rate for one in seen),
        sum(one.ended for one in seen),
        sum(one.refused for one in seen),
        found,
        tuple(shown),
        tuple(running),
    )


def matches(row: Person | Running, text: str) -> bool:
    """Whether a text is anywhere in what a row names."""
    if not text:
        return True
    wanted = text.casefold()
    if isinstance(row, Person):
        words: Iterable[str] = (row.who, *row.addresses, *row.groups)
    else:
        words = (row.who, row.client, row.host, row.rule, *row.groups, *row.categories)
    return any(wanted in word.casefold() for word in words)


def first_of(rows: list[_Row], question: Question) -> list[_Row]:
    """The first of some rows, in the order that is asked for."""
    key, limit = _ORDERS[question.sort], max(0, min(question.limit, MAX_ROWS))
    if question.sort in (Sort.WHO, Sort.HOST):
        return heapq.nsmallest(limit, rows, key=key)
    return heapq.nlargest(limit, rows, key=key)


def _rate(row: Person | Running) -> tuple[float, int, str]:
    # What moved breaks ties, so that a quiet line has an order, too.
    return row.received_rate + row.sent_rate, row.received + row.sent, row.who


def _age(row: Person | Running) -> tuple[float, str]:
    return (-row.started if isinstance(row, Running) else 0.0), row.who


def _tunnels(row: Person | Running) -> tuple[int, float]:
    return (int(row.is_tunnel) if isinstance(row, Running) else row.tunnels), _rate(row)[0]


def _host(row: Person | Running) -> tuple[str, str]:
    return (row.host if isinstance(row, Running) else ""), row.who


_ORDERS: Mapping[Sort, Callable[[Any], Any]] = {
    Sort.RATE: _rate,
    Sort.DOWN: lambda row: (row.sent_rate, row.sent, row.who),
    Sort.UP: lambda row: (row.received_rate, row.received, row.who),
    Sort.MOVED: lambda row: (row.received + row.sent, row.who),
    Sort.AGE: _age,
    Sort.TUNNELS: _tunnels,
    Sort.WHO: lambda row: (row.who, -row.sent_rate),
    Sort.HOST: _host,
}


def _add_up(told: Iterable[Iterable[Person]]) -> list[Person]:
    """One row for each person, whichever processes have something of them."""
    found: dict[tuple[str, bool], Person] = {}
    for people in told:
        for person in people:
            before = found.get((person.who, person.named))
            found[person.who, person.named] = person if before is None else _both(before, person)
    return list(found.values())


def _both(one: Person, other: Person) -> Person:
    return replace(
        one,
        addresses=tuple(sorted({*one.addresses, *other.addresses}))[:MAX_ADDRESSES],
        groups=one.groups or other.groups,
        slowed=tuple(sorted({*one.slowed, *other.slowed})),
        **{name: getattr(one, name) + getattr(other, name) for name in _ADDED},
    )


_ADDED = (
    "connections",
    "tunnels",
    "running",
    "received",
    "sent",
    "received_rate",
    "sent_rate",
    "ended",
    "refused",
)
