"""What an exchange counts for: the person, the device, the host, its categories and the rule that decided."""

from __future__ import annotations

from corpproxy.accounting.ledger import OTHER_HOSTS
from corpproxy.accounting.present import Shown
from corpproxy.audit.erasure import Erasure
from corpproxy.audit.pseudonyms import Naming
from corpproxy.destination.model import Destination
from corpproxy.exchange.exchange import Exchange


def name_account(exchange: Exchange, naming: Naming | None, forgotten: tuple[Erasure, ...]) -> None:
    """
    Say for whom and for what the octets of an exchange count.

    ``naming`` gives pseudonyms, where the record has them; ``forgotten`` is what was erased meanwhile.
    """
    account, identity, destination = exchange.account, exchange.identity, exchange.destination
    account.user = identity.name
    account.groups = identity.groups
    if destination is not None:
        account.host, account.categories = _counted(exchange, destination, naming)
    account.device, account.rule = _counted_by(exchange, naming)
    for erasure in forgotten:
        _count_for_nobody(exchange, erasure)


def shown(exchange: Exchange, naming: Naming | None) -> Shown:
    """Whose an exchange is and where it goes, as its record will say it, for who looks while it runs."""
    name, client, destination = exchange.identity.name, exchange.client, exchange.destination
    categories = destination.categories if destination is not None else ()
    host = destination.host.name if destination is not None else ""
    discretion = exchange.in_force.discretion
    if host and discretion and discretion.hides(categories):
        host = OTHER_HOSTS
    if naming is not None:
        client = naming.device(client)
        name = naming.person(name) if name else ""
    rule = exchange.decision.rule if exchange.decision is not None else ""
    return Shown(name or client, client, host, categories, rule)


def _counted(
    exchange: Exchange, destination: Destination, naming: Naming | None
) -> tuple[str, tuple[str, ...]]:
    """
    The host and the categories that octets are counted for.

    The person is counted by name, because quotas need it: where the record has pseudonyms, the sums do
    not say where a person went.
    """
    if naming is not None and exchange.identity.name:
        return OTHER_HOSTS, ()
    discretion = exchange.in_force.discretion
    if discretion and discretion.hides(destination.categories):
        return OTHER_HOSTS, destination.categories
    return destination.host.name, destination.categories


def _counted_by(exchange: Exchange, naming: Naming | None) -> tuple[str, str]:
    """
    The device and the rule that octets are counted for.

    Where the record has pseudonyms, the address of a device would tell who somebody is, and the rule
    where a person went.
    """
    rule = exchange.decision.rule if exchange.decision is not None else ""
    if naming is not None:
        return "", "" if exchange.identity.name else rule
    return exchange.client, rule


def _count_for_nobody(exchange: Exchange, erasure: Erasure) -> None:
    """Count as the store does after an erasure."""
    account = exchange.account
    if erasure.concerns(user=account.user, client=account.device, host=account.host, at=exchange.started):
        if erasure.user or erasure.client:
            account.user = account.device = ""
        account.host = OTHER_HOSTS if erasure.host else account.host
