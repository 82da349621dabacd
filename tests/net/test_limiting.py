"""Limits at work: what moves waits its turn, whatever carries it, and a change holds within a second."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.exchange.limits import Timeouts
from corpproxy.net.rounds import TICK_SECONDS
from corpproxy.policy.calendar import Hours, parse_spans
from corpproxy.policy.conditions import When, Who
from corpproxy.policy.limits import Limit, Limits, Per
from corpproxy.policy.model import TunnelContent
from tests.net.test_rounds import OPENED
from tests.support.builders import AMIR, BASIC, SAFETY, domain, request, response
from tests.support.rows import rows, tabular
from tests.support.wires import Site

KIB = 1024
ANY = replace(SAFETY, tunnel_content=TunnelContent.ANY)
# The clock of a test begins at 10:45.
LESSONS = When("lessons", Hours(spans=parse_spans("11:00-12:00"), time_zone=UTC))
SIGNED_IN = b"Proxy-Authorization: " + BASIC


def held(rate, name="each", **more):
    """A limit to so many KiB a second, each way."""
    return Limit(name, download=rate * KIB, upload=rate * KIB, **more)


class LimitingCase(SynchronousTestCase):
    """A site with limits."""

    def begin(self, *limits, **more):
        more.setdefault("safety", ANY)
        more.setdefault("timeouts", Timeouts(tunnel_idle=36_000, content=36_000))
        self.site = Site(limiting=limits, **more)
        self.site.proxy.rounds.start()
        self.addCleanup(self.site.proxy.rounds.stop)
        self.addCleanup(self.site.proxy.pacer.stop)

    def tunnel(self, *fields, host="10.1.2.3"):
        client = self.site.client(host=host)
        client.send(request(b"CONNECT", b"games.example:443", *fields))
        client.server = self.site.server()
        self.assertEqual(client.take(), OPENED)
        return client

    def download(self, *fields, host="10.1.2.3", target=b"http://www.example.com/film"):
        client = self.site.client(host=host)
        client.send(request(b"GET", target, *fields))
        client.server = self.site.server()
        client.server.send(response(200, b"Content-Length: 100000000", framed=False))
        client.take()
        return client

    def run_for(self, seconds, *moving, piece=16 * KIB):
        """Let time pass while these send as much as is taken; gives what came through of each."""
        moved = [0] * len(moving)
        for _ in range(round(seconds / 0.05)):
            for number, (source, target) in enumerate(moving):
                while not source.paused and not source.closed:
                    source.send(bytes(piece))
                    moved[number] += len(target.take())
            self.site.reactor.advance(0.05)
            self.site.settle()
        for number, (_, target) in enumerate(moving):
            moved[number] += len(target.take())
        return moved

    def is_near(self, octets, due):
        self.assertLess(abs(octets / due - 1), 0.08, octets)


class WayTests(LimitingCase):
    """Everything that can carry octets."""

    def test_tunnel_down(self):
        """What a server sends through a tunnel."""
        self.begin(held(256))
        client = self.tunnel()
        self.is_near(*self.run_for(10, (client.server, client)), 10 * 256 * KIB)

    def test_tunnel_up(self):
        """What a client sends through a tunnel."""
        self.begin(held(256))
        client = self.tunnel()
        self.is_near(*self.run_for(10, (client, client.server)), 10 * 256 * KIB)

    def test_ways_apart(self):
        """Each way has its own."""
        self.begin(Limit("each", download=512 * KIB, upload=128 * KIB))
        client = self.tunnel()
        down, up = self.run_for(10, (client.server, client), (client, client.server))
        self.is_near(down, 10 * 512 * KIB)
        self.is_near(up, 10 * 128 * KIB)

    def test_download(self):
        """The content of an answer."""
        self.begin(held(256))
        client = self.download()
        self.is_near(*self.run_for(10, (client.server, client)), 10 * 256 * KIB)

    def test_upload(self):
        """The content of a request."""
        self.begin(held(256))
        client = self.site.client()
        client.send(request(b"POST", b"http://www.example.com/", b"Content-Length: 100000000"))
        server = self.site.server()
        server.take()
        self.is_near(*self.run_for(10, (client, server)), 10 * 256 * KIB)

    def test_small_answers(self):
        """Many small answers on one connection move no more than a long one would."""
        self.begin(held(64))
        client = self.site.client()
        page = response(content=bytes(10_000))
        moved, server, asked = 0, None, 0
        for _ in range(200):
            if asked == moved // len(page):
                client.send(request())
                asked += 1
            if server is None:
                server = self.site.server()
            if server.take():
                server.send(page)
            moved += len(client.take())
            self.site.reactor.advance(0.05)
            self.site.settle()
        self.assertTrue(0.85 * 10 * 64 * KIB < moved < 1.03 * 10 * 64 * KIB, moved)


class MemberTests(LimitingCase):
    """Whose octets are counted together."""

    def test_address(self):
        """Without a name, those of one device, however many connections it has, IPv6 as well."""
        self.begin(held(256))
        one, two = self.tunnel(host="2001:db8::1"), self.tunnel(host="2001:db8::1")
        other = self.tunnel(host="2001:db8::2")
        pairs = [(client.server, client) for client in (one, two, other)]
        first, second, apart = self.run_for(10, *pairs)
        self.is_near(first + second, 10 * 256 * KIB)
        self.is_near(apart, 10 * 256 * KIB)

    def test_person(self):
        """A person's, on whatever device."""
        self.begin(held(256), sign_in=True, known={BASIC: AMIR})
        one, two = self.tunnel(SIGNED_IN), self.tunnel(SIGNED_IN, host="2001:db8::9")
        moved = self.run_for(10, (one.server, one), (two.server, two))
        self.is_near(sum(moved), 10 * 256 * KIB)

    def test_site(self):
        """Those of all, fairly: one device with three connections has as much as one with one."""
        self.begin(held(256, per=Per.SITE))
        many, one = [self.tunnel(host="10.1.2.3") for _ in range(3)], self.tunnel(host="10.1.2.4")
        *several, alone = self.run_for(20, *((client.server, client) for client in (*many, one)))
        self.is_near(sum(several), 10 * 256 * KIB)
        self.is_near(alone, 10 * 256 * KIB)

    def test_stacked(self):
        """A person in the site: what the tighter one leaves goes to the others."""
        self.begin(
            held(64, who=Who(user=("amir",))),
            held(256, "line", per=Per.SITE),
            known={BASIC: AMIR},
            sign_in=True,
        )
        amir = self.tunnel(SIGNED_IN)
        record = self.run_for(10, (amir.server, amir))
        self.is_near(record[0], 10 * 64 * KIB)

    def test_what(self):
        """A limit for some destinations leaves the others alone."""
        self.begin(held(64, what=domain("films.example")))
        client = self.download(target=b"http://www.example.com/")
        client.server.send(bytes(10_000_000))
        self.assertEqual(len(client.take()), 10_000_000)
        self.assertFalse(client.server.paused)


@tabular
class ChangedTests(LimitingCase):
    """Other limits hold within a second, for what runs."""

    def put(self, *limits):
        proxy = self.site.proxy
        proxy.in_force = replace(proxy.in_force, limiting=Limits(limits) if limits else None)
        self.site.reactor.pump([TICK_SECONDS] * 4)
        self.site.settle()

    def test_slowed(self):
        """A tunnel that ran as it liked is slowed within a second, and goes on."""
        self.begin()
        client = self.tunnel()
        client.server.send(bytes(10_000_000))
        self.assertEqual(len(client.take()), 10_000_000)
        self.put(held(64))
        self.is_near(*self.run_for(10, (client.server, client)), 10 * 64 * KIB)
        self.assertEqual(self.site.records, [])

    def test_download_slowed(self):
        """So is a download that has only begun."""
        self.begin()
        client = self.download()
        self.put(held(64))
        self.is_near(*self.run_for(10, (client.server, client)), 10 * 64 * KIB)

    def test_let_go(self):
        """A limit that is gone holds nothing any more."""
        self.begin(held(64))
        client = self.tunnel()
        self.run_for(2, (client.server, client))
        self.put()
        client.take()
        client.server.send(bytes(10_000_000))
        self.site.settle()
        self.assertEqual(len(client.take()), 10_000_000)

    def test_hours(self):
        """A limit with hours holds when they begin, and no more when they end."""
        self.begin(held(64, when=(LESSONS,)))
        client = self.tunnel()
        client.server.send(bytes(1_000_000))
        self.site.wait(15 * 60 + 1)
        client.take()
        self.is_near(*self.run_for(10, (client.server, client)), 10 * 64 * KIB)
        self.site.wait(60 * 60)
        client.take()
        client.server.send(bytes(10_000_000))
        self.site.settle()
        self.assertEqual(len(client.take()), 10_000_000)

    @rows(
        gone=((),),
        faster=((held(1024),),),
        another=((held(1024, "others"),),),
        one_more=((held(64), held(1024, "line", per=Per.SITE)),),
    )
    def test_before_its_turn(self, limits):
        """A request that waits for its turn below a limit goes on below the others that hold now."""
        self.begin(held(64))
        _, server, _ = self.site.exchange(request(), response(content=bytes(1_000_000)))
        server.take()
        late = self.site.client()
        late.send(request())
        self.site.settle()
        self.assertEqual(server.take(), b"")
        self.put(*limits)
        self.site.wait(30)
        self.assertIn(b"GET / ", server.take())
        server.send(response(content=b"at last"))
        self.site.wait(5)
        self.assertTrue(late.take().endswith(b"at last"))

    def test_tunnel_before_its_turn(self):
        """So does a tunnel."""
        self.begin(held(64))
        self.site.exchange(request(), response(content=bytes(1_000_000)))
        late = self.site.client()
        late.send(request(b"CONNECT", b"games.example:443"))
        self.put(held(1024))
        self.site.wait(30)
        self.site.server()
        self.assertEqual(late.take(), OPENED)

    def test_leaves_after_the_change(self):
        """Whose client leaves then is over, and asks no server."""
        self.begin(held(64))
        _, server, _ = self.site.exchange(request(), response(content=bytes(1_000_000)))
        server.take()
        late = self.site.client()
        late.send(request())
        self.put(held(65))
        late.break_off()
        self.site.wait(60)
        self.assertEqual(server.take(), b"")
        self.assertEqual(self.site.records[-1].failure, "client-gone")
        self.assertEqual(len(self.site.proxy.pacer.rates), 0)

    def test_changed_rate(self):
        """Another rate under the same name holds from now on."""
        self.begin(held(64))
        client = self.tunnel()
        self.run_for(2, (client.server, client))
        other = self.tunnel()
        self.put(held(512))
        moved = self.run_for(10, (client.server, client), (other.server, other))
        self.is_near(sum(moved), 10 * 512 * KIB)


class ToldTests(LimitingCase):
    """What the record tells."""

    def test_slowed(self):
        """Which limits made an exchange wait, and for how long."""
        self.begin(held(64), held(512, "line", per=Per.SITE))
        client = self.tunnel()
        self.run_for(5, (client.server, client))
        client.server.end()
        client.end()
        self.run_for(1)
        record = self.site.record
        self.assertEqual(record.slowed_by, ("each",))
        self.assertGreater(record.slowed_ms, 4000)

    def test_not_slowed(self):
        """An exchange that never had to wait says nothing of limits."""
        self.begin(held(64))
        self.site.exchange(request(), response(content=b"short"))
        self.assertEqual((self.site.record.slowed_by, self.site.record.slowed_ms), ((), None))


class EndTests(LimitingCase):
    """The end of what is held."""

    def test_client_leaves_while_held(self):
        """A client that leaves while its download waits ends the exchange, and nothing stays behind."""
        self.begin(held(64))
        client = self.download()
        client.server.send(bytes(1_000_000))
        self.site.settle()
        client.break_off()
        self.site.settle()
        self.assertEqual(self.site.record.failure, "client-gone")
        self.assertEqual(len(self.site.proxy.pacer.rates), 0)

    def test_client_leaves_before_its_turn(self):
        """So does one that leaves before its request was sent."""
        self.begin(held(64))
        self.site.exchange(request(), response(content=bytes(1_000_000)))
        late = self.site.client()
        late.send(request())
        self.assertEqual(self.site.dialling, [])
        late.break_off()
        self.site.settle()
        self.site.wait(60)
        self.assertEqual(len(self.site.records), 2)
        self.assertEqual(len(self.site.proxy.pacer.rates), 0)

    def test_kept_connection_is_free(self):
        """A server's connection that served a slowed exchange serves the next one as fast as it likes."""
        self.begin(held(64, what=domain("films.example"), per=Per.DEVICE))
        _, server, _ = self.site.exchange(
            request(b"GET", b"http://films.example/"), response(content=bytes(100_000))
        )
        self.site.wait(5)
        self.assertFalse(server.paused)
        self.assertEqual(len(self.site.proxy.pacer.rates), 0)

    def test_no_timer_stays(self):
        """Once nobody is held there is no timer."""
        self.begin(held(64))
        self.site.exchange(request(), response(content=bytes(1_000)))
        self.site.wait(60)
        self.site.proxy.rounds.stop()
        self.assertIsNone(self.site.proxy.pacer._call)
