"""
The books of what went as nearly all go, kept at one go by the compiled twin (``native/books.c``).

What it takes is an exchange, or a tunnel, of which the record of one like it is known, or of which only the
decision came before (`corpproxy.backends.alike`).  Of the former it writes the line at once, without a
record, where the writer has a sheet for lines (`corpproxy.audit.sheet`).  Everything else it leaves to the
twins in Python, which say what is right: `corpproxy.backends.books`, `counted`, `recorded`, and `Accounts`;
it has done nothing then.
"""

from __future__ import annotations

from types import ModuleType

from corpproxy.accounting.accounts import Account, Accounts
from corpproxy.accounting.ledger import Ledger
from corpproxy.audit.discretion import Discretion
from corpproxy.audit.record import Record, encode
from corpproxy.audit.results import Kind, ResultCode
from corpproxy.audit.times import utc_text
from corpproxy.backends.alike import SHORT_PATH, Decided
from corpproxy.backends.recorded import Recorded
from corpproxy.destination.model import Destination, Host
from corpproxy.exchange.exchange import Exchange
from corpproxy.exchange.in_force import InForce
from corpproxy.exchange.known import Known
from corpproxy.identity.model import Identity
from corpproxy.policy.model import Decision

_SAID = (
    ResultCode.FORWARDED,
    ResultCode.TUNNELLED,
    ResultCode.OPEN,
    Kind.EXCHANGE,
    Kind.OPENING,
    Kind.CLOSING,
)


def tell_twin(twin: ModuleType, books: type) -> None:
    """Tell a compiled twin which classes there are; ``books`` is its own twin."""
    classes = {
        "account": Account,
        "accounts": Accounts,
        "books": books,
        "decided": Decided,
        "decision": Decision,
        "destination": Destination,
        "discretion": Discretion,
        "exchange": Exchange,
        "host": Host,
        "identity": Identity,
        "in_force": InForce,
        "known": Known,
        "ledger": Ledger,
        "record": Record,
        "recorded": Recorded,
    }
    twin.set_twins(classes, len(Record.__struct_fields__), _SAID, utc_text, encode, SHORT_PATH)
