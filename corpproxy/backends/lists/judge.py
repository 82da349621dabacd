"""
Finding out what a version of a list changes, before it comes into force.

It runs in the process that fetched the list, beside the service.  Nothing here decides: what holds an
update back is said in `corpproxy.destination.brake`.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import publicsuffixlist

from corpproxy.backends.lists.build import carry_over
from corpproxy.backends.lists.opening import map_index
from corpproxy.backends.lists.read import Taking, read_source
from corpproxy.backends.lists.traffic import Traffic, Trial, read_traffic
from corpproxy.backends.records.segments import RECORDS_FOLDER
from corpproxy.config.configuration import Configuration
from corpproxy.destination.brake import TOP_HOST, Findings, Touched
from corpproxy.destination.changes import new_entries
from corpproxy.destination.classifier import Classifier
from corpproxy.destination.entries import IsPublicSuffix
from corpproxy.destination.host import normal_host
from corpproxy.destination.index import CategoryIndex
from corpproxy.destination.index_build import IndexBuilder
from corpproxy.destination.index_file import BadIndex
from corpproxy.destination.index_meta import MISSING, ListReport
from corpproxy.destination.keys import host_key, is_name_key, key_text
from corpproxy.destination.model import Host
from corpproxy.destination.overlay import Overlay
from corpproxy.destination.sources import ListSource
from corpproxy.destination.suffixes import public_suffixes
from corpproxy.errors import ProtocolError
from corpproxy.policy.decide import Policy, categories_of

# Entries that a report shows of those that came and of those that went.
SHOWN = 20
# Protected names that a report names; a list that touches more is not better known by them.
MAX_TOUCHED = 50
# Names of protected categories that are held against a list.
MAX_PROTECTED = 200_000


@dataclass(frozen=True, slots=True)
class Version:
    """A version of one list: its index, what was read, and the public suffixes that it names."""

    index: CategoryIndex
    octets: bytes
    report: ListReport
    suffixes: frozenset[str]


def read_version(source: ListSource, now: float) -> Version:
    """Read a list into an index of itself; raises SourceBroken."""
    builder = IndexBuilder()
    suffixes = _Suffixes()
    taking = Taking(builder, source.name)
    report = read_source(source, suffixes, taking.take, taking.know_aliases)
    pieces, (counted,) = builder.finish([report], now)
    octets = b"".join(pieces)
    return Version(CategoryIndex(memoryview(octets)), octets, counted, suffixes.named)


def index_of(path: Path) -> CategoryIndex | None:
    """The index of a version that is kept, if it can be read."""
    try:
        return map_index(path)
    except (OSError, BadIndex):
        return None


def taken_out(index: CategoryIndex | None, source: ListSource) -> CategoryIndex | None:
    """A list as the index of all lists has it, in an index of itself; None when it has nothing of it."""
    report = index.report(source.name) if index is not None else None
    if index is None or report is None or report.state == MISSING:
        return None
    builder = IndexBuilder()
    carry_over(builder, index, source)
    pieces, _ = builder.finish([report], index.meta.built)
    return CategoryIndex(memoryview(b"".join(pieces)))


class _Suffixes:
    """Answers whether a name is a public suffix, and remembers those that registries have."""

    def __init__(self) -> None:
        with open(publicsuffixlist.PSLFILE, encoding="utf-8") as lines:
            self._ask: IsPublicSuffix = public_suffixes(lines)
        self._seen: set[str] = set()

    def __call__(self, name: str) -> bool:
        found = self._ask(name)
        if found:
            self._seen.add(name)
        return found

    @property
    def named(self) -> frozenset[str]:
        """Those named so far; a word without a dot is a suffix too, but lists are full of ``localhost``."""
        tops = publicsuffixlist.PublicSuffixList(accept_unknown=False)
        return frozenset(one for one in self._seen if "." in one or tops.publicsuffix(one) is not None)


class Judge:
    """
    Holds a version of a list against the one in force.

    ``index`` is that of all lists as it is in force, ``before`` that of the version in force alone (None: the
    version is the first).
    """

    def __init__(
        self,
        configuration: Configuration,
        source: ListSource,
        version: Version,
        index: CategoryIndex | None,
        before: CategoryIndex | None,
    ) -> None:
        self._configuration = configuration
        self._version = version
        self._before = before
        self._index = index
        own, exceptions = configuration.own, configuration.exceptions
        self._old = Classifier(Overlay(index, before, source.name), own, exceptions)
        self._new = Classifier(Overlay(index, version.index, source.name), own, exceptions)
        # Without what is missing: what a list that cannot be read would say is no fault of this one.
        self._policy = configuration.policy.with_missing(())
        self._refused = refused_categories(self._policy)

    def findings(self, suffixes_before: Iterable[str] | None, now: float) -> Findings:
        """Find out what the version changes; None are suffixes of which nobody knows what there were."""
        suffixes = self._version.suffixes
        new_suffixes = suffixes - set(suffixes if suffixes_before is None else suffixes_before)
        traffic = self._traffic(now)
        came, came_shown = _count(new_entries(self._version.index, self._before))
        gone, gone_shown = _count(new_entries(self._before, self._version.index))
        before = self._before
        return Findings(
            after=self._version.report.entries,
            before=None if before is None else before.meta.lists[0].entries,
            came=came,
            gone=gone,
            came_shown=came_shown,
            gone_shown=gone_shown,
            suffixes=sorted(new_suffixes),
            touched=_once(self._touched(traffic.hosts)),
            effect=traffic.effect,
        )

    def _traffic(self, now: float) -> Traffic:
        folder = self._configuration.state / RECORDS_FOLDER
        trial = Trial(self._policy, self._old, self._new)
        return read_traffic(folder, trial, now, lambda sentence: None)

    def _touched(self, hosts: Counter[str]) -> Iterator[Touched]:
        """The protected names that come into a category by which a rule refuses."""
        if not self._refused:
            return
        for host, why in _hosts(self._protected()):
            yield from self._touched_at(host, why)
            yield from self._touched_below(host, why)
        most = hosts.most_common(self._configuration.protected.top_hosts)
        for host, why in _hosts((name, TOP_HOST) for name, _ in most):
            yield from self._touched_at(host, why)

    def _protected(self) -> Iterator[tuple[str, str]]:
        protected = self._configuration.protected
        for name in protected.domains:
            yield name, "the policy protects it"
        for category in protected.categories:
            for name in self._names_in(category):
                yield name, f"category '{category}' is protected"

    def _names_in(self, category: str) -> Iterator[str]:
        yield from self._configuration.own.get(category, ())
        if self._index is not None:
            keys = (
                key for key, listed in self._index.keys_below() if category in listed and is_name_key(key)
            )
            yield from map(key_text, itertools.islice(keys, MAX_PROTECTED))

    def _touched_at(self, host: Host, why: str) -> Iterator[Touched]:
        """What the host itself newly is."""
        old, _ = self._old.classify(host, "https", 443, "")
        new, matches = self._new.classify(host, "https", 443, "")
        for category in new:
            if category in self._refused and category not in old:
                entry = next(one.entry for one in matches if one.category == category)
                yield Touched(host.name, entry, category, self._refused[category], why)

    def _touched_below(self, host: Host, why: str) -> Iterator[Touched]:
        """The names below a host that are newly listed."""
        if host.address is not None:
            return
        for key, categories in self._version.index.keys_below(host_key(host)):
            listed = self._before.categories_of_key(key) if self._before is not None else ()
            for category in categories:
                if category in self._refused and category not in listed and key != host_key(host):
                    name = key_text(key)
                    below = _host(name)
                    if below is not None and category in self._new.classify(below, "https", 443, "")[0]:
                        yield Touched(name, name, category, self._refused[category], why)


def refused_categories(policy: Policy) -> dict[str, str]:
    """The categories by which a rule takes something away, each with the first such rule."""
    found: dict[str, str] = {}
    for rule in policy.rules:
        if rule.refuses:
            for category in categories_of(rule.what):
                found.setdefault(category, rule.name)
    return found


def _count(entries: Iterator[tuple[str, str]]) -> tuple[int, list[str]]:
    """How many there are, and the first of them."""
    shown = [f"{text} ({category})" for category, text in itertools.islice(entries, SHOWN)]
    return len(shown) + sum(1 for _ in entries), shown


def _once(touched: Iterable[Touched]) -> list[Touched]:
    """Each name and category once: what is protected for two reasons is told by the first."""
    found: dict[tuple[str, str], Touched] = {}
    for one in touched:
        found.setdefault((one.name, one.category), one)
        if len(found) >= MAX_TOUCHED:
            break
    return list(found.values())


def _hosts(named: Iterable[tuple[str, str]]) -> Iterator[tuple[Host, str]]:
    """The names that are hosts; the policy's own categories have networks and URLs too."""
    for name, why in named:
        host = _host(name)
        if host is not None:
            yield host, why


def _host(name: str) -> Host | None:
    try:
        return normal_host(name)
    except ProtocolError:
        return None
