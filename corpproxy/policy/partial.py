"""
A policy asked when not all facts are known: whether its decision would be the same whatever the rest is.

Conditions then have three answers: they hold, they do not, or it cannot be told.  What cannot be told counts
only where it matters: a rule behind the one that decides may be as doubtful as it likes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType

from corpproxy.destination.paths import normal_path
from corpproxy.policy.columns import EVERY_CATEGORY
from corpproxy.policy.conditions import Conditions, Entry, What, Who
from corpproxy.policy.decide import Found, Policy
from corpproxy.policy.model import Facts
from corpproxy.policy.table import Table

_NESTING = ("all_", "any_", "not_")
_Part = Who | What

QUERY = "the query"
CATEGORIES = "the categories"

# What in an expression looks at the end of the text: what fits the beginning of a URI need not fit the whole.
_LOOKS_AT_END = re.compile(r"\$|\\[bBzZ]|\(\?")


@dataclass(frozen=True, slots=True)
class Gaps:
    """
    What is not known of an exchange.

    ``facts`` maps attributes of `Facts` (dotted, as columns read them) to what they are called in a report.
    ``query`` says that the request had a query which is not known, ``categories`` are those of which it is
    not known whether the destination has them.
    """

    facts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    query: bool = False
    categories: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        """Whether anything is not known."""
        return bool(self.facts or self.query or self.categories)


NO_GAPS = Gaps()


@dataclass(frozen=True, slots=True)
class Doubt:
    """A rule of which it cannot be told whether it matches, and the fact that is missing."""

    rule: str
    fact: str


class PartialPolicy:
    """
    The rules of a policy, each as a tree of conditions that can be asked one by one.

    It is made when first something is not known, and asked only then: the policy itself is much faster.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._rules = [_Asked(rule, policy) for rule in policy.rules]
        self._exceptions = [_Asked(entry, policy) for entry in policy.exceptions.entries]
        canaries = (1 << number for number, rule in enumerate(policy.rules) if rule.stage.is_canary)
        self._canaries = sum(canaries)
        self._suspects: dict[object, tuple[list[int], list[int]]] = {}

    def doubt(self, facts: Facts, gaps: Gaps, found: Found) -> Doubt | None:
        """
        Give the first doubtful rule or exception that may make a difference; None when there is none.

        ``found`` is what decides by the facts as they are given.
        """
        rules, exceptions = self._suspected(gaps)
        is_who_known = "identity.name" not in gaps.facts
        if not (rules or exceptions) and is_who_known:
            return None
        policy = self._policy
        in_force, running = policy.in_force(facts.at)
        # Rules up to the one that decides: what stands behind it is not reached.
        reached = (1 << found.rule + 1) - 1 if found.rule >= 0 else -1
        # What is in shadow changes nothing that happens; for whom a canary counts is known with the person.
        counting = (
            policy.stages.enforced_for(facts) if is_who_known else policy.stages.enforced | self._canaries
        )
        asked = in_force & counting & reached
        excepted = 0
        if found.rule >= 0:
            # A rule that an exception takes away for certain does not matter, unless nothing else is left:
            # then the exception itself lets the exchange through.
            certain = running & ~sum(1 << number for number in exceptions)
            excepted = policy.exceptions.taken_away(policy.exceptions.matching(facts, certain))
        for number in rules:
            if (asked & ~excepted) >> number & 1 and (fact := self._rules[number].doubt(facts, gaps)):
                return Doubt(policy.rules[number].name, fact)
        matching = policy.table.matching(facts, asked)
        if not is_who_known and matching & self._canaries & ~excepted:
            number = (matching & self._canaries & ~excepted).bit_length() - 1
            return Doubt(policy.rules[number].name, gaps.facts["identity.name"])
        for number in exceptions:
            if not (running >> number & 1 and policy.exceptions.taken_away(1 << number) & matching):
                continue
            if fact := self._exceptions[number].doubt(facts, gaps):
                return Doubt(policy.exceptions.entries[number].name, fact)
        return None

    def _suspected(self, gaps: Gaps) -> tuple[list[int], list[int]]:
        """The rules and the exceptions that ask for anything that is not known: mostly a few of many."""
        kind = frozenset(gaps.facts), gaps.query, gaps.categories
        found = self._suspects.get(kind)
        if found is None:
            found = self._suspects[kind] = (_suspects(self._rules, gaps), _suspects(self._exceptions, gaps))
        return found


def _suspects(rows: Sequence[_Asked], gaps: Gaps) -> list[int]:
    return [number for number, row in enumerate(rows) if row.is_suspect(gaps)]


class _Asked:
    """The conditions of one row."""

    def __init__(self, row: Conditions, policy: Policy) -> None:
        self._parts = [_Tree(part, row.refuses, policy) for part in (row.who, row.what)]

    def is_suspect(self, gaps: Gaps) -> bool:
        """Whether it asks for anything that is not known."""
        return any(part.is_suspect(gaps) for part in self._parts)

    def doubt(self, facts: Facts, gaps: Gaps) -> str:
        """The missing fact on which it depends whether the row matches; empty where that is certain."""
        return _all(part.answer(facts, gaps) for part in self._parts).fact


@dataclass(frozen=True, slots=True)
class _Answer:
    """Whether something holds; with a ``fact`` it cannot be told."""

    holds: bool
    fact: str = ""


_YES, _NO = _Answer(True), _Answer(False)


class _Tree:
    """A part: its own keys, and the parts inside it.  All must hold."""

    def __init__(self, part: _Part, refuses: bool, policy: Policy) -> None:
        self._leaves = [_Leaf(key, leaf, refuses, policy) for key, leaf in _leaves(part)]
        self._all = [_Tree(one, refuses, policy) for one in getattr(part, "all_", ())]
        self._any = [_Tree(one, refuses, policy) for one in getattr(part, "any_", ())]
        denied = getattr(part, "not_", None)
        # What a missing list would say counts as holding where it takes away; below ``not`` the reverse.
        self._not = _Tree(denied, not refuses, policy) if denied is not None else None

    def is_suspect(self, gaps: Gaps) -> bool:
        inner = [*self._all, *self._any, *([self._not] if self._not is not None else [])]
        return any(leaf.is_suspect(gaps) for leaf in self._leaves) or any(
            one.is_suspect(gaps) for one in inner
        )

    def answer(self, facts: Facts, gaps: Gaps) -> _Answer:
        return _all(self._answers(facts, gaps))

    def _answers(self, facts: Facts, gaps: Gaps) -> Iterator[_Answer]:
        for leaf in self._leaves:
            yield leaf.answer(facts, gaps)
        for one in self._all:
            yield one.answer(facts, gaps)
        if self._any:
            yield _not(_all(_not(one.answer(facts, gaps)) for one in self._any))
        if self._not is not None:
            yield _not(self._not.answer(facts, gaps))


def _all(answers: Iterable[_Answer]) -> _Answer:
    doubtful = _YES
    for answer in answers:
        if answer.fact:
            doubtful = answer
        elif not answer.holds:
            return _NO
    return doubtful


def _not(answer: _Answer) -> _Answer:
    return answer if answer.fact else _NO if answer.holds else _YES


def _leaves(part: _Part) -> Iterator[tuple[str, _Part]]:
    """Each key that a part asks, as a part of its own."""
    nothing = type(part)()
    for key in fields(part):
        value = getattr(part, key.name)
        if key.name not in _NESTING and value not in ((), None):
            yield key.name, replace(nothing, **{key.name: value})


class _Leaf:
    """One key of one part, compiled by itself."""

    def __init__(self, key: str, part: _Part, refuses: bool, policy: Policy) -> None:
        row = Entry(part, refuses=refuses) if isinstance(part, Who) else Entry(what=part, refuses=refuses)
        self._key = key
        self._part = part
        self._policy = policy
        self._table = Table([row], policy.networks, policy.missing_categories)
        self._reads = self._table.reads

    def is_suspect(self, gaps: Gaps) -> bool:
        return (
            not self._reads.isdisjoint(gaps.facts)
            or (gaps.query and self._key in ("url", "expression"))
            or (bool(gaps.categories) and self._key in ("category", "uncategorised"))
        )

    def answer(self, facts: Facts, gaps: Gaps) -> _Answer:
        for read in self._reads & gaps.facts.keys():
            return _Answer(False, gaps.facts[read])
        answer = _YES if self._table.first(facts, 1) == 0 else _NO
        if gaps.query and isinstance(self._part, What):
            answer = self._without_query(self._part, facts, answer)
        if gaps.categories and isinstance(self._part, What):
            answer = self._without_categories(self._part, facts, gaps.categories, answer)
        return answer

    def _without_query(self, what: What, facts: Facts, answer: _Answer) -> _Answer:
        """What can be told when the path is known up to its query."""
        if self._key == "url" and not answer.holds:
            begin = normal_path(facts.path).partition("?")[0] + "?"
            # Everything but the query fits, if it fits a prefix that is cut there.
            bare = tuple(replace(one, path="/") for one in what.url if one.path.startswith(begin))
            may = bare and _Leaf("url", What(url=bare), False, self._policy).answer(facts, NO_GAPS).holds
            return _Answer(False, QUERY) if may else _NO
        if self._key == "expression":
            certain = answer.holds and not any(map(_LOOKS_AT_END.search, what.expression))
            return _YES if certain else _Answer(False, QUERY)
        return answer

    def _without_categories(
        self, what: What, facts: Facts, unknown: frozenset[str], answer: _Answer
    ) -> _Answer:
        """What can be told when the destination may be in more categories than those that are known."""
        if (
            self._key == "category"
            and not answer.holds
            and (EVERY_CATEGORY in unknown or not unknown.isdisjoint(what.category))
        ):
            return _Answer(False, CATEGORIES)
        if self._key == "uncategorised" and not facts.categories:
            return _Answer(False, CATEGORIES)
        return answer
