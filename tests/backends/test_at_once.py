"""The compiled twin of the books counts and records as the twins in Python do, or leaves it to them."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import replace
from importlib import import_module
from sys import getrefcount

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.accounts import Account, Accounts
from corpproxy.accounting.ledger import Ledger
from corpproxy.audit.discretion import Discretion, Level
from corpproxy.audit.erasure import Erasure
from corpproxy.audit.record import Record, encode
from corpproxy.audit.results import ResultCode
from corpproxy.backends import books as books_module
from corpproxy.backends.at_once import tell_twin
from corpproxy.backends.books import Books
from corpproxy.destination.model import Destination, Host
from corpproxy.exchange.exchange import Exchange
from corpproxy.exchange.known import Known
from tests.backends.test_alike import ALLOWED, FORCES, exchanges
from tests.backends.test_books import Kept, Renamed
from tests.support.builders import MONDAY
from tests.support.examples import EXAMPLES
from tests.support.rows import rows, tabular

NOW = MONDAY + 90.5
HOST = Host("a.example")
moments = st.floats(MONDAY - 5, MONDAY + 100) | st.just(MONDAY) | st.just(int(MONDAY)) | st.just(-3.25)
measured = st.floats(-1.0, 5.0) | st.sampled_from((-1.0, 0.0, 0.0005, 1e9, 7))
# What a tunnel has that comes to its end.
tunnels = st.fixed_dictionaries(
    {
        "method": st.just(b"CONNECT"),
        "opened": st.booleans(),
        "result": st.sampled_from((ResultCode.TUNNELLED, ResultCode.BLOCKED, ResultCode.FORWARDED)),
        "server_name": st.sampled_from(("", "a.example")),
        "failure": st.sampled_from(("", "", "tunnel-life")),
    }
)
odd = st.sampled_from(
    (
        {},
        {},
        {},
        {"destination": None},
        {"known": None},
        {"client": ""},
        {"phase": "answer"},
        {"failure": "late"},
        {"up_sent": 2**70},
        {"connect_ms": 12},
        {"fields": None},
    )
)


@st.composite
def begun(draw) -> list[Exchange]:
    """Some exchanges and tunnels; several are like one another."""
    each = draw(st.lists(exchanges(), min_size=1, max_size=5))
    known = draw(st.sampled_from((None, Known(FORCES[0].sections, None, None, None, None, (0.0, 0.0, None)))))
    for exchange in each:
        exchange.known = known
        exchange.started = draw(moments)
        exchange.resolve_seconds, exchange.first_octet_seconds = draw(measured), draw(measured)
        for name, value in (draw(st.just({}) | tunnels) | draw(odd)).items():
            setattr(exchange, name, value)
        if exchange.method == b"CONNECT" and exchange.destination is not None:
            exchange.destination = replace(exchange.destination, path="")
    return each


class Watched:
    """A compiled twin, and what it took."""

    def __init__(self) -> None:
        self.twin = import_module("corpproxy._books")
        tell_twin(self.twin)
        self.taken = 0

    def opened(self, *words: object) -> Record | None:
        """Do as the twin does."""
        record = self.twin.opened(*words)
        self.taken += record is not None
        return record

    def ended(self, *words: object) -> Record | None:
        """Do as the twin does."""
        record = self.twin.ended(*words)
        self.taken += record is not None
        return record


def kept(account: Account) -> tuple[object, ...]:
    """What of an account does not say whom it is for; that of one that is over is not asked any more."""
    return account.received, account.sent, account.counted_received, account.counted_sent


@tabular
class AtOnceTests(SynchronousTestCase):
    """Exchanges and tunnels that begin, go on and end."""

    def setUp(self) -> None:
        self.watched = Watched()

    def books(self, compiled: bool, now: float = NOW, bound: int = 100) -> tuple[Books, Kept, Ledger]:
        """Books that one kind of twins keeps."""
        opened, ended = (self.watched.opened, self.watched.ended) if compiled else (None, None)
        self.patch(books_module, "opened_at_once", opened)
        self.patch(books_module, "ended_at_once", ended)
        writer, ledger = Kept(), Ledger(bound)
        return Books(Accounts(ledger), writer, lambda: now, lambda record: None), writer, ledger

    def lived(self, compiled: bool, several: list[Exchange], bound: int = 100) -> tuple[object, ...]:
        """What the books have of exchanges that were open and are over."""
        books, writer, ledger = self.books(compiled, bound=bound)
        for exchange in copies(several):
            if exchange.opened:
                books.opened(exchange)
                exchange.account.received += 7
                books._accounts.collect(NOW)
                exchange.account.sent += 5
            books.close(exchange)
            self.assertEqual(len(books._accounts), 0)
            writer.records.append(kept(exchange.account))
        return writer.records, sorted(ledger.take_batch())

    @EXAMPLES
    @given(begun())
    def test_same(self, several: list[Exchange]) -> None:
        """Both kinds of twins leave the same records and the same sums."""
        self.assertEqual(self.lived(True, several), self.lived(False, several))

    @EXAMPLES
    @given(begun())
    def test_few_sums(self, several: list[Exchange]) -> None:
        """Where there is no room for more sums, hosts are not told apart, by either."""
        self.assertEqual(self.lived(True, several, bound=1), self.lived(False, several, bound=1))

    def exchange(self, path: str = "/", **known: object) -> Exchange:
        """An exchange as most are."""
        exchange = Exchange(FORCES[0], "forward", "rooms", "10.0.0.1", MONDAY + 0.123, "r1")  # type: ignore[arg-type]
        exchange.method, exchange.decision, exchange.status = b"GET", ALLOWED, 200
        exchange.result = ResultCode.FORWARDED
        exchange.destination = Destination(HOST, 80, "http", path)
        for name, value in known.items():
            setattr(exchange, name, value)
        return exchange

    def taken(self, exchange: Exchange, books: Books | None = None) -> int:
        """How many of the last of three like one another are taken."""
        books = books or self.books(True)[0]
        for one in copies([exchange, exchange, exchange]):
            self.watched.taken = 0
            if one.opened:
                books.opened(one)
            books.close(one)
        return self.watched.taken

    def known(self) -> Known:
        """What is known of one like it."""
        return Known(FORCES[0].sections, None, None, None, None, (0.0, 0.0, None))  # type: ignore[arg-type]

    def test_taken(self) -> None:
        """It takes what comes again, and what only was decided before, and tunnels from end to end."""
        self.assertEqual(self.taken(self.exchange(known=self.known())), 1)
        self.assertEqual(self.taken(self.exchange()), 1)
        tunnel = self.exchange("", known=self.known(), opened=True, result=ResultCode.TUNNELLED)
        self.assertEqual(self.taken(tunnel), 2)

    @rows(
        path=({"path": "/?q"},),
        long=({"path": "/" + "x" * 300},),
        wide=({"path": "/\u20ac"},),
        failed=({"failure": "upstream-reset"},),
        undecided=({"decision": None},),
        nowhere=({"destination": None},),
        discreet=({"in_force": replace(FORCES[0], discretion=Discretion({"health": Level.HOST}))},),
    )
    def test_left(self, known: dict[str, object]) -> None:
        """What is otherwise it leaves to the twins in Python, and has done nothing."""
        self.assertEqual(self.taken(self.exchange(**known)), 0)  # type: ignore[arg-type]

    def test_pseudonyms_and_erasures(self) -> None:
        """Where records have pseudonyms, or something was erased while it ran, it is not asked."""
        books = self.books(True)[0]
        books.naming = Renamed()  # type: ignore[assignment]
        self.assertEqual(self.taken(self.exchange(), books), 0)
        books = self.books(True)[0]
        books.forget(Erasure(user="amir", until=NOW), [])
        self.assertEqual(self.taken(self.exchange(), books), 0)

    def test_clock_set_back(self) -> None:
        """A duration is never negative, and a clock before its time is Python's matter."""
        for now in (MONDAY - 60, -5.0):
            found = []
            for compiled in (True, False):
                books, writer, _ = self.books(compiled, now)
                for one in copies([self.exchange(), self.exchange()]):
                    books.close(one)
                found.append(writer.records)
            self.assertEqual(*found)
            self.assertEqual([record.seconds for record in found[0]], [0.0, 0.0])

    def test_written(self) -> None:
        """A record that it made is written as one from the beginning, octet for octet."""
        books, writer, _ = self.books(True)
        for one in copies([self.exchange(), self.exchange()]):
            books.close(one)
        first, second = map(encode, writer.records)
        self.assertEqual(first, second)

    def test_nothing_kept(self) -> None:
        """What it made goes when nobody has it any more: nothing of an exchange is held on."""
        books, writer, ledger = self.books(True)
        path, client = "/" + "p" * 40, "10.0.0." + "9" * 2
        exchange = self.exchange(path, client=client)
        before = getrefcount(path), getrefcount(client)
        for one in copies([exchange] * 50):
            books.close(one)
        writer.records.clear()
        ledger.take_batch()
        books._recorded.decided._known.clear()
        del one
        self.assertEqual((getrefcount(path), getrefcount(client)), before)

    def test_misused(self) -> None:
        """Whatever it is given, it refuses or leaves it; nothing breaks."""
        twin = self.watched.twin
        for words in ((), (1, 2), (None, None, None, None), (self.exchange(), NOW, None, None)):
            for function in (twin.opened, twin.ended):
                try:
                    self.assertIsNone(function(*words))
                except TypeError:
                    continue


def copies(several: list[Exchange]) -> Iterator[Exchange]:
    """Each exchange once more, with an account of its own; what is known of several stays that of all."""
    shared: dict[int, Known] = {}
    for exchange in several:
        made = copy(exchange)
        made.account = Account()
        made.account.received, made.account.sent = exchange.account.received, exchange.account.sent
        if exchange.known is not None:
            made.known = shared.setdefault(id(exchange.known), copy(exchange.known))
        yield made
