"""Where an exchange is dialled, and what happens when that address may not be dialled."""

from __future__ import annotations

from corpproxy.audit.results import ResultCode
from corpproxy.destination.model import AddressClass, Host
from corpproxy.exchange.answers import decision_page
from corpproxy.exchange.exchange import Exchange
from corpproxy.exchange.facts import agent_of
from corpproxy.exchange.refusal import AddressRefused, Refusal
from corpproxy.policy.safety import refuse_address


def dial_host(exchange: Exchange) -> Host:
    """Give the host to connect to: the strict one of a search engine where the policy asks for it."""
    destination = exchange.destination
    assert destination is not None
    safe_search = exchange.in_force.safe_search
    if not safe_search.entries:
        return destination.host
    return safe_search.dial_host(
        destination.host,
        exchange.identity,
        exchange.client,
        exchange.listener,
        agent_of(exchange) if safe_search.reads_agent else "",
    )


def address_refusal(exchange: Exchange, refused: AddressRefused) -> Refusal:
    """
    Give the refusal of the safety table for an address that may not be dialled.

    The address is checked where it is dialled, candidate by candidate, so that no name can
    lead inside (DNS rebinding).
    """
    assert exchange.decision is not None
    exchange.address_classes = refused.classes
    decision = refuse_address(exchange.decision, refused.address, AddressClass(refused.address_class))
    page = decision_page(exchange, decision)
    return Refusal(ResultCode.BLOCKED, "address-refused", page, decision.reason, decision)
