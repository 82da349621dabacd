"""What a report says, as numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from corpproxy.reports.period import Period


@dataclass(frozen=True, slots=True)
class Counts:
    """What was counted: exchanges, octets both ways, and the exchanges among them that were refused."""

    exchanges: int = 0
    octets: int = 0
    refused: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.exchanges + other.exchanges, self.octets + other.octets, self.refused + other.refused
        )


@dataclass(frozen=True, slots=True)
class Row:
    """
    One person, group, host or category, and the same in the period before.

    ``trend`` are its exchanges in the last periods, the earliest first and this one last.
    """

    name: str
    now: Counts
    before: Counts = field(default_factory=Counts)
    trend: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Slot:
    """An hour or a day; or, of a trend, a whole period."""

    name: str
    now: Counts
    before: Counts


@dataclass(frozen=True, slots=True)
class Refusal:
    """What was refused: a host by a rule, how often and to how many people."""

    host: str
    rule: str
    times: int
    people: int


@dataclass(frozen=True, slots=True)
class Harm:
    """
    A refusal that may be wrong: people did not leave it at that.

    ``people`` tried again, asked for access or were let through by somebody; it was refused to them ``times``
    times.  ``retried``, ``asked`` and ``let_through`` are how many of them did which.
    """

    host: str
    rule: str
    people: int
    times: int
    retried: int
    asked: int
    let_through: int

    @property
    def harm(self) -> int:
        """By which the worst comes first: people times refusals."""
        return self.people * self.times


@dataclass(frozen=True, slots=True)
class Limited:
    """Somebody who met a limit, such as a quota, and how often."""

    name: str
    rule: str
    times: int


@dataclass(frozen=True, slots=True)
class Rest:
    """Those that a table does not name: how many there are, and what they have together."""

    names: int = 0
    now: Counts = Counts()
    before: Counts = Counts()


NO_REST = Rest()


@dataclass(frozen=True, slots=True)
class Figures:
    """
    All numbers of a report.

    ``group`` and ``user`` are whom it keeps to, empty for everybody.  ``people`` and ``hosts`` are how many
    there were; ``top_...`` are the first of them, and ``rests`` the others, by the names of the tables.
    ``trend`` has the last periods.  ``new_hosts`` were asked for in none of them but this one, ``gone_hosts``
    in the one before and not now.
    """

    site: str
    period: Period
    made_at: float
    group: str
    user: str
    total: Counts
    total_before: Counts
    people: int
    people_before: int
    hosts: int
    hosts_before: int
    slots: tuple[Slot, ...]
    trend: tuple[Slot, ...]
    top_people: tuple[Row, ...]
    top_groups: tuple[Row, ...]
    top_hosts: tuple[Row, ...]
    top_categories: tuple[Row, ...]
    new_hosts: tuple[Row, ...]
    gone_hosts: tuple[Row, ...]
    refusals: tuple[Refusal, ...]
    harms: tuple[Harm, ...]
    limited: tuple[Limited, ...]
    rests: Mapping[str, Rest] = field(default_factory=dict)
