"""Names that must exist: groups, categories, calendars, listeners, networks."""

from __future__ import annotations

from collections.abc import Iterable

from corpproxy.config.build import list_sources
from corpproxy.config.build_rules import is_range
from corpproxy.config.checks.conditions import each_part, each_time
from corpproxy.config.checks.examined import Examined
from corpproxy.config.nearest import did_you_mean
from corpproxy.config.nodes import Path, node_at
from corpproxy.config.schema.conditions import WhatTable, WhoTable
from corpproxy.config.schema.named_lists import NamedListTable
from corpproxy.config.schema.rules import ExceptionTable, RuleTable
from corpproxy.destination.sources import EVERY_CATEGORY
from corpproxy.errors import Problem
from corpproxy.identity.group_lines import read_groups


def check(examined: Examined) -> None:
    """Say every name that stands for nothing."""
    _Names(examined).check()


# Names for which the nearest right one is looked for: with a thousand groups each takes 20 ms.
MAX_OFFERED = 50


class _Names:
    """All names of one policy."""

    def __init__(self, examined: Examined) -> None:
        self._examined = examined
        model = examined.model
        identity = model.identity
        self._networks = examined.names_in(("identity", "networks"))
        self._calendars = examined.names_in(("calendars",))
        self._listeners = frozenset(one.name for one in model.listen)
        self._rules = _known("rules", model.rules, examined)
        self._limits = frozenset(one.name for one in model.limits)
        self._exception_names = _known("exceptions", model.exceptions, examined)
        self._groups = examined.names_in(("identity", "groups")).union(
            group for network in identity.networks.values() for group in network.groups
        )
        self._groups_in_file = _groups_in_file(examined)
        self._categories, self._categories_are_known = known_categories(examined)
        self._offered: dict[tuple[str, str], str] = {}

    def check(self) -> None:
        model = self._examined.model
        for path, part in each_part(self._examined):
            if isinstance(part, WhoTable):
                self._who(path, part)
            else:
                self._what(path, part)
        for path, time in each_time(self._examined):
            self._tell("calendar", (*path, "calendar"), time.calendar, self._calendars)
        for number, case in enumerate(model.tests):
            self._tell("listener", ("tests", number, "listener"), [case.listener or ""], self._listeners)
            self._tell_one("rule", ("tests", number, "would_block"), case.would_block, self._rules)
            self._tell_one("exception", ("tests", number, "exception"), case.exception, self._exception_names)
            limits = [name or "" for name in case.limits or ()]
            self._tell("limit", ("tests", number, "limits"), limits, self._limits)
            self._group_names(("tests", number, "groups"), case.groups or ())
        for number, report in enumerate(model.reports):
            said = self._said_of_group(report.group) if report.group else ""
            if said:
                where: Path = ("reports", number, "group")
                self._examined.say(where, "unknown-group", said, self._severity_of_groups)
        for name, table in model.lists.items():
            if table.of == "group":
                self._listed_groups(name, table)
        self._exceptions()

    def _who(self, path: Path, who: WhoTable) -> None:
        self._group_names((*path, "group"), who.group)
        self._tell("listener", (*path, "listener"), who.listener, self._listeners)
        self._network_names((*path, "network"), who.network)
        self._tell("network", (*path, "device"), who.device, self._networks)

    def _group_names(self, path: Path, written: Iterable[str]) -> None:
        for number, name in enumerate(written):
            said = self._said_of_group(name)
            if said:
                self._examined.say((*path, number), "unknown-group", said, self._severity_of_groups)

    def _listed_groups(self, name: str, table: NamedListTable) -> None:
        """The entries of a list of groups, wherever they stand."""
        places = node_at(self._examined.shaped.root, ("lists", name, "entries"))
        for entry in self._examined.attached.entries(name, table, places):
            said = "" if entry.wrong else self._said_of_group(entry.value)
            if said:
                severity = self._severity_of_groups
                self._examined.problems.append(Problem(entry.place, "unknown-group", said, severity))

    @property
    def _severity_of_groups(self) -> str:
        # The file may be edited while the service runs, so that this need not be wrong.
        return "error" if self._examined.model.identity.groups_file is None else "warning"

    def _said_of_group(self, name: str) -> str:
        """What is wrong with the name of a group; empty when nothing is, or it cannot be known."""
        file = self._examined.model.identity.groups_file
        if file is None:
            known, said = self._groups, f"there is no group '{name}'"
        elif self._groups_in_file is None:
            return ""
        else:
            known = self._groups | self._groups_in_file
            said = f"nobody is in group '{name}': neither 'groups:' nor '{file}' has it"
        return "" if name in known else said + self._offer("group", name, known)

    def _what(self, path: Path, what: WhatTable) -> None:
        if self._categories_are_known:
            self._tell("category", (*path, "category"), what.category, self._categories)

    def _exceptions(self) -> None:
        if not self._categories_are_known:
            return
        protected = self._examined.model.categories.protect.category
        self._tell("category", ("categories", "protect", "category"), protected, self._categories)
        self._category_keys(("categories", "exceptions"), self._examined.model.categories.exceptions)
        self._category_keys(("audit", "levels"), self._examined.model.audit.levels)

    def _category_keys(self, path: Path, written: Iterable[str]) -> None:
        for name in written:
            if name not in self._categories:
                said = f"there is no category '{name}'" + self._offer("category", name, self._categories)
                self._examined.say_of_key((*path, name), "unknown-category", said)

    def _network_names(self, path: Path, written: Iterable[str]) -> None:
        for number, name in enumerate(written):
            if name not in self._networks and not is_range(name):
                said = f"there is no network '{name}'{self._offer('network', name, self._networks)}"
                self._examined.say((*path, number), "unknown-network", said)

    def _offer(self, kind: str, name: str, known: frozenset[str]) -> str:
        """The nearest right name, looked for once for each wrong one."""
        if (kind, name) not in self._offered:
            is_room = len(self._offered) < MAX_OFFERED
            self._offered[kind, name] = did_you_mean(name, known) if is_room else ""
        return self._offered[kind, name]

    def _tell(self, kind: str, path: Path, written: Iterable[str], known: frozenset[str]) -> None:
        for number, name in enumerate(written):
            if name and name not in known:
                said = f"there is no {kind} '{name}'{self._offer(kind, name, known)}"
                self._examined.say((*path, number), f"unknown-{kind}", said)

    def _tell_one(self, kind: str, path: Path, name: str | None, known: frozenset[str] | None) -> None:
        if name and known is not None and name not in known:
            said = f"there is no {kind} '{name}'{self._offer(kind, name, known)}"
            self._examined.say(path, f"unknown-{kind}", said)


def _known(
    table: str, entries: Iterable[RuleTable | ExceptionTable], examined: Examined
) -> frozenset[str] | None:
    """The names in a table of rules or exceptions; None where some of them could not be read."""
    return None if examined.shaped.is_damaged((table,)) else frozenset(one.name for one in entries)


def _groups_in_file(examined: Examined) -> frozenset[str] | None:
    """The groups that the file of groups names now; None without a file that can be read."""
    file = examined.model.identity.groups_file
    if file is None:
        return None
    try:
        octets = examined.files.read(examined.file(file))
    except OSError:
        return None
    return frozenset(group for groups in read_groups(octets, file).of.values() for group in groups)


def known_categories(examined: Examined) -> tuple[frozenset[str], bool]:
    """
    The categories that there are, and whether these are all.

    The index knows those of the lists that are in it; a list knows its own, and a folder shows them: one that
    was added a moment ago is in no index yet.
    """
    model = examined.model
    named = examined.names_in(("categories", "own"))
    is_all = not examined.shaped.is_damaged(("categories",))
    for source in list_sources(model, examined.shaped.root, examined.folder):
        categories = source.categories
        if EVERY_CATEGORY in categories:
            categories = frozenset(file.parent.name for file in examined.files.glob(source.path, "*/*"))
            is_all = is_all and (bool(categories) or examined.known_categories is not None)
        named |= categories
    return (named | (examined.known_categories or frozenset())) - {EVERY_CATEGORY}, is_all
