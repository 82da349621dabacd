"""
The categories of a recorded destination, by the lists of then and the own entries of the candidate.

Where the candidate has the lists and the own entries of the policy of then, the record says it all.  Where it
has not, what the lists said is asked of the versions that the record cites; and only where one of them
is not kept is it worked out from what was recorded, and what cannot be told is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from corpproxy.audit.record import Record
from corpproxy.config.configuration import Configuration
from corpproxy.destination.classifier import Classifier
from corpproxy.destination.formats import UT1
from corpproxy.destination.index import CategoryIndex
from corpproxy.destination.model import Host, Match
from corpproxy.destination.overlay import Joined, Layer
from corpproxy.destination.sources import BLOCK, EVERY_CATEGORY, ListSource
from corpproxy.policy.model import Facts
from corpproxy.policy.partial import Gaps
from corpproxy.replay.queries import Queries

# Gives the policy of a version that a record names, None where its text is not kept.
Then = Callable[[str], Configuration | None]

# Gives a version of a list with the categories that a policy gives it, None where it is not kept.
Versions = Callable[[ListSource, str], Layer | None]

# Categories of a destination, and those of which it cannot be told whether it is in them.
Found = tuple[tuple[str, ...], frozenset[str]]


def not_kept(_source: ListSource, _version: str) -> Layer | None:
    """No version of any list."""
    return None


def blocking(sources: Iterable[ListSource]) -> frozenset[str]:
    """The categories of lists that block while they are missing."""
    return frozenset().union(*(one.categories for one in sources if one.when_missing == BLOCK))


class CategoriesThen:
    """
    What destinations were, for a candidate.

    ``now`` classifies by the lists of now, ``index`` is theirs; ``then`` gives earlier policies, ``versions``
    those of lists.
    """

    def __init__(
        self,
        configuration: Configuration,
        index: CategoryIndex | None,
        now: Classifier,
        then: Then,
        versions: Versions,
    ) -> None:
        self._configuration = configuration
        self._index = index
        self._now = now
        self._then = then
        self._versions = versions
        self._lists = {one.name: one for one in configuration.lists}
        self._own = _OwnEntries(configuration, now)
        self._owns: dict[str, _OwnEntries | None] = {}
        self._asked: dict[tuple[str, ...], _Asked | None] = {}
        self._others: dict[tuple[str, tuple[str, ...]], tuple[ListSource, ...]] = {}
        self._paths_read: dict[tuple[str, tuple[str, ...]], bool] = {}

    def of(self, record: Record, facts: Facts, gaps: Gaps) -> Found:
        """The categories, and those of which it cannot be told."""
        before = self._own_of(record.policy)
        others = self._used_otherwise(record)
        if before is self._own and not others:
            return record.categories, frozenset()
        asked = self._asked_of(record) if "host.name" not in gaps.facts else None
        listed = asked.listed(facts, gaps) if asked is not None else None
        return listed if listed is not None else self._worked_out(record, facts, before, others)

    def matches(self, record: Record, facts: Facts, gaps: Gaps) -> tuple[Match, ...]:
        """The lists and entries behind the categories, where the versions that the record cites are kept."""
        asked = self._asked_of(record) if "host.name" not in gaps.facts else None
        return asked.matches(facts, gaps) if asked is not None else ()

    def not_in_use(self, record: Record) -> tuple[frozenset[str], frozenset[str]]:
        """
        The categories of lists that were missing then, and of those that were not in the policy then.

        The first count as the service counts them; of the second nothing is known.
        """
        in_use = _cited(record)
        absent = [one for one in self._configuration.lists if one.name not in in_use]
        if not absent:
            return frozenset(), frozenset()
        named = {one.name for one in self._lists_of(record.policy)}
        missing = blocking(one for one in absent if one.name in named)
        return missing, self._given_by(one for one in absent if one.name not in named)

    def reads_paths(self, record: Record) -> bool:
        """Whether the path of a request may have a say in what `of` gives."""
        key = record.policy, record.lists
        found = self._paths_read.get(key)
        if found is None:
            found = self._paths_read[key] = self._are_paths_read(record)
        return found

    def _are_paths_read(self, record: Record) -> bool:
        before = self._own_of(record.policy)
        if before is self._own and not self._used_otherwise(record):
            return False
        asked = self._asked_of(record)
        owns = self._own.reads_paths or (before is not None and before.reads_paths)
        return owns or (asked is not None and asked.reads_paths)

    def _lists_of(self, policy: str) -> tuple[ListSource, ...]:
        then = self._then(policy)
        return then.lists if then is not None else ()

    # Asked of the versions.

    def _asked_of(self, record: Record) -> _Asked | None:
        """The versions that a record cites of the candidate's lists; None where one is not kept."""
        if record.lists not in self._asked:
            self._asked[record.lists] = self._opened(record)
        return self._asked[record.lists]

    def _opened(self, record: Record) -> _Asked | None:
        layers = []
        for name, version in _cited(record).items():
            if name in self._lists:
                layer = self._versions(self._lists[name], version)
                if layer is None:
                    return None
                layers.append(layer)
        return _Asked(Joined(layers), self._configuration)

    # Worked out from the record.

    def _used_otherwise(self, record: Record) -> tuple[ListSource, ...]:
        """The lists that a record cites and the candidate has not, or in other categories; as they were."""
        key = record.policy, record.lists
        found = self._others.get(key)
        if found is None:
            before = {one.name: one for one in self._lists_of(record.policy)}
            found = self._others[key] = tuple(
                before.get(name) or _unheard_of(name)
                for name in _cited(record)
                if self._is_otherwise(self._lists.get(name), before.get(name))
            )
        return found

    @staticmethod
    def _is_otherwise(now: ListSource | None, before: ListSource | None) -> bool:
        return now is None or (before is not None and now.categories != before.categories)

    def _worked_out(
        self, record: Record, facts: Facts, before: _OwnEntries | None, others: tuple[ListSource, ...]
    ) -> Found:
        """
        What was recorded is what the lists said, without the exceptions and with the own categories of then.

        Those are taken out again, as far as they differ here from the candidate's.
        """
        recorded = frozenset(record.categories)
        own, excepted = self._own.at(facts.host, facts.path)
        own_then, excepted_then = self._own_then(before, facts, recorded)
        if (own, excepted) == (own_then, excepted_then) and not others:
            return record.categories, frozenset()
        listed = recorded - own_then
        # A list may have had an own category of then too, and so may it have had one that was taken away.
        hidden = (own_then | excepted_then) - excepted - own - listed
        doubtful = _among(hidden, self._given_by(map(self._as_now, _cited(record))))
        # What the candidate has not from a list, another may have given too, or it has it by another name.
        lost = _among(listed, self._given_by(others)) - own
        if lost or hidden:
            doubtful |= lost | self._given_by(
                self._lists[one.name] for one in others if one.name in self._lists
            )
        known = (listed - lost - excepted) | own
        return tuple(sorted(known)), doubtful - excepted - known

    def _own_then(
        self, before: _OwnEntries | None, facts: Facts, recorded: frozenset[str]
    ) -> tuple[frozenset[str], frozenset[str]]:
        if before is not None:
            return before.at(facts.host, facts.path)
        # Which of the categories were own ones is not known; those that are own now may have been.
        return recorded & self._own.categories, frozenset()

    def _as_now(self, name: str) -> ListSource:
        return self._lists.get(name) or _unheard_of(name)

    def _given_by(self, sources: Iterable[ListSource]) -> frozenset[str]:
        """The categories that some lists give, by the index as it is now where they are the candidate's."""
        given: set[str] = set()
        for one in sources:
            report = self._index.report(one.name) if self._index is not None else None
            is_asked = one.categories == {EVERY_CATEGORY} and self._lists.get(one.name) is one
            given |= report.categories if is_asked and report is not None else one.categories
        return frozenset(given)

    def _own_of(self, version: str) -> _OwnEntries | None:
        if version not in self._owns:
            then = self._then(version)
            self._owns[version] = None if then is None else self._entries(then)
        return self._owns[version]

    def _entries(self, then: Configuration) -> _OwnEntries:
        """The own entries of an earlier policy: those of the candidate where they are the same."""
        now = self._configuration
        is_same = (then.own, then.exceptions) == (now.own, now.exceptions)
        return self._own if is_same else _OwnEntries(then, self._now)


class _Asked:
    """Versions of lists under the own entries of the candidate."""

    def __init__(self, versions: Joined, configuration: Configuration) -> None:
        self._classifier = Classifier(versions, configuration.own, configuration.exceptions)
        self._queries = Queries(versions, configuration, self._classifier)
        self.reads_paths = versions.reads_paths or versions.url_count > 0

    def listed(self, facts: Facts, gaps: Gaps) -> Found | None:
        """What they say of a destination; None where they look at a path that was not recorded."""
        host, path = facts.host, facts.path
        categories = self._classifier.classify(host, facts.scheme, facts.port, path)[0]
        if "path" in gaps.facts and self._classifier.looks_at_paths(host):
            return None
        doubtful = self._queries.doubtful(host, path, categories) if gaps.query else frozenset()
        return tuple(one for one in categories if one not in doubtful), doubtful

    def matches(self, facts: Facts, gaps: Gaps) -> tuple[Match, ...]:
        """The entries behind what they say for certain."""
        listed = self.listed(facts, gaps)
        known = listed[0] if listed is not None else ()
        found = self._classifier.classify(facts.host, facts.scheme, facts.port, facts.path)[1]
        return tuple(match for match in found if match.category in known)


class _OwnEntries:
    """What a policy itself says of destinations: its own categories, and those that it takes away."""

    def __init__(self, configuration: Configuration, lists: Classifier) -> None:
        self._own = Classifier(None, configuration.own)
        self._exceptions = Classifier(None, configuration.exceptions)
        self._same = lists.same_categories
        self.categories = frozenset(configuration.own)
        written = [*configuration.own.values(), *configuration.exceptions.values()]
        self.reads_paths = any("/" in entry for entries in written for entry in entries)

    def at(self, host: Host, path: str) -> tuple[frozenset[str], frozenset[str]]:
        """The own categories of a destination, and the categories that are taken from it."""
        own = self._own.classify(host, "", 0, path)[0]
        excepted = self._exceptions.classify(host, "", 0, path)[0]
        return frozenset(own), frozenset().union(*(self._same(one) for one in excepted))


def _cited(record: Record) -> dict[str, str]:
    """The version of each list that was in use."""
    return {name: version for name, _, version in (one.rpartition("=") for one in record.lists)}


def _unheard_of(name: str) -> ListSource:
    """A list of which only its name is known: it may give any category."""
    return ListSource(name, UT1, Path())


def _among(categories: frozenset[str], given: frozenset[str]) -> frozenset[str]:
    """Those of some categories that are given, or may be."""
    return categories if EVERY_CATEGORY in given else categories & given
