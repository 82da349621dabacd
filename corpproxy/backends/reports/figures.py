"""The figures of a report, read from the roll-ups."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import msgspec

from corpproxy.accounting.rollup import LIMITS, REFUSED
from corpproxy.backends.reports.trends import Trends, gone
from corpproxy.backends.store.sql import Connection
from corpproxy.identity.grants import GROUP
from corpproxy.reports.figures import Counts, Figures, Harm, Limited, Refusal, Rest, Row, Slot
from corpproxy.reports.period import Period

# How many rows a table has where nobody asks for more.
TOP = 20

_REFUSED = ", ".join(f"'{result}'" for result in sorted(REFUSED))
_IS_REFUSED = "result IN (SELECT id FROM refused)"
_COUNTS = f"SUM(exchanges), SUM(received + sent), SUM(CASE WHEN {_IS_REFUSED} THEN exchanges ELSE 0 END)"
_IN = "hour >= :begins AND hour < :ends"
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
    trends = Trends(connection, about.period, _COUNTS, reading.where)
    now, before = about.period, about.period.before
    people, people_before = (
        reading.by("hourly_person", "user", now),
        reading.by("hourly_person", "user", before),
    )
    hosts, hosts_before = reading.by("hourly_place", "host", now), reading.by("hourly_place", "host", before)
    groups, groups_before = reading.by_each("groups", now), reading.by_each("groups", before)
    categories, categories_before = reading.by_each("categories", now), reading.by_each("categories", before)
    refusals = list(reading.refusals())
    return Figures(
        site=about.site,
        period=now,
        made_at=about.made_at,
        group=about.group,
        user=about.user,
        total=sum(people.values(), Counts()),
        total_before=sum(people_before.values(), Counts()),
        people=sum(1 for name in people if name),
        people_before=sum(1 for name in people_before if name),
        hosts=sum(1 for name in hosts if name),
        hosts_before=sum(1 for name in hosts_before if name),
        slots=tuple(reading.slots()),
        trend=trends.periods(),
        top_people=trends.along("hourly_person", "user", _first(people, people_before, about.top)),
        top_groups=trends.along("hourly_place", "groups", _first(groups, groups_before, about.top)),
        top_hosts=trends.along("hourly_place", "host", _first(hosts, hosts_before, about.top)),
        top_categories=trends.along(
            "hourly_place", "categories", _first(categories, categories_before, about.top)
        ),
        new_hosts=trends.new(hosts, about.top),
        gone_hosts=gone(hosts, hosts_before, about.top),
        refusals=_most_refused(refusals, about.top),
        harms=tuple(_harms(refusals, reading.deeds(), about.top)),
        limited=tuple(_limited(refusals, about.top)),
        rests={
            "people": _rest(people, people_before, about.top),
            "groups": _rest(groups, groups_before, about.top),
            "hosts": _rest(hosts, hosts_before, about.top),
            "categories": _rest(categories, categories_before, about.top),
        },
    )


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

    def by(self, table: str, column: str, period: Period) -> dict[str, Counts]:
        """The counts by one thing."""
        sums = f"SELECT {column} AS number, {_COUNTS} FROM {table} WHERE {self.where} GROUP BY {column}"
        query = f"SELECT text, sums.* FROM ({sums}) AS sums JOIN term ON term.id = number"
        rows = self._connection.execute(query, _bounds(period))
        return {text: Counts(*counts) for text, _, *counts in rows}

    def by_each(self, column: str, period: Period) -> dict[str, Counts]:
        """The counts by one of several groups or categories; what is in two counts in both."""
        found: dict[str, Counts] = {}
        for text, counts in self.by("hourly_place", column, period).items():
            for name in msgspec.json.decode(text, type=list[str]) or [""]:
                found[name] = found.get(name, Counts()) + counts
        return found

    def slots(self) -> Iterator[Slot]:
        """The hours or days, each beside the same one of the period before."""
        now, before = self._about.period, self._about.period.before
        hours = self._hours(now) | self._hours(before)
        earlier = list(before.slots())
        for place, (name, begins, ends) in enumerate(now.slots()):
            there = earlier[place] if place < len(earlier) else ("", 0.0, 0.0)
            yield Slot(name, _between(hours, begins, ends), _between(hours, *there[1:]))

    def refusals(self) -> Iterator[_Refused]:
        """What was refused, by person, host and rule."""
        query = (
            "SELECT users.text, groupings.text, hosts.text, rules.text, results.text, times, most FROM ("
            "  SELECT user, groups, host, rule, result, SUM(times) AS times, MAX(times) AS most"
            f"  FROM hourly_refusal WHERE {self.where} GROUP BY user, groups, host, rule, result"
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
            f"JOIN term AS people ON people.id = whom WHERE {_IN}"
        )
        found: dict[tuple[str, str], set[str]] = defaultdict(set)
        for deed, host, whom in self._connection.execute(query, _bounds(self._about.period)):
            found[deed, host].add(whom)
        return found

    @property
    def where(self) -> str:
        """The rows of a span of time that are wanted."""
        return _IN + (" AND groups IN (SELECT id FROM wanted)" if self._about.group else "")

    def _hours(self, period: Period) -> dict[int, Counts]:
        query = f"SELECT hour, {_COUNTS} FROM hourly_person WHERE {self.where} GROUP BY hour"
        return {hour: Counts(*counts) for hour, *counts in self._connection.execute(query, _bounds(period))}


def _bounds(period: Period) -> dict[str, float]:
    return {"begins": period.begins, "ends": period.ends}


def _between(hours: dict[int, Counts], begins: float, ends: float) -> Counts:
    return sum((counts for hour, counts in hours.items() if begins <= hour < ends), Counts())


def _first(now: dict[str, Counts], before: dict[str, Counts], top: int) -> tuple[Row, ...]:
    return tuple(Row(name, counts, before.get(name, Counts())) for name, counts in _in_order(now)[:top])


def _rest(now: dict[str, Counts], before: dict[str, Counts], top: int) -> Rest:
    """What those have together who are not among the first."""
    others = _in_order(now)[top:]
    return Rest(
        len(others),
        sum((counts for _, counts in others), Counts()),
        sum((before.get(name, Counts()) for name, _ in others), Counts()),
    )


def _in_order(now: dict[str, Counts]) -> list[tuple[str, Counts]]:
    return sorted(now.items(), key=lambda row: (-row[1].exchanges, row[0]))


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
