"""
The brake: what was found out about an update of a list, and which of it holds the update back.

It looks at what an update changes.  What the version in force says already was taken or accepted
once, and is no reason to hold the next one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from corpproxy.counted import counted
from corpproxy.destination.fetching import Brake

# A list of forty names that loses twenty is no alarm, whatever share that is.
MIN_ENTRIES = 100
# The same of people and exchanges: a site of ten people cannot count in tenths.
MIN_EXCHANGES = 20
MIN_PEOPLE = 3

# As many as are named in a sentence; the report has more.
_NAMED = 5


class Touched(msgspec.Struct, frozen=True):
    """A protected name that an update would newly refuse, by which entry, and why it is protected."""

    name: str
    entry: str
    category: str
    rule: str
    why: str


class Blocked(msgspec.Struct, frozen=True):
    """A host of last week that an update would newly refuse, and what would have been refused there."""

    host: str
    exchanges: int
    people: int
    category: str
    entry: str
    rule: str


class Effect(msgspec.Struct, frozen=True):
    """
    What an update would have changed of last week's exchanges, by the rules in force.

    ``exchanges`` and ``people`` are all there were, of which so many ``blocked_...`` would newly be refused;
    ``hosts`` are the first of them, those with most people first.  ``is_whole`` is false when the record is
    too long to be read whole.
    """

    exchanges: int = 0
    people: int = 0
    blocked_hosts: int = 0
    blocked_exchanges: int = 0
    blocked_people: int = 0
    hosts: list[Blocked] = []
    is_whole: bool = True


class Findings(msgspec.Struct, frozen=True):
    """
    What was found out about a version before it comes into force.

    ``before`` and ``after`` count entries by category; ``before`` is None when no version is in force.
    ``came`` and ``gone`` count entries, of which some are shown.  ``suffixes`` are public suffixes that
    the version before did not have; they are left out in any case.
    """

    after: dict[str, int]
    before: dict[str, int] | None = None
    came: int = 0
    gone: int = 0
    came_shown: list[str] = []
    gone_shown: list[str] = []
    suffixes: list[str] = []
    touched: list[Touched] = []
    effect: Effect = Effect()


class Reason(NamedTuple):
    """Why an update is held: a word for programs, and a sentence for people."""

    code: str
    said: str


def reasons_to_hold(findings: Findings, brake: Brake) -> list[Reason]:
    """
    Give the reasons for which somebody has to look at a version before it comes into force.

    The first version of a list has nothing to be compared with, and is there to refuse what it names: only
    names that the policy protects itself hold it.
    """
    if findings.before is None:
        return [_touched(one) for one in findings.touched if one.why != TOP_HOST]
    return [
        *_shrunk(findings.before, findings.after, brake.shrink),
        *_grown(findings.before, findings.after, brake.grow),
        *_suffixes(findings.suffixes),
        *map(_touched, findings.touched),
        *_blocks(findings.effect, brake),
    ]


# Why a host is protected that nobody named.
TOP_HOST = "it is among the hosts that were asked for most last month"


def _shrunk(before: Mapping[str, int], after: Mapping[str, int], limit: float) -> Iterator[Reason]:
    had, has = sum(before.values()), sum(after.values())
    if _is_beyond(had - has, had, limit):
        yield Reason(
            "shrinks",
            f"it shrinks from {_entries(had)} to {has:,}; {_at_most('shrink', limit)}",
        )
        return
    for category, count in before.items():
        left = after.get(category, 0)
        if _is_beyond(count - left, count, limit):
            said = f"category '{category}' shrinks from {_entries(count)} to {left:,}"
            yield Reason("shrinks", f"{said}; {_at_most('shrink', limit)}")


def _grown(before: Mapping[str, int], after: Mapping[str, int], limit: float) -> Iterator[Reason]:
    had, has = sum(before.values()), sum(after.values())
    if _is_beyond(has - had, had, limit):
        yield Reason("grows", f"it grows from {_entries(had)} to {has:,}; {_at_most('grow', limit)}")


def _is_beyond(change: int, of: int, limit: float) -> bool:
    return change >= MIN_ENTRIES and change > of * limit


def _at_most(name: str, limit: float) -> str:
    return f"at most {percent(limit)} are taken up unseen ({name}:)"


def _suffixes(suffixes: list[str]) -> Iterator[Reason]:
    if suffixes:
        said = f"it names {_named(suffixes)}, below which anybody registers names"
        yield Reason("public-suffix", f"{said}; the version before did not")


def _touched(one: Touched) -> Reason:
    said = f"it puts {one.name} into category '{one.category}'"
    if one.entry != one.name:
        said += f" by its entry {one.entry}"
    if one.rule:
        said += f", which rule '{one.rule}' refuses"
    return Reason("protected", f"{said}, and {one.why}")


def _blocks(effect: Effect, brake: Brake) -> Iterator[Reason]:
    is_many = _is_share(effect.blocked_exchanges, effect.exchanges, brake.blocks, MIN_EXCHANGES)
    is_crowd = _is_share(effect.blocked_people, effect.people, brake.people, MIN_PEOPLE)
    if is_many or is_crowd:
        limits = [f"{percent(brake.blocks)} of exchanges (blocks:)"] if is_many else []
        limits += [f"{percent(brake.people)} of people (people:)"] if is_crowd else []
        yield Reason("blocks", f"it {effect_text(effect)}; at most {' and '.join(limits)} are refused unseen")


def _is_share(count: int, of: int, limit: float, least: int) -> bool:
    return count >= least and count > of * limit


def effect_text(effect: Effect) -> str:
    """What an update would have done last week: "would newly block 14 hosts used by 230 people ..."."""
    if not effect.exchanges:
        return "cannot be held against last week: there is no record of it"
    of = f"of last week's {counted(effect.exchanges, 'exchange')}"
    if not effect.is_whole:
        of += " (as far as the record could be read in time)"
    if not effect.blocked_exchanges:
        return f"would newly block nothing {of}"
    hosts = counted(effect.blocked_hosts, "host", "hosts")
    people = counted(effect.blocked_people, "person", "people")
    said = f"would newly block {hosts} used by {people}, {effect.blocked_exchanges:,} {of}: "
    shown = [_host_text(one) for one in effect.hosts[:_NAMED]]
    more = effect.blocked_hosts - len(shown)
    return said + "; ".join(shown) + (f"; and {more:,} more" if more > 0 else "")


def _host_text(one: Blocked) -> str:
    people = counted(one.people, "person", "people")
    return f"{one.host} ({people}, category '{one.category}', rule '{one.rule}')"


def changes_text(findings: Findings) -> str:
    """How many entries came and went."""
    total = sum(findings.after.values())
    if findings.before is None:
        return f"its first version has {_entries(total)}"
    return f"{_entries(findings.came)} came and {findings.gone:,} went, which makes {total:,}"


def _named(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def percent(share: float) -> str:
    """A share for people."""
    return f"{share * 100:.4f}".rstrip("0").rstrip(".") + "%"


def _entries(count: int) -> str:
    return counted(count, "entry", "entries")
