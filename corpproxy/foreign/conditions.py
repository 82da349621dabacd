"""
Conditions of another proxy's rules as a tree, on their way into our grammar.

Other proxies combine anything with anything.  In ours *who*, *what* and *when* are tables of their own, and a
rule asks all three: so "this network or that site" becomes two rules, one after the other, with one effect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import product
from typing import TypeAlias

from corpproxy.config.schema.conditions import CalendarTable, WhatTable, WhoTable
from corpproxy.config.schema.table import fields_of

# Which table a key stands in; ``when`` names a calendar.
WHO, WHAT, WHEN = "who", "what", "when"
PART_OF = {
    "user": WHO,
    "group": WHO,
    "network": WHO,
    "listener": WHO,
    "anonymous": WHO,
    "agent": WHO,
    "list": WHAT,
    "domain": WHAT,
    "host": WHAT,
    "url": WHAT,
    "expression": WHAT,
    "method": WHAT,
    "scheme": WHAT,
    "port": WHAT,
    "address": WHAT,
    "category": WHAT,
    "media_type": WHAT,
    "extension": WHAT,
    "calendar": WHEN,
}

# What our policy files take; an import must not write what they do not.
KNOWN = frozenset({*fields_of(WhoTable), *fields_of(WhatTable), *fields_of(CalendarTable)})

# One line of a source that needs more rules than these is not meant to be read by people.
MAX_RULES = 32


@dataclass(frozen=True, slots=True)
class Ask:
    """One key with its values, of which one is enough; ``label`` is what the source calls them."""

    key: str
    values: tuple[str, ...]
    label: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every one must hold; none is what always holds."""

    parts: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One must hold; none is what never holds."""

    parts: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Not:
    """It must not hold."""

    part: Condition


@dataclass(frozen=True, slots=True)
class Unknown:
    """What has no counterpart, and why."""

    reason: str


Condition: TypeAlias = Ask | AllOf | AnyOf | Not | Unknown
ALWAYS = AllOf()
NEVER = AnyOf()


@dataclass(frozen=True, slots=True)
class Clause:
    """The three tables of one rule; each is a tree in which only its own keys stand."""

    who: Condition = ALWAYS
    what: Condition = ALWAYS
    when: Condition = ALWAYS


def all_of(parts: Iterable[Condition]) -> Condition:
    """The conjunction, in its shortest form."""
    return _joined(parts, AllOf, ALWAYS, NEVER)


def any_of(parts: Iterable[Condition]) -> Condition:
    """The disjunction, in its shortest form: of the values of one key one is enough."""
    joined = _joined(parts, AnyOf, NEVER, ALWAYS)
    if not isinstance(joined, AnyOf):
        return joined
    by_key: dict[str, Ask] = {}
    rest: list[Condition] = []
    for part in joined.parts:
        if isinstance(part, Ask) and part.key != "anonymous":
            first = by_key.get(part.key, Ask(part.key, (), part.label))
            values = tuple(dict.fromkeys((*first.values, *part.values)))
            by_key[part.key] = Ask(part.key, values, first.label)
        else:
            rest.append(part)
    return _joined([*by_key.values(), *rest], AnyOf, NEVER, ALWAYS)


def negated(part: Condition) -> Condition:
    """The negation, in its shortest form; what is unknown stays unknown."""
    if part == ALWAYS:
        return NEVER
    if part == NEVER:
        return ALWAYS
    if isinstance(part, Unknown):
        return part
    return part.part if isinstance(part, Not) else Not(part)


def _joined(
    parts: Iterable[Condition], kind: type[AllOf] | type[AnyOf], neutral: Condition, decides: Condition
) -> Condition:
    found: list[Condition] = []
    for part in parts:
        if part == decides:
            return decides
        found += part.parts if isinstance(part, kind) else (part,)
    found = list(dict.fromkeys(part for part in found if part != neutral))
    if not found:
        return neutral
    return found[0] if len(found) == 1 else kind(tuple(found))


def ask(key: str, values: Iterable[str], label: str = "") -> Condition:
    """That one of some values holds; no values never do, and a key that rules do not have is unknown."""
    made = tuple(dict.fromkeys(value for value in values if value))
    if not made:
        return NEVER
    return (
        Ask(key, made, label) if key in KNOWN else Unknown(f"rules do not ask for {key.replace('_', ' ')}s")
    )


def unknown_in(part: Condition) -> Unknown | None:
    """The first part without a counterpart, if there is one."""
    if isinstance(part, Unknown):
        return part
    if isinstance(part, Not):
        return unknown_in(part.part)
    if isinstance(part, AllOf | AnyOf):
        return next((found for one in part.parts if (found := unknown_in(one))), None)
    return None


def tables_in(part: Condition) -> frozenset[str]:
    """The tables that the keys of a condition stand in."""
    if isinstance(part, Ask):
        return frozenset({PART_OF[part.key]})
    if isinstance(part, Not):
        return tables_in(part.part)
    if isinstance(part, AllOf | AnyOf):
        return frozenset().union(*(tables_in(one) for one in part.parts))
    return frozenset()


def keys_in(part: Condition) -> frozenset[str]:
    """The keys that a condition asks."""
    if isinstance(part, Ask):
        return frozenset({part.key})
    if isinstance(part, Not):
        return keys_in(part.part)
    if isinstance(part, AllOf | AnyOf):
        return frozenset().union(*(keys_in(one) for one in part.parts))
    return frozenset()


def clauses(condition: Condition) -> list[Clause]:
    """
    The rules that a condition takes: one of them holds whenever the condition does.

    Raises ValueError when they would be too many.  There must be nothing unknown in it.
    """
    found = _clauses(_spread(condition))
    if len(found) > MAX_RULES:
        raise ValueError(f"it would take {len(found)} rules")
    return found


def _spread(part: Condition) -> Condition:
    """The same with negations pushed inside where they stand around several tables."""
    if isinstance(part, Not) and len(tables_in(part)) > 1:
        inner = part.part
        assert isinstance(inner, AllOf | AnyOf)
        join: Callable[[Iterable[Condition]], Condition] = any_of if isinstance(inner, AllOf) else all_of
        return join(_spread(negated(one)) for one in inner.parts)
    if isinstance(part, AllOf):
        return all_of(_spread(one) for one in part.parts)
    return any_of(_spread(one) for one in part.parts) if isinstance(part, AnyOf) else part


def _clauses(part: Condition) -> list[Clause]:
    tables = tables_in(part)
    if part == NEVER:
        return []
    if len(tables) <= 1:
        (table,) = tables or (WHO,)
        return [Clause(**{table: part})]
    assert isinstance(part, AllOf | AnyOf)
    grouped = _by_table(part)
    if isinstance(part, AnyOf):
        return [clause for one in grouped for clause in _clauses(one)]
    found = [_clauses(one) for one in grouped]
    total = 1
    for one in found:
        total *= len(one)
    if total > MAX_RULES:
        raise ValueError(f"it would take {total} rules")
    return [_merged(chosen) for chosen in product(*found)]


def _by_table(part: AllOf | AnyOf) -> list[Condition]:
    """The parts, those of one table together: they stay one condition there."""
    alone: dict[str, list[Condition]] = {}
    rest: list[Condition] = []
    for one in part.parts:
        tables = tables_in(one)
        if len(tables) == 1:
            alone.setdefault(next(iter(tables)), []).append(one)
        else:
            rest.append(one)
    join = all_of if isinstance(part, AllOf) else any_of
    return [*(join(ones) for ones in alone.values()), *rest]


def _merged(chosen: Iterable[Clause]) -> Clause:
    chosen = tuple(chosen)
    return Clause(
        all_of(one.who for one in chosen),
        all_of(one.what for one in chosen),
        all_of(one.when for one in chosen),
    )
