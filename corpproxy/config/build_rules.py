"""From the tables of the policy file to the values that decide: calendars, conditions, rules, cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, tzinfo
from ipaddress import ip_network
from typing import Any, TypeGuard, TypeVar

from corpproxy.config.attached import Attached
from corpproxy.config.build_cases import cases_of
from corpproxy.config.nodes import Path, Table, node_at, place_of
from corpproxy.config.schema.conditions import CalendarTable, SafetyTable, WhatTable, WhoTable
from corpproxy.config.schema.limiting import LimitTable, ThenTable
from corpproxy.config.schema.named_lists import KINDS
from corpproxy.config.schema.policy_file import PolicyFile
from corpproxy.config.schema.rules import ExceptionTable, RuleTable
from corpproxy.errors import Place
from corpproxy.identity.settings import IpNetwork
from corpproxy.policy.approvals import Approval
from corpproxy.policy.calendar import (
    EVERY_DAY,
    AllOf,
    AnyOf,
    Calendar,
    Hours,
    NotIn,
    days_in_words,
)
from corpproxy.policy.calendar_events import Events
from corpproxy.policy.cases import Case
from corpproxy.policy.conditions import PartT, What, When, Who
from corpproxy.policy.exceptions import ExceptionEntry
from corpproxy.policy.exempt import Exemption
from corpproxy.policy.limits import Limit
from corpproxy.policy.model import Safety
from corpproxy.policy.quota import Every, Quota, StoreAway, Then
from corpproxy.policy.reasons import both, either
from corpproxy.policy.rules import Rule
from corpproxy.policy.safe_search import ENGINES, SafeSearchEntry
from corpproxy.policy.staged import WHOLE_SHARE, Period, Stage, parse_end, parse_start

# How many calendars may stand on each other: lessons, holidays, and days that are lost again.
MAX_ABOVE = 5

_Found = TypeVar("_Found")

_SIDES: dict[str, type[Who] | type[What]] = {"who": Who, "what": What}


class Rules:
    """
    Builds rules and what goes with them from a policy file.

    A rule that names a calendar or network which does not exist is None: the problem is told elsewhere.
    """

    def __init__(self, model: PolicyFile, root: Table, attached: Attached) -> None:
        self._model = model
        self._root = root
        self._attached = attached
        self.time_zone: tzinfo = model.time_zone or UTC
        self.networks: Mapping[str, tuple[IpNetwork, ...]] = {
            name: tuple(network.addresses) for name, network in model.identity.networks.items()
        }
        self._hours: dict[str, Calendar] = {}

    def all(self) -> list[Rule]:
        """Every rule, in order."""
        found = (self.rule(number) for number in range(len(self._model.rules)))
        return [rule for rule in found if rule is not None]

    def rule(self, number: int) -> Rule | None:
        """One rule, counted from 0."""
        table = self._model.rules[number]
        who, when = self._who(table.who), self._when(table.when)
        if who is None or when is None:
            return None
        path: Path = ("rules", number)
        return Rule(
            name=table.name,
            effect=table.do,
            who=who,
            what=self._what(table.what),
            when=when,
            say=table.say or "",
            location=table.to or "",
            warn_seconds=int(table.life),
            safety=self._rule_safety(table.safety, (*path, "safety")),
            stage=Stage(
                table.mode,
                WHOLE_SHARE if table.canary is None else table.canary,
                self._period(table),
                table.owner or "",
                table.reason or "",
            ),
            exceptions=table.exceptions,
            override=table.override,
            place=self._place(path),
        )

    def exceptions(self) -> list[ExceptionEntry]:
        """The ``exceptions:`` table."""
        found = (self.exception(number) for number in range(len(self._model.exceptions)))
        return [entry for entry in found if entry is not None]

    def exception(self, number: int) -> ExceptionEntry | None:
        """One exception, counted from 0."""
        table = self._model.exceptions[number]
        when, who = self._when(table.when), self._who(table.who)
        if who is None or when is None:
            return None
        return ExceptionEntry(
            name=table.name,
            past=tuple(table.past),
            who=who,
            what=self._what(table.what),
            when=when,
            owner=table.owner,
            reason=table.reason,
            period=self._period(table),
            permanent=table.permanent,
            place=self._place(("exceptions", number)),
        )

    def start(self, table: RuleTable | ExceptionTable) -> float:
        """When something begins; raises ValueError for a time that is none."""
        return Period().start if table.from_ is None else parse_start(table.from_, self.time_zone)

    def end(self, table: RuleTable | ExceptionTable) -> float:
        """When something ends; raises ValueError for a time that is none."""
        return Period().end if table.until is None else parse_end(table.until, self.time_zone)

    def safety(self) -> Safety:
        """The ``safety:`` table."""
        return _safety(self._model.safety, Safety(), self._place(("safety",)))

    def safe_search(self) -> list[SafeSearchEntry]:
        """The ``safe_search:`` table."""
        entries = []
        for number, table in enumerate(self._model.safe_search):
            who = self._who(table.who)
            if who is not None:
                engines = ENGINES if table.engines is None else tuple(table.engines)
                entries.append(
                    SafeSearchEntry(who, engines, table.youtube, self._place(("safe_search", number)))
                )
        return entries

    def exemptions(self) -> list[Exemption]:
        """The ``identity: exempt:`` table."""
        entries = []
        for number, table in enumerate(self._model.identity.exempt):
            who, when = self._who(table.who), self._when(table.when)
            if who is not None and when is not None:
                place = self._place(("identity", "exempt", number))
                entries.append(Exemption(who, self._what(table.what), when, place))
        return entries

    def approvals(self) -> list[Approval]:
        """The ``approve:`` table."""
        entries = []
        for number, table in enumerate(self._model.approve):
            who, for_ = self._who(table.who), self._who(table.for_)
            if who is not None and for_ is not None:
                entries.append(Approval(who, for_, table.at_most, self._place(("approve", number))))
        return entries

    def limits(self) -> list[Limit]:
        """The ``limits:`` table."""
        found = (self.limit(number) for number in range(len(self._model.limits)))
        return [limit for limit in found if limit is not None]

    def limit(self, number: int) -> Limit | None:
        """One limit, counted from 0."""
        table = self._model.limits[number]
        who, when = self._who(table.who), self._when(table.when)
        if who is None or when is None:
            return None
        return Limit(
            name=table.name,
            who=who,
            what=self._what(table.what),
            when=when,
            per=table.per,
            download=table.download or table.rate or 0,
            upload=table.upload or table.rate or 0,
            quota=self._quota(table),
            say=table.say or "",
            place=self._place(("limits", number)),
        )

    def _quota(self, table: LimitTable) -> Quota | None:
        """The quota of a limit; None where it has none, or one that is not sound."""
        every = table.every or ""
        hours = None if every in set(Every) else self.hours(every)
        if not (table.volume or table.minutes) or not (every in set(Every) or hours):
            return None
        then = table.then or ThenTable()
        rates = then.download or then.rate or 0, then.upload or then.rate or 0
        return Quota(
            table.volume or 0,
            table.minutes or 0,
            Every(every) if hours is None else None,
            None if hours is None else When(every, hours),
            then.do or (Then.SLOW if any(rates) else Then.BLOCK),
            *rates,
            self.time_zone,
            self._model.day_begins,
            goes_on=table.store_away is StoreAway.CONTINUE,
        )

    def cases(self) -> list[Case]:
        """The ``tests:`` table; raises ValueError for a time that is none."""
        return [
            case
            for number, table in enumerate(self._model.tests)
            for case in cases_of(table, ("tests", number), self._root, self.time_zone)
        ]

    def calendars(self) -> dict[str, Calendar]:
        """Every calendar that can be worked out, by its name."""
        found = {name: self.hours(name) for name in self._model.calendars}
        return {name: calendar for name, calendar in found.items() if calendar is not None}

    def hours(self, name: str, above: Sequence[str] = ()) -> Calendar | None:
        """A calendar, None when there is none of this name or it stands on itself."""
        is_sound = name not in above and len(above) <= MAX_ABOVE
        if name not in self._hours and is_sound and name in self._model.calendars:
            found = self._calendar(self._model.calendars[name], (*above, name))
            # What is too much below another calendar may be sound by itself.
            if found is not None:
                self._hours[name] = found
        return self._hours.get(name)

    def _when(self, table: CalendarTable | None) -> tuple[When, ...] | None:
        """The times of a rule, each with its name; None when a calendar is not sound."""
        if table is None:
            return ()
        if table.model_fields_set == {"calendar"}:
            named = [When(name, hours) for name in table.calendar if (hours := self.hours(name))]
            return tuple(named) if len(named) == len(table.calendar) else None
        calendar = self._calendar(table, ())
        return None if calendar is None else (When(calendar_in_words(table), calendar),)

    def _calendar(self, table: CalendarTable, above: Sequence[str]) -> Calendar | None:
        """The calendar that a table means; None when one that it stands on is not sound."""
        named = [self.hours(name, above) for name in table.calendar]
        every = [self._calendar(one, above) for one in table.all_]
        some = [self._calendar(one, above) for one in table.any_]
        out = [self._calendar(one, above) for one in (table.except_, table.not_) if one is not None]
        if not (_all_sound(named) and _all_sound(every) and _all_sound(some) and _all_sound(out)):
            return None
        parts: list[Calendar] = [_one(AnyOf, alternatives) for alternatives in (named, some) if alternatives]
        parts += every
        if table.file is not None:
            events = self._events(table)
            if events is None:
                return None
            parts.append(events)
        if table.days or table.hours or table.dates or table.terms:
            # What is taken out of hours is asked before them.
            return _one(AllOf, [self._hours_of(table, _one(AnyOf, out) if out else None), *parts])
        parts += map(NotIn, out)
        return _one(AllOf, parts) if parts else Hours()

    def _hours_of(self, table: CalendarTable, except_: Calendar | None) -> Hours:
        return Hours(
            days=frozenset().union(*table.days) if table.days else EVERY_DAY,
            spans=tuple(span for spans in table.hours for span in spans),
            time_zone=table.time_zone or self.time_zone,
            dates=(
                *table.dates,
                *(replace(one, name=name) for name, dates in table.terms.items() for one in dates),
            ),
            except_=except_,
        )

    def _events(self, table: CalendarTable) -> Calendar | None:
        """The events of a file that are wanted; None when the file cannot be read."""
        found = self._attached.events(table.file or "")
        if found is None or found.problems:
            return None
        wanted, time_zone = tuple(table.events), table.time_zone or self.time_zone
        return Events(lambda start, end: tuple(found.between(start, end, wanted, time_zone)))

    def _period(self, table: RuleTable | ExceptionTable) -> Period:
        """From when until when; never where a time cannot be read, of which the problem is told elsewhere."""
        try:
            return Period(self.start(table), self.end(table))
        except ValueError:
            return Period(0.0, 0.0)

    def _who(self, table: WhoTable | None) -> Who | None:
        """Who; None when a network is not known."""
        if table is None:
            return Who()
        if not all(name in self.networks or is_range(name) for name in table.network):
            return None
        if not all(name in self.networks for name in table.device):
            return None
        every, some = [self._who(one) for one in table.all_], [self._who(one) for one in table.any_]
        out = None if table.not_ is None else self._who(table.not_)
        if not _all_sound(every) or not _all_sound(some) or (out is None) != (table.not_ is None):
            return None
        return Who(
            user=tuple(table.user),
            group=tuple(table.group),
            network=tuple(table.network),
            listener=tuple(table.listener),
            device=tuple(table.device),
            anonymous=table.anonymous,
            agent=tuple(table.agent),
            all_=(*every, *self._listed(Who, table.list_)),
            any_=tuple(some),
            not_=out,
        )

    def _what(self, table: WhatTable | None) -> What:
        if table is None:
            return What()
        return What(
            category=tuple(table.category),
            uncategorised=table.uncategorised,
            domain=tuple(table.domain),
            host=tuple(table.host),
            url=tuple(table.url),
            expression=tuple(table.expression),
            extension=tuple(table.extension),
            method=tuple(table.method),
            scheme=tuple(table.scheme),
            port=tuple(table.port),
            address=tuple(table.address),
            country=tuple(table.country),
            asn=tuple(table.asn),
            media_type=tuple(table.media_type),
            size=tuple(table.size),
            all_=(*map(self._what, table.all_), *self._listed(What, table.list_)),
            any_=tuple(map(self._what, table.any_)),
            not_=None if table.not_ is None else self._what(table.not_),
        )

    def _listed(self, side: type[PartT], names: Sequence[str]) -> tuple[PartT, ...]:
        """What ``list:`` asks, as a part that must hold: one of the lists has it."""
        found = [one for name in names if (one := self._list(side, name)) is not None]
        if not found:
            return ()
        return (found[0],) if len(found) == 1 else (side(any_=tuple(found)),)

    def _list(self, side: type[PartT], name: str) -> PartT | None:
        """A list as a part; None when there is none of this name for this side."""
        table = self._model.lists.get(name)
        if table is None or side is not _SIDES[KINDS[table.of][0]]:
            return None
        places = node_at(self._root, ("lists", name, "entries"))
        entries = self._attached.entries(name, table, places)
        values = tuple(dict.fromkeys(one.value for one in entries if not one.wrong))
        called = f"list {name}"
        # An empty list has nobody and nothing on it.
        if not values:
            return side(not_=side(), called=called)
        asked: dict[str, Any] = {table.of: values}
        return side(**asked, called=called)

    def _rule_safety(self, table: SafetyTable | None, path: Path) -> Safety | None:
        return None if table is None else _safety(table, self.safety(), self._place(path))

    def _place(self, path: Path) -> Place:
        return place_of(self._root, path)


def is_range(written: str) -> bool:
    """Whether a text is an address or a network in CIDR form."""
    try:
        ip_network(written)
    except ValueError:
        return False
    return True


def _all_sound(found: list[_Found | None]) -> TypeGuard[list[_Found]]:
    return None not in found


def _one(kind: type[AnyOf] | type[AllOf], calendars: Sequence[Calendar]) -> Calendar:
    """Several calendars as one; one alone needs nothing around it."""
    return calendars[0] if len(calendars) == 1 else kind(tuple(calendars))


def calendar_in_words(table: CalendarTable) -> str:
    """A time that has no name, as explanations call it."""
    words = [
        days_in_words(frozenset().union(*table.days)) if table.days else "",
        " and ".join(str(span) for spans in table.hours for span in spans),
        either([*map(str, table.dates), *table.terms]),
        f"{either(table.events) or 'any event'} of {table.file}" if table.file is not None else "",
        either(table.calendar),
        both([_enclosed(one) for one in table.all_]),
        either([_enclosed(one) for one in table.any_]),
        f"not {_enclosed(table.not_)}" if table.not_ is not None else "",
        f"except {_enclosed(table.except_)}" if table.except_ is not None else "",
        f"in {table.time_zone}" if table.time_zone is not None else "",
    ]
    return " ".join(word for word in words if word) or "always"


def _enclosed(table: CalendarTable) -> str:
    words = calendar_in_words(table)
    return f"({words})" if len(table.model_fields_set) > 1 else words


def _safety(table: SafetyTable, above: Safety, place: Place) -> Safety:
    """A safety table; what it leaves out is as ``above``."""
    return Safety(
        above.connect_ports if table.connect_ports is None else frozenset(table.connect_ports),
        above.connect_to if table.connect_to is None else table.connect_to,
        above.tunnel_content if table.tunnel_content is None else table.tunnel_content,
        above.addresses if table.addresses is None else frozenset(table.addresses),
        place,
    )
