"""Short exchanges far below their limits: ahead of their road, with nothing of their own, and exact."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.quotas import Quotas
from corpproxy.net.ahead import Ahead
from corpproxy.net.borrowing import KEPT_OCTETS
from corpproxy.net.counting import Counter
from corpproxy.net.leeways import KEEP_SECONDS, LOOK_SECONDS, Leeways
from corpproxy.net.pacing import TURN_SECONDS
from corpproxy.policy.conditions import What
from corpproxy.policy.limits import Applied, Limit, Limits, Per
from corpproxy.policy.quota import Every, Quota
from tests.net.test_ahead import AGAIN, played
from tests.net.test_borrowing import Worker
from tests.net.test_every_exchange import STEPS, Play
from tests.net.test_limiting import KIB, held
from tests.net.test_quotas import QuotaCase, day
from tests.support.beginnings import WAYS
from tests.support.builders import CLIENT, domain, request, response
from tests.support.examples import EXAMPLES

MIB = 1 << 20
AT = 1_795_430_700.0


class ShortCase(QuotaCase):
    """A client and a server that had some exchanges like the next one."""

    def warm(self, *limits, **more):
        self.begin(*limits, **more)
        self.client, self.server, got = self.site.exchange(request(), response(content=b"hello"))
        self.moved = len(request()) + len(got)
        for _ in range(4):
            self.site.wait(1)
            self.one()

    def one(self, content=b"hello"):
        """One more exchange; gives what stood for its road, and what came."""
        self.client.send(request())
        run = type(self.client.protocol.run)
        self.server.send(response(content=content))
        got = self.client.take()
        self.moved += len(request()) + len(got)
        return run, got

    def told(self):
        """Let time pass until all that moved was told."""
        self.site.reactor.pump([TURN_SECONDS] * 80)


class AheadTests(ShortCase):
    """What goes ahead of its road."""

    def test_quota(self):
        """An exchange far below a quota goes ahead of its road, and counts to the octet."""
        self.warm(day(100 * MIB))
        self.assertIs(self.one(bytes(3000))[0], Ahead)
        self.told()
        self.assertEqual(self.used(), self.moved)
        self.assertEqual((self.site.records[-1].slowed_by, self.site.records[-1].quotas), ((), ()))

    def test_rate(self):
        """So does one below a rate, which the next ones find less of."""
        self.warm(held(256))
        bucket = self.site.proxy.pacer.rates.buckets["each", CLIENT, 0]
        self.site.wait(5)
        self.one()
        full = bucket.tokens
        run, got = self.one(bytes(10_000))
        self.assertIs(run, Ahead)
        self.assertLess(bucket.tokens, full - 9000)
        self.assertEqual(len(got) > 10_000, True)

    def test_minutes(self):
        """So does one of somebody whose minutes are counted."""
        self.warm(Limit("day", quota=Quota(minutes=60, every=Every.DAY)))
        run, _ = self.one(bytes(40_000))
        self.assertIs(run, Ahead)
        self.told()
        self.assertEqual(self.used(), 1)

    def test_unlimited(self):
        """So does one of somebody for whom no limit holds."""
        self.warm(day(MIB, what=domain("other.example")))
        self.assertIs(self.one()[0], Ahead)

    def test_tree(self):
        """So does one below the quotas and rates of user and site together."""
        self.warm(day(100 * MIB), held(256), held(1024, "line", per=Per.SITE))
        self.assertIs(self.one()[0], Ahead)

    def test_path(self):
        """Where limits look at paths, it is asked of each exchange which hold for it."""
        self.warm(day(100 * MIB, what=What(expression=("/films/",))))
        asked = []
        with patch.object(Limits, "find", lambda limits, facts: asked.append(facts.path) or ()):
            self.assertIs(self.one()[0], Ahead)
            self.one()
        self.assertEqual(asked, ["/", "/"])


class RoadTests(ShortCase):
    """What begins its road after all."""

    def test_noticed(self):
        """Who has used nearly all is told with each answer."""
        self.warm(day(100 * MIB))
        self.quotas.count("day", CLIENT, 85 * MIB, self.site.now())
        self.tell()
        run, got = self.one()
        self.assertIsNot(run, Ahead)
        self.assertIn(b"Quota-Used: day 85%\r\n", got)

    def test_spent(self):
        """Who has used all is refused, also where the request went ahead a moment before."""
        self.warm(day(100 * MIB))
        self.client.send(request())
        self.assertIs(type(self.client.protocol.run), Ahead)
        self.quotas.count("day", CLIENT, 100 * MIB, self.site.now())
        self.tell()
        self.client.take()
        self.client.send(request())
        self.assertIsNot(self.client.protocol.run, None)
        self.server.send(response(content=b"hello"))
        self.client.take()
        self.site.wait(1)
        client = self.site.client()
        client.send(request())
        self.assertIn(b" 403 ", client.take())

    def test_more_than_lent(self):
        """An answer that is more than is lent is held to its quota as it comes, and counts once."""
        self.warm(day(100 * MIB))
        stock = self.site.proxy.pacer.rates.stocks["day", CLIENT, 2]
        more, stock.tokens = stock.tokens - 8 * KIB, 8 * KIB
        run, _ = self.one(bytes(60_000))
        self.assertIs(run, Ahead)
        stock.tokens += more
        self.site.wait(1)
        self.moved += len(self.client.take())
        self.told()
        self.assertEqual(self.used(), self.moved)

    def test_slower(self):
        """A limit that comes while an answer is waited for holds for it."""
        self.warm(day(100 * MIB))
        self.client.send(request())
        self.assertIs(type(self.client.protocol.run), Ahead)
        proxy = self.site.proxy
        proxy.in_force = replace(proxy.in_force, limiting=Limits([day(100 * MIB), held(16)]))
        self.within_a_second()
        self.server.send(response(200, b"Content-Length: 1000000", framed=False))
        self.is_near(*self.run_for(10, (self.server, self.client)), 10 * 16 * KIB)

    def test_long(self):
        """A long answer is held to its rate, as ever."""
        self.warm(held(256))
        self.site.wait(2)
        self.client.send(request())
        self.server.send(response(200, b"Content-Length: 100000000", framed=False))
        self.is_near(*self.run_for(10, (self.server, self.client)), 10 * 256 * KIB)

    def test_many_short(self):
        """Many short answers together move no more than the rate."""
        self.warm(held(64))
        moved = 0
        for _ in range(200):
            self.site.reactor.advance(0.05)
            self.site.settle()
            if not self.client.protocol.is_busy:
                self.client.send(request())
            if self.server.take():
                self.server.send(response(content=bytes(8 * KIB)))
            moved += len(self.client.take())
        self.is_near(moved, 10 * 64 * KIB)


class LimitedPlay(Play):
    """A play of people who are far below their limits; what a quota counted is seen at its end."""

    def __init__(self):
        quota = Limit("day", quota=Quota(volume=1000 * MIB, every=Every.HOUR))
        super().__init__(limiting=(quota, held(10 * KIB), held(100 * KIB, "line", per=Per.SITE)))
        self.quotas, self._is_ready = Quotas(), False
        proxy = self.site.proxy
        self.quotas.define(proxy.in_force.limiting)
        proxy.borrowing.send = lambda asked: proxy.borrowing.take([self.lent(one) for one in asked])
        proxy.counter.send = self.count

    def count(self, counts):
        for member, octets in self.site.proxy.borrowing.count(counts).items():
            self.quotas.count(*member, octets, self.site.now())

    def lent(self, one):
        return self.quotas.lend("here", one, self.site.now(), self.site.reactor.seconds())

    def step(self, what, which):
        if not self._is_ready:
            # What the first exchanges were lent has come.
            self.site.wait(1)
            self._is_ready = True
        super().step(what, which)

    def close(self):
        super().close()
        proxy = self.site.proxy
        for part in (proxy.pacer, proxy.leeways, proxy.counter, proxy.borrowing):
            part.stop()
        self.counted = {member: one.used for member, one in self.quotas.all(self.site.now()).items()}


class SameTests(SynchronousTestCase):
    """Random play, with requests sent ahead and without."""

    @settings(EXAMPLES)
    @given(st.lists(st.one_of(STEPS, AGAIN), max_size=12))
    def test_any_play(self, steps):
        """Clients, servers, accounts, quotas and records are told the same."""
        told, counted = [], []

        def begin():
            play = LimitedPlay()
            counted.append(play)
            return play

        for way in WAYS:
            told.append(played(steps, way, begin))
        self.assertEqual(self.flushLoggedErrors(), [])
        for other, play in zip(told[1:], counted[1:], strict=True):
            self.assertEqual(told[0], other)
            self.assertEqual(counted[0].counted, play.counted)


class Short(Worker):
    """A process whose people do nothing but short exchanges; some that it holds back are not begun."""

    def __init__(self, name, clock, quotas, limiting) -> None:
        super().__init__(name, clock, quotas)
        self.counter = Counter(clock)
        self.counter.send = self.borrowing.count
        self.limiting = limiting
        self.leeways = Leeways(clock, lambda: AT, self.pacer, self.counter, self.borrowing)

    @property
    def leeway(self):
        applied = tuple(Applied(one, "amir") for one in self.limiting.limits)
        return self.leeways.of("amir", applied, self.limiting, AT)

    def exchange(self, octets: int) -> bool:
        leeway = self.leeway
        moves = leeway is not None and leeway.may_begin(AT) and leeway.takes(0, octets, self.clock.seconds())
        self.moved += octets * moves
        return moves

    def lent(self, one):
        lent = self.quotas.lend(self.name, one, AT, self.clock.seconds())
        self.limiting.standings.take(self.quotas.changed(AT))
        return lent

    def count(self) -> None:
        if self.claim is not None:
            super().count()

    def stop(self) -> None:
        self.pacer.stop()
        self.leeways.stop()
        self.counter.stop()


class LentTests(SynchronousTestCase):
    """Two processes and one lender."""

    def begin(self, volume: int) -> list[Short]:
        self.clock = Clock()
        self.clock.advance(100.0)
        self.quotas = Quotas()
        limiting = Limits([Limit("day", quota=Quota(volume=volume))])
        self.quotas.define(limiting)
        self.workers = [Short(f"w{number}", self.clock, self.quotas, limiting) for number in range(2)]
        return self.workers

    def tearDown(self) -> None:
        for one in self.workers:
            one.stop()

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds / (TURN_SECONDS / 5))):
            self.clock.advance(TURN_SECONDS / 5)
            for one in self.workers:
                one.go_on()
                one.count()

    def test_kept(self) -> None:
        """What is lent is kept from one exchange to the next: one question, and not one for each."""
        one, _ = self.begin(100 * MIB)
        one.exchange(KIB)
        self.wait(0.5)
        asked = len(one.asked)
        for _ in range(40):
            self.assertTrue(one.exchange(12 * KIB))
            self.wait(0.1)
        self.assertLessEqual(len(one.asked) - asked, 1)

    def test_asked_in_time(self) -> None:
        """It is asked for more before it is used up: nothing has to wait."""
        one, _ = self.begin(100 * MIB)
        one.exchange(KIB)
        self.wait(0.5)
        for _ in range(400):
            self.assertTrue(one.exchange(12 * KIB))
            self.wait(0.05)
        self.assertEqual(one.moved, 400 * 12 * KIB)

    def test_given_back(self) -> None:
        """Who does nothing any more keeps nothing, and all is told."""
        one, _ = self.begin(100 * MIB)
        one.exchange(KIB)
        self.wait(0.5)
        one.exchange(12 * KIB)
        self.wait(KEEP_SECONDS + LOOK_SECONDS + 2)
        self.assertEqual((len(one.leeways), len(one.borrowing), one.pacer.rates.stocks), (0, 0, {}))
        self.assertEqual(self.quotas.standing("day", "amir", AT).used, one.moved)
        self.assertEqual(self.quotas.lent("day", "amir"), 0)

    def test_nobody_starves(self) -> None:
        """What one process kept comes to the other one as the budget ends."""
        one, two = self.begin(10 * MIB)
        one.exchange(KIB)
        self.wait(0.5)
        self.assertTrue(one.exchange(12 * KIB))
        self.assertEqual(self.quotas.lent("day", "amir") > KEPT_OCTETS / 2, True)
        two.begin(100 * MIB)
        self.wait(5 + LOOK_SECONDS)
        self.assertLessEqual(one.moved + two.moved, 10 * MIB)
        self.assertGreater(one.moved + two.moved, 10 * MIB - 32 * KIB)

    def test_dies(self) -> None:
        """What a process kept that is killed stays charged, and no more than that is lost."""
        one, two = self.begin(10 * MIB)
        one.exchange(KIB)
        self.wait(0.5)
        self.workers.remove(one)
        one.is_heard = False
        one.stop()
        for _ in self.quotas.burying(one.name):
            pass
        two.begin(100 * MIB)
        self.wait(20)
        self.assertGreater(two.moved, 10 * MIB - KEPT_OCTETS - 32 * KIB)
        self.assertLessEqual(one.moved + two.moved, 10 * MIB)

    @settings(EXAMPLES)
    @given(
        st.sampled_from((2 * MIB, 3 * MIB + 17, 8 * MIB)),
        st.lists(
            st.one_of(
                st.tuples(st.just("short"), st.integers(0, 1), st.integers(1, 300 * KIB)),
                st.tuples(st.just("long"), st.integers(0, 1), st.integers(1, 2 * MIB)),
                st.tuples(st.just("wait"), st.just(0), st.sampled_from((1, 2, 5, 30, 200))),
                st.tuples(st.just("deaf"), st.integers(0, 1), st.just(0)),
                st.tuples(st.just("heard"), st.integers(0, 1), st.just(0)),
            ),
            max_size=40,
        ),
    )
    def test_never_more(self, volume, steps) -> None:
        """Short and long exchanges, a lender that is not heard: together no more moves than the budget."""
        workers = self.begin(volume)
        for what, which, much in steps:
            one = workers[which]
            if what == "short":
                one.exchange(much)
            elif what == "long":
                if one.claim is None:
                    one.begin(0)
                one.appetite += much
                one.go_on()
            elif what == "wait":
                self.wait(much * TURN_SECONDS / 5)
            else:
                one.is_heard = what == "heard"
            self.assertLessEqual(sum(worker.moved for worker in workers), volume)
        self.tearDown()
