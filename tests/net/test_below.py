"""Tunnels far below their limits: nothing holds them back, and each of their octets counts."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.quotas import Quotas
from corpproxy.audit.results import ResultCode
from corpproxy.exchange.limits import ConnectionLimits
from corpproxy.net import below, tunnel_ahead
from corpproxy.net.below import BELOW_OCTETS, Below, BelowInPython, Upward, UpwardInPython
from corpproxy.net.leeways import KEEP_SECONDS, LOOK_SECONDS
from corpproxy.net.limiting import Limiting, limit_again
from corpproxy.net.pacing import TURN_SECONDS
from corpproxy.net.tunnel_ahead import TunnelAhead
from corpproxy.policy.limits import Limits, Per
from tests.net.test_limiting import KIB, held
from tests.net.test_quotas import MIB, QuotaCase, day
from tests.net.test_tunnel_ahead import ANY, CONNECT, HELLO, OPENED, STEPS, TIMEOUTS, Play, warm
from tests.support.asking import asking
from tests.support.beginnings import WAYS, beginning_so
from tests.support.builders import CLIENT, domain, request
from tests.support.examples import EXAMPLES
from tests.support.wires import Site

SAID = len(CONNECT + HELLO) + len(OPENED)


class BelowCase(QuotaCase):
    """A client that had some tunnels like the next one."""

    def setUp(self):
        kept = asking()
        kept.__enter__()
        self.addCleanup(kept.__exit__, None, None, None)

    def warm(self, *limits, **more):
        self.begin(*limits, **more)
        self.addCleanup(self.site.proxy.leeways.stop)
        for _ in range(4):
            warm(self.site)
            self.site.wait(1)
        self.client = self.site.client()

    def open(self):
        self.client.send(CONNECT)
        self.server = self.site.server()
        self.assertEqual(self.client.take(), OPENED)
        self.client.send(HELLO)
        self.assertEqual(self.server.take(), HELLO)

    @property
    def held_by(self):
        """What holds the tunnel to its limits."""
        return type(self.client.protocol.exchange.held)

    @property
    def moved(self):
        """What all records that are closed say that moved."""
        return sum(one.received + one.sent for one in self.site.records)

    def end(self):
        """Both sides end; gives the record, once all is told."""
        self.client.end()
        self.server.end()
        self.told()
        return self.site.records[-1]

    def told(self):
        """Let time pass until all that moved was told."""
        self.site.reactor.pump([TURN_SECONDS] * 80)


class OpenedTests(BelowCase):
    """A tunnel of somebody who is far below all limits."""

    LIMITS = (day(100 * MIB), held(64 * KIB), held(128 * KIB, "line", per=Per.SITE))

    def test_ahead(self):
        """It needs no road, from its head to its end."""
        self.warm(*self.LIMITS)
        begins = AssertionError("a road begins")
        with (
            patch.object(tunnel_ahead, "live", side_effect=begins),
            patch.object(Limiting, "_hold", side_effect=begins),
        ):
            self.client.send(CONNECT)
            self.assertIs(type(self.client.protocol.run), TunnelAhead)
            self.server = self.site.server()
            self.client.send(HELLO)
            self.assertIs(self.held_by, Below)
            self.server.send(bytes(3000))
            record = self.end()
        self.assertEqual(
            (record.result, record.received, record.sent),
            (ResultCode.TUNNELLED, len(CONNECT + HELLO), len(OPENED) + 3000),
        )
        self.assertEqual((record.slowed_by, record.quotas), ((), ()))

    def test_counted(self):
        """It counts to the octet, a head, a greeting and what the server said before among them."""
        self.warm(*self.LIMITS)
        before = self.moved
        self.client.send(CONNECT)
        self.server = self.site.server()
        self.server.send(b"early")
        self.client.send(HELLO)
        self.site.settle()
        self.client.send(bytes(700))
        self.server.send(bytes(30_000))
        self.assertIs(self.held_by, Below)
        self.end()
        self.assertEqual(self.moved - before, SAID + 5 + 700 + 30_000)
        self.assertEqual(self.used(), self.moved)

    def test_counted_while_open(self):
        """It counts while it is open."""
        self.warm(*self.LIMITS)
        self.open()
        self.server.send(bytes(10_000))
        self.told()
        self.assertEqual(self.used(), self.moved + SAID + 10_000)

    def test_taken_off(self):
        """What it moves is less for others, at once."""
        self.warm(*self.LIMITS)
        buckets = self.site.proxy.pacer.rates
        self.open()
        down, up = (buckets.buckets["each", CLIENT, way] for way in (0, 1))
        stock = buckets.stocks["day", CLIENT, 2]
        self.client.send(b"hello")
        before = down.tokens, up.tokens, stock.tokens
        self.server.send(bytes(10_000))
        self.assertLess(down.tokens, before[0] - 9_000)
        self.assertEqual((up.tokens, stock.tokens), (before[1], before[2] - 10_000))

    def test_first(self):
        """So it is with one that is the first of its kind, behind its road."""
        self.begin(*self.LIMITS)
        warm(self.site)
        self.site.wait(1)
        self.client = self.site.client()
        self.client.send(request(b"CONNECT", b"www.example.com:443", b"User-Agent: other"))
        self.server = self.site.server()
        self.client.send(HELLO)
        self.site.settle()
        self.assertIs(self.held_by, Below)
        self.assertEqual(self.end().quotas, ())

    def test_freed(self):
        """Nothing of it stays when it is over."""
        self.warm(*self.LIMITS)
        self.open()
        upstream = self.client.protocol.upstream
        below = self.client.protocol.exchange.held
        self.end()
        self.assertEqual(
            (self.client.protocol.pace, upstream.pace, below.downstream, below.upstream), (None,) * 4
        )
        self.assertEqual(self.site.proxy.counter._counted, {})

    def test_unlimited(self):
        """One for which no limit holds is as it is without any."""
        self.warm(held(64, what=domain("films.example")))
        self.open()
        self.assertIsNone(self.client.protocol.exchange.held)


class HeldTests(BelowCase):
    """What is held to its limits as all others are, from a moment on."""

    def assert_counted(self, more=0):
        """All that moved is counted once, with so much more that is open."""
        self.told()
        self.assertEqual(self.used(), self.moved + more)

    def test_long(self):
        """One that moves much; what it moved before counts once."""
        self.warm(day(100 * MIB), held(64 * KIB))
        self.open()
        moved = 0
        for _ in range(40):
            self.server.send(bytes(16 * KIB))
            moved += len(self.client.take())
            self.site.reactor.advance(TURN_SECONDS)
            self.site.settle()
        moved += len(self.client.take())
        self.assertIs(self.held_by, Limiting)
        self.assertEqual(moved, 40 * 16 * KIB)
        self.assert_counted(SAID + moved)
        self.end()
        self.assert_counted()

    def test_rate(self):
        """One that wants more than its rate is slowed to it, and its record says so."""
        self.warm(held(256))
        self.site.wait(5)
        self.open()
        (moved,) = self.run_for(10, (self.server, self.client))
        self.assertLess(abs(moved / (10 * 256 * KIB) - 1), 0.08)
        self.assertEqual(self.end().slowed_by, ("each",))

    def test_small_tunnels(self):
        """Many small tunnels move no more than a long one would."""
        self.warm(held(64))
        moved = 0
        for _ in range(100):
            self.client = self.site.client()
            self.client.send(CONNECT)
            self.site.settle()
            if self.site.dialling:
                server = self.site.server()
                self.client.send(HELLO)
                server.send(bytes(12 * KIB))
                self.site.settle()
                moved += len(self.client.take())
            self.site.reactor.advance(0.1)
            self.site.settle()
        self.assertLess(moved, 1.08 * 10 * 64 * KIB + 100 * len(OPENED))

    def test_quota_ends(self):
        """No octet more than a quota has goes through, and the tunnel ends within a second."""
        self.warm(day(MIB))
        self.open()
        self.run_for(5, (self.server, self.client))
        self.site.settle()
        record = self.site.records[-1]
        self.assertEqual((record.result, record.failure), (ResultCode.ENDED, "quota-spent"))
        self.told()
        self.assertEqual((self.used(), self.moved), (MIB, MIB))

    def test_others_wait(self):
        """One takes nothing that somebody waits for."""
        self.warm(held(256, "line", per=Per.SITE))
        self.site.wait(5)
        self.open()
        other = self.tunnel(host="10.1.2.9")
        self.run_for(3, (other.server, other))
        self.run_for(0.5, (other.server, other), (self.server, self.client), piece=KIB)
        self.assertIs(self.held_by, Limiting)

    def test_limit_changes(self):
        """A limit that comes while it is open holds for it within a second."""
        self.warm(day(100 * MIB))
        self.open()
        proxy = self.site.proxy
        proxy.in_force = replace(proxy.in_force, limiting=Limits([day(100 * MIB), held(16)]))
        self.within_a_second()
        self.assertIs(self.held_by, Limiting)
        (moved,) = self.run_for(10, (self.server, self.client))
        self.assertLess(moved, 1.1 * 10 * 16 * KIB)

    def test_noticed(self):
        """One that is open when its person has used nearly all: its record says how much."""
        self.warm(day(100 * MIB))
        self.open()
        self.quotas.count("day", CLIENT, 85 * MIB, self.site.now())
        self.tell()
        self.assertEqual(self.end().quotas, ("day 85%",))

    def test_idle(self):
        """One that says something after a long while gets another leeway."""
        self.warm(day(100 * MIB))
        self.open()
        self.site.wait(KEEP_SECONDS + 2 * LOOK_SECONDS)
        self.assertTrue(self.client.protocol.exchange.held.leeway.is_over)
        self.server.send(b"hello")
        self.site.wait(2)
        self.assertEqual(self.client.take(), b"hello")
        self.assert_counted(SAID + 5)

    def test_limit_comes_while_dialled(self):
        """Limits that change while its server is dialled hold for it, and its head counts."""
        self.warm(day(100 * MIB))
        self.client.send(CONNECT)
        limit_again(self.client.protocol, self.site.now())
        self.server = self.site.server()
        self.client.send(HELLO)
        self.site.settle()
        self.end()
        self.assert_counted()

    def test_client_leaves_while_dialled(self):
        """One that comes to nothing counts as well."""
        self.warm(day(100 * MIB))
        self.client.send(CONNECT)
        self.assertIs(type(self.client.protocol.run), TunnelAhead)
        self.client.break_off()
        self.site.settle()
        self.assert_counted()


class LimitedPlay(Play):
    """A play of somebody below limits."""

    # What is lent to the first ones comes in a moment.
    PAUSE = 1

    def __init__(self, *limits):
        self.limits = limits
        super().__init__()

    def made(self):
        site = Site(
            ANY, timeouts=TIMEOUTS, connections=ConnectionLimits(tunnels_per_address=2), limiting=self.limits
        )
        self.quotas = Quotas()
        self.quotas.define(site.proxy.in_force.limiting)
        proxy, now = site.proxy, site.now

        def count(counts):
            for member, octets in proxy.borrowing.count(counts).items():
                self.quotas.count(*member, octets, now())
            proxy.in_force.limiting.standings.take(self.quotas.changed(now()))

        def lend(asked):
            lent = [self.quotas.lend("here", one, now(), site.reactor.seconds()) for one in asked]
            proxy.in_force.limiting.standings.take(self.quotas.changed(now()))
            proxy.borrowing.take(lent)

        proxy.counter.send, proxy.borrowing.send = count, lend
        proxy.rounds.start()
        return site

    def used(self):
        """What is used of each quota, and what all moved."""
        site = self.site
        site.wait(40)
        ledger = sum(one.received + one.sent for one in site.books.accounts.ledger.take_batch())
        standing = self.quotas.standing("day", CLIENT, site.now())
        return standing.used if standing is not None else 0, ledger


def played(steps, way, *limits):
    """What all were told in a play, and what is used then."""
    with beginning_so(way), asking():
        play = LimitedPlay(*limits)
        play.step("send", CONNECT)
        for what, how in steps:
            play.step(what, how)
        used, _ = play.used()
        return play.told(), used


class SameTests(SynchronousTestCase):
    """Random play below limits, with tunnels opened ahead and without."""

    @settings(EXAMPLES)
    @given(st.lists(STEPS, max_size=10))
    def test_any_play(self, steps):
        """Clients, servers, accounts, records and quotas are told the same."""
        limits = (day(500 * MIB), held(900 * KIB), held(950 * KIB, "line", per=Per.SITE))
        one, *others = (played(steps, way, *limits) for way in WAYS)
        self.assertEqual(self.flushLoggedErrors(), [])
        for other in others:
            self.assertEqual(one, other)

    @settings(EXAMPLES)
    @given(st.lists(STEPS, max_size=10), st.integers(40, 90))
    def test_near_the_end(self, steps, volume):
        """Near the end of a quota it counts what moved, whatever way it went."""
        found = []
        for way in WAYS:
            with beginning_so(way), asking():
                play = LimitedPlay(day(volume * KIB), held(64))
                play.step("send", CONNECT)
                for what, how in steps:
                    play.step(what, how)
                for one in play.clients:
                    one.protocol.stop_now()
                used, moved = play.used()
            found.append((used, moved))
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertEqual(found, [found[0]] * len(WAYS))


class InPythonTests(OpenedTests):
    """The twin in Python does the same."""

    def setUp(self):
        super().setUp()

        class InPython(BelowInPython):
            __slots__ = ()

        class UpwardPace(UpwardInPython):
            __slots__ = ()

        for name, value in vars(Below).items():
            if not name.startswith("__"):
                setattr(InPython, name, value)
        UpwardPace.let_go = Upward.let_go
        self.patch(below, "Below", InPython)
        self.patch(below, "Upward", UpwardPace)

    @property
    def held_by(self):
        """What holds the tunnel to its limits."""
        held = type(self.client.protocol.exchange.held)
        return Below if held is below.Below else held


class TwinTests(SynchronousTestCase):
    """What no tunnel has."""

    def test_wants_its_own(self):
        """A pace of a client belongs to that of its server."""
        if Upward.__base__ is not UpwardInPython:
            self.assertRaises(TypeError, Upward, object())
            self.assertRaises(TypeError, Below(None, None, object()).took, 1)
        self.assertEqual(Below(None, None, None).ask(), 0)
        self.assertGreater(BELOW_OCTETS, 0)
