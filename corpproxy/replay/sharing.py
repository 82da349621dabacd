"""
What a decision rests on, as a key that exchanges share: people whom no rule tells apart are the same here.

Of who asks, a table sees only which of its rows accept it (``policy/columns.py``).  So names, groups and
client addresses stand in the key as these rows, which are few, and not as themselves, who are many.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from corpproxy.audit.record import Record
from corpproxy.destination.model import Host
from corpproxy.identity.model import Identity
from corpproxy.policy.conditions import parts_of
from corpproxy.policy.decide import Policy
from corpproxy.policy.model import Facts
from corpproxy.replay.candidate import Candidate

# Names, addresses and hosts remembered, each.
MAX_REMEMBERED = 200_000

# Always part of the key.
_ALWAYS = ("host", "port", "method", "categories", "lists", "policy", "left_out", "addresses")

# The field of a record behind each attribute of the facts.
_FIELDS = {
    "identity.name": ("user",),
    "identity.groups": ("groups",),
    "identity.source": ("source",),
    "client": ("client",),
    "listener": ("listener",),
    "scheme": ("scheme",),
    "agent": ("agent",),
    "countries": ("countries",),
    "asns": ("asns",),
    "addresses": ("resolved",),
    "answer": ("media_type", "size"),
}
# Of who asks, which may be asked of now.
_ASKING = frozenset({"identity.name", "identity.groups", "identity.source"})
# Those of which rules see rows, and how facts come to have them.
_SEEN_AS_ROWS: dict[str, Callable[[Any], Facts]] = {
    "identity.name": lambda name: _facts(Identity(name)),
    "identity.groups": lambda groups: _facts(Identity("", groups)),
    "client": lambda client: _facts(Identity(""), client),
}


def key_reader(candidate: Candidate) -> Callable[[Record], object]:
    """Give what verdicts of a candidate are remembered by, beside what is in force at the time."""
    policy = candidate.configuration.policy
    columns = [column for table in (policy.table, policy.exceptions.table) for column in table.columns]
    raw = {read for column in columns if len(set(column.reads) & set(_FIELDS)) > 1 for read in column.reads}
    raw |= {read for column in columns for read in column.reads if read not in _SEEN_AS_ROWS}
    rows = [
        (_FIELDS[read][0], _Rows(made, [one.mask for one in columns if one.reads == (read,)]))
        for read, made in _SEEN_AS_ROWS.items()
        if read not in raw and any(one.reads == (read,) for one in columns)
    ]
    fields = attrgetter(*_ALWAYS)
    asking = [name for read in sorted(raw & _ASKING) for name in _FIELDS[read]]
    answering = [name for read in sorted(raw - _ASKING) for name in _FIELDS.get(read, ())]
    are_paths_read = _PathsRead(policy)
    canaries = _Canaries(policy) if policy.stages.has_canaries else None
    are_of_now, is_path_asked = candidate.as_of.groups, candidate.reads_paths

    def key(record: Record) -> object:
        who = _Asking.as_known(candidate.identity_now(record), record) if are_of_now else record
        return (
            fields(record),
            record.path if record.path and (are_paths_read[record.host] or is_path_asked(record)) else "",
            not are_of_now or who.source,
            canaries[who.user, who.client] if canaries is not None else 0,
            *[seen[getattr(who, name)] for name, seen in rows],
            *[getattr(who, name) for name in asking],
            *[getattr(record, name) for name in answering],
        )

    return key


@dataclass(frozen=True, slots=True)
class _Asking:
    """Who asked, by the people of now, under the names that the fields of a record have."""

    user: str
    groups: tuple[str, ...]
    source: str
    client: str

    @classmethod
    def as_known(cls, identity: Identity | None, record: Record) -> _Asking:
        """Whoever asked; with no source where nobody is known."""
        who = identity or _NOBODY
        return cls(who.name, who.groups, who.source, record.client)


_NOBODY = Identity("", (), "")


class _Rows(dict[Any, tuple[int, ...]]):
    """What some columns say of one value of one fact."""

    def __init__(self, made: Callable[[Any], Facts], masks: list[Callable[[Facts], int]]) -> None:
        super().__init__()
        self._made = made
        self._masks = masks

    def __missing__(self, value: Any) -> tuple[int, ...]:
        if len(self) >= MAX_REMEMBERED:
            self.clear()
        facts = self._made(value)
        answer = self[value] = tuple([mask(facts) for mask in self._masks])
        return answer


class _Canaries(dict[tuple[str, str], int]):
    """The rules that count for a person."""

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self._stages = policy.stages

    def __missing__(self, who: tuple[str, str]) -> int:
        if len(self) >= MAX_REMEMBERED:
            self.clear()
        answer = self[who] = self._stages.enforced_for(_facts(Identity(who[0]), who[1]))
        return answer


class _PathsRead(dict[str, bool]):
    """
    Whether the path of a request may matter, by its host.

    Where only beginnings of URLs are asked for, paths on all other hosts are as good as none.
    """

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        tables = (policy.table, policy.exceptions.table)
        reading = {column.key for table in tables for column in table.columns if "path" in column.reads}
        self._always = bool(reading - {"url"})
        parts = (part for table in tables for row in table.rows for part in parts_of(row.what))
        self._hosts = {url.host for part in parts for url in part.url}

    def __missing__(self, host: str) -> bool:
        if len(self) >= MAX_REMEMBERED:
            self.clear()
        answer = self[host] = self._always or any(
            host == one or host.endswith("." + one) for one in self._hosts
        )
        return answer


def _facts(identity: Identity, client: str = "") -> Facts:
    """Facts of which only who asks is looked at."""
    return Facts(identity, client, "", "GET", "http", Host(""), 80, "/", (), 0.0)
