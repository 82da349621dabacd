"""
Again: may they still.  An exchange that runs is asked under what is in force now.

A tunnel that a pupil opened before the lesson is asked the question of the moment: the same destination, with
the categories that the lists give it now, the same person, with the groups of now, at the time of now.  What
was looked at when it began, and cannot be looked at any more, counts as it was found: the address that was
dialled is one of the host, and first octets that nobody looked at are not what a stricter
safety table wants.
"""

from __future__ import annotations

from corpproxy.audit.results import ResultCode
from corpproxy.destination.addresses import address_class
from corpproxy.destination.model import AddressClass
from corpproxy.errors import NOWHERE, CorpproxyError
from corpproxy.exchange.answers import decision_page, remember_refusal
from corpproxy.exchange.ending import Ending
from corpproxy.exchange.exchange import Exchange
from corpproxy.exchange.facts import agent_of, facts_of
from corpproxy.exchange.in_force import InForce
from corpproxy.exchange.may import PORTAL
from corpproxy.exchange.refusal import Refusal, TunnelEnded
from corpproxy.identity.model import ANONYMOUS, Identity
from corpproxy.policy.model import Decision, Effect, Facts, TunnelContent
from corpproxy.policy.safety import refuse_address, refuse_content

# How an identity is known that rests on an address, on an exemption, or on nothing at all.
WITHOUT_CREDENTIALS = frozenset({"network", "exempt", "anonymous"})


def decide_again(exchange: Exchange, in_force: InForce, now: float, because: str) -> Ending | None:
    """
    Ask for an exchange whether it may go on; None when it may.

    The exchange remembers the decision as its ``standing``.  One that was not decided yet, or that is the
    portal's, may go on.
    """
    decision = exchange.decision
    if decision is None or decision is PORTAL:
        return None
    facts = _facts(exchange, in_force, now)
    identity = _identity(exchange, in_force, facts)
    if identity is None:
        return Ending("sign-in-needed", _SIGN_IN, in_force.version, because)
    facts.identity = identity
    again = _decide(exchange, in_force, facts)
    if again.effect is not Effect.ALLOW:
        return Ending("decided-again", again, in_force.version, because)
    exchange.standing = again
    return None


def account_changed(exchange: Exchange, reason: str, in_force: InForce) -> Ending:
    """Give the ending of an exchange whose person has another password, or none any more."""
    decision = Decision(Effect.BLOCK, "account", NOWHERE, reason)
    return Ending("account-changed", decision, in_force.version, "the account changed")


def end(exchange: Exchange, ending: Ending) -> CorpproxyError:
    """
    Write the ending into an exchange, and give what its road is to be stopped with.

    Who was sent nothing yet gets the page; to others the portal shows it.
    """
    exchange.ended = ending
    if exchange.answered:
        remember_refusal(exchange, ending.decision)
        return TunnelEnded(ending.code, ending.reason)
    return Refusal(ResultCode.ENDED, ending.code, decision_page(exchange, ending.decision), ending.reason)


_SIGN_IN = Decision(Effect.BLOCK, "sign-in", NOWHERE, "credentials are asked for now, and none were sent")


def _identity(exchange: Exchange, in_force: InForce, facts: Facts) -> Identity | None:
    """Who is asking, by what is known now; None where credentials would be asked for (see `identify`)."""
    identity, people = exchange.identity, in_force.people
    if identity.source not in WITHOUT_CREDENTIALS and in_force.challenges:
        return people.identity(identity.name, identity.source)
    known = in_force.exemptions.who(facts, people)
    return ANONYMOUS if known is None and not in_force.challenges else known


def _facts(exchange: Exchange, in_force: InForce, now: float) -> Facts:
    """What is known now of an exchange of somebody without a name."""
    destination = exchange.destination
    assert destination is not None
    host = destination.host
    categories, _ = in_force.classifier.classify(host, destination.scheme, destination.port, destination.path)
    facts = facts_of(exchange, destination, ANONYMOUS, categories, now)
    facts.agent = agent_of(exchange) if in_force.needs_agent else ""
    if in_force.needs_addresses:
        facts.address_classes = _classes(exchange)
    if in_force.needs_networks:
        facts.addresses = _addresses(exchange)
    return facts


def _decide(exchange: Exchange, in_force: InForce, facts: Facts) -> Decision:
    decision = in_force.policy.decide(facts, in_force.grants)
    if decision.effect is not Effect.ALLOW:
        return decision
    return still_safe(exchange, decision) or _still_strict(exchange, in_force, facts.identity, decision)


def still_safe(exchange: Exchange, decision: Decision) -> Decision | None:
    """Give the refusal by the safety table for what another one let through; None when there is none."""
    before = exchange.decision
    assert before is not None
    if decision.safety is before.safety:
        return None
    if decision.safety.addresses != before.safety.addresses:
        reached = _reached(exchange)
        if reached is not None and reached not in decision.safety.addresses:
            return refuse_address(decision, _address(exchange), reached)
    unseen = before.safety.tunnel_content is TunnelContent.ANY
    if unseen and decision.safety.tunnel_content is not TunnelContent.ANY and exchange.method == b"CONNECT":
        return refuse_content(decision, "nobody looked at the first octets of this tunnel")
    return None


def _still_strict(exchange: Exchange, in_force: InForce, identity: Identity, decision: Decision) -> Decision:
    """The decision, or its refusal where a search engine is reached now by its strict host alone."""
    before = exchange.in_force
    if in_force.safe_search is before.safe_search and identity is exchange.identity:
        return decision
    assert exchange.destination is not None
    host, asking = exchange.destination.host, (exchange.client, exchange.listener, agent_of(exchange))
    strict = in_force.safe_search.dial_host(host, identity, *asking)
    if strict == host or strict == before.safe_search.dial_host(host, exchange.identity, *asking):
        return decision
    reason = f"{host.name} is reached as {strict.name} now; '{decision.rule}' would have allowed it"
    return Decision(Effect.BLOCK, "safe search", NOWHERE, reason, safety=decision.safety)


def _classes(exchange: Exchange) -> frozenset[AddressClass]:
    """The classes of the host as it was looked up, if it was, and of the address that was dialled."""
    reached = _reached(exchange)
    found = exchange.address_classes or frozenset()
    return found if reached is None else found | {reached}


def _addresses(exchange: Exchange) -> frozenset[str]:
    """The addresses of the host as it was looked up, if it was, and the one that was dialled."""
    found, dialled = exchange.addresses or frozenset(), _address(exchange)
    return found | {dialled} if dialled else found


def _reached(exchange: Exchange) -> AddressClass | None:
    """The class of the address that was dialled; None before one was."""
    address = _address(exchange)
    return address_class(address) if address else None


def _address(exchange: Exchange) -> str:
    return exchange.upstream.rpartition(":")[0].strip("[]")
