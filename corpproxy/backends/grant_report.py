"""What the record says of grants: who gave each, who used it, and for how much."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from corpproxy.audit.deeds import DeedName
from corpproxy.audit.record import Record
from corpproxy.audit.results import Kind
from corpproxy.backends.records.reader import records

MAX_HOSTS_SHOWN = 20
_OVER = frozenset({Kind.EXCHANGE, Kind.CLOSING})


@dataclass(slots=True)
class Share:
    """What one person used a grant for."""

    exchanges: int = 0
    octets: int = 0
    hosts: dict[str, None] = field(default_factory=dict)


@dataclass(slots=True)
class GrantUse:
    """
    One grant as the record knows it.

    What is not known (given before the time that was asked for, or confirmed by the person) is empty.
    """

    id: str
    whom: str = ""
    hosts: tuple[str, ...] = ()
    given_by: str = ""
    given_at: str = ""
    until: str = ""
    why: str = ""
    ended_by: str = ""
    ended_at: str = ""
    by_user: dict[str, Share] = field(default_factory=dict)

    def as_mapping(self) -> dict[str, Any]:
        """All of it, for JSON."""
        told = {name: getattr(self, name) for name in self.__slots__ if name != "by_user"}
        used = {
            user: {"exchanges": one.exchanges, "octets": one.octets, "hosts": list(one.hosts)}
            for user, one in self.by_user.items()
        }
        return {**told, "hosts": list(self.hosts), "used": used}


def grant_report(folder: Path, since: float, complain: Callable[..., None], id: str = "") -> list[GrantUse]:
    """
    Give the grants that stand in the records since then, in the order in which they appear.

    Octets are those from and to clients.  With ``id`` it is that grant alone.
    """
    found: dict[str, GrantUse] = {}
    for record in records(folder, complain, since):
        if record.grant and (not id or record.grant == id):
            use = found.setdefault(record.grant, GrantUse(record.grant))
            if record.kind is Kind.DEED:
                _tell(use, record)
            elif record.kind in _OVER:
                _add(use, record)
    return list(found.values())


def _tell(use: GrantUse, record: Record) -> None:
    if record.deed == DeedName.ENDED:
        use.ended_by, use.ended_at = record.user, record.at
        return
    use.whom, use.hosts, use.until, use.why = record.whom, record.hosts, record.granted, record.reason
    use.given_by, use.given_at = record.user, record.at


def _add(use: GrantUse, record: Record) -> None:
    share = use.by_user.setdefault(record.user, Share())
    share.exchanges += 1
    share.octets += record.received + record.sent
    if len(share.hosts) < MAX_HOSTS_SHOWN:
        share.hosts[record.host] = None
