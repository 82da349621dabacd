"""The books: what a record says of the decision, and of what it rests on."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.accounts import Accounts
from corpproxy.accounting.ledger import OTHER_HOSTS, Ledger
from corpproxy.audit.erasure import WHERE_GROUPS, Erasure
from corpproxy.audit.results import Kind, ResultCode
from corpproxy.audit.settings import AuditSettings
from corpproxy.backends.books import Books
from corpproxy.destination.model import AddressClass, Destination, Host, Match
from corpproxy.errors import Place
from corpproxy.exchange.ending import Ending
from corpproxy.exchange.exchange import Exchange, Mode
from corpproxy.exchange.known import Known
from corpproxy.http1.fields import Fields
from corpproxy.identity.model import Identity
from corpproxy.policy.model import Decision, Effect
from tests.support.builders import CLIENT, MONDAY, in_force
from tests.support.rows import rows, tabular

GAMES = Decision(Effect.BLOCK, "games", Place("policy.yaml", 3, 5), "category games", category="games")
MATCHES = (
    Match("chat", "ut1", "miniclip.com"),
    Match("games", "ut1", "www.miniclip.com"),
    Match("games", "ut2", "miniclip.com"),
)


class Kept:
    """A writer that keeps what it is given."""

    def __init__(self) -> None:
        self.records = []
        self.write = self.records.append

    def accepts(self) -> bool:
        """A new exchange may begin."""
        return True


class Renamed:
    """Pseudonyms that change nothing."""

    def apply(self, record):
        """Give the record."""
        return record


class EvidenceTests(SynchronousTestCase):
    """The inputs of a decision stand in the record, or the record says that they do not."""

    def record(self, path="/", audit=None, **known):
        """The record of one exchange."""
        force = replace(in_force(), audit=audit or AuditSettings())
        exchange = Exchange(force, Mode.FORWARD, "rooms", CLIENT, MONDAY, "0s3c9d0000r001")
        exchange.method = b"GET"
        exchange.result = ResultCode.BLOCKED
        exchange.destination = Destination(
            Host("www.miniclip.com"), 80, "http", path, ("chat", "games"), MATCHES
        )
        for name, value in known.items():
            setattr(exchange, name, value)
        writer = Kept()
        Books(Accounts(Ledger()), writer, lambda: MONDAY + 1, lambda record: None).close(exchange)
        (record,) = writer.records
        return record

    def test_category(self):
        """The category that decided stands there with the list and the entry that give it."""
        record = self.record(decision=GAMES)
        self.assertEqual((record.category, record.list, record.entry), ("games", "ut1", "www.miniclip.com"))

    def test_no_category(self):
        """A rule that asks for no category has no such evidence, whatever the lists say of the host."""
        record = self.record(decision=replace(GAMES, category=""))
        self.assertEqual((record.category, record.list, record.entry), ("", "", ""))

    def test_groups(self):
        """Each group stands beside where it comes from."""
        amir = Identity("amir", ("pupils", "year 9"), "basic", ("policy", "file"))
        record = self.record(identity=amir)
        self.assertEqual((record.groups, record.groups_from), (("pupils", "year 9"), ("policy", "file")))

    def test_addresses(self):
        """Address classes that a rule read are recorded, and that a name had none."""
        classes = frozenset({AddressClass.PUBLIC, AddressClass.PRIVATE})
        self.assertEqual(self.record(address_classes=classes).addresses, ("private", "public"))
        self.assertEqual(self.record(address_classes=frozenset()).addresses, ("none",))
        self.assertEqual(self.record().addresses, ())

    def test_resolved(self):
        """The addresses themselves are recorded where a rule asks for networks of them."""
        found = frozenset({"10.1.4.9", "10.1.4.10"})
        self.assertEqual(self.record(addresses=found).resolved, ("10.1.4.10", "10.1.4.9"))
        self.assertEqual(self.record(addresses=frozenset()).resolved, ("none",))
        self.assertEqual(self.record().resolved, ())

    def test_left_out(self):
        """What the policy keeps out of the record is named, so that nobody takes it for absent."""
        fields = Fields(b"User-Agent: curl")
        self.assertEqual(self.record("/?q=1", fields=fields).left_out, ("query",))
        kept = AuditSettings(query=True, user_agent=False)
        self.assertEqual(self.record("/?q=1", kept, fields=fields).left_out, ("agent",))
        self.assertEqual(self.record("/", fields=fields).left_out, ())
        both = AuditSettings(user_agent=False)
        self.assertEqual(self.record("/?q=1", both, fields=fields).left_out, ("query", "agent"))

    def test_agents(self):
        """Each record names the program that asked, also where nothing else is known of its fields."""
        names = ("curl/8", "Wget/1.2", "")
        sections = [b"User-Agent: " + name.encode() if name else b"Accept: */*" for name in names]
        self.assertEqual(
            [self.record(fields=Fields(section)).agent for section in sections], ["curl/8", "Wget/1.2", ""]
        )

    def test_agent_noted(self):
        """The program is noted with a section that came before, and costs one that comes once no memory."""
        once, again = (Fields(b"User-Agent: curl/8") for _ in range(2))
        again.outline.know("who asked", None, 9)
        self.assertEqual([self.record(fields=fields).agent for fields in (once, again)], ["curl/8"] * 2)
        self.assertEqual([fields.outline.notes for fields in (once, again)], [{}, {"agent": "curl/8"}])

    def test_granted(self):
        """The record says until when a grant lifts what the rule does."""
        granted = replace(GAMES, effect=Effect.ALLOW, granted=MONDAY + 3600)
        self.assertEqual(self.record(decision=granted).granted, "2026-11-23T11:45:00.000Z")

    def test_granted_for_ever(self):
        """A grant whose end no calendar has costs no record."""
        granted = replace(GAMES, effect=Effect.ALLOW, granted=float("inf"))
        self.assertEqual(self.record(decision=granted).granted, "9999-12-31T23:59:59.000Z")


@tabular
class OrdinaryTests(SynchronousTestCase):
    """The records of exchanges that are like one another."""

    def records(self, *begun):
        """Their records, by one set of books."""
        writer = Kept()
        books = Books(Accounts(Ledger()), writer, lambda: MONDAY + 1, lambda record: None)
        for exchange in begun:
            books.close(exchange)
        return writer.records

    def begun(self, force, path, known=None, **more):
        """A forwarded exchange."""
        exchange = Exchange(force, Mode.FORWARD, "rooms", CLIENT, MONDAY + len(path), f"0s3c9d{len(path):08}")
        exchange.method, exchange.result, exchange.status = b"GET", ResultCode.FORWARDED, 200 + len(path)
        exchange.destination = Destination(
            Host("www.miniclip.com"), 80, "http", path, ("chat", "games"), MATCHES
        )
        exchange.decision = replace(GAMES, effect=Effect.ALLOW)
        exchange.identity = Identity("amir", ("pupils",), "basic", ("policy",))
        exchange.fields = Fields(b"User-Agent: curl")
        exchange.account.received, exchange.account.sent = 10 * len(path), 20
        exchange.up_sent, exchange.up_received, exchange.upstream = len(path), 30, "192.0.2.1:80"
        exchange.known = known
        for name, value in more.items():
            setattr(exchange, name, value)
        return exchange

    def counted(self, exchange, naming=None, is_running=False):
        """For whom and what the ledger has an exchange."""
        ledger = Ledger()
        books = Books(Accounts(ledger), Kept(), lambda: MONDAY + 1, lambda record: None)
        books.naming = naming
        if is_running:
            books.running(exchange)
        books.close(exchange)
        (usage,) = ledger.take_batch()
        return usage.user, usage.host, usage.device, usage.rule

    @rows(over=(False,), running=(True,))
    def test_counted_for(self, is_running):
        """Octets are those of a person, a host, a device and the rule that decided."""
        exchange = self.begun(in_force(), "/page")
        counted = self.counted(exchange, is_running=is_running)
        self.assertEqual(counted, ("amir", "www.miniclip.com", CLIENT, "games"))

    def test_counted_for_the_later_decision(self):
        """A tunnel that its first octets decided again counts for the rule that its closing record names."""
        exchange = self.begun(in_force(), "", opened=True)
        ledger = Ledger()
        books = Books(Accounts(ledger), Kept(), lambda: MONDAY + 1, lambda record: None)
        books.opened(exchange)
        exchange.decision = replace(GAMES, rule="safety: tunnel-content")
        books.close(exchange)
        self.assertEqual([usage.rule for usage in ledger.take_batch()], ["safety: tunnel-content"])

    def test_counted_before_a_decision(self):
        """What ended before anything was decided counts for its device."""
        exchange = Exchange(in_force(), Mode.FORWARD, "rooms", CLIENT, MONDAY, "0s3c9d00000001")
        self.assertEqual(self.counted(exchange), ("", "", CLIENT, ""))

    @rows(known=("amir", ("amir", "*", "", "")), unknown=("", ("", "www.miniclip.com", "", "games")))
    def test_counted_with_pseudonyms(self, user, expected):
        """Where the record has pseudonyms, no sum tells where a person went, nor which device it was."""
        exchange = self.begun(in_force(), "/page")
        exchange.identity = replace(exchange.identity, name=user)
        self.assertEqual(self.counted(exchange, Renamed()), expected)

    def forgotten(self, erasure):
        """The record of an exchange that runs while something is erased, and what the ledger has of it."""
        writer, ledger = Kept(), Ledger()
        books = Books(Accounts(ledger), writer, lambda: MONDAY + 1, lambda record: None)
        exchange = self.begun(in_force(), "/page")
        books.running(exchange)
        books.forget(erasure, [exchange])
        books.close(exchange)
        (usage,) = ledger.take_batch()
        return writer.records[0], usage

    @rows(
        person=(Erasure(user="amir"), ("", "", "", ""), ("", "www.miniclip.com")),
        device=(Erasure(client=CLIENT), ("", "", "", ""), ("", "www.miniclip.com")),
        host=(
            Erasure(host="miniclip.com", groups=WHERE_GROUPS),
            ("amir", CLIENT, "", ""),
            ("amir", OTHER_HOSTS),
        ),
        another=(
            Erasure(user="beth"),
            ("amir", CLIENT, "www.miniclip.com", "/page"),
            ("amir", "www.miniclip.com"),
        ),
        before=(
            Erasure(user="amir", until=MONDAY),
            ("amir", CLIENT, "www.miniclip.com", "/page"),
            ("amir", "www.miniclip.com"),
        ),
    )
    def test_forgotten(self, erasure, recorded, counted):
        """What runs while it is erased is recorded without it, and counted as the store then counts."""
        record, usage = self.forgotten(erasure)
        self.assertEqual((record.user, record.client, record.host, record.path), recorded)
        self.assertEqual((usage.user, usage.host), counted)
        self.assertEqual(usage.device, CLIENT if usage.user else "")

    def test_let_go(self):
        """An erasure is not known for longer than something runs that began before its end."""
        books = Books(Accounts(Ledger()), Kept(), lambda: MONDAY, lambda record: None)
        books.forget(Erasure(user="amir", until=MONDAY), [])
        books.let_go(MONDAY - 1)
        self.assertEqual(len(books.forgotten), 1)
        books.let_go(MONDAY)
        self.assertEqual(books.forgotten, ())

    def test_openings(self):
        """So it is with the records of tunnels that open."""
        force = in_force()
        known = Known(force.sections, None, None, None, None, (0.0, 0.0, None))
        more = {"result": ResultCode.FAILED, "status": 200, "method": b"CONNECT", "opened": True}
        each = [{"connect_ms": 250}, {"upstream": "192.0.2.2:443"}, {"resolve_seconds": 0.125}]
        found = []
        for like in (None, known):
            writer = Kept()
            books = Books(Accounts(Ledger()), writer, lambda: MONDAY + 1, lambda record: None)
            for number, one in enumerate(each):
                begun = self.begun(force, "", known=like, **more, **one)
                begun.reference = f"0s3c9d{number:08}"
                books.opened(begun)
            found.append(writer.records)
        self.assertEqual(*found)
        self.assertEqual({one.kind for one in found[1]}, {Kind.OPENING})

    def test_closings(self):
        """And with those of tunnels that are over, whichever way they ended."""
        force = in_force()
        known = Known(force.sections, None, None, None, None, (0.0, 0.0, None))
        tunnel = {"result": ResultCode.TUNNELLED, "status": 200, "method": b"CONNECT", "opened": True}
        each = [
            {"server_name": "www.miniclip.com"},
            {"server_name": "www.miniclip.com", "upstream": "192.0.2.2:443", "connect_ms": 250},
            {"server_name": ""},
            {"result": ResultCode.ENDED, "failure": "tunnel-life"},
            {"ended": Ending("decided-again", GAMES, "v2", "the policy changed"), "failure": "decided-again"},
            {"up_sent": 7, "up_received": 5},
        ]
        found = []
        for like in (None, known):
            writer = Kept()
            books = Books(Accounts(Ledger()), writer, lambda: MONDAY + 1, lambda record: None)
            for number, one in enumerate(each):
                begun = self.begun(force, "", known=like, **{**tunnel, **one})
                begun.reference = f"0s3c9d{number:08}"
                books.opened(begun)
                books.close(begun)
            found.append([record for record in writer.records if record.kind is Kind.CLOSING])
        self.assertEqual(*found)
        self.assertEqual(len(found[1]), len(each))
        self.assertIsNotNone(known.record)

    def test_same(self):
        """A record says the same whether or not the exchange was like one before it."""
        for audit in (AuditSettings(), AuditSettings(query=True, user_agent=False)):
            force = replace(in_force(), audit=audit)
            known = Known(force.sections, None, None, None, None, None)
            kinds = [
                ("/1", {"connect_ms": 250, "first_octet_seconds": 0.5}),
                ("/22", {"first_octet_seconds": 1.5}),
                ("/333?token=x", {}),
                ("/4444;jsessionid=x", {}),
                ("/5555" * 200, {}),
                ("/6", {"result": ResultCode.CLIENT_GONE, "failure": "client-gone"}),
                ("/77", {"upstream": "192.0.2.2:80", "resolve_seconds": 0.125}),
            ]
            with_memory = self.records(*[self.begun(force, path, known, **more) for path, more in kinds])
            without = self.records(*[self.begun(force, path, **more) for path, more in kinds])
            self.assertEqual(with_memory, without)
            self.assertEqual(len({record.path for record in without}), 7)
            self.assertIsNotNone(known.record)
