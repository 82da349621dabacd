"""One exchange of the past explained, by its record and the policy that decided it."""

from __future__ import annotations

from dataclasses import dataclass

from corpproxy.audit.record import Record
from corpproxy.config.configuration import Configuration
from corpproxy.destination.index import CategoryIndex
from corpproxy.destination.model import Match
from corpproxy.identity.people import People
from corpproxy.policy.explain import Explanation, explain
from corpproxy.policy.partial import PartialPolicy
from corpproxy.replay.candidate import AsOf, Candidate
from corpproxy.replay.categories import Versions, not_kept
from corpproxy.replay.deciding import Deciding, RecordedGrant


@dataclass(frozen=True, slots=True)
class Past:
    """
    What the policy of then says of an exchange.

    ``agrees`` says that it comes to what the record says; where a fact is missing it may not.  ``unknown``
    are sentences on what cannot be known any more.
    """

    explanation: Explanation
    agrees: bool
    unknown: tuple[str, ...]


def explain_record(
    record: Record,
    configuration: Configuration,
    index: CategoryIndex | None,
    versions: Versions = not_kept,
) -> Past:
    """
    Explain a record by the policy that it names.

    ``index`` is that of now: it only tells which categories a list gives; ``versions`` are those of then,
    which have the evidence behind each category.  Raises ValueError for a record
    whose moment cannot be read.
    """
    people = People(configuration.identity)
    candidate = Candidate(configuration, index, people, lambda _: configuration, AsOf(), versions)
    put = candidate.put(record)
    grant = RecordedGrant(record) if record.granted else None
    recorded = [Match(record.category, record.list, record.entry)] if record.entry else []
    matches = [*recorded, *(one for one in candidate.matches(record) if one not in recorded)]
    explanation = explain(put.policy, put.facts, matches, safe_search=configuration.safe_search, grants=grant)
    verdict = Deciding(candidate).verdict(record)
    decision = verdict.decision
    agrees = decision is not None and (decision.effect, decision.rule) == (record.decision, record.rule)
    unknown = sorted(
        {f"{fact}; it was not recorded" for read, fact in put.gaps.facts.items() if read in put.policy.reads}
    )
    if put.gaps.query and "path" in put.policy.reads:
        unknown.append("the query, which the table audit: keeps out of the record")
    if put.gaps and (
        doubt := PartialPolicy(put.policy).doubt(put.facts, put.gaps, put.policy.find(put.facts))
    ):
        unknown.append(f"whether '{doubt.rule}' matches, which asks for {doubt.fact}")
    shown = {record.category, *(one.category for one in matches)}
    others = [one for one in record.categories if one not in shown]
    if others:
        unknown.append(
            f"which lists have it in {', '.join(others)}; a record has the evidence of its rule alone"
        )
    return Past(explanation, agrees, tuple(unknown))
