"""
Safe search decided again: which host of a search engine would have answered.

It changes no decision.  An exchange that both policies let through may still go to another host: the strict
one of a search engine, or that one no longer.
"""

from __future__ import annotations

from dataclasses import dataclass

from corpproxy.audit.record import Record
from corpproxy.policy.safe_search import SafeSearch, engine_of
from corpproxy.replay.candidate import Candidate
from corpproxy.replay.facts import AGENT, facts_of, gaps_of, host_of

# What a missing fact is called where people read of it.
POLICY_THEN = "what safe_search was then, for the policy of then is gone"


@dataclass(frozen=True, slots=True)
class Search:
    """The host that answered, and the one that would; with an ``unknown`` fact that cannot be told."""

    before: str
    after: str
    unknown: str = ""


class Searches:
    """
    Asks the table ``safe_search:`` of then and that of a candidate.

    ``are_policies_told`` says whether the records name a policy; without one nothing was strict.
    """

    def __init__(self, candidate: Candidate, *, are_policies_told: bool = True) -> None:
        self._candidate = candidate
        self._now = candidate.configuration.safe_search
        self._are_policies_told = are_policies_told

    def change(self, record: Record) -> Search | None:
        """What changes for an exchange that was and would be let through; None where nothing does."""
        if not engine_of(record.host):
            return None
        then = self._then(record)
        if then is None:
            return Search("", "", POLICY_THEN)
        if then is self._now and not self._candidate.as_of.groups:
            return None
        if "agent" in gaps_of(record).facts and (then.reads_agent or self._now.reads_agent):
            return Search("", "", AGENT)
        before, after = self._host(record, then, of_now=False), self._host(record, self._now, of_now=True)
        return Search(before, after) if before != after else None

    def _then(self, record: Record) -> SafeSearch | None:
        if not self._are_policies_told:
            return SafeSearch()
        then = self._candidate.then(record.policy)
        return None if then is None else then.safe_search

    def _host(self, record: Record, table: SafeSearch, *, of_now: bool) -> str:
        identity = facts_of(record).identity
        if of_now and self._candidate.as_of.groups:
            identity = self._candidate.identity_now(record) or identity
        asking = (identity, record.client, record.listener, record.agent)
        return table.dial_host(host_of(record.host), *asking).name
