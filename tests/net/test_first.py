"""Requests that nobody sent before go ahead of their road, too: nobody sees a difference."""

from __future__ import annotations

from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.results import ResultCode
from corpproxy.destination.model import AddressClass
from corpproxy.exchange.limits import ConnectionLimits
from corpproxy.exchange.road import live
from corpproxy.net import beginning, first
from corpproxy.net.ahead import Ahead
from corpproxy.net.first import Outset
from corpproxy.net.run import Run
from corpproxy.policy.model import Effect, Safety
from tests.net.test_every_exchange import STEPS, Play
from tests.support.builders import AMIR, BASIC, domain, request, response, rule
from tests.support.examples import EXAMPLES
from tests.support.rows import rows, tabular
from tests.support.wires import Site


def road_alone(client, exchange):
    """What begins the road of each."""
    client.drive(live(exchange))


def played(steps, begin):
    """All that clients, servers and the record are told in a play."""
    with patch.object(beginning, "begin_first", begin):
        play = Play()
        for what, which in steps:
            play.step(what, which)
        told = [bytes(peer.received) for peer in play.clients + play.servers]
        play.close()
        ends = [(peer.ended, peer.closed, peer.reset) for peer in play.clients + play.servers]
        left = (play.site.pool.kept, play.site.pool.reused, play.site.pool.opened, play.site.pool.in_use)
        usage = sorted(play.site.books.accounts.ledger.take_batch())
        return told, ends, left, usage, play.site.writer.records, play.site.proxy.admission.connections


class SameTests(SynchronousTestCase):
    """Random play, with the first requests sent ahead and without."""

    @settings(EXAMPLES)
    @given(st.lists(STEPS, max_size=14))
    def test_any_play(self, steps):
        """Clients, servers, accounts and records are told the same."""
        one, other = (played(steps, begin) for begin in (first.begin_first, road_alone))
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertEqual(one, other)


class FirstTests(SynchronousTestCase):
    """A request to a host that nobody asked for before."""

    def setUp(self):
        self.site = Site()
        self.client = self.site.client()
        self.client.send(request())

    def assert_recorded(self, result, failure=""):
        """The exchange left one record, with this in it."""
        self.assertEqual(len(self.site.records), 1)
        self.assertEqual((self.site.records[0].result, self.site.records[0].failure), (result, failure))
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_whole(self):
        """Its server is dialled, it is sent, and an answer that comes whole needs no road."""
        self.assertIs(type(self.client.protocol.run), Outset)
        server = self.site.server()
        self.assertIs(type(self.client.protocol.run), Ahead)
        self.assertTrue(server.take().startswith(b"GET / HTTP/1.1\r\nHost: "))
        server.send(response(content=b"hello"))
        self.assertTrue(self.client.take().endswith(b"hello"))
        self.assertIsNone(self.client.protocol.run)
        self.assertEqual(self.site.pool.kept, 1)
        self.assert_recorded(ResultCode.FORWARDED)

    def test_kept(self):
        """Where a connection to its server is kept it is sent at once."""
        self.site.server().send(response(content=b"hello"))
        self.client.send(request(b"GET", b"http://www.example.com/", b"Accept: */*"))
        self.assertIs(type(self.client.protocol.run), Ahead)
        self.assertEqual(self.site.dialling, [])

    def test_refused(self):
        """A server that refuses the connection is told of on the page that the road shows."""
        self.site.refuse()
        self.assertTrue(self.client.take().startswith(b"HTTP/1.1 502 "))
        self.assertEqual(self.site.records[0].failure, "connect-refused")
        self.assertFalse(self.client.closed)

    def test_client_leaves(self):
        """A client that leaves while its server is dialled is recorded as gone, and nothing is dialled on."""
        self.client.break_off()
        self.site.settle()
        self.assertEqual(self.site.dialling, [])
        self.assertEqual(self.site.pool.in_use, 0)
        self.assert_recorded(ResultCode.CLIENT_GONE, self.site.records[0].failure)

    def test_stopping(self):
        """One that is ended from outside while its server is dialled says why."""
        self.client.protocol.stop_now()
        self.assertEqual(self.site.records[0].failure, "stopping")
        self.assertEqual(self.site.dialling, [])

    def test_bug(self):
        """A bug of ours once the server is there ends this exchange, and is recorded."""
        with patch.object(first, "ask_ahead", side_effect=ZeroDivisionError):
            self.site.server()
        self.assertTrue(self.client.take().startswith(b"HTTP/1.1 500 "))
        self.assertEqual(self.site.records[0].failure, "ZeroDivisionError")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


@tabular
class RoadFirstTests(SynchronousTestCase):
    """What has to go on its road, and is refused or served there as ever."""

    def test_address(self):
        """An address that may not be dialled is refused with the page of the safety table."""
        site = Site(rule("all", Effect.ALLOW, safety=Safety(addresses=frozenset({AddressClass.PRIVATE}))))
        client = site.client()
        client.send(request())
        self.assertTrue(client.take().startswith(b"HTTP/1.1 403 "))
        self.assertEqual(site.records[0].failure, "address-refused")

    def test_bug(self):
        """A bug before anything was sent is answered with a page, and recorded."""
        site = Site()
        client = site.client()
        with patch.object(first, "classify", side_effect=ZeroDivisionError):
            client.send(request())
        self.assertTrue(client.take().startswith(b"HTTP/1.1 500 "))
        self.assertEqual(site.records[0].failure, "ZeroDivisionError")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    @rows(
        blocked=(request(b"GET", b"http://games.example/"), b"HTTP/1.1 403 "),
        bad_target=(request(b"GET", b"http://a b/".replace(b" ", b'"')), b"HTTP/1.1 400 "),
        bad_host=(request(b"GET", b"http://a..example/"), b"HTTP/1.1 400 "),
        not_served=(request(b"GET", b"https://a.example/"), b"HTTP/1.1 501 "),
        ours=(request(b"GET", b"http://proxy.internal/proxy.pac"), b"HTTP/1.1 200 "),
    )
    def test_answered(self, sent, expected):
        """What no server is asked for is answered by the road, and recorded once."""
        site = Site(rule("no games", Effect.BLOCK, what=domain("games.example")), rule("all", Effect.ALLOW))
        client = site.client()
        client.send(sent)
        self.assertTrue(client.take().startswith(expected))
        self.assertEqual((len(site.records), site.dialling), (1, []))

    @rows(
        uploads=(request(b"POST", b"http://a.example/", content=b"hello"),),
        old=(request(version=b"1.0"),),
        upgrades=(request(b"GET", b"http://a.example/", b"Upgrade: websocket", b"Connection: Upgrade"),),
        steered=(request(b"OPTIONS", b"http://a.example/", b"Max-Forwards: 3"),),
    )
    def test_not_plain(self, sent):
        """A request that asks more of us than to be passed on has its road from the beginning."""
        site = Site()
        client = site.client()
        client.send(sent)
        self.assertIs(type(client.protocol.run), Run)
        self.assertEqual(len(site.dialling), 1)

    def test_turn(self):
        """Where a server has as many connections as it may, the road waits for its turn."""
        site = Site(connections=ConnectionLimits(per_server=1))
        one, other = site.client(), site.client()
        one.send(request())
        other.send(request(b"GET", b"http://www.example.com/", b"Accept: */*"))
        self.assertIs(type(other.protocol.run), Run)
        server = site.server()
        server.send(response(content=b"hello"))
        server.send(response(content=b"hello"))
        self.assertTrue(other.take().endswith(b"hello"))
        self.assertEqual(len(site.records), 2)

    @rows(checked=({BASIC: AMIR}, Outset), not_checked=({}, Run))
    def test_sign_in(self, known, expected):
        """Who was checked before goes ahead; all others are checked by the road."""
        site = Site(sign_in=True, known=known)
        site.sign_in.outcome = Deferred()
        client = site.client()
        client.send(request(b"GET", b"http://a.example/", b"Proxy-Authorization: " + BASIC))
        self.assertIs(type(client.protocol.run), expected)
        self.assertEqual(len(site.dialling), int(expected is Outset))

    def test_not_signed_in(self):
        """Who sent no credentials is asked for them."""
        site = Site(sign_in=True)
        client = site.client()
        client.send(request())
        self.assertTrue(client.take().startswith(b"HTTP/1.1 407 "))
        self.assertEqual(site.dialling, [])
