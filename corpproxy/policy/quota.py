"""
Quotas: how much a member may move in all, or for how many minutes, until it is made good again.

What is used stands in `Standings`, told by whoever adds it up; here is what it means.
"""

from __future__ import annotations

import enum
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, tzinfo
from typing import NamedTuple

from corpproxy.policy.amounts import amount_text, rates_in_words
from corpproxy.policy.calendar import Calendar
from corpproxy.policy.conditions import When
from corpproxy.policy.days import DAY_BEGINS, Days, Unit

# So many members are looked at in one slice.
SLICE = 500

# The part from which on a person is told.
NOTICE = 0.8


class Every(enum.StrEnum):
    """After how long it is made good again; or a calendar does so, each time that it begins."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class Then(enum.StrEnum):
    """What happens when all is used."""

    SLOW = "slow"
    BLOCK = "block"
    RECORD = "record"


class StoreAway(enum.StrEnum):
    """What happens to a quota that nodes share when what is on loan is used up and their store is away."""

    SPENT = "spent"
    CONTINUE = "continue"


@dataclass(frozen=True, slots=True)
class Quota:
    """
    How much there is.

    Either ``volume``, octets both ways together, or active ``minutes``; the other is 0.  ``every`` is None
    where it is for each occasion of a calendar, ``occasion``.  ``download`` and ``upload`` are the rates for
    ``then`` SLOW.  ``day_begins`` is in minutes after midnight.  ``goes_on`` says that a node counts
    by itself while the store that it has in common with others is away.
    """

    volume: int = 0
    minutes: int = 0
    every: Every | None = Every.DAY
    occasion: When | None = None
    then: Then = Then.BLOCK
    download: int = 0
    upload: int = 0
    time_zone: tzinfo = UTC
    day_begins: int = DAY_BEGINS
    goes_on: bool = False
    # Since when until when the same end was given last: all members ask for the same one.
    _last: list[float] = field(
        default_factory=lambda: [math.inf, -math.inf], init=False, repr=False, compare=False
    )

    @property
    def allowed(self) -> int:
        """Octets or minutes."""
        return self.volume or self.minutes

    @property
    def lands(self) -> bool:
        """Whether nobody may use more than there is."""
        return bool(self.volume) and self.then is not Then.RECORD

    def holds(self, at: float) -> bool:
        """Whether anything counts now: with a calendar, while that holds."""
        return self.occasion is None or self.occasion.hours.contains(at)

    def ends(self, at: float) -> float:
        """
        When what is used at a time is made good again.

        It is the same for all times in between, whoever asks: members are counted by it, on all nodes.
        """
        since, until = self._last
        if not since <= at < until:
            since, until = at, self._end(at)
            self._last[:] = since, until
        return until

    def _end(self, at: float) -> float:
        days = Days(self.time_zone, self.day_begins)
        if self.occasion is not None:
            return _change(self.occasion.hours, at, days)
        return days.span(Unit((self.every or Every.DAY).value), at).ends

    def began(self, at: float) -> float:
        """Since when it counts; 0 where a calendar says so, which looks ahead alone."""
        if self.every is None or self.occasion is not None:
            return 0.0
        return Days(self.time_zone, self.day_begins).span(Unit(self.every.value), at).begins

    def amount(self, used: float) -> str:
        """So much of it, for people."""
        return amount_text(round(used)) if self.volume else f"{round(used)} min"

    @property
    def in_words(self) -> str:
        """What it says, for people."""
        every = f"each {self.every}" if self.every is not None else f"each '{_name(self.occasion)}'"
        rates = f" to {rates_in_words(self.download, self.upload)}" if self.then is Then.SLOW else ""
        return f"{self.amount(self.allowed)} {every}, then {self.then}{rates}"


def _change(hours: Calendar, at: float, days: Days) -> float:
    """
    When a calendar begins to hold or ceases to: it looks some days ahead by itself, and terms are longer.

    One that does neither before the year after next is taken to change with the year: the end must not
    depend on when it is asked for.
    """
    year, holds = days.day(at).year, hours.contains(at)
    change, last = at, days.beginning(date(year + 2, 1, 1))
    while change < last:
        change = hours.next_change(change)
        if hours.contains(change) != holds:
            return change
    return days.beginning(date(year + 1, 1, 1))


def _name(occasion: When | None) -> str:
    return occasion.name if occasion is not None else ""


class Standing(NamedTuple):
    """
    How one member stands: ``until`` is when it is made good again, in POSIX seconds.

    Where nothing is ``allowed``, it is not known until then what is left, and nothing is.
    """

    used: float
    allowed: float
    until: float

    @property
    def is_spent(self) -> bool:
        """Whether nothing is left."""
        return self.used >= self.allowed

    @property
    def is_known(self) -> bool:
        """Whether it is known what is left."""
        return self.allowed > 0

    @property
    def is_noticed(self) -> bool:
        """Whether so little is left that the person is told."""
        return self.used >= self.allowed * NOTICE

    @property
    def percent(self) -> int:
        """What is used of it."""
        return int(100 * self.used / self.allowed) if self.allowed else 100


Member = tuple[str, str]
# While it is not known what anybody has used, this one has used up all: no limit has its name.
UNKNOWN: Member = ("", "")


class Standings:
    """
    How all members stand, each by the name of its limit and its own.

    ``version`` grows when it becomes another question whether somebody has anything left, ``shifts`` also
    when it becomes another whether the person is told how little that is.  While `UNKNOWN` is spent,
    everybody is: what cannot be read is no free pass.
    """

    __slots__ = ("_ends", "_spent", "all", "shifts", "version")

    def __init__(self) -> None:
        self.all: dict[Member, Standing] = {}
        self.version = self.shifts = 0
        self._spent: dict[Member, float] = {}
        # How many of them are made good when: many have one time.
        self._ends: Counter[float] = Counter()

    def take(self, standings: Mapping[Member, Standing]) -> None:
        """Some stand otherwise now."""
        for member, standing in standings.items():
            before = self.all.get(member)
            self.all[member] = standing
            self._note_end(member, standing.until if standing.is_spent else None)
            if (before is not None and before.is_spent) != standing.is_spent:
                self.version += 1
                self.shifts += 1
            elif (before is not None and before.is_noticed) != standing.is_noticed:
                self.shifts += 1

    def of(self, limit: str, whom: str, at: float) -> Standing | None:
        """How a member stands at a time; None where nothing is used yet."""
        standing = self.all.get(UNKNOWN)
        if standing is None or not standing.is_spent or at >= standing.until:
            standing = self.all.get((limit, whom))
        return standing if standing is not None and at < standing.until else None

    def next_end(self, at: float) -> float:
        """When something that is used up is made good again."""
        return min((until for until in self._ends if until > at), default=math.inf)

    def in_order(self) -> list[Member]:
        """All members, those first who have nothing left: who is told of them one after the other."""
        return [*self._spent, *(member for member in self.all if member not in self._spent)]

    def forgetting(self, at: float) -> Iterator[None]:
        """Forget what was made good again, a slice at each step."""
        members = list(self.all)
        while members:
            # One after the other: to forget a hundred thousand names at once would keep others waiting.
            member = members.pop()
            standing = self.all.get(member)
            if standing is not None and standing.until <= at:
                del self.all[member]
                self._note_end(member, None)
            if len(members) % SLICE == 0:
                yield

    def _note_end(self, member: Member, until: float | None) -> None:
        """Note when somebody has something left again who has not; None for one who has."""
        before = self._spent.pop(member, None)
        if before is not None:
            self._ends[before] -= 1
            if not self._ends[before]:
                del self._ends[before]
        if until is not None:
            self._spent[member] = until
            self._ends[until] += 1
