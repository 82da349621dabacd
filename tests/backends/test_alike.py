"""The record of an exchange that is like one before says what a record from the beginning would say."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.accounts import Accounts
from corpproxy.accounting.ledger import Ledger
from corpproxy.audit.results import Kind, ResultCode
from corpproxy.backends import alike
from corpproxy.backends.books import Books
from corpproxy.destination.model import AddressClass, Destination, Host
from corpproxy.errors import Place
from corpproxy.exchange.exchange import Exchange, Mode
from corpproxy.http1.fields import Fields
from corpproxy.identity.model import ANONYMOUS, Identity
from corpproxy.policy.model import Decision, Effect
from tests.support.builders import MONDAY, in_force

FORCES = (in_force(), in_force())
ALLOWED = Decision(Effect.ALLOW, "everything else", Place("policy.yaml", 9, 5), "no other rule")
DECISIONS = (
    ALLOWED,
    replace(ALLOWED, rule="homework", would_block="games"),
    replace(ALLOWED, rule="a category", category="homework"),
    replace(ALLOWED, rule="granted", granted=MONDAY + 60, grant="g1"),
    None,
)
PEOPLE = (
    ANONYMOUS,
    Identity("amir", ("pupils",), "basic", ("policy",)),
    Identity("carol", ("staff", "year 9"), "basic", ("policy", "file")),
    Identity("", (), "exempt", exempt_by="policy.yaml:3:5"),
)
AGENTS = (b"", b"User-Agent: Firefox", b"User-Agent: curl")
ODD = (
    {},
    {"failure": "upstream-reset", "phase": "answer"},
    {"result": ResultCode.BLOCKED},
    {"address_classes": frozenset({AddressClass.PUBLIC})},
    {"countries": frozenset({"GB"})},
    {"asns": frozenset({64500})},
    {"addresses": frozenset({"192.0.2.1"})},
)


@st.composite
def exchanges(draw):
    """An exchange that is over."""
    force, listener = draw(st.sampled_from(FORCES)), draw(st.sampled_from(("rooms", "office")))
    client = draw(st.sampled_from(("10.0.0.1", "10.0.0.2")))
    exchange = Exchange(force, Mode.FORWARD, listener, client, MONDAY, draw(st.sampled_from(("r1", "r2"))))
    exchange.method = draw(st.sampled_from((b"GET", b"POST")))
    exchange.identity = draw(st.sampled_from(PEOPLE))
    exchange.decision = draw(st.sampled_from(DECISIONS))
    exchange.destination = Destination(
        Host(draw(st.sampled_from(("a.example", "b.example")))),
        draw(st.sampled_from((80, 8080))),
        "http",
        draw(st.sampled_from(("/", "/a", "/a?b=1", "/a;b", "/" + "x" * 300))),
        draw(st.sampled_from(((), ("news",)))),
    )
    exchange.fields = Fields(draw(st.sampled_from(AGENTS)))
    exchange.result = ResultCode.FORWARDED
    exchange.status = draw(st.sampled_from((200, 404)))
    exchange.account.received, exchange.account.sent = draw(st.integers(0, 9)), draw(st.integers(0, 9))
    exchange.up_sent, exchange.upstream = draw(st.integers(0, 9)), draw(st.sampled_from(("", "192.0.2.1:80")))
    for name in ("first_octet_seconds", "resolve_seconds"):
        setattr(exchange, name, draw(st.sampled_from((-1.0, 0.0, 0.25))))
    exchange.connect_ms = draw(st.sampled_from((-1, 0, 250)))
    for name, value in draw(st.sampled_from(ODD)).items():
        setattr(exchange, name, value)
    return exchange


class AlikeTests(SynchronousTestCase):
    """Exchanges one after another, and the record of each."""

    def books(self) -> Books:
        """Books that keep their records in ``self.records``."""
        self.records = []
        writer = type("Kept", (), {"write": lambda _, record: self.records.append(record), "accepts": bool})()
        return Books(Accounts(Ledger()), writer, lambda: MONDAY + 1, lambda record: None)

    @given(st.lists(exchanges(), min_size=2, max_size=6))
    @settings(deadline=None, max_examples=150)
    def test_same(self, several):
        """Whatever came before, the record is the one from the beginning."""
        books = self.books()
        for exchange in several:
            books.close(exchange)
            expected = books._recorded.made(exchange, Kind.EXCHANGE, exchange.result, MONDAY + 1)
            self.assertEqual(self.records[-1], expected)

    def exchange(self, decision=ALLOWED, force=FORCES[0], **known):
        """An exchange as most are."""
        exchange = Exchange(force, Mode.FORWARD, "rooms", "10.0.0.1", MONDAY, "r1")
        exchange.method, exchange.result, exchange.decision = b"GET", ResultCode.FORWARDED, decision
        exchange.destination = Destination(Host("a.example"), 80, "http", "/")
        for name, value in known.items():
            setattr(exchange, name, value)
        return exchange

    def made(self, *several):
        """How many records are made from the beginning for some exchanges."""
        books, made = self.books(), []
        decided = books._recorded.decided
        real = decided._made
        decided._made = lambda *about: made.append(about) or real(*about)
        for exchange in several:
            books.close(exchange)
        self.assertEqual(len(self.records), len(several))
        return len(made)

    def test_once(self):
        """For other people and other hosts none is made from the beginning."""
        others = [self.exchange(identity=person, status=number) for number, person in enumerate(PEOPLE)]
        self.assertEqual(self.made(*others), 1)

    def test_reload(self):
        """What another policy decided is not remembered by the one in force."""
        old, new = (self.exchange(force=force) for force in FORCES)
        self.assertEqual(self.made(old, new, new), 2)

    def test_bounded(self):
        """Decisions without end fill no memory."""
        self.patch(alike, "MAX_DECIDED", 3)
        decisions = [replace(ALLOWED, rule=f"rule {number}") for number in range(9)]
        books = self.books()
        for decision in decisions:
            books.close(self.exchange(decision))
            self.assertLessEqual(len(books._recorded.decided._known), 3)
