"""The figures of a report, read from the roll-ups."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import msgspec

from corpproxy.accounting.rollup import LIMITS, REFUSED
from corpproxy.backends.reports.summed import COUNTS, IN, Summed
from corpproxy.backends.reports.trends import BEFORE, NOW, PERIODS, Trends, gone
from corpproxy.backends.store.sql import Connection
from corpproxy.identity.grants import GROUP
from corpproxy.reports.figures import Counts, Figures, Harm, Limited, Refusal, Rest, Row, Slot
from corpproxy.reports.period import Period

# How many rows a table has where nobody asks for more.
TOP = 20

_REFUSED = ", ".join(f"'{result}'" for result in sorted(REFUSED))
# Temporary tables of the connection: the terms of results that refuse, and the sets of groups that are
# wanted.
_PREPARE = (
    "CREATE TEMP TABLE IF NOT EXISTS refused (id INTEGER PRIMARY KEY)",
    "CREATE TEMP TABLE IF NOT EXISTS wanted (id INTEGER PRIMARY KEY)",
    "DELETE FROM refused",
    "DELETE FROM wanted",
    f"INSERT INTO refused SELECT id FROM term WHERE kind = 'result' AND text IN ({_REFUSED})",
)


@dataclass(frozen=True, slots=True)
class About:
    """
    What a report is about.

    ``group`` keeps to exchanges of people in that group, ``user`` is whom the roll-ups are of, where they
    were made for one person alone.  Tables have at most ``top`` rows.
    """

    site: str
    period: Period
    made_at: float
    group: str = ""
    user: str = ""
    top: int = TOP


def read_figures(connection: Connection, about: About) -> Figures:
    """Read the figures of a period and of the one before."""
    reading = _Reading(connection, about)
    periods = about.period.last(PERIODS)
    summed = Summed(connection, periods, reading.wanted)
    trends = Trends(summed, periods)
    people = _Two.of(summed, "person", "user")
    hosts = _Two.of(summed, "place", "host")
    groups = _Two.of(summed, "place", "groups")
    categories = _Two.of(summed, "place", "categories")
    refusals = list(reading.refusals())
    top = about.top
    return Figures(
        site=about.site,
        period=about.period,
        made_at=about.made_at,
        group=about.group,
        user=about.user,
        total=sum(people.now.values(), Counts()),
        total_before=sum(people.before.values(), Counts()),
        people=_named(people.now),
        people_before=_named(people.before),
        hosts=_named(hosts.now),
        hosts_before=_named(hosts.before),
        slots=tuple(reading.slots()),
        trend=trends.periods(),
        top_people=trends.along("person", "user", people.first(top)),
        top_groups=trends.along("place", "groups", groups.first(top)),
        top_hosts=trends.along("place", "host", hosts.first(top)),
        top_categories=trends.along("place", "categories", categories.first(top)),
        new_hosts=trends.new(hosts.now, top),
        gone_hosts=gone(hosts.now, hosts.before, top),
        refusals=_most_refused(refusals, top),
        harms=tuple(_harms(refusals, reading.deeds(), top)),
        limited=tuple(_limited(refusals, top)),
        rests={
            "people": people.rest(top),
            "groups": groups.rest(top),
            "hosts": hosts.rest(top),
            "categories": categories.rest(top),
        },
    )


@dataclass(frozen=True, slots=True)
class _Two:
    """The counts by one thing, of the period and of the one before."""

    now: dict[str, Counts]
    before: dict[str, Counts]

    @classmethod
    def of(cls, summed: Summed, table: str, column: str) -> _Two:
        return cls(summed.by(table, column, NOW), summed.by(table, column, BEFORE))

    def first(self, top: int) -> tuple[Row, ...]:
        """Those that are most."""
        return tuple(
            Row(name, counts, self.before.get(name, Counts())) for name, counts in self._order()[:top]
        )

    def rest(self, top: int) -> Rest:
        """What those have together who are not among the first."""
        others = self._order()[top:]
        return Rest(
            len(others),
            sum((counts for _, counts in others), Counts()),
            sum((self.before.get(name, Counts()) for name, _ in others), Counts()),
        )

    def _order(self) -> list[tuple[str, Counts]]:
        return sorted(self.now.items(), key=lambda row: (-row[1].exchanges, row[0]))


def _named(counts: dict[str, Counts]) -> int:
    """How many have a name."""
    return sum(1 for name in counts if name)


@dataclass(frozen=True, slots=True)
class _Refused:
    """What one person was refused by one rule at one host: how often, and the most within an hour."""

    user: str
    groups: frozenset[str]
    host: str
    rule: str
    result: str
    times: int
    most: int


class _Reading:
    def __init__(self, connection: Connection, about: About) -> None:
        self._connection = connection
        self._about = about
        for statement in _PREPARE:
            connection.execute(statement)
        for number, text in list(connection.execute("SELECT id, text FROM term WHERE kind = 'groups'")):
            if about.group in msgspec.json.decode(text, type=list[str]):
                connection.execute("INSERT INTO wanted VALUES (?)", (number,))

    def slots(self) -> Iterator[Slot]:
        """The hours or days, each beside the same one of the period before."""
        now, before = self._about.period, self._about.period.before
        hours = self._hours({"begins": before.begins, "ends": now.ends})
        earlier = list(before.slots())
        for place, (name, begins, ends) in enumerate(now.slots()):
            there = earlier[place] if place < len(earlier) else ("", 0.0, 0.0)
            yield Slot(name, _between(hours, begins, ends), _between(hours, *there[1:]))

    def refusals(self) -> Iterator[_Refused]:
        """What was refused, by person, host and rule."""
        query = (
            "SELECT users.text, groupings.text, hosts.text, rules.text, results.text, times, most FROM ("
            "  SELECT user, groups, host, rule, result, SUM(times) AS times, MAX(times) AS most"
            f"  FROM hourly_refusal WHERE {IN} AND {self.wanted} GROUP BY user, groups, host, rule, result"
            ") AS sums JOIN term AS users ON users.id = user JOIN term AS groupings ON groupings.id = groups "
            "JOIN term AS hosts ON hosts.id = host JOIN term AS rules ON rules.id = rule "
            "JOIN term AS results ON results.id = result"
        )
        for user, groups, *rest in self._connection.execute(query, _bounds(self._about.period)):
            yield _Refused(user, frozenset(msgspec.json.decode(groups, type=list[str])), *rest)

    def deeds(self) -> dict[tuple[str, str], set[str]]:
        """Whom deeds were about, by what was done and the host."""
        query = (
            "SELECT deeds.text, hosts.text, people.text FROM hourly_deed "
            "JOIN term AS deeds ON deeds.id = deed JOIN term AS hosts ON hosts.id = host "
            f"JOIN term AS people ON people.id = whom WHERE {IN}"
        )
        found: dict[tuple[str, str], set[str]] = defaultdict(set)
        for deed, host, whom in self._connection.execute(query, _bounds(self._about.period)):
            found[deed, host].add(whom)
        return found

    @property
    def wanted(self) -> str:
        """The rows that are wanted, as a condition in SQL."""
        return "groups IN (SELECT id FROM wanted)" if self._about.group else "1 = 1"

    def _hours(self, bounds: dict[str, float]) -> dict[int, Counts]:
        query = f"SELECT hour, {COUNTS} FROM hourly_person WHERE {IN} AND {self.wanted} GROUP BY hour"
        return {hour: Counts(*counts) for hour, *counts in self._connection.execute(query, bounds)}


def _bounds(period: Period) -> dict[str, float]:
    return {"begins": period.begins, "ends": period.ends}


def _between(hours: dict[int, Counts], begins: float, ends: float) -> Counts:
    return sum((counts for hour, counts in hours.items() if begins <= hour < ends), Counts())


def _most_refused(refusals: Iterable[_Refused], top: int) -> tuple[Refusal, ...]:
    times: Counter[tuple[str, str]] = Counter()
    people: dict[tuple[str, str], set[str]] = defaultdict(set)
    for one in refusals:
        if one.result not in LIMITS:
            times[one.host, one.rule] += one.times
            people[one.host, one.rule].add(one.user)
    ordered = sorted(times.items(), key=lambda row: (-row[1], row[0]))
    return tuple(Refusal(*what, number, len(people[what])) for what, number in ordered[:top])


def _limited(refusals: Iterable[_Refused], top: int) -> Iterator[Limited]:
    times: Counter[tuple[str, str]] = Counter()
    for one in refusals:
        if one.result in LIMITS:
            times[one.user, one.rule] += one.times
    for what, number in sorted(times.items(), key=lambda row: (-row[1], row[0]))[:top]:
        yield Limited(*what, number)


@dataclass(slots=True)
class _Hurt:
    people: set[str] = field(default_factory=set)
    times: int = 0
    retried: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    let_through: set[str] = field(default_factory=set)


def _harms(refusals: Iterable[_Refused], deeds: dict[tuple[str, str], set[str]], top: int) -> Iterator[Harm]:
    """
    What people did not leave at being refused, the worst first.

    Somebody to whom the same host was refused twice within an hour tried again.
    """
    hurt: dict[tuple[str, str], _Hurt] = defaultdict(_Hurt)
    for one in refusals:
        if one.result in LIMITS or not one.host:
            continue
        asked = one.user in deeds.get(("access-asked", one.host), ())
        given = deeds.get(("grant-given", one.host), set())
        let_through = one.user in given or any(GROUP + group in given for group in one.groups)
        if not (one.most > 1 or asked or let_through):
            continue
        place = hurt[one.host, one.rule]
        place.people.add(one.user)
        place.times += one.times
        for did, people in (
            (one.most > 1, place.retried),
            (asked, place.asked),
            (let_through, place.let_through),
        ):
            if did:
                people.add(one.user)
    harms = (
        Harm(host, rule, len(one.people), one.times, len(one.retried), len(one.asked), len(one.let_through))
        for (host, rule), one in hurt.items()
    )
    yield from sorted(harms, key=lambda one: (-one.harm, -one.asked, one.host, one.rule))[:top]
