"""
The books of what went as nearly all go, kept at one go: named, counted and recorded by the compiled twin.

What it takes is an exchange, or a tunnel, of which the record of one like it is known, or of which only the
decision came before (`corpproxy.backends.alike`).  Everything else it leaves to the twins in Python, which
say what is right: `corpproxy.backends.counted`, `corpproxy.backends.recorded` and `Accounts`.  It gives None
then, and has done nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

from corpproxy import twins
from corpproxy.accounting.accounts import Account, Accounts
from corpproxy.accounting.ledger import Ledger
from corpproxy.audit.discretion import Discretion
from corpproxy.audit.record import Record
from corpproxy.audit.results import Kind, ResultCode
from corpproxy.audit.times import utc_text
from corpproxy.backends.alike import SHORT_PATH, Decided
from corpproxy.destination.model import Destination, Host
from corpproxy.exchange.exchange import Exchange
from corpproxy.exchange.in_force import InForce
from corpproxy.exchange.known import Known
from corpproxy.http1.fields import Fields, Outline
from corpproxy.identity.model import Identity
from corpproxy.policy.model import Decision


def tell_twin(twin: ModuleType) -> None:
    """Tell a compiled twin which classes there are."""
    classes = {
        "account": Account,
        "accounts": Accounts,
        "decided": Decided,
        "decision": Decision,
        "destination": Destination,
        "discretion": Discretion,
        "exchange": Exchange,
        "fields": Fields,
        "host": Host,
        "identity": Identity,
        "in_force": InForce,
        "known": Known,
        "ledger": Ledger,
        "outline": Outline,
        "record": Record,
    }
    results = (ResultCode.FORWARDED, ResultCode.TUNNELLED, Kind.CLOSING)
    twin.set_twins(classes, len(Record.__struct_fields__), results, utc_text, SHORT_PATH)


# Opens the account of a tunnel, and gives its record; None for what is left to the twins.
opened_at_once: Callable[[Exchange, float, Accounts], Record | None] | None = None
# Counts an exchange that is over, and gives its record; None for what is left to the twins.
ended_at_once: Callable[[Exchange, float, Accounts, Decided], Record | None] | None = None

if twins.books is not None:
    tell_twin(twins.books)
    opened_at_once, ended_at_once = twins.books.opened, twins.books.ended
