"""The policy that is rehearsed, and what it says of the past: categories of its own, people, lists."""

from __future__ import annotations

from dataclasses import dataclass, replace

from corpproxy.audit.record import Record
from corpproxy.config.configuration import Configuration
from corpproxy.destination.classifier import Classifier, unread
from corpproxy.destination.index import CategoryIndex
from corpproxy.destination.model import Match
from corpproxy.identity.model import ANONYMOUS, Identity
from corpproxy.identity.people import People
from corpproxy.policy.decide import Policy
from corpproxy.policy.exempt import Exemptions
from corpproxy.policy.model import Facts
from corpproxy.policy.partial import Gaps
from corpproxy.replay.categories import CategoriesThen, Then, Versions, blocking, not_kept
from corpproxy.replay.facts import facts_of, gaps_of
from corpproxy.replay.queries import Queries

WHO = "the person, who had not signed in"

# How an identity is known that showed no credentials.
_UNASKED = frozenset({"network", "exempt", "anonymous"})


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

    ``index`` is that of the lists as they are now, ``people`` those of now; ``then`` gives earlier policies,
    ``versions`` those of lists.
    """

    def __init__(
        self,
        configuration: Configuration,
        index: CategoryIndex | None,
        people: People,
        then: Then,
        as_of: AsOf,
        versions: Versions = not_kept,
    ) -> None:
        self.configuration = configuration
        self.as_of = as_of
        self._people = people
        self._then = then
        self._now = Classifier(index, configuration.own, configuration.exceptions)
        self._queries = Queries(index, configuration, self._now)
        self._missing_now = blocking(unread(configuration.lists, index))
        self._categories = CategoriesThen(configuration, index, self._now, then, versions)
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

    def matches(self, record: Record) -> tuple[Match, ...]:
        """The lists and entries behind the categories of then, where that can be told."""
        facts, gaps, _ = self._found(record)
        return self._categories.matches(record, facts, gaps)

    def _found(self, record: Record) -> tuple[Facts, Gaps, frozenset[str]]:
        """The facts, with who asked then, what is not known of them, and the categories of missing lists."""
        facts, gaps = facts_of(record), gaps_of(record)
        if self.as_of.lists:
            return facts, self._listed_now(facts, gaps), self._missing_now
        facts.categories, unknown = self._categories.of(record, facts, gaps)
        missing, unheard_of = self._categories.not_in_use(record)
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

    def reads_paths(self, record: Record) -> bool:
        """Whether the categories of a destination may depend on its path, beyond those that were recorded."""
        return self.as_of.lists or self._categories.reads_paths(record)


def _unknown(gaps: Gaps) -> frozenset[str]:
    """The attributes of `Facts` of which something is not known."""
    unknown = {name.partition(".")[0] for name in gaps.facts}
    unknown |= {"path"} if gaps.query else set()
    unknown |= {"categories"} if gaps.categories else set()
    return frozenset(unknown)
