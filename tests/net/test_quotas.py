"""Quotas at work: they bite in the middle of what runs, within a second, and let go when made good."""

from __future__ import annotations

from datetime import UTC

from corpproxy.accounting.quotas import Quotas
from corpproxy.accounting.rollup import QUOTA, RollUp
from corpproxy.audit.record import encode
from corpproxy.audit.results import Kind, ResultCode
from corpproxy.net.pacing import TURN_SECONDS
from corpproxy.net.rounds import TICK_SECONDS
from corpproxy.policy.limits import Limit, Per
from corpproxy.policy.quota import Every, Quota, Standing, Then
from tests.net.test_limiting import KIB, LimitingCase
from tests.support.builders import CLIENT, domain, request, response

MIB = 1024 * KIB


def day(volume, **more):
    """A quota of so much an hour; the clock of a test begins at 10:45."""
    also = {key: more.pop(key) for key in ("per", "say", "what", "who") if key in more}
    return Limit("day", quota=Quota(volume=volume, every=Every.HOUR, **more), **also)


class QuotaCase(LimitingCase):
    """A site with quotas that are added up here."""

    def begin(self, *limits, **more):
        super().begin(*limits, **more)
        self.limits = self.site.proxy.in_force.limiting
        self.quotas = Quotas()
        self.quotas.define(self.limits)
        self.site.proxy.counter.send = self.count
        self.site.proxy.borrowing.send = self.lend
        self.addCleanup(self.site.proxy.counter.stop)

    def count(self, counts):
        for member, octets in self.site.proxy.borrowing.count(counts).items():
            self.quotas.count(*member, octets, self.site.now())
        self.tell()

    def lend(self, asked):
        lent = [self.quotas.lend("here", one, self.site.now(), self.site.reactor.seconds()) for one in asked]
        self.tell()
        self.site.proxy.borrowing.take(lent)

    def tell(self):
        self.limits.standings.take(self.quotas.changed(self.site.now()))

    def used(self, whom=CLIENT):
        standing = self.quotas.standing("day", whom, self.site.now())
        return 0 if standing is None else standing.used

    def again(self, server, content=b"more"):
        """One more exchange, on the server's connection that was kept."""
        self.site.wait(10)  # what came with the head of an answer is paid for afterwards
        client = self.site.client()
        client.send(request())
        server.send(response(content=content))
        return client.take()

    def within_a_second(self):
        self.site.reactor.pump([TICK_SECONDS] * 5)
        self.site.settle()


class BlockTests(QuotaCase):
    """A quota that then lets nothing more through."""

    def test_tunnel(self):
        """A tunnel ends within a second, and its record says why."""
        self.begin(day(MIB))
        client = self.tunnel()
        client.server.send(bytes(MIB))
        self.within_a_second()
        self.assertTrue(client.closed)
        record = self.site.record
        self.assertEqual((record.kind, record.result), (Kind.CLOSING, ResultCode.ENDED))
        self.assertEqual(record.failure, "quota-spent")
        self.assertEqual(record.ended_rule, "day")
        self.assertIn("(1 MiB) is used up until", record.ended_reason)
        self.assertEqual(record.quotas, ("day 100%",))

    def test_download(self):
        """So does a download that has only begun; a reset says that it is not whole."""
        self.begin(day(MIB))
        client = self.download()
        client.server.send(bytes(MIB))
        self.within_a_second()
        self.assertTrue(client.reset)
        self.assertEqual(self.site.record.failure, "quota-spent")

    def test_page(self):
        """The next request gets a page that says when it opens again, and no server is asked."""
        self.begin(day(MIB, say="That was all."))
        self.site.exchange(request(), response(content=bytes(MIB)))
        self.within_a_second()
        client = self.site.client()
        page = client.asks(request(b"GET", b"http://www.example.com/", b"Accept: text/plain"))
        self.assertIn(b"403", page.partition(b"\r\n")[0])
        self.assertIn(b"> That was all.", page)
        self.assertIn("“day” of 1 MiB is used up. It opens again: 23 November 2026, 11:00.".encode(), page)
        self.assertEqual(self.site.dialling, [])
        record = self.site.records[-1]
        self.assertEqual((record.decision, record.rule), ("block", "day"))
        self.assertEqual((record.result, record.failure), (ResultCode.BLOCKED, "quota-spent"))

    def test_not_known(self):
        """While it is not known what is left, the page does not say that it is used up."""
        self.begin(day(MIB, say="That was all."))
        self.limits.standings.take({("day", CLIENT): Standing(0.0, 0.0, self.site.now() + 60)})
        client = self.site.client()
        page = client.asks(request(b"GET", b"http://www.example.com/", b"Accept: text/plain"))
        self.assertIn(b"403", page.partition(b"\r\n")[0])
        self.assertIn(
            "“day” cannot be told just now. It will be looked up again: 23 November 2026, 10:46.".encode(),
            page,
        )
        self.assertNotIn(b"That was all", page)
        self.assertEqual(self.site.records[-1].failure, "quota-spent")

    def test_counted(self):
        """Reports count the refused page and the ended tunnel alike: as a quota that somebody met."""
        self.begin(day(MIB))
        self.tunnel().server.send(bytes(MIB))
        self.within_a_second()
        self.site.client().asks(request())
        roll_up = RollUp(UTC)
        roll_up.take(encode(record) for record in self.site.records)
        met = [(key[4], key[5], times) for key, times in roll_up.hand_out().refusals.items()]
        self.assertEqual(met, [("day", QUOTA, 2)])

    def test_made_good(self):
        """With the next hour it is open again."""
        self.begin(day(MIB))
        self.site.exchange(request(), response(content=bytes(MIB)))
        self.site.wait(16 * 60)
        _, _, got = self.site.exchange(request(), response(content=b"welcome"))
        self.assertIn(b"welcome", got)

    def test_others(self):
        """Others, and what the quota is not for, go on."""
        self.begin(day(MIB, what=domain("games.example")))
        game, other = self.tunnel(), self.download(host="10.1.2.9", target=b"http://www.example.com/")
        game.server.send(bytes(MIB))
        other.server.send(bytes(MIB))
        self.within_a_second()
        self.assertTrue(game.closed)
        self.assertFalse(other.closed)

    def test_granted(self):
        """Who is given more goes on at once."""
        self.begin(day(MIB))
        _, server, _ = self.site.exchange(request(), response(content=bytes(MIB)))
        self.within_a_second()
        self.quotas.grant("day", CLIENT, MIB, self.site.now())
        self.tell()
        self.assertIn(b"more", self.again(server))


class OtherThenTests(QuotaCase):
    """Quotas that slow, and quotas that only say so."""

    def test_slow(self):
        """Within a second it goes on slower, and nothing is broken off."""
        self.begin(day(MIB, then=Then.SLOW, download=64 * KIB, upload=64 * KIB))
        client = self.tunnel()
        client.server.send(bytes(MIB))
        self.within_a_second()
        client.take()
        self.is_near(*self.run_for(10, (client.server, client)), 10 * 64 * KIB)
        self.site.wait(16 * 60)
        client.take()
        client.server.send(bytes(10_000))
        self.site.settle()
        self.assertEqual(len(client.take()), 10_000)
        self.site.wait(1)
        self.assertFalse(client.server.paused)

    def test_record(self):
        """Nothing happens but that the record says it."""
        self.begin(day(MIB, then=Then.RECORD))
        _, server, _ = self.site.exchange(request(), response(content=bytes(2 * MIB)))
        self.within_a_second()
        self.again(server)
        self.assertEqual(self.site.records[-1].quotas, ("day 200%",))

    def test_notice(self):
        """At four fifths the answer says so in a field, and the record."""
        self.begin(day(MIB))
        _, server, got = self.site.exchange(request(), response(content=bytes(900 * KIB)))
        self.assertNotIn(b"Quota-Used", got)
        self.within_a_second()
        got = self.again(server)
        self.assertIn(b"\r\nQuota-Used: day 87%\r\n\r\nmore", got)
        self.assertEqual(self.site.records[-1].quotas, ("day 87%",))

    def test_notice_tunnel(self):
        """So does the answer that opens a tunnel, which has no other field."""
        self.begin(day(MIB))
        first = self.tunnel(host=CLIENT)
        first.server.send(bytes(900 * KIB))
        self.within_a_second()
        client = self.site.client()
        client.send(request(b"CONNECT", b"games.example:443"))
        self.site.server()
        self.assertEqual(client.take(), b"HTTP/1.1 200 Connection established\r\nQuota-Used: day 87%\r\n\r\n")


class CountTests(QuotaCase):
    """What is counted."""

    def test_to_the_octet(self):
        """What the client sent and was sent, heads included."""
        self.begin(day(100 * MIB))
        asked, answer = request(), response(content=bytes(50_000))
        _, _, got = self.site.exchange(asked, answer)
        self.site.reactor.pump([TURN_SECONDS] * 80)  # what is short is told with the next question
        self.assertEqual(self.used(), len(asked) + len(got))

    def test_while_it_runs(self):
        """A tunnel is counted while it runs, once."""
        self.begin(day(100 * MIB))
        client = self.tunnel()
        for _ in range(3):
            client.server.send(bytes(100_000))
            self.within_a_second()
        before = self.used()
        self.assertGreaterEqual(before, 300_000)
        client.server.end()
        client.end()
        self.within_a_second()
        self.assertEqual(self.used(), before)
        self.assertEqual(before, self.site.record.received + self.site.record.sent)

    def test_stacked(self):
        """A person's within the site's: both count, and the smaller one bites first."""
        site = Limit("all", per=Per.SITE, quota=Quota(volume=100 * MIB, every=Every.HOUR))
        self.begin(day(MIB), site)
        self.site.exchange(request(), response(content=bytes(MIB)))
        self.within_a_second()
        standings = self.quotas.all(self.site.now())
        self.assertEqual(set(standings), {("day", CLIENT), ("all", "")})
        self.assertEqual(len({one.used for one in standings.values()}), 1)
        self.assertIn(b"403", self.site.client().asks(request()))

    def test_no_clock_stays(self):
        """Once nothing is counted, nothing ticks."""
        self.begin(day(MIB))
        self.site.exchange(request(), response(content=b"x"))
        self.site.wait(60)
        self.assertEqual(len(self.site.proxy.counter), 0)
        self.assertIsNone(self.site.proxy.counter._call)


class LandingTests(QuotaCase):
    """The end of a quota."""

    def test_exact(self):
        """However fast sixteen downloads are, they end with the quota, but for a little."""
        self.begin(day(20 * MIB))
        clients = [self.tunnel() for _ in range(16)]
        self.run_for(20, *((client.server, client) for client in clients))
        self.assertTrue(all(client.closed for client in clients))
        self.assertLess(abs(self.used() / MIB - 20), 1)

    def test_not_before(self):
        """Who has much left is not slowed."""
        self.begin(day(4096 * MIB))
        client = self.tunnel()
        (moved,) = self.run_for(4, (client.server, client))
        self.assertGreater(moved, 500 * MIB)


class NowhereTests(QuotaCase):
    """What comes of a server and goes nowhere, below a quota that ends at its last octet."""

    def chunked(self, client, times):
        """An answer of which its chunks are mostly framing, that does not travel."""
        client.send(request())
        server = client.server = self.site.server()
        server.send(response(200, b"Transfer-Encoding: chunked", framed=False))
        for _ in range(times):
            server.send((b"1;" + b"x" * 100 + b"\r\na\r\n") * 100)
            self.site.wait(1)
        server.send(b"0\r\n\r\n")
        self.site.settle()
        return client.take()

    def test_all_of_it_is_there(self):
        """It takes nothing away: whoever had ten such answers has all that is left of the quota."""
        self.begin(day(MIB))
        for _ in range(10):
            self.chunked(self.site.client(), 10)
            self.site.wait(5)
        left = MIB - self.used()
        self.assertGreater(left, MIB // 2)
        client = self.tunnel()
        (moved,) = self.run_for(60, (client.server, client), piece=4 * KIB)
        self.assertTrue(client.closed)
        self.is_near(moved, left)
        self.assertEqual(self.site.records[-1].failure, "quota-spent")
