"""The compiled twin of the books counts and records as the twins in Python do, or leaves it to them."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import replace
from functools import partial
from importlib import import_module
from sys import getrefcount
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.accounts import Account, Accounts
from corpproxy.accounting.ledger import Ledger
from corpproxy.admin.telemetry import Histogram, Telemetry, count_in_python
from corpproxy.audit.discretion import Discretion, Level
from corpproxy.audit.erasure import Erasure
from corpproxy.audit.record import Record, decode
from corpproxy.audit.results import Kind, ResultCode
from corpproxy.audit.sheet import LinesInPython, Sheet
from corpproxy.backends.at_once import tell_twin
from corpproxy.backends.books import BooksInPython
from corpproxy.destination.model import Destination, Host
from corpproxy.exchange.exchange import Exchange
from corpproxy.exchange.known import Known
from tests.backends.test_alike import ALLOWED, FORCES, exchanges
from tests.backends.test_books import Renamed
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
        {"destination": None, "known": None},
        {"known": None},
        {"client": "", "known": None},
        {"phase": "answer", "known": None},
        {"failure": "late"},
        {"up_sent": 2**40},
        {"connect_ms": 12},
        {"fields": None, "known": None},
    )
)


# What is the same in exchanges that are like one another.
ALIKE = (
    *("in_force", "listener", "client", "method", "identity", "decision", "fields", "phase", "failure"),
    *("address_classes", "addresses", "countries", "asns"),
)


@st.composite
def begun(draw) -> list[Exchange]:
    """Some exchanges and tunnels; several may be like one another."""
    each = draw(st.lists(exchanges(), min_size=1, max_size=5))
    known = draw(st.sampled_from((None, Known(FORCES[0].sections, None, None, None, None, (0.0, 0.0, None)))))
    tunnel, like = draw(st.just({}) | tunnels), copy(each[0])
    for exchange in each:
        exchange.known = known
        if known is not None:
            for name in ALIKE:
                setattr(exchange, name, getattr(like, name))
            exchange.destination = replace(like.destination, path=exchange.destination.path)
        exchange.started = draw(moments)
        exchange.resolve_seconds, exchange.first_octet_seconds = draw(measured), draw(measured)
        for name, value in (tunnel if known is not None else draw(st.just({}) | tunnels)).items():
            setattr(exchange, name, value)
        if exchange.method == b"CONNECT":
            exchange.destination = replace(exchange.destination, path="")
        for name, value in draw(odd).items():
            setattr(exchange, name, value)
    return each


TWIN = import_module("corpproxy._books")


class CompiledSheet(TWIN.Lines):
    """The sheet on the compiled twin of its lines, whichever twin runs."""

    bad = 0
    waiting = Sheet.waiting
    add, encode, take = Sheet.add, Sheet.encode, Sheet.take


class CompiledBooks(TWIN.Books, BooksInPython):
    """The books as the compiled twin keeps them; ``left`` counts what it leaves to the one in Python."""

    __slots__ = ("left",)

    def _opened_in_python(self, exchange: Exchange) -> None:
        self.left += 1
        BooksInPython.opened(self, exchange)

    def _close_in_python(self, exchange: Exchange) -> None:
        self.left += 1
        BooksInPython.close(self, exchange)


class OnSheet:
    """A writer that has a sheet."""

    def __init__(self, sheet: type) -> None:
        self.told = 0
        self.sheet = sheet(self.tell)
        self.sheet.due = 3
        self.accepts = self.sheet.accepts
        self.write = self.sheet.add

    def tell(self) -> None:
        """So many wait."""
        self.told += 1
        self.sheet.due += 3

    def lines(self) -> list[bytes]:
        """All that came, as lines."""
        return self.sheet.take()[0].splitlines()


def kept(account: Account) -> tuple[object, ...]:
    """What of an account does not say whom it is for; that of one that is over is not asked any more."""
    return account.received, account.sent, account.counted_received, account.counted_sent


@tabular
class AtOnceTests(SynchronousTestCase):
    """Exchanges and tunnels that begin, go on and end."""

    def setUp(self) -> None:
        tell_twin(TWIN, BooksInPython)
        TWIN.set_figures(Telemetry, Histogram, Record, Kind.CLOSING, count_in_python)

    def books(self, compiled: bool, now: float = NOW, bound: int = 100) -> tuple[Any, OnSheet, Ledger]:
        """Books that one kind of twins keeps."""
        writer, ledger = OnSheet(CompiledSheet if compiled else Sheet), Ledger(bound)
        self.telemetry = Telemetry(lambda: 0.0)
        watch = TWIN.counting(self.telemetry) if compiled else partial(count_in_python, self.telemetry)
        kind: Any = CompiledBooks if compiled else BooksInPython
        books = kind(Accounts(ledger), writer, lambda: now, watch)
        if compiled:
            books.left = 0
        return books, writer, ledger

    def lived(self, compiled: bool, several: list[Exchange], bound: int = 100) -> tuple[object, ...]:
        """What the books have of exchanges that were open and are over."""
        books, writer, ledger = self.books(compiled, bound=bound)
        accounts = []
        for exchange in copies(several):
            if exchange.opened:
                books.opened(exchange)
                exchange.account.received += 7
                books._accounts.collect(NOW)
                exchange.account.sent += 5
            books.close(exchange)
            self.assertEqual(len(books._accounts), 0)
            accounts.append(kept(exchange.account))
        counts = self.telemetry.exchange_counts, self.telemetry.exchanges, self.telemetry.tunnels
        return writer.lines(), writer.told, accounts, sorted(ledger.take_batch()), counts

    @EXAMPLES
    @given(begun())
    def test_same(self, several: list[Exchange]) -> None:
        """Both kinds of twins leave the same lines, octet for octet, the same sums and figures."""
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

    def taken(self, exchange: Exchange, books: Any = None) -> bool:
        """Whether all of the last of three like one another is taken."""
        books = books or self.books(True)[0]
        for one in copies([exchange, exchange, exchange]):
            books.left = 0
            if one.opened:
                books.opened(one)
            books.close(one)
        return not books.left

    def known(self) -> Known:
        """What is known of one like it."""
        return Known(FORCES[0].sections, None, None, None, None, (0.0, 0.0, None))  # type: ignore[arg-type]

    def test_taken(self) -> None:
        """It takes what comes again, and what only was decided before, and tunnels from end to end."""
        self.assertTrue(self.taken(self.exchange(known=self.known())))
        self.assertTrue(self.taken(self.exchange()))
        tunnel = self.exchange("", known=self.known(), opened=True, result=ResultCode.TUNNELLED)
        self.assertTrue(self.taken(tunnel))

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
        self.assertFalse(self.taken(self.exchange(**known)))  # type: ignore[arg-type]

    def test_pseudonyms_and_erasures(self) -> None:
        """Where records have pseudonyms, or something was erased while it ran, it is not asked."""
        books = self.books(True)[0]
        books.naming = Renamed()  # type: ignore[assignment]
        self.assertFalse(self.taken(self.exchange(), books))
        books = self.books(True)[0]
        books.forget(Erasure(user="amir", until=NOW), [])
        self.assertFalse(self.taken(self.exchange(), books))

    def test_clock_set_back(self) -> None:
        """A duration is never negative, and a clock before its time is Python's matter."""
        for now in (MONDAY - 60, -5.0):
            found = []
            for compiled in (True, False):
                books, writer, _ = self.books(compiled, now)
                known = self.known()
                for one in copies([self.exchange(known=known)] * 3):
                    books.close(one)
                found.append(writer.lines())
            self.assertEqual(*found)
            self.assertEqual([decode(line).seconds for line in found[0]], [0.0] * 3)

    @rows(
        escaped=({"upstream": '["]:80'},),
        backslash=({"upstream": "a\\b"},),
        control=({"upstream": "a\x01b"},),
        wide=({"upstream": "\u20ac"},),
        long=({"upstream": "1" * 100_000},),
        brief=({"started": NOW - 0.000004},),
        least=({"started": NOW},),
        round=({"started": NOW - 20},),
        days=({"started": NOW - 1e6 - 0.123457},),
        ages=({"started": 0.0},),
        much=({"up_received": 2**63 - 1},),
        below=({"up_received": -1},),
        text=({"up_received": "1"},),
        no_status=({"status": 0},),
    )
    def test_line(self, known: dict[str, object]) -> None:
        """Whatever the blanks of a line are to say, it says as the encoder writes it."""
        shared = self.known()
        for more in ({}, {"path": "", "opened": True, "result": ResultCode.TUNNELLED, "server_name": "a.b"}):
            exchange = self.exchange(known=shared, **(more | known))
            self.assertEqual(self.lived(True, [exchange] * 3), self.lived(False, [exchange] * 3))

    def test_order(self) -> None:
        """Lines and records stand on the sheet in the order in which they came."""
        books, writer, _ = self.books(True)
        several = [self.exchange(known=self.known()), self.exchange()] * 3
        for number, one in enumerate(copies(several)):
            one.reference = f"r{number}"
            books.close(one)
        self.assertEqual([decode(line).id for line in writer.lines()], [f"r{number}" for number in range(6)])

    def test_full(self) -> None:
        """Where the sheet takes no more lines, none is written there."""
        books, writer, _ = self.books(True)
        writer.sheet.bound = 0
        self.assertFalse(self.taken(self.exchange(known=self.known()), books))

    def test_nothing_kept(self) -> None:
        """What it made goes when nobody has it any more: nothing of an exchange is held on."""
        for known in (None, self.known()):
            books, writer, ledger = self.books(True)
            path, client = "/" + "p" * 40, "10.0.0." + "9" * 2
            exchange = self.exchange(path, client=client, known=known)
            before = getrefcount(path), getrefcount(client)
            for one in copies([exchange] * 50):
                books.close(one)
            writer.sheet.take()
            ledger.take_batch()
            books._recorded.decided._known.clear()
            del one
            self.assertEqual((getrefcount(path), getrefcount(client)), before)

    def test_misused(self) -> None:
        """Whatever it is given, it leaves to Python, which refuses it; nothing breaks."""
        books = self.books(True)[0]
        for method in (books.opened, books.close):
            self.assertRaises(AttributeError, method, None)
        self.assertRaises(TypeError, TWIN.Blank)
        self.assertRaises(TypeError, TWIN.Lines)
        del books.naming
        self.assertRaises(AttributeError, books.close, self.exchange())


@tabular
class LinesTests(SynchronousTestCase):
    """Lines in memory, in both twins."""

    @rows(compiled=(TWIN.Lines,), python=(LinesInPython,))
    def test_lines(self, kind: Any) -> None:
        """What is put comes out in one piece, however much it is, and then nothing is there any more."""
        lines = kind(lambda: None)
        for octets in (b"", b"a\n", b"b" * 100_000 + b"\n", b"c\n" * 3):
            lines.put(octets, octets.count(b"\n"))
        self.assertEqual((lines.count, lines.octets), (5, 100_009))
        self.assertEqual(lines.pull(), b"a\n" + b"b" * 100_000 + b"\n" + b"c\n" * 3)
        self.assertEqual((lines.count, lines.octets, lines.pull()), (0, 0, b""))

    @rows(compiled=(TWIN.Lines,), python=(LinesInPython,))
    def test_accepts(self, kind: Any) -> None:
        """New exchanges may begin until as much waits as may."""
        lines = kind(lambda: None)
        self.assertTrue(lines.accepts())
        lines.most = 4
        lines.put(b"abc", 1)
        self.assertTrue(lines.accepts())
        lines.put(b"d", 1)
        self.assertFalse(lines.accepts())


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
