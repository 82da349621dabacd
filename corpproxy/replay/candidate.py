"""The policy that is rehearsed, and what it says of the past: categories of its own, people, lists."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from corpproxy.audit.record import Record
from corpproxy.config.configuration import Configuration
from corpproxy.destination.classifier import Classifier, unread
from corpproxy.destination.index import CategoryIndex
from corpproxy.destination.model import Host
from corpproxy.destination.sources import BLOCK, ListSource
from corpproxy.identity.model import ANONYMOUS, Identity
from corpproxy.identity.people import People
from corpproxy.policy.columns import EVERY_CATEGORY
from corpproxy.policy.decide import Policy
from corpproxy.policy.exempt import Exemptions
from corpproxy.policy.model import Facts
from corpproxy.policy.partial import Gaps
from corpproxy.replay.facts import facts_of, gaps_of
from corpproxy.replay.queries import Queries

WHO = "the person, who had not signed in"

# How an identity is known that showed no credentials.
_UNASKED = frozenset({"network", "exempt", "anonymous"})
_EVERY = frozenset({EVERY_CATEGORY})

# Gives the policy of a version that a record names, None where its text is not kept.
Then = Callable[[str], Configuration | None]


@dataclass(frozen=True, slots=True)
class AsOf:
    """
    Of when the facts are: ``groups`` and ``lists`` say that they are those of now.

    By default they are as they were recorded.
    """

    groups: bool = False
    lists: bool = False


@dataclass(frozen=True, slots=True)
class Put:
    """One exchange as it is put to the candidate: the policy, the facts, and what is not known of them."""

    policy: Policy
    facts: Facts
    gaps: Gaps


class Candidate:
    """
    A policy that is asked what it would have decided.

    ``index`` is that of the lists as they are now, ``people`` those of now; ``then`` gives earlier policies.
    """

    def __init__(
        self,
        configuration: Configuration,
        index: CategoryIndex | None,
        people: People,
        then: Then,
        as_of: AsOf,
    ) -> None:
        self.configuration = configuration
        self.as_of = as_of
        self._people = people
        self._then = then
        self._now = Classifier(index, configuration.own, configuration.exceptions)
        self._queries = Queries(index, configuration, self._now)
        self._missing_now = _missing(list(unread(configuration.lists, index)))
        self._own = _OwnEntries(configuration, self._now)
        self._owns: dict[str, _OwnEntries | None] = {}
        self._given = _categories_given(configuration.lists, index)
        self._policies: dict[frozenset[str], Policy] = {}
        self._exemptions: dict[frozenset[str], Exemptions] = {}

    def then(self, version: str) -> Configuration | None:
        """The policy of a version that a record names; None where its text is gone."""
        return self._then(version)

    def put(self, record: Record) -> Put:
        """Turn a record into what the candidate is asked; raises ValueError for one that cannot be."""
        facts, gaps, missing = self._found(record)
        if self.as_of.groups:
            gaps = self._identify(record, facts, gaps)
        return Put(self._policy(missing), facts, gaps)

    def _found(self, record: Record) -> tuple[Facts, Gaps, frozenset[str]]:
        """The facts, with who asked then, what is not known of them, and the categories of missing lists."""
        facts, gaps = facts_of(record), gaps_of(record)
        if self.as_of.lists:
            return facts, self._listed_now(facts, gaps), self._missing_now
        facts.categories, unknown = self._categories_then(record, facts)
        missing, unheard_of = self._lists_then(record)
        unknown |= unheard_of.difference(facts.categories)
        if unknown:
            gaps = replace(gaps, categories=unknown)
        return facts, gaps, missing

    def _listed_now(self, facts: Facts, gaps: Gaps) -> Gaps:
        """Put the categories by the lists of now into the facts; those that hang on a query are not known."""
        categories = self._now.classify(facts.host, facts.scheme, facts.port, facts.path)[0]
        doubtful = self._queries.doubtful(facts.host, facts.path, categories) if gaps.query else frozenset()
        facts.categories = tuple(one for one in categories if one not in doubtful)
        return replace(gaps, categories=doubtful) if doubtful else gaps

    def _policy(self, missing: frozenset[str]) -> Policy:
        found = self._policies.get(missing)
        if found is None:
            found = self._policies[missing] = self.configuration.policy.with_missing(missing)
        return found

    def identity_now(self, record: Record) -> Identity | None:
        """Who asked, by the people of now; None where the candidate would ask to sign in, or may."""
        if record.user and record.source not in _UNASKED:
            return self._people.identity(record.user, record.source)
        known = self._people.by_network(record.client) or self._exempted(record)
        return known or (None if self.configuration.identity.methods else ANONYMOUS)

    def _exempted(self, record: Record) -> Identity | None:
        """What an exemption of the candidate makes of somebody without a name; None where none counts."""
        exemptions = self.configuration.exemptions
        if not exemptions.entries:
            return None
        facts, gaps, missing = self._found(record)
        if not exemptions.reads.isdisjoint(_unknown(gaps)):
            return None
        facts.identity = ANONYMOUS
        counting = self._exemptions.get(missing)
        if counting is None:
            counting = self._exemptions[missing] = exemptions.with_missing(missing)
        return counting.who(facts, self._people)

    def _identify(self, record: Record, facts: Facts, gaps: Gaps) -> Gaps:
        """Put the identity of now into the facts."""
        known = self.identity_now(record)
        if known is None:
            # Nobody knows who would have signed in.
            who = {"identity.name": WHO, "identity.groups": WHO, "identity": WHO, "identity.source": WHO}
            return replace(gaps, facts={**gaps.facts, **who})
        facts.identity = known
        return gaps

    def _lists_then(self, record: Record) -> tuple[frozenset[str], frozenset[str]]:
        """
        The categories of lists that were missing then, and of those that were not in the policy then.

        The first count as the service counts them; of the second nothing is known.
        """
        in_use = {one.partition("=")[0] for one in record.lists}
        absent = [one for one in self.configuration.lists if one.name not in in_use]
        if not absent:
            return frozenset(), frozenset()
        then = self._then(record.policy)
        named = {one.name for one in then.lists} if then is not None else set()
        missing = _missing([one for one in absent if one.name in named])
        unheard = [one for one in absent if one.name not in named]
        return missing, frozenset().union(*(self._given[one.name] for one in unheard))

    def _categories_then(self, record: Record, facts: Facts) -> tuple[tuple[str, ...], frozenset[str]]:
        """
        The categories by the lists of then and the own entries of the candidate, and what cannot be told.

        What was recorded is what the lists said, without the exceptions and with the own categories of then;
        those are taken out again, as far as they differ here from the candidate's.
        """
        host, path = facts.host, facts.path
        before = self._own_of(record.policy)
        if before is self._own:
            return record.categories, frozenset()
        recorded = frozenset(record.categories)
        own, excepted = self._own.at(host, path)
        if before is not None:
            own_then, excepted_then = before.at(host, path)
            if (own, excepted) == (own_then, excepted_then):
                return record.categories, frozenset()
        else:
            # Which of the categories were own ones is not known; those that are own now may have been.
            own_then, excepted_then = recorded & self._own.categories, frozenset()
        listed = recorded - own_then
        # A list may have had an own category of then too, and so may it have had one that was taken away.
        doubtful = (own_then | excepted_then) - excepted - own - listed
        return tuple(sorted((listed - excepted) | own)), self._of_lists(doubtful, record)

    def _of_lists(self, categories: frozenset[str], record: Record) -> frozenset[str]:
        """Of some categories those that a list of then may give."""
        given: set[str] = set()
        for name in {one.partition("=")[0] for one in record.lists} if categories else ():
            given |= self._given.get(name, _EVERY)
        return categories if EVERY_CATEGORY in given else categories & given

    def _own_of(self, version: str) -> _OwnEntries | None:
        if version not in self._owns:
            then = self._then(version)
            self._owns[version] = None if then is None else self._entries(then)
        return self._owns[version]

    def _entries(self, then: Configuration) -> _OwnEntries:
        """The own entries of an earlier policy: those of the candidate where they are the same."""
        now = self.configuration
        is_same = (then.own, then.exceptions) == (now.own, now.exceptions)
        return self._own if is_same else _OwnEntries(then, self._now)

    @property
    def reads_paths(self) -> bool:
        """Whether the categories of a destination may depend on its path."""
        return (
            self.as_of.lists
            or self._own.reads_paths
            or any(one is not None and one.reads_paths for one in self._owns.values())
        )


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


def _unknown(gaps: Gaps) -> frozenset[str]:
    """The attributes of `Facts` of which something is not known."""
    unknown = {name.partition(".")[0] for name in gaps.facts}
    unknown |= {"path"} if gaps.query else set()
    unknown |= {"categories"} if gaps.categories else set()
    return frozenset(unknown)


def _missing(sources: Iterable[ListSource]) -> frozenset[str]:
    return frozenset().union(*(one.categories for one in sources if one.when_missing == BLOCK))


def _categories_given(
    sources: Iterable[ListSource], index: CategoryIndex | None
) -> Mapping[str, frozenset[str]]:
    """The categories that each list gives, by the index as it is now where that knows the list."""
    given = {}
    for one in sources:
        report = index.report(one.name) if index is not None else None
        given[one.name] = report.categories if report is not None else one.categories
    return given
