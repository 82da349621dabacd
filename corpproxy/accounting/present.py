"""
The present: who uses the line now, and what runs, for whoever looks.

Each process tells what it sees itself; `together` makes one answer of what several tell.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Generic, NamedTuple, TypeVar

from msgspec import Struct
from msgspec.structs import replace

# People whom one process tells of, and rows of either kind that one answer has, at most.
MAX_PEOPLE = 5_000
MAX_ROWS = 1_000
# Addresses that are told of one person.
MAX_ADDRESSES = 4
# Rows that are held before the first of them are chosen, at least.
LEAST_HELD = 200


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
    OPEN = "open"
    TUNNELS = "tunnels"
    ENDED = "ended"
    REFUSED = "refused"
    QUOTA = "quota"
    SLOWED = "slowed"
    WHO = "who"
    GROUP = "group"
    ADDRESS = "address"
    HOST = "host"
    METHOD = "method"
    RULE = "rule"
    CATEGORY = "category"


# What rows of each kind can be put in order by.
SORTS: Mapping[View, tuple[Sort, ...]] = {
    View.PEOPLE: (
        Sort.RATE,
        Sort.WHO,
        Sort.DOWN,
        Sort.UP,
        Sort.MOVED,
        Sort.OPEN,
        Sort.TUNNELS,
        Sort.ENDED,
        Sort.REFUSED,
        Sort.QUOTA,
        Sort.SLOWED,
        Sort.GROUP,
        Sort.ADDRESS,
    ),
    View.RUNNING: (
        Sort.RATE,
        Sort.WHO,
        Sort.HOST,
        Sort.DOWN,
        Sort.UP,
        Sort.MOVED,
        Sort.AGE,
        Sort.TUNNELS,
        Sort.METHOD,
        Sort.SLOWED,
        Sort.RULE,
        Sort.CATEGORY,
        Sort.GROUP,
        Sort.ADDRESS,
    ),
}


class Question(Struct, frozen=True):
    """
    What somebody wants to see.

    ``text`` is looked for, in any case of letters, in names, groups, addresses, hosts, categories and rules.
    ``who`` is one person, or one address, whose rows alone are wanted.  ``backwards`` turns the order round.
    """

    view: View = View.PEOPLE
    sort: Sort = Sort.RATE
    text: str = ""
    limit: int = 100
    who: str = ""
    backwards: bool = False


class QuotaUse(Struct, frozen=True):
    """How much of a quota is used: 1.0 is all of it; it begins anew at ``until``, POSIX seconds."""

    limit: str
    share: float
    until: float


class Person(Struct, frozen=True):
    """
    One person, or one address of which nobody knows whose it is (then ``named`` is not set).

    ``received`` came from their clients, ``sent`` went to them: octets of what runs, since it began, and of
    what ended since somebody began to look.  Rates are octets a second.  ``ended`` and ``refused`` count
    exchanges since then.  ``slowed`` are the limits for which something of theirs waited just now.
    ``categories`` are those of what runs, for the quotas of these; they are not told.
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
    quota: QuotaUse | None = None
    categories: tuple[str, ...] = ()


class Shown(NamedTuple):
    """How an exchange that runs is told of: as its record names it, with pseudonyms where that has them."""

    who: str
    client: str
    host: str
    categories: tuple[str, ...]
    rule: str


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
    how many rows there were before the limit.  ``workers`` are the processes that told; ``active`` people for
    whom something runs or moved just now are counted where people are looked at.
    With ``pseudonyms`` what runs is told by these, and people without their addresses.
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
    workers: int = 1
    active: int = 0
    pseudonyms: bool = False


def together(seen: Sequence[Present], question: Question) -> Generator[None, None, Present]:
    """
    Make one answer of what several processes saw, in steps.

    What runs is in order, as it is asked for.  People are all there: `ordered` chooses among them once more
    is known of them.
    """
    people = yield from _add_up(one.people for one in seen)
    firsts: Firsts[Running] = Firsts(question)
    for one in seen:
        for row in one.running:
            firsts.add(row)
            yield
    return Present(
        max((one.seconds for one in seen), default=0.0),
        sum(one.connections for one in seen),
        sum(one.tunnels for one in seen),
        sum(one.exchanges for one in seen),
        sum(one.received_rate for one in seen),
        sum(one.sent_rate for one in seen),
        sum(one.ended for one in seen),
        sum(one.refused for one in seen),
        sum(one.found for one in seen),
        tuple(people),
        tuple(firsts.rows()),
        len(seen),
        sum(map(_is_active, people)),
        any(one.pseudonyms for one in seen),
    )


def ordered(present: Present, question: Question) -> Generator[None, None, Present]:
    """Keep the people who are asked for, in order; in steps."""
    if question.view is not View.PEOPLE:
        return present
    firsts: Firsts[Person] = Firsts(question)
    found = 0
    for person in present.people:
        if matches(person, question):
            found += 1
            firsts.add(person)
        yield
    return replace(present, found=found, people=tuple(firsts.rows()))


def matches(row: Person | Running, question: Question) -> bool:
    """Whether a row is one of those that are asked for."""
    if question.who and row.who != question.who:
        return False
    if not question.text:
        return True
    wanted = question.text.casefold()
    if isinstance(row, Person):
        words: Iterable[str] = (row.who, *row.addresses, *row.groups)
    else:
        words = (row.who, row.client, row.host, row.rule, *row.groups, *row.categories)
    return any(wanted in word.casefold() for word in words)


class Firsts(Generic[_Row]):
    """
    The first of many rows, which come one at a time.

    No more are held than some times as many as are wanted, and no step takes longer than to sort these.
    """

    def __init__(self, question: Question) -> None:
        self._key = _ORDERS[question.sort]
        self._largest_first = (question.sort not in _FROM_THE_FIRST_LETTER) is not question.backwards
        self._limit = max(0, min(question.limit, MAX_ROWS))
        self._rows: list[_Row] = []

    def add(self, row: _Row) -> None:
        """One more row."""
        self._rows.append(row)
        if len(self._rows) >= 2 * self._limit + LEAST_HELD:
            self._rows = self.rows()

    def rows(self) -> list[_Row]:
        """The first of those that came, in order."""
        return sorted(self._rows, key=self._key, reverse=self._largest_first)[: self._limit]


def _is_active(person: Person) -> bool:
    return bool(person.running or person.received_rate or person.sent_rate)


def _rate(row: Person | Running) -> tuple[float, int, str]:
    # What moved breaks ties, so that a quiet line has an order, too.
    return row.received_rate + row.sent_rate, row.received + row.sent, row.who


def _tunnels(row: Person | Running) -> tuple[int, float]:
    return (int(row.is_tunnel) if isinstance(row, Running) else row.tunnels), _rate(row)[0]


def _address(row: Person | Running) -> tuple[str, str]:
    return (row.client if isinstance(row, Running) else "".join(row.addresses[:1])), row.who


def _number(name: str) -> Callable[[Any], tuple[Any, float, str]]:
    # What a row of the other kind has not is as if it were nothing.
    return lambda row: (getattr(row, name, 0), _rate(row)[0], row.who)


def _text(name: str) -> Callable[[Any], tuple[str, str]]:
    def key(row: Person | Running) -> tuple[str, str]:
        found = getattr(row, name, "")
        return found if isinstance(found, str) else ", ".join(found), row.who

    return key


def _quota(row: Person | Running) -> tuple[float, str]:
    return (row.quota.share if isinstance(row, Person) and row.quota is not None else -1.0), row.who


_ORDERS: Mapping[Sort, Callable[[Any], Any]] = {
    Sort.RATE: _rate,
    Sort.DOWN: lambda row: (row.sent_rate, row.sent, row.who),
    Sort.UP: lambda row: (row.received_rate, row.received, row.who),
    Sort.MOVED: lambda row: (row.received + row.sent, row.who),
    Sort.AGE: lambda row: (-getattr(row, "started", 0.0), row.who),
    Sort.OPEN: _number("connections"),
    Sort.TUNNELS: _tunnels,
    Sort.ENDED: _number("ended"),
    Sort.REFUSED: _number("refused"),
    Sort.QUOTA: _quota,
    Sort.SLOWED: lambda row: (len(row.slowed), *_rate(row)),
    Sort.WHO: lambda row: (row.who, row.sent_rate),
    Sort.GROUP: _text("groups"),
    Sort.ADDRESS: _address,
    Sort.HOST: _text("host"),
    Sort.METHOD: _text("method"),
    Sort.RULE: _text("rule"),
    Sort.CATEGORY: _text("categories"),
}
_FROM_THE_FIRST_LETTER = frozenset(
    {Sort.WHO, Sort.GROUP, Sort.ADDRESS, Sort.HOST, Sort.METHOD, Sort.RULE, Sort.CATEGORY}
)


def _add_up(told: Iterable[Iterable[Person]]) -> Generator[None, None, list[Person]]:
    """One row for each person, whichever processes have something of them."""
    found: dict[tuple[str, bool], Person] = {}
    for people in told:
        for person in people:
            before = found.get((person.who, person.named))
            found[person.who, person.named] = person if before is None else _both(before, person)
            yield
    return list(found.values())


def _both(one: Person, other: Person) -> Person:
    return replace(
        one,
        addresses=tuple(sorted({*one.addresses, *other.addresses}))[:MAX_ADDRESSES],
        groups=one.groups or other.groups,
        slowed=tuple(sorted({*one.slowed, *other.slowed})),
        categories=tuple(sorted({*one.categories, *other.categories})),
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
