"""
Exchanges of the past decided again, each as the service would: by the same engine, and never by a guess.

Many exchanges share all that a decision rests on, so that a verdict is remembered by just that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from corpproxy.audit.record import Record
from corpproxy.audit.results import ResultCode
from corpproxy.audit.times import posix_seconds
from corpproxy.destination.addresses import address_class
from corpproxy.destination.model import AddressClass, Host
from corpproxy.identity.grants import Grant
from corpproxy.identity.model import Identity
from corpproxy.policy.decide import Policy
from corpproxy.policy.model import Decision, Effect, TunnelContent
from corpproxy.policy.partial import Doubt, PartialPolicy
from corpproxy.policy.safety import refuse_address
from corpproxy.replay.candidate import Candidate
from corpproxy.replay.facts import ADDRESSES, address_classes_of, host_of
from corpproxy.replay.sharing import key_reader
from corpproxy.replay.windows import Windows

# Verdicts remembered; one costs about 0.5 KiB, most of it the key.
MAX_REMEMBERED = 200_000

FIRST_OCTETS = "the first octets of the tunnel"

# How exchanges end that the safety table refused once they were under way.
_ADDRESS_REFUSED = "address-refused"
_CONTENT_REFUSED = frozenset({"tunnel-content", "server-name"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    What the candidate says of one exchange: a decision, or the doubt that stands in its way.

    ``categories`` are those it was decided with.
    """

    decision: Decision | None
    doubt: Doubt | None = None
    categories: tuple[str, ...] = ()


class Deciding:
    """Decides records again; `verdict` is what to call."""

    def __init__(self, candidate: Candidate) -> None:
        self._candidate = candidate
        policy = candidate.configuration.policy
        self._windows = Windows(policy)
        self._key = key_reader(candidate)
        self._verdicts: dict[object, Verdict] = {}
        self._partial: dict[int, PartialPolicy] = {}

    def verdict(self, record: Record) -> Verdict:
        """Decide on one record; raises ValueError for one whose moment cannot be read."""
        if record.granted:
            # A grant is somebody's, for something: there are few, and nothing to share.
            return self._finished(record, self._decided(record))
        key = (self._windows.in_force(record.at), self._key(record))
        verdict = self._verdicts.get(key)
        if verdict is None:
            if len(self._verdicts) >= MAX_REMEMBERED:
                self._verdicts.clear()
            verdict = self._verdicts[key] = self._decided(record)
        return self._finished(record, verdict)

    def groups_of(self, record: Record) -> tuple[str, ...]:
        """The groups of whoever asked, of then or of now; a verdict may be shared by people of several."""
        if not self._candidate.as_of.groups:
            return record.groups
        known = self._candidate.identity_now(record)
        return known.groups if known is not None else ()

    def _decided(self, record: Record) -> Verdict:
        """What the rules and the safety table say of the request."""
        put = self._candidate.put(record)
        policy, facts = put.policy, put.facts
        decision = doubt = None
        found = policy.find(facts)
        if put.gaps:
            doubt = self._partial_of(policy).doubt(facts, put.gaps, found)
        if doubt is None:
            decision = policy.answer(found, facts, RecordedGrant(record) if record.granted else None)
        return Verdict(decision, doubt, facts.categories)

    def _partial_of(self, policy: Policy) -> PartialPolicy:
        found = self._partial.get(id(policy))
        if found is None:
            found = self._partial[id(policy)] = PartialPolicy(policy)
        return found

    def _finished(self, record: Record, verdict: Verdict) -> Verdict:
        """Add what the safety table says of an exchange that is under way: of its address, of its content."""
        decision = verdict.decision
        if decision is None or decision.effect is not Effect.ALLOW:
            return verdict
        if record.failure == _ADDRESS_REFUSED or record.upstream:
            verdict = _dialled(record, decision, verdict)
        if record.method == "CONNECT" and decision.safety.tunnel_content is not TunnelContent.ANY:
            verdict = _peeked(record, decision, verdict)
        return verdict


def _dialled(record: Record, decision: Decision, verdict: Verdict) -> Verdict:
    """The addresses were seen: all of them where they are recorded, else the one that was connected to."""
    allowed = decision.safety.addresses
    classes = address_classes_of(record)
    if classes is not None:
        if classes & allowed or not classes:
            return verdict
        return replace(verdict, decision=refuse_address(decision, record.host, min(classes)))
    seen = _class_of(record.upstream)
    if seen is None or seen in allowed or host_of(record.host).address is not None:
        return verdict
    # The host may have had other addresses, one of which may be reached.
    return replace(verdict, decision=None, doubt=Doubt("safety: addresses", ADDRESSES))


def _peeked(record: Record, decision: Decision, verdict: Verdict) -> Verdict:
    """The first octets were looked at, if the policy of then asked for it."""
    if record.failure in _CONTENT_REFUSED and record.result is ResultCode.BLOCKED:
        refused = Decision(
            Effect.BLOCK, record.rule, decision.safety.place, record.reason, safety=decision.safety
        )
        return replace(verdict, decision=refused)
    was_looked_at = record.server_name or host_of(record.host).address is not None
    if record.result is ResultCode.TUNNELLED and not was_looked_at and verdict.decision is not None:
        return replace(verdict, decision=None, doubt=Doubt("safety: tunnel_content", FIRST_OCTETS))
    return verdict


@lru_cache(maxsize=65_536)
def _class_of(upstream: str) -> AddressClass | None:
    """The class of an address that was dialled, which is recorded with its port."""
    try:
        return address_class(upstream.rpartition(":")[0].strip("[]"))
    except ValueError:
        return None


class RecordedGrant:
    """The grant that a record tells of: it held for its rule, whatever stood in its way afterwards."""

    def __init__(self, record: Record) -> None:
        self._record = record

    def holds(self, identity: Identity, client: str, host: Host, rule: str, at: float, /) -> Grant | None:
        """Give the grant, where it holds for a rule."""
        record = self._record
        until = posix_seconds(record.granted)
        if at >= until or (record.rule != rule and not record.rule.startswith("safety: ")):
            return None
        return Grant(record.user, host.name, rule, until, record.user, record.reason, record.grant)
