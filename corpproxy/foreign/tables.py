"""Conditions as the tables ``who``, ``what`` and ``when`` of our policy, with long values in named lists."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from corpproxy.foreign.conditions import ALWAYS, AllOf, AnyOf, Ask, Clause, Condition, Not
from corpproxy.foreign.yaml_text import Value

# Values that stand in the rule itself; more get a name, and many more a file.
MAX_INLINE = 6
MAX_ENTRIES = 60
# Names in one list of a policy, which is read at each load.  More become a category, which has an index.
MAX_LISTED = 50_000

# The keys whose values can have a name.
LISTED = frozenset({"domain", "host", "network", "user", "url", "extension", "address"})


@dataclass(slots=True)
class NamedList:
    """Values under a name, in the policy or, when they are many, in a file of their own."""

    name: str
    key: str
    values: tuple[str, ...]

    @property
    def file(self) -> str:
        """The file of a long list below the folder of the policy, empty for a short one."""
        return f"lists/{self.name}.txt" if len(self.values) > MAX_ENTRIES else ""

    @property
    def is_category(self) -> bool:
        """Whether there are so many names that they are a category of their own."""
        return self.key == "domain" and len(self.values) > MAX_LISTED


@dataclass(slots=True)
class Tables:
    """Writes conditions, and collects the lists that they name."""

    lists: dict[tuple[str, tuple[str, ...]], NamedList] = field(default_factory=dict)

    def rule(self, clause: Clause) -> dict[str, Value]:
        """The tables of a rule; those that ask nothing are left out."""
        made: dict[str, Value] = {}
        for name, part in (("who", clause.who), ("what", clause.what)):
            if part != ALWAYS:
                made[name] = self.table(part)
        if clause.when != ALWAYS:
            made["when"] = self.when(clause.when)
        return made

    def table(self, part: Condition) -> dict[str, Value]:
        """One condition as a table."""
        if isinstance(part, Ask):
            return self._ask(part)
        if isinstance(part, AnyOf):
            return {"any": [self.table(one) for one in part.parts]}
        if isinstance(part, AllOf):
            return self._all([self.table(one) for one in part.parts])
        assert isinstance(part, Not)
        if isinstance(part.part, Ask) and part.part.key == "anonymous":
            return {"anonymous": "yes" if part.part.values == ("no",) else "no"}
        return {"not": self.table(part.part)}

    def when(self, part: Condition) -> Value:
        """The hours of a rule: the name of a calendar, names of which one is enough, or a table."""
        if isinstance(part, Ask):
            return _one_or_many(part.values)
        if isinstance(part, AnyOf) and all(isinstance(one, Ask) for one in part.parts):
            return [name for one in part.parts if isinstance(one, Ask) for name in one.values]
        return self.table(part)

    def _ask(self, part: Ask) -> dict[str, Value]:
        if part.key in LISTED and len(part.values) > MAX_INLINE:
            named = self._named(part)
            return {"category" if named.is_category else "list": named.name}
        return {part.key: _one_or_many(part.values)}

    def _all(self, made: list[dict[str, Value]]) -> dict[str, Value]:
        """Tables that must all hold, in one where no key stands twice."""
        merged: dict[str, Value] = {}
        rest: list[Value] = []
        for one in made:
            if merged.keys().isdisjoint(one):
                merged |= one
            else:
                rest.append(one)
        return {**merged, "all": rest} if rest else merged

    def _named(self, part: Ask) -> NamedList:
        found = self.lists.get((part.key, part.values))
        if found is None:
            taken = {one.name for one in self.lists.values()}
            wanted = name_for(part.label or part.key)
            name = wanted if wanted not in taken else f"{wanted} ({part.key})"
            while name in taken:
                name += "+"
            found = self.lists[part.key, part.values] = NamedList(name, part.key, part.values)
        return found


def name_for(written: str) -> str:
    """A name of another proxy as a name of ours, fit to be that of a file too."""
    return re.sub(r"[^A-Za-z0-9_. -]+", "-", written).strip(" .-") or "unnamed"


def _one_or_many(values: tuple[str, ...]) -> Value:
    return values[0] if len(values) == 1 else list(values)
