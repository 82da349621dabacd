"""Requests that are sent ahead of their road: nobody sees a difference, whatever then happens."""

from __future__ import annotations

from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.results import ResultCode
from corpproxy.exchange.limits import ConnectionLimits
from corpproxy.net import ahead
from corpproxy.net.ahead import Ahead
from corpproxy.net.first import Outset
from corpproxy.net.pool import Pool
from tests.net.test_every_exchange import STEPS, WIRES, Play
from tests.support.beginnings import WAYS, beginning_so
from tests.support.builders import request, response
from tests.support.examples import EXAMPLES
from tests.support.rows import rows, tabular
from tests.support.wires import Site

WARM = 4
HEAD = response(200, b"Content-Length: 8", framed=False)
CLOSING = 3
AGAIN = st.sampled_from([("send", 0), ("send", CLOSING), ("come", 0), ("accept", 0), ("answer", 0)])


def warm(site):
    """A client and a server that had some exchanges like the next one."""
    client, server, _ = site.exchange(request(), response(content=b"hello"))
    for _ in range(WARM - 1):
        client.send(request())
        server.send(response(content=b"hello"))
    client.take()
    server.take()
    return client, server


def last_of_all(site):
    """A client whose request is the last on its connection."""
    client = site.client()
    client.send(WIRES[CLOSING])
    return client


def warm_last(site):
    """Some clients that asked once each; gives the connection to the server that all had."""
    last_of_all(site)
    server = site.server()
    server.send(response(content=b"hello"))
    for _ in range(WARM - 1):
        last_of_all(site)
        server.send(response(content=b"hello"))
        site.settle()
    server.take()
    return server


def played(steps, way, begin=Play):
    """All that clients, servers and the record are told in a play with exchanges that came before."""
    with beginning_so(way):
        play = begin()
        one = warm(play.site)
        play.clients.append(one[0])
        play.servers += [warm_last(play.site), one[1]]
        play.step("send", 0)
        for what, which in steps:
            play.step(what, which)
        told = [bytes(peer.received) for peer in play.clients + play.servers]
        play.close()
        ends = [(peer.ended, peer.closed, peer.reset) for peer in play.clients + play.servers]
        left = (play.site.pool.kept, play.site.pool.reused, play.site.pool.opened)
        usage = sorted(play.site.books.accounts.ledger.take_batch())
        return told, ends, left, usage, play.site.writer.records, play.site.proxy.admission.connections


class SameTests(SynchronousTestCase):
    """Random play, with requests sent ahead and without."""

    @settings(EXAMPLES)
    @given(st.lists(st.one_of(STEPS, AGAIN), max_size=12))
    def test_any_play(self, steps):
        """Clients, servers, accounts and records are told the same."""
        one, *others = (played(steps, way) for way in WAYS)
        self.assertEqual(self.flushLoggedErrors(), [])
        for other in others:
            self.assertEqual(one, other)


class LastTests(SynchronousTestCase):
    """The only request on its connection, as programs send them that keep none."""

    def setUp(self):
        self.site = Site()
        self.server = warm_last(self.site)
        self.client = last_of_all(self.site)

    def test_sent_ahead(self):
        """It is sent ahead like others, and the connection to the server is kept."""
        self.assertIs(type(self.client.protocol.run), Ahead)
        self.assertEqual(self.site.dialling, [])
        head = self.server.take()
        self.assertTrue(head.startswith(b"GET / HTTP/1.1\r\n"))
        self.assertNotIn(b"close", head)

    def test_closed_after_it(self):
        """The client is told that nothing follows, and its connection is closed; the server's is kept."""
        self.server.send(response(content=b"hello"))
        self.site.settle()
        answer = self.client.take()
        self.assertTrue(answer.endswith(b"\r\n\r\nhello"))
        self.assertIn(b"\r\nConnection: close\r\n", answer)
        self.assertTrue(self.client.closed)
        self.assertFalse(self.client.reset)
        self.assertFalse(self.server.closed)
        self.assertEqual(self.site.records[-1].result, ResultCode.FORWARDED)

    def test_another_behind_it(self):
        """What comes behind it is counted, and never answered."""
        self.client.send(request())
        self.server.send(response(content=b"hello"))
        self.site.settle()
        self.assertEqual(self.client.take().count(b"HTTP/1.1 "), 1)
        self.assertEqual(len(self.site.records), WARM + 1)
        self.assertEqual(self.site.records[-1].received, len(WIRES[CLOSING] + request()))

    def test_in_turn(self):
        """Clients that stay and clients that leave are each told so, with the same answer."""
        self.server.send(response(content=b"hello"))
        staying = self.site.client()
        for _ in range(WARM):
            staying.send(request(b"GET", b"http://a.example/"))
            self.server.send(response(content=b"hello"))
            self.assertNotIn(b"Connection: close", staying.take())
            leaving = last_of_all(self.site)
            self.server.send(response(content=b"hello"))
            self.assertIn(b"Connection: close", leaving.take())
        self.assertFalse(staying.closed)


@tabular
class OtherwiseTests(SynchronousTestCase):
    """What has to go on its road after all."""

    def setUp(self):
        self.site = Site()
        self.client, self.server = warm(self.site)
        self.client.send(request())
        self.assertIs(type(self.client.protocol.run), Ahead)
        self.assertIn(b"GET / HTTP/1.1\r\n", self.server.take())

    def assert_recorded(self, result, failure=""):
        """The exchange left one record, with this in it."""
        self.assertEqual(len(self.site.records), WARM + 1)
        self.assertEqual((self.site.records[-1].result, self.site.records[-1].failure), (result, failure))
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_whole(self):
        """An answer that comes whole needs no road."""
        with patch.object(ahead, "live", side_effect=AssertionError("a road begins")):
            self.server.send(response(content=b"hello"))
        self.assertTrue(self.client.take().endswith(b"hello"))
        self.assert_recorded(ResultCode.FORWARDED)
        self.assertIsNone(self.client.protocol.run)

    @rows(
        long=(response(200, b"Content-Length: 8", framed=False) + b"half", b"half"),
        chunked=(response(200, b"Transfer-Encoding: chunked", framed=False) + b"4\r\nhalf\r\n", b"half"),
        early=(response(103, framed=False), b"HTTP/1.1 103 "),
        early_and_head=(response(103, framed=False) + HEAD, b"Content-Length: 8"),
        two_early=(response(103, framed=False) * 2 + HEAD + b"half", b"half"),
        more=(response(content=b"hello") + b"HTTP/1.1 200", b"hello"),
    )
    def test_answer(self, answer, expected):
        """An answer that did not come whole, or with more than itself, is the road's."""
        self.server.send(answer)
        self.assertIn(expected, self.client.take())
        self.assertIsNot(type(self.client.protocol.run), Ahead)

    def test_early_whole(self):
        """What comes whole behind a 1xx goes to the client as ever."""
        self.server.send(response(103, framed=False) + response(content=b"hello"))
        self.assertTrue(self.client.take().endswith(b"hello"))
        self.assert_recorded(ResultCode.FORWARDED)

    @rows(challenge=(407, "foreign-challenge"), switch=(101, "upgrade-not-asked"))
    def test_steering(self, status, failure):
        """An answer that asks something of us is refused by the road."""
        self.server.send(response(status, framed=status != 101))
        self.assertTrue(self.client.take().startswith(b"HTTP/1.1 502 "))
        self.assert_recorded(self.site.records[-1].result, failure)

    def test_closed(self):
        """A server that closes the kept connection just then is asked again over a new one."""
        self.server.end()
        self.site.settle()
        again = self.site.server()
        self.assertIn(b"GET / HTTP/1.1\r\n", again.take())
        again.send(response(content=b"again"))
        self.assertTrue(self.client.take().endswith(b"again"))
        self.assert_recorded(ResultCode.FORWARDED)

    def test_client_leaves(self):
        """A client that leaves is recorded as gone, and its server let go."""
        self.client.break_off()
        self.site.settle()
        self.assertTrue(self.server.closed)
        self.assert_recorded(ResultCode.CLIENT_GONE, self.site.records[-1].failure)

    def test_late(self):
        """A server that does not answer is waited for as long as ever."""
        self.site.wait(self.site.force.timeouts.answer + 2)
        self.assertTrue(self.client.take().startswith(b"HTTP/1.1 504 "))
        self.assertEqual(self.site.records[-1].failure, "answer-timeout")

    def test_stopping(self):
        """An exchange that is ended from outside says why."""
        self.client.protocol.stop_now()
        self.assertEqual(self.site.records[-1].failure, "stopping")

    def test_bug(self):
        """A bug of ours ends the connection, and is recorded; the others go on."""
        with patch.object(self.client, "write", side_effect=ZeroDivisionError):
            self.server.send(response(content=b"hello"))
        self.assertTrue(self.client.closed)
        self.assertEqual(self.site.records[-1].failure, "ZeroDivisionError")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class RoadFirstTests(SynchronousTestCase):
    """What is not sent ahead."""

    def test_bug(self):
        """A bug before anything was sent is answered with a page, and recorded."""
        site = Site()
        client, server = warm(site)
        with patch.object(Pool, "take", side_effect=ZeroDivisionError):
            client.send(request())
        self.assertTrue(client.take().startswith(b"HTTP/1.1 500 "))
        self.assertEqual(server.take(), b"")
        self.assertEqual(site.records[-1].failure, "ZeroDivisionError")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_no_connection(self):
        """Without a kept connection its server is dialled ahead of the road, with what is known."""
        site = Site()
        client, server = warm(site)
        server.end()
        site.settle()
        client.send(request())
        self.assertIs(type(client.protocol.run), Outset)
        self.assertEqual(len(site.dialling), 1)
        again = site.server()
        self.assertIs(type(client.protocol.run), Ahead)
        self.assertIn(b"GET / HTTP/1.1\r\n", again.take())

    def test_records_full(self):
        """Where no record can be kept nothing is sent."""
        site = Site()
        client, server = warm(site)
        site.writer.has_room = False
        client.send(request())
        self.assertTrue(client.take().startswith(b"HTTP/1.1 503 "))
        self.assertEqual(server.take(), b"")

    def test_too_many(self):
        """A person with too many connections is refused by the road."""
        site = Site(connections=ConnectionLimits(per_address=2))
        client, server = warm(site)
        others = [site.client() for _ in range(2)]
        client.send(request())
        self.assertTrue(client.take().startswith(b"HTTP/1.1 429 "))
        self.assertEqual(server.take(), b"")
        self.assertEqual(len(others), 2)
