"""Who looks at what runs sees people, rates and exchanges; and may end them, with a record of who did."""

from __future__ import annotations

from corpproxy.accounting.present import Question, Sort, View, ordered, together
from corpproxy.audit.pseudonyms import Naming
from corpproxy.audit.results import Kind, ResultCode
from corpproxy.net.by_hand import Chosen, end_by_hand
from corpproxy.net.watching import KEPT_SECONDS, Watching
from tests.accounting.test_present import taken
from tests.net.test_limiting import KIB, SIGNED_IN, LimitingCase, held
from tests.support.builders import AMIR, BASIC, CLIENT, request, response

RUNNING = Question(View.RUNNING)

# The answer that opens a tunnel.
OPENED = len(b"HTTP/1.1 200 Connection established\r\n\r\n")


class WatchingCase(LimitingCase):
    """A site that somebody looks at."""

    def look(self, question=None):
        """Look once, a second after the look before."""
        question = question or Question()
        self.site.reactor.advance(1)
        asked = self.site.proxy.watching.look(question)
        self.site.reactor.pump([0] * 10)
        return taken(ordered(taken(together([self.successResultOf(asked)], question)), question))

    def close(self):
        self.site.proxy.watching.stop()


class LookTests(WatchingCase):
    """What is seen."""

    def setUp(self):
        self.begin()
        self.addCleanup(self.close)

    def test_first(self):
        """The first look tells what is open and how much it moved since it began, and no rates yet."""
        client = self.tunnel()
        client.server.send(bytes(50 * KIB))
        seen = self.look()
        self.assertEqual((seen.seconds, seen.connections, seen.tunnels, seen.exchanges), (0, 1, 1, 1))
        (person,) = seen.people
        self.assertEqual((person.who, person.named, person.tunnels), ("10.1.2.3", False, 1))
        self.assertEqual((person.sent, person.sent_rate), (OPENED + 50 * KIB, 0))

    def test_rates(self):
        """Then rates are what moved since, each way, and what has moved adds up."""
        client = self.tunnel()
        self.look()
        client.server.send(bytes(50 * KIB))
        client.send(bytes(10 * KIB))
        (person,) = self.look().people
        self.assertEqual((person.sent_rate, person.received_rate), (50 * KIB, 10 * KIB))
        seen = self.look()
        self.assertEqual((seen.people[0].sent_rate, seen.people[0].sent), (0, OPENED + 50 * KIB))
        self.assertEqual(seen.sent_rate, 0)

    def test_ended(self):
        """What begins and ends between two looks counts for its person, to the octet."""
        self.look()
        client = self.site.client()
        client.send(request())
        server = self.site.server()
        server.send(response(content=b"more"))
        answer = client.take()
        seen = self.look()
        (person,) = seen.people
        self.assertEqual((person.who, person.ended, person.running), (CLIENT, 1, 0))
        self.assertEqual(person.sent, len(answer))
        self.assertEqual(seen.ended, 1)

    def test_ended_meanwhile(self):
        """A tunnel that ends counts what it moved since the look before, once."""
        client = self.tunnel()
        self.look()
        client.server.send(bytes(50 * KIB))
        (person,) = self.look().people
        self.assertEqual(person.sent, OPENED + 50 * KIB)
        client.server.send(bytes(30 * KIB))
        client.server.end()
        client.end()
        seen = self.look()
        self.assertEqual((seen.people[0].sent, seen.people[0].tunnels), (OPENED + 80 * KIB, 0))
        self.assertEqual(self.look(RUNNING).running, ())

    def test_soon_again(self):
        """Two who look at the same time see the same rates."""
        client = self.tunnel()
        self.look()
        client.server.send(bytes(50 * KIB))
        first = self.look()
        client.server.send(bytes(20 * KIB))
        asked = self.site.proxy.watching.look(Question())
        self.site.reactor.pump([0] * 10)
        self.assertEqual(self.successResultOf(asked).people, first.people)

    def test_running(self):
        """Each exchange is told with whose it is, where it leads, by which rule, and how fast it is."""
        client = self.tunnel()
        self.look(RUNNING)
        client.server.send(bytes(50 * KIB))
        (row,) = self.look(RUNNING).running
        self.assertEqual((row.who, row.client, row.method), ("10.1.2.3", "10.1.2.3", "CONNECT"))
        self.assertEqual((row.host, row.port, row.is_tunnel), ("games.example", 443, True))
        self.assertTrue(row.rule)
        self.assertEqual((row.sent_rate, row.sent >= 50 * KIB), (50 * KIB, True))

    def test_text(self):
        """Only what has a text in it is told, and how much of that there is."""
        self.tunnel()
        self.download(host="10.9.9.9")
        self.assertEqual(
            [one.host for one in self.look(Question(View.RUNNING, text="GAMES")).running], ["games.example"]
        )
        self.assertEqual([one.who for one in self.look(Question(text="10.9")).people], ["10.9.9.9"])
        self.assertEqual(self.look(Question(View.RUNNING, text="nowhere")).found, 0)

    def test_order(self):
        """Rows come in the order that is asked for, so many of them."""
        first, second = self.tunnel(), self.tunnel(host="10.0.0.1")
        self.look()
        first.server.send(bytes(10 * KIB))
        second.server.send(bytes(50 * KIB))
        self.assertEqual([one.who for one in self.look().people], ["10.0.0.1", "10.1.2.3"])
        by_name = self.look(Question(sort=Sort.WHO, limit=1))
        self.assertEqual(([one.who for one in by_name.people], by_name.found), (["10.0.0.1"], 2))

    def test_nobody(self):
        """Once nobody looks any more nothing is counted, and nothing ticks."""
        self.look()
        self.assertIsNotNone(self.site.proxy.books.look)
        self.site.reactor.advance(KEPT_SECONDS)
        self.assertFalse(self.site.proxy.watching.looks)
        self.assertIsNone(self.site.proxy.books.look)

    def test_slices(self):
        """Thousands are looked at in slices: others have their turn in between."""
        ticks = iter(range(10_000))
        watching = Watching(self.site.proxy, lambda: next(ticks))
        self.addCleanup(watching.stop)
        for _ in range(20):
            self.tunnel()
        asked = watching.look(Question())
        self.assertNoResult(asked)
        self.site.reactor.pump([0] * 100)
        self.assertEqual(len(self.successResultOf(asked).people), 1)


class Pseudonymous(Naming):
    """Gives pseudonyms that can be read."""

    def person(self, name):
        return f"p-{name[::-1]}"

    def device(self, address):
        return f"d-{address[::-1]}"


class PseudonymTests(WatchingCase):
    """Where the record has pseudonyms."""

    def setUp(self):
        self.begin(sign_in=True, known={BASIC: AMIR})
        self.addCleanup(self.close)
        self.site.proxy.books.naming = Pseudonymous()
        self.tunnel(SIGNED_IN)
        self.site.client(host="10.0.0.1")

    def test_running(self):
        """What runs is told by them, as in the record, so that nobody sees where a person goes."""
        seen = self.look(Question(View.RUNNING, sort=Sort.WHO))
        rows = [(one.who, one.client, one.host) for one in seen.running]
        self.assertEqual(rows, [("p-rima", "d-3.2.1.01", "games.example")])
        self.assertTrue(seen.pseudonyms)

    def test_name_finds_nothing(self):
        """Who looks for a name does not find what runs behind its pseudonym."""
        for question in (Question(View.RUNNING, text="amir"), Question(View.RUNNING, who="amir")):
            self.assertEqual(self.look(question).found, 0)

    def test_people(self):
        """People are told by name, as in the sums, but not by address, which the record has, too."""
        rows = [(one.who, one.addresses) for one in self.look(Question(sort=Sort.WHO)).people]
        self.assertEqual(rows, [("amir", ()), ("d-1.0.0.01", ())])

    def test_ended(self):
        """Something is ended by the pseudonym alone; the name goes to the record, which gives its own."""
        self.assertEqual(end_by_hand(self.site.proxy, Chosen("anna", "x", who="amir")).count, 0)
        ended = end_by_hand(self.site.proxy, Chosen("anna", "x", who="p-rima"))
        self.assertEqual((ended.count, ended.whom, ended.shown), (1, "amir", "p-rima"))


class SlowedTests(WatchingCase):
    """What waits for a limit."""

    def test_slowed(self):
        """A row says for which limit something waited just now."""
        self.begin(held(256))
        self.addCleanup(self.close)
        client = self.tunnel()
        self.look()
        self.run_for(3, (client.server, client))
        seen = self.look()
        self.assertEqual([one.slowed for one in seen.people], [("each",)])


class EndTests(WatchingCase):
    """An administrator ends what runs."""

    def setUp(self):
        self.begin()
        self.first, self.second = self.tunnel(), self.tunnel(host="10.0.0.1")

    def ended(self, **chosen):
        found = end_by_hand(self.site.proxy, Chosen("anna", "too much", **chosen))
        self.site.settle()
        return found

    def test_person(self):
        """All of a person ends, and nothing of others; the record says who ended it, and why."""
        ended = self.ended(who="10.1.2.3")
        self.assertEqual((ended.count, ended.whom, ended.hosts), (1, "address:10.1.2.3", ("games.example",)))
        self.assertEqual((self.first.closed, self.second.closed), (True, False))
        record = next(one for one in self.site.records if one.kind is Kind.CLOSING)
        self.assertEqual((record.result, record.failure), (ResultCode.ENDED, "ended-by-hand"))
        self.assertEqual(record.ended_reason, "anna ended it: too much")

    def test_reference(self):
        """One exchange ends, by its reference."""
        self.addCleanup(self.close)
        (row,) = self.look(Question(View.RUNNING, text="10.0.0.1")).running
        reference = row.reference
        self.assertEqual(self.ended(reference=reference).count, 1)
        self.assertEqual((self.first.closed, self.second.closed), (False, True))

    def test_not_there(self):
        """What does not run cannot be ended."""
        self.assertEqual(self.ended(who="nobody").count, 0)
        self.assertEqual(self.ended(reference="0v7").count, 0)
