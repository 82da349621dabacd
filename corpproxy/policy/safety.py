"""
What is refused whatever the rules say: the ``safety:`` table, or what a rule puts in its place.

It is asked once a rule lets something through.  Addresses of names are checked by the road when they are
dialled (`refuse_address`); here an address is checked that stands in the request itself.
"""

from __future__ import annotations

from collections.abc import Callable

from corpproxy.destination.addresses import address_class
from corpproxy.destination.model import AddressClass
from corpproxy.policy.model import ConnectTo, Decision, Effect, Facts, Safety

# One entry of the table: why it refuses an exchange, empty when it does not.
Check = Callable[[Facts, Safety], str]


def check_safety(decision: Decision, facts: Facts) -> Decision:
    """Give an allowing decision, or the refusal in its place."""
    if facts.method != "CONNECT" and facts.host.address is None:
        return decision  # no entry asks about a plain request to a name
    for entry, check in CHECKS:
        reason = check(facts, decision.safety)
        if reason:
            return _refused(decision, entry, reason)
    return decision


def refuse_address(decision: Decision, address: str, kind: AddressClass) -> Decision:
    """Give the refusal for a host that proved to have an address that ``decision`` does not let through."""
    return _refused(decision, "addresses", _address_reason(address, kind, decision.safety))


def refuse_content(decision: Decision, reason: str) -> Decision:
    """Give the refusal for a tunnel whose first octets are not what ``decision`` lets through."""
    return _refused(decision, "tunnel_content", reason)


def _refused(decision: Decision, entry: str, reason: str) -> Decision:
    """The refusal by one entry; its place is that of the table that was in force."""
    return Decision(
        effect=Effect.BLOCK,
        rule=f"safety: {entry}",
        place=decision.safety.place,
        reason=f"{reason}; '{decision.rule}' would have allowed it",
        category=decision.category,
        safety=decision.safety,
        granted=decision.granted,
        grant=decision.grant,
    )


def _connect_ports(facts: Facts, safety: Safety) -> str:
    if facts.method != "CONNECT" or not safety.connect_ports or facts.port in safety.connect_ports:
        return ""
    ports = ", ".join(str(port) for port in sorted(safety.connect_ports))
    return f"tunnels may go to port {ports}, not to {facts.port}"


def _connect_to(facts: Facts, safety: Safety) -> str:
    if facts.method != "CONNECT" or facts.host.address is None or safety.connect_to is ConnectTo.ANYTHING:
        return ""
    return f"tunnels may go to host names, and {facts.host.name} is an address"


def _addresses(facts: Facts, safety: Safety) -> str:
    if facts.host.address is None:
        return ""
    kind = address_class(facts.host.address)
    return "" if kind in safety.addresses else _address_reason(facts.host.name, kind, safety)


def _address_reason(address: str, kind: AddressClass, safety: Safety) -> str:
    allowed = ", ".join(sorted(safety.addresses)) or "no"
    return f"{address} is a {kind} address, and {allowed} addresses may be reached"


# In the order in which they are asked; the names are those of the entries.
CHECKS: tuple[tuple[str, Check], ...] = (
    ("connect_ports", _connect_ports),
    ("connect_to", _connect_to),
    ("addresses", _addresses),
)
