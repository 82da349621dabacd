"""From the ``tests:`` table to cases: each entry is as many as its users, times and requests make."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import tzinfo

from corpproxy.config.nodes import Path, Table, place_of
from corpproxy.config.schema.cases import CaseTable
from corpproxy.errors import Place
from corpproxy.policy.calendar import parse_instant
from corpproxy.policy.cases import Case
from corpproxy.policy.model import Answer


@dataclass(frozen=True, slots=True)
class _Cell:
    """One user at one time: what must come out, and where that stands."""

    user: str
    at: float | None
    expect: str
    place: Place


def cases_of(table: CaseTable, path: Path, root: Table, time_zone: tzinfo) -> list[Case]:
    """The cases of one entry; raises ValueError for a time that is none, which the checks have told."""
    return [
        Case(
            url=url,
            expect=cell.expect,
            method=method,
            user=cell.user,
            groups=None if table.groups is None else tuple(table.groups),
            client=client,
            listener=table.listener or "",
            at=cell.at,
            rule=table.rule or "",
            would_block=table.would_block,
            exception=table.exception,
            limits=None if table.limits is None else frozenset(filter(None, table.limits)),
            agent=table.agent or "",
            addresses=None if table.address is None else frozenset(table.address),
            countries=None if table.country is None else frozenset(table.country),
            asns=None if table.asn is None else frozenset(table.asn),
            answer=None if table.answer is None else Answer(table.answer.type or "", table.answer.size),
            place=cell.place,
        )
        for cell in _cells(table, path, root, time_zone)
        for client in table.client or [""]
        for url, method in requests_of(table)
    ]


def _cells(table: CaseTable, path: Path, root: Table, time_zone: tzinfo) -> Iterator[_Cell]:
    users = table.user or [""]
    if table.expect is not None:
        times: list[float | None] = [parse_instant(written, time_zone) for written in table.at or ()]
        for at in times or [None]:
            yield from (_Cell(user, at, table.expect, place_of(root, path)) for user in users)
    for written, row in table.times.items():
        at = parse_instant(written, time_zone)
        for column, user in enumerate(users):
            cell: Path = (*path, "times", written) if len(row) == 1 else (*path, "times", written, column)
            yield _Cell(user, at, row[0] if len(row) == 1 else row[column], place_of(root, cell))


def requests_of(table: CaseTable) -> list[tuple[str, str]]:
    """What is asked for, each with its method."""
    if table.connect is not None:
        return [(one, "CONNECT") for one in table.connect]
    return [(one, table.method or "GET") for one in table.get or table.url or ()]
