"""
Erasing: which records lose what, and what a line of the record is then.

An erasure is about a person, a client or a host, for a span of time; one about none of them is about
everything, which is how retention takes away what has become too old.  What is erased of a record is one or
several of its groups (`corpproxy.audit.proof`), so that the chain still proves itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from corpproxy.audit.proof import GROUPS, Unproven, read
from corpproxy.audit.record import Record, UnreadableRecord, decode
from corpproxy.audit.times import UTC_END, utc_text

ALL_GROUPS = tuple(GROUPS)
# What a host is part of; who went there stays.
WHERE_GROUPS = ("where", "url")

# What stands before the address of a device in what a deed is about.
ADDRESS = "address:"

# Deeds that no erasure of a person takes away: who erased, who revealed and who changed what must stay to be
# seen.
LASTING_DEEDS = frozenset(
    {
        "record-erased", "record-retained", "person-revealed", "reveal-ended",
        "policy-taken", "policy-refused", "list-accepted", "list-rejected", "list-rolled-back", "report-sent",
    }
)  # fmt: skip


class Erasure(msgspec.Struct, frozen=True):
    """
    What is to be forgotten.

    All that is set must hold: ``user`` (who asked, or whom a deed was about), ``client``, ``host`` (with all
    below it), and that the exchange began at ``since`` or later and before ``until``, POSIX seconds.
    ``groups`` are those that are taken out.
    """

    user: str = ""
    client: str = ""
    host: str = ""
    since: float = 0.0
    until: float = UTC_END
    groups: tuple[str, ...] = ALL_GROUPS

    @property
    def is_about_somebody(self) -> bool:
        """Whether it is about a person, a client or a host, and not about all that is old."""
        return bool(self.user or self.client or self.host)

    @property
    def needles(self) -> tuple[bytes, ...]:
        """Octets that a line must have to be concerned; none where every line may be."""
        found = [(self.user, slice(None)), (self.client, slice(1, None)), (self.host, slice(1, -1))]
        return tuple(msgspec.json.encode(text)[part] for text, part in found if text)

    def concerns(self, *, user: str = "", client: str = "", host: str = "", at: float) -> bool:
        """Whether what somebody keeps of an exchange is concerned; for whoever keeps no records of ours."""
        return (
            self.since <= at < self.until
            and self.user in ("", user)
            and self.client in ("", client)
            and (not self.host or is_below(host, self.host))
        )

    def matches(self, record: Record) -> bool:
        """Whether a record is concerned."""
        return (
            (not self.user or self._is_about(record))
            and self.client in ("", record.client, record.whom.removeprefix(ADDRESS))
            and (not self.host or any(is_below(host, self.host) for host in _hosts(record)))
            and self._in_time(record.at)
        )

    def _is_about(self, record: Record) -> bool:
        return record.deed not in LASTING_DEEDS and self.user in (record.user, record.whom)

    def _in_time(self, at: str) -> bool:
        return utc_text(self.since) <= at and (self.until >= UTC_END or at < utc_text(self.until))


class Reached(msgspec.Struct, frozen=True):
    """
    What an erasure came to in one place: how many entries, or why it does not get there.

    ``said`` is for people; it says what to do where the place was not reached.
    """

    place: str
    count: int
    is_reached: bool = True
    said: str = ""

    @property
    def text(self) -> str:
        """As it stands in the record of the deed."""
        return f"{self.place}={self.count if self.is_reached else 'not-reached'}"


# What rules read of each group, as a record says that it is not there.
_LEFT_OUT = {"who": ("agent", "user"), "where": ("host",), "url": ("path",)}
_EMPTY: dict[str, Any] = {
    one.name: one.default
    for one in msgspec.structs.fields(Record)
    if any(one.name in names for names in GROUPS.values())
}


@dataclass(frozen=True, slots=True)
class Erasing:
    """Erasures done together, line by line."""

    erasures: tuple[Erasure, ...]

    def may_concern(self, octets: bytes) -> bool:
        """Whether octets can hold a line that is concerned; quick, and sure where it says no."""
        return any(all(needle in octets for needle in one.needles) for one in self.erasures)

    def groups_of(self, line: bytes) -> frozenset[str]:
        """
        Say which groups a line is to lose.

        :raises UnreadableRecord: when it is no record.
        """
        if not self.may_concern(line):
            return frozenset()
        record = decode(line)
        wanted = {group for one in self.erasures if one.matches(record) for group in one.groups}
        return frozenset(name for name in wanted if _has(record, name))

    def erased(self, line: bytes) -> bytes | None:
        """
        Give a line without what it is to lose, or None where it stays as it is.

        :raises UnreadableRecord: when it is no record.
        """
        groups = self.groups_of(line)
        if not groups:
            return None
        try:
            return read(line).without(groups).line()
        except Unproven as error:
            raise UnreadableRecord(str(error)) from error

    def spared(self, record: Record) -> Record:
        """
        Give a record that is not written yet without what it would lose.

        It is as one that was written so: ``left_out`` says what is not there.
        """
        groups = {group for one in self.erasures if one.matches(record) for group in one.groups}
        if not groups:
            return record
        left_out = {*record.left_out, *(name for group in groups for name in _LEFT_OUT[group])}
        empty = {name: _EMPTY[name] for group in groups for name in GROUPS[group]}
        return msgspec.structs.replace(record, left_out=tuple(sorted(left_out)), **empty)


def is_below(host: str, wanted: str) -> bool:
    """Whether a host is another one or stands below it."""
    return host == wanted or host.endswith("." + wanted)


def _hosts(record: Record) -> Iterable[str]:
    return (record.host, record.server_name, *record.hosts)


def _has(record: Record, group: str) -> bool:
    return any(getattr(record, name) for name in GROUPS[group])
