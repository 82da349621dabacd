"""
What an update of a list would have done to last week's people: the record, decided by old and new categories.

The rules are those in force now, and so are the lists: of each exchange it is asked what would be decided
today, and what would be with the update.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from corpproxy.audit.record import Record
from corpproxy.audit.results import Kind, ResultCode
from corpproxy.audit.times import posix_seconds
from corpproxy.backends.records.reader import segment_records
from corpproxy.backends.records.segment_file import modified_at
from corpproxy.backends.records.segments import segment_names
from corpproxy.destination.addresses import address_class
from corpproxy.destination.brake import Blocked, Effect
from corpproxy.destination.classifier import Classifier
from corpproxy.destination.fetching import DAY_SECONDS
from corpproxy.destination.model import AddressClass, Host, Match
from corpproxy.policy.decide import Policy
from corpproxy.policy.model import Decision
from corpproxy.policy.model import Effect as Does
from corpproxy.replay.facts import address_classes_of, facts_of, host_of

WEEK_SECONDS = 7 * DAY_SECONDS
MONTH_SECONDS = 30 * DAY_SECONDS

# A record that takes longer to read is read as far back as this goes; the report says so.
READ_SECONDS = 300.0

# Hosts that a report names; it counts all.
SHOWN = 50

_LET_THROUGH = frozenset({ResultCode.FORWARDED, ResultCode.TUNNELLED, ResultCode.UPGRADED})
_ENDS = frozenset({Kind.EXCHANGE, Kind.CLOSING})


@dataclass(frozen=True, slots=True)
class Traffic:
    """The effect on last week, and last month's hosts with how often they were reached."""

    effect: Effect
    hosts: Counter[str]


@dataclass(slots=True)
class _Host:
    """One host that would newly be refused."""

    decision: Decision
    entry: str
    exchanges: int = 0
    people: set[str] = field(default_factory=set)


class Trial:
    """
    Decides each exchange of the record twice.

    ``policy`` is that in force; ``before`` and ``after`` classify without and with the update.
    """

    def __init__(self, policy: Policy, before: Classifier, after: Classifier) -> None:
        self._policy = policy
        self._before = before
        self._after = after
        self._exchanges = 0
        self._people: set[str] = set()
        self._blocked: dict[str, _Host] = {}

    def take(self, record: Record, at: float) -> None:
        """Decide one exchange of last week, which began at ``at``, in POSIX seconds."""
        if not record.decision:
            return
        host = host_of(record.host)
        person = record.user or record.client
        self._exchanges += 1
        self._people.add(person)
        old, _ = self._before.classify(host, record.scheme, record.port, record.path)
        new, matches = self._after.classify(host, record.scheme, record.port, record.path)
        if old == new:
            return
        facts = replace(facts_of(record), address_classes=_address_classes(record, host))
        if self._policy.decide(replace(facts, categories=old)).effect is not Does.ALLOW:
            return
        decision = self._policy.decide(replace(facts, categories=new))
        if decision.effect is Does.ALLOW:
            return
        found = self._blocked.get(host.name)
        if found is None:
            found = self._blocked[host.name] = _Host(decision, _entry(decision, matches))
        found.exchanges += 1
        found.people.add(person)

    def effect(self, *, is_whole: bool) -> Effect:
        """What came of it."""
        blocked = sorted(
            self._blocked.items(), key=lambda one: (-len(one[1].people), -one[1].exchanges, one[0])
        )
        people: set[str] = set().union(*(one.people for one in self._blocked.values()))
        return Effect(
            exchanges=self._exchanges,
            people=len(self._people),
            blocked_hosts=len(blocked),
            blocked_exchanges=sum(one.exchanges for _, one in blocked),
            blocked_people=len(people),
            hosts=[
                Blocked(
                    name, one.exchanges, len(one.people), one.decision.category, one.entry, one.decision.rule
                )
                for name, one in blocked[:SHOWN]
            ],
            is_whole=is_whole,
        )


def _address_classes(record: Record, host: Host) -> frozenset[AddressClass]:
    """The classes as recorded, or that of the address that was dialled; what was never dialled is public."""
    recorded = address_classes_of(record)
    if recorded:
        return recorded
    written = host.name if host.address is not None else record.upstream.rpartition(":")[0].strip("[]")
    try:
        return frozenset({address_class(written)})
    except ValueError:
        return frozenset({AddressClass.PUBLIC})


def _entry(decision: Decision, matches: tuple[Match, ...]) -> str:
    return next((one.entry for one in matches if one.category == decision.category), "")


def read_traffic(
    folder: Path,
    trial: Trial,
    now: float,
    complain: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
) -> Traffic:
    """Read last month's record, the newest first, as far back as there is time for."""
    hosts: Counter[str] = Counter()
    week, month, until = now - WEEK_SECONDS, now - MONTH_SECONDS, clock() + READ_SECONDS
    is_whole = True
    for record in _newest_first(folder, month, complain):
        if record.kind not in _ENDS:
            continue
        if clock() > until:
            is_whole = False
            break
        at = _at(record)
        if at >= month and record.result in _LET_THROUGH:
            hosts[record.host] += 1
        if at >= week:
            trial.take(record, at)
    return Traffic(trial.effect(is_whole=is_whole), hosts)


def _at(record: Record) -> float:
    try:
        return posix_seconds(record.at)
    except ValueError:
        return 0.0


def _newest_first(folder: Path, since: float, complain: Callable[[str], None]) -> Iterator[Record]:
    """The records of last month, segment by segment, the newest segment first."""
    try:
        names = [one for one in segment_names(folder) if modified_at(one.path) >= since]
    except OSError:
        return
    for name in reversed(names):
        try:
            yield from segment_records(name, complain)
        except OSError as error:
            # Somebody moved it away, or keeps it from us.
            complain(f"{name.path} cannot be read: {error.strerror}")
