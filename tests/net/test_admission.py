"""How much may be open at once, and bugs and backends that break: one record each time."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.results import ResultCode
from corpproxy.backends.store.interface import StoreError
from corpproxy.destination.model import AddressClass
from corpproxy.errors import UpstreamError
from corpproxy.exchange.limits import ConnectionLimits
from corpproxy.exchange.refusal import SignInRefused, SignInUnavailable
from corpproxy.identity.model import Identity
from corpproxy.net import admission
from corpproxy.net.pool import Pool
from corpproxy.policy.conditions import What
from corpproxy.policy.model import Effect
from tests.support.builders import AMIR, BASIC, request, response, rule
from tests.support.rows import rows, tabular
from tests.support.wires import Site

SIGNED_IN = request(b"GET", b"http://www.example.com/", b"Proxy-Authorization: " + BASIC)
CONNECT = request(b"CONNECT", b"www.example.com:443")
SIGNED_CONNECT = request(b"CONNECT", b"www.example.com:443", b"Proxy-Authorization: " + BASIC)


@tabular
class LimitTests(SynchronousTestCase):
    """Limits of connections and tunnels."""

    def limited(self, **limits):
        return Site(sign_in=True, known={BASIC: AMIR}, connections=ConnectionLimits(**limits))

    def assert_limited(self, site, got):
        self.assertTrue(bytes(got).startswith(b"HTTP/1.1 429 "))
        self.assertIn(b"Retry-After: 5\r\n", got)
        self.assertEqual(site.records[-1].result, ResultCode.LIMITED)
        self.assertEqual(site.records[-1].failure, "too-many-connections")

    def test_total(self):
        """Past the limit for all, a connection is cut off at once and costs no record."""
        site = self.limited(total=1)
        site.client()
        client = site.client()
        site.settle()
        self.assertTrue(client.reset)
        self.assertEqual((site.records, len(site.proxy.admission.connections)), ([], 1))

    def test_address(self):
        """One address, so many connections; others are not concerned, and it ends as they close."""
        site = self.limited(per_address=2)
        first = site.client()
        site.client()
        self.assert_limited(site, site.client().asks(SIGNED_IN))
        site.client(host="10.1.2.4").send(SIGNED_IN)
        self.assertEqual(len(site.dialling), 1)
        first.end()
        site.wait(10)
        site.client().send(SIGNED_IN)
        self.assertEqual(len(site.dialling), 2)

    def test_person(self):
        """One person, so many connections, from wherever."""
        site = self.limited(per_person=1)
        first = site.client()
        first.send(SIGNED_IN)
        self.assert_limited(site, site.client(host="10.1.2.4").asks(SIGNED_IN))
        first.break_off()
        site.settle()
        site.client(host="10.1.2.5").send(SIGNED_IN)

    def test_tunnels_of_an_address(self):
        """Tunnels count from the moment they are dialled, and until they end."""
        site = Site(connections=ConnectionLimits(tunnels_per_address=2))
        one, two = site.client(), site.client()
        one.send(CONNECT)
        two.send(CONNECT)
        self.assert_limited(site, site.client().asks(CONNECT))
        server = site.server()
        one.break_off()
        site.settle()
        self.assertTrue(server.reset)
        again = site.client()
        again.send(CONNECT)
        self.assertEqual(again.received, b"")

    def test_tunnels_of_a_person(self):
        """The same for a person."""
        site = self.limited(tunnels_per_person=1)
        site.client().send(SIGNED_CONNECT)
        self.assert_limited(site, site.client(host="10.1.2.4").asks(SIGNED_CONNECT))

    @rows(
        connection=({"per_address": 1}, SIGNED_IN, "more than 1 connection from 10.1.2.3"),
        connections=({"per_address": 2}, SIGNED_IN, "more than 2 connections from 10.1.2.3"),
        of_a_person=({"per_person": 1}, SIGNED_IN, "more than 1 connection of amir"),
        tunnel=({"tunnels_per_address": 1}, SIGNED_CONNECT, "1 tunnel from 10.1.2.3 is open"),
        tunnels=({"tunnels_per_person": 2}, SIGNED_CONNECT, "2 tunnels of amir are open"),
    )
    def test_said(self, limits, wanted, said):
        """The refusal says which limit it was, in words that are right for one of them, too."""
        told = []

        def limited(exchange, message):
            told.append(message)
            return limited_before(exchange, message)

        limited_before = admission._limited
        self.patch(admission, "_limited", limited)
        site = self.limited(**limits)
        for _ in range(next(iter(limits.values()))):
            site.client().send(wanted)
        self.assert_limited(site, site.client().asks(wanted))
        self.assertEqual(set(told), {said})

    def test_given_back(self):
        """Whichever way tunnels end, nothing of them stays counted."""
        site = self.limited()
        for how in ("refused", "client", "server", "both"):
            client = site.client()
            client.send(SIGNED_CONNECT)
            if how == "refused":
                site.refuse()
                continue
            server = site.server()
            client.send(b"\x16") if how == "both" else None
            if how in ("client", "both"):
                client.break_off()
            if how in ("server", "both"):
                server.break_off()
            site.wait(70)
        admission = site.proxy.admission
        self.assertEqual(
            (admission.tunnels, admission._tunnels_by_address, admission._tunnels_by_person), ({}, {}, {})
        )
        self.assertEqual(len(site.records), 4)

    def test_upgraded(self):
        """A WebSocket counts as a tunnel."""
        site = Site(connections=ConnectionLimits(tunnels_per_address=1))
        site.client().send(CONNECT)
        site.server()
        wire = request(b"GET", b"http://www.example.com/", b"Upgrade: websocket", b"Connection: Upgrade")
        agreed = response(101, b"Upgrade: websocket", b"Connection: Upgrade", framed=False)
        _, server, got = site.exchange(wire, agreed)
        self.assert_limited(site, got)
        self.assertTrue(server.reset)

    def test_records_full(self):
        """When no record can be kept, nothing is let through."""
        site = Site()
        site.writer.has_room = False
        got = site.client().asks(request())
        self.assertTrue(got.startswith(b"HTTP/1.1 503 "))
        self.assertEqual((site.record.result, site.record.failure), (ResultCode.UNAVAILABLE, "records-full"))
        self.assertEqual(site.dialling, [])


@tabular
class WaitingTests(SynchronousTestCase):
    """What the road waits for, and the client leaves, or it fails."""

    @rows(
        credentials=("sign_in", SIGNED_IN),
        addresses=("addresses", request()),
        names=("names", request()),
        names_of_a_tunnel=("names", CONNECT),
        dial=("", request()),
        dial_of_a_tunnel=("", CONNECT),
    )
    def test_client_leaves(self, waits, wire):
        """The wait is given up, quietly, and recorded as what it is."""
        for leave in ("end", "break_off"):
            asks = rule("asks", Effect.BLOCK, what=What(address=(AddressClass.PRIVATE,)))
            site = Site(*([asks] if waits == "addresses" else []), sign_in=waits == "sign_in")
            given_up = []
            pending = Deferred(given_up.append)
            site.sign_in.outcome = pending
            if waits in ("names", "addresses"):
                site.names.table["www.example.com"] = pending
            client = site.client()
            client.send(wire)
            self.assertEqual(site.records, [])
            getattr(client, leave)()
            record = site.record
            self.assertEqual((record.result, record.failure), (ResultCode.CLIENT_GONE, "client-gone"))
            self.assertEqual(len(given_up), int(bool(waits)))
            self.assertEqual((site.dialling, site.pool._dialling, site.pool._lines), ([], {}, {}))

    def test_sign_in_later(self):
        """Credentials that were checked let the exchange go on."""
        site = Site(sign_in=True)
        site.sign_in.outcome = Deferred()
        site.client().send(SIGNED_IN)
        site.sign_in.outcome.callback(AMIR)
        site.server().send(response())
        self.assertEqual((site.record.user, site.record.groups), ("amir", ("pupils",)))

    @rows(
        wrong=(SignInRefused("wrong-password", "no"), 407, ResultCode.CHALLENGED, "wrong-password"),
        down=(SignInUnavailable("directory-down", "away"), 503, ResultCode.UNAVAILABLE, "directory-down"),
        bug=(KeyError("bug"), 500, ResultCode.FAILED, "KeyError"),
    )
    def test_sign_in_fails(self, failure, status, result, code):
        """And when they cannot be checked, or are wrong."""
        site = Site(sign_in=True)
        site.sign_in.outcome = failure
        client = site.client()
        got = client.asks(SIGNED_IN)
        self.assertTrue(got.startswith(b"HTTP/1.1 %d " % status))
        self.assertEqual((site.record.result, site.record.failure), (result, code))
        if result is ResultCode.FAILED:
            self.assertTrue(client.closed)
            self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    @rows(
        unknown=(
            UpstreamError("name-unknown", "no such name", phase="resolve"),
            502,
            ResultCode.UPSTREAM_FAILED,
        ),
        late=(
            UpstreamError("name-failed", "no answer", phase="resolve", timed_out=True),
            504,
            ResultCode.TIMED_OUT,
        ),
    )
    def test_name_fails(self, failure, status, result):
        """A name that is none, or cannot be found out."""
        for wire in (request(), CONNECT):
            site = Site()
            site.names.table["www.example.com"] = failure
            got = site.client().asks(wire)
            self.assertTrue(got.startswith(b"HTTP/1.1 %d " % status))
            record = site.record
            self.assertEqual((record.result, record.failure, record.phase), (result, failure.code, "resolve"))

    def test_store_fails(self):
        """A confirmed warning holds although it could not be kept for after a restart."""
        from tests.exchange.test_portal import confirmed

        confirmed(self, StoreError("store-failed", "disk full"))


class BugTests(SynchronousTestCase):
    """Bugs of ours: 500 or a closed connection, one record, and the service goes on."""

    def break_classifier(self, site):
        class Broken:
            def classify(self, *parts):
                raise KeyError("bug")

        object.__setattr__(site.force, "classifier", Broken())

    def test_station(self):
        """A station that breaks is answered with 500; the next connection is served."""
        site = Site()
        kept = site.force.classifier
        self.break_classifier(site)
        client = site.client()
        got = client.asks(request())
        self.assertTrue(got.startswith(b"HTTP/1.1 500 "))
        self.assertIn(b"Connection: close\r\n", got)
        self.assertEqual((site.record.result, site.record.failure), (ResultCode.FAILED, "KeyError"))
        self.assertTrue(client.closed)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        object.__setattr__(site.force, "classifier", kept)
        site.client().send(request())
        site.server()

    def test_pages_too(self):
        """Also when not even the page can be made."""
        site = Site()
        self.break_classifier(site)
        object.__setattr__(site.force, "pages", None)
        client = site.client()
        client.send(request())
        self.assertEqual(site.record.result, ResultCode.FAILED)
        self.assertTrue(client.closed)
        self.assertEqual(len(self.flushLoggedErrors(AttributeError, KeyError)), 2)

    def test_after_the_connection_came(self):
        """A bug in a callback is no exchange that never ends."""
        site = Site()
        client = site.client()
        client.send(request())
        self.patch(Pool, "opened_one", None)
        server = site.server()
        site.settle()
        self.assertEqual((site.record.result, site.record.failure), (ResultCode.FAILED, "TypeError"))
        self.assertTrue(bytes(client.received).startswith(b"HTTP/1.1 500 "))
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)
        self.assertFalse(server.closed)


class IdentityTests(SynchronousTestCase):
    """Whose connection it is."""

    def test_changes(self):
        """A connection counts for who sent a request on it last."""
        other = b"Basic Y2Fyb2w6eA=="
        site = Site(sign_in=True, known={BASIC: AMIR, other: Identity("carol", ())})
        client, server, _ = site.exchange(SIGNED_IN, response())
        client.send(request(b"GET", b"http://www.example.com/", b"Proxy-Authorization: " + other))
        server.send(response())
        self.assertEqual(site.proxy.admission._by_person, {"carol": 1})
        client.break_off()
        site.settle()
        self.assertEqual((site.proxy.admission._by_person, site.proxy.admission._by_address), ({}, {}))
