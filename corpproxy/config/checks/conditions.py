"""Every condition of a policy, wherever it stands and however deep, with its path."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from corpproxy.config.checks.examined import Examined
from corpproxy.config.nodes import Path
from corpproxy.config.schema.conditions import CalendarTable, WhatTable, WhoTable

_Nested = TypeVar("_Nested", WhoTable, WhatTable, CalendarTable)


def each_part(examined: Examined) -> Iterator[tuple[Path, WhoTable | WhatTable]]:
    """The *who* and *what* of every table that has them, and the parts inside these."""
    model = examined.model
    for number, rule in enumerate(model.rules):
        yield from _sides(("rules", number), rule.who, rule.what)
    for number, exception in enumerate(model.exceptions):
        yield from _sides(("exceptions", number), exception.who, exception.what)
    for number, exemption in enumerate(model.identity.exempt):
        yield from _sides(("identity", "exempt", number), exemption.who, exemption.what)
    for number, limit in enumerate(model.limits):
        yield from _sides(("limits", number), limit.who, limit.what)
    for number, entry in enumerate(model.safe_search):
        yield from _sides(("safe_search", number), entry.who, None)
    for number, approval in enumerate(model.approve):
        yield from _sides(("approve", number), approval.who, None)
        if approval.for_ is not None:
            yield from _with_inner(("approve", number, "for"), approval.for_)


def each_time(examined: Examined) -> Iterator[tuple[Path, CalendarTable]]:
    """Every calendar, those that rules write in place, and the times inside these."""
    for name, calendar in examined.model.calendars.items():
        yield from _with_inner(("calendars", name), calendar)
    for number, rule in enumerate(examined.model.rules):
        if rule.when is not None:
            yield from _with_inner(("rules", number, "when"), rule.when)
    for number, exception in enumerate(examined.model.exceptions):
        if exception.when is not None:
            yield from _with_inner(("exceptions", number, "when"), exception.when)
    for number, exemption in enumerate(examined.model.identity.exempt):
        if exemption.when is not None:
            yield from _with_inner(("identity", "exempt", number, "when"), exemption.when)
    for number, limit in enumerate(examined.model.limits):
        if limit.when is not None:
            yield from _with_inner(("limits", number, "when"), limit.when)


def _sides(
    path: Path, who: WhoTable | None, what: WhatTable | None
) -> Iterator[tuple[Path, WhoTable | WhatTable]]:
    if who is not None:
        yield from _with_inner((*path, "who"), who)
    if what is not None:
        yield from _with_inner((*path, "what"), what)


def _with_inner(path: Path, table: _Nested) -> Iterator[tuple[Path, _Nested]]:
    yield path, table
    for key, inner in (("all", table.all_), ("any", table.any_)):
        for number, one in enumerate(inner):
            yield from _with_inner((*path, key, number), one)
    if table.not_ is not None:
        yield from _with_inner((*path, "not"), table.not_)
    if isinstance(table, CalendarTable) and table.except_ is not None:
        yield from _with_inner((*path, "except"), table.except_)
