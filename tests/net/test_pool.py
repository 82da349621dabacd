"""The pool: who gets which connection, who waits, and what is kept."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.results import ResultCode
from corpproxy.destination.model import AddressClass
from corpproxy.exchange.limits import ConnectionLimits, Timeouts
from corpproxy.net import pool
from corpproxy.policy.model import Effect, Safety
from tests.support.builders import domain, request, response, rule
from tests.support.rows import rows, tabular
from tests.support.wires import Site

INSIDE = rule(
    "inside",
    Effect.ALLOW,
    what=domain("inside.example"),
    safety=Safety(addresses=frozenset({AddressClass.PRIVATE})),
)
EITHER = rule(
    "either",
    Effect.ALLOW,
    what=domain("either.example"),
    safety=Safety(addresses=frozenset({AddressClass.PRIVATE, AddressClass.PUBLIC})),
)


def ask(site, target=b"http://www.example.com/"):
    """A new client asks."""
    client = site.client()
    client.send(request(target=target))
    return client


class BoundTests(SynchronousTestCase):
    """So many connections to one server, and no more."""

    def setUp(self):
        self.site = Site(
            connections=ConnectionLimits(per_server=2, kept_per_server=1), timeouts=Timeouts(connect=10)
        )

    def test_turn(self):
        """Who comes too late waits for a connection to come back, in the order of coming."""
        clients = [ask(self.site) for _ in range(4)]
        self.assertEqual(len(self.site.dialling), 2)
        one, two = self.site.server(), self.site.server()
        two.send(response(content=b"second"))
        two.send(response(content=b"third"))
        one.send(response(content=b"first"))
        two.send(response(content=b"fourth"))
        said = [client.take().rpartition(b"\r\n")[2] for client in clients]
        self.assertEqual(said, [b"first", b"second", b"third", b"fourth"])
        self.assertEqual(self.site.dialling, [])

    def test_turn_to_open(self):
        """A connection that is lost makes room for another."""
        clients = [ask(self.site) for _ in range(3)]
        server = self.site.server()
        self.site.server()
        server.break_off()
        self.site.settle()
        self.assertTrue(clients[0].received.startswith(b"HTTP/1.1 502 "))
        self.site.server().send(response(content=b"late"))
        self.assertTrue(clients[2].take().endswith(b"late"))

    def test_dialled_in_vain(self):
        """An attempt that fails lets the next try."""
        clients = [ask(self.site) for _ in range(3)]
        self.site.refuse()
        self.assertTrue(clients[0].received.startswith(b"HTTP/1.1 502 "))
        self.assertEqual(len(self.site.dialling), 2)

    def test_in_vain(self):
        """Who waits too long gets 504 and the name of what was busy."""
        clients = [ask(self.site) for _ in range(3)]
        self.site.server(), self.site.server()
        self.site.wait(12)
        self.assertTrue(clients[2].received.startswith(b"HTTP/1.1 504 "))
        self.assertEqual(
            (self.site.record.result, self.site.record.failure), (ResultCode.TIMED_OUT, "server-busy")
        )

    def test_left_while_waiting(self):
        """Who leaves loses the turn, and nobody else does."""
        clients = [ask(self.site) for _ in range(4)]
        server = self.site.server()
        self.site.server()
        clients[2].break_off()
        self.site.settle()
        server.send(response())
        server.send(response(content=b"mine"))
        self.assertTrue(clients[3].take().endswith(b"mine"))
        results = [one.result for one in self.site.records]
        self.assertEqual(results, [ResultCode.CLIENT_GONE, ResultCode.FORWARDED, ResultCode.FORWARDED])

    def test_kept(self):
        """Of those that come back only so many are kept."""
        for client in [ask(self.site) for _ in range(2)]:
            self.site.server().send(response())
            self.assertTrue(client.received)
        self.assertEqual((self.site.pool.kept, self.site.pool.in_use), (1, 0))

    def test_other_servers(self):
        """Another port or name is another server."""
        for _ in range(2):
            ask(self.site)
        ask(self.site, b"http://www.example.com:8080/")
        ask(self.site, b"http://example.com/")
        self.assertEqual(len(self.site.dialling), 4)

    def test_tunnels_apart(self):
        """Tunnels take no connection away from requests to the same port."""
        for _ in range(5):
            client = self.site.client()
            client.send(request(b"CONNECT", b"www.example.com:80"))
            self.site.server()
        ask(self.site)
        self.assertEqual(len(self.site.dialling), 1)
        self.assertEqual(self.site.pool.in_use, 0)


class KeptTests(SynchronousTestCase):
    """Connections between exchanges."""

    def test_last_used_first(self):
        """The one used last is used again, so that the others can grow old and go."""
        site = Site()
        [ask(site) for _ in range(2)]
        one, two = site.server(), site.server()
        two.send(response())
        one.send(response())
        one.take(), two.take()
        ask(site)
        self.assertTrue(one.received)
        self.assertFalse(two.received)

    def test_grown_old(self):
        """A kept connection is closed after a while."""
        site = Site(timeouts=Timeouts(upstream_idle=20))
        _, server, _ = site.exchange(request(), response())
        site.wait(22)
        self.assertTrue(server.closed)
        self.assertEqual(site.pool.kept, 0)

    def test_closed_with_the_service(self):
        """The service closes what is kept."""
        site = Site()
        _, server, _ = site.exchange(request(), response())
        site.pool.close()
        site.settle()
        self.assertTrue(server.closed)

    def test_other_limits(self):
        """A reload changes the bounds of what comes next."""
        site = Site()
        site.pool.limits = ConnectionLimits(per_server=1)
        ask(site), ask(site)
        self.assertEqual(len(site.dialling), 1)


class FullTests(SynchronousTestCase):
    """A pool that has as many as it may keep."""

    def setUp(self):
        self.patch(pool, "MAX_KEPT", 2)
        self.patch(pool, "MOST_KEPT", 4)
        self.site = Site()
        self.used = 0.5
        self.site.pool._used = lambda: self.used

    def server(self, number):
        """A new client asks a server of its own, which answers; gives its side of the connection."""
        ask(self.site, b"http://h%d.example.com/" % number)
        server = self.site.server()
        server.send(response())
        self.site.settle()
        return server

    def closed(self, servers):
        """Which of the servers' connections were closed."""
        return [number for number, server in enumerate(servers) if server.closed]

    def test_with_room(self):
        """Where descriptors are left more are kept, and none takes the place of another at once."""
        servers = [self.server(number) for number in range(6)]
        self.assertEqual(self.closed(servers), [4, 5])
        self.assertEqual(self.site.pool.kept, 4)

    def test_without_room(self):
        """Where they are not, as many are kept as on any machine."""
        self.used = 0.8
        servers = [self.server(number) for number in range(4)]
        self.assertEqual(self.closed(servers), [2, 3])

    def test_had_its_time(self):
        """What was kept for half a minute and not used makes room for what comes."""
        servers = [self.server(number) for number in range(4)]
        self.site.wait(31)
        servers.append(self.server(4))
        self.assertEqual(self.closed(servers), [0])
        self.assertEqual(self.site.pool.kept, 4)

    def test_crowded(self):
        """When few descriptors are left, those that come take what was kept longest, down to the bound."""
        servers = [self.server(number) for number in range(4)]
        self.used = 0.9
        ask(self.site, b"http://more.example.com/")
        self.site.server()
        self.site.settle()
        self.assertEqual(self.closed(servers), [0, 1])

    def test_crowded_by_tunnels(self):
        """Tunnels take them, too."""
        servers = [self.server(number) for number in range(3)]
        self.used = 0.9
        self.site.client().send(request(b"CONNECT", b"www.example.com:443"))
        self.site.server()
        self.site.settle()
        self.assertEqual(self.closed(servers), [0])

    def test_neither(self):
        """Between the two nothing that is kept is closed."""
        servers = [self.server(number) for number in range(4)]
        self.used = 0.8
        ask(self.site, b"http://more.example.com/")
        self.site.server()
        self.site.settle()
        self.assertEqual(self.closed(servers), [])


class FewDescriptorsTests(SynchronousTestCase):
    """A process that may have few files open."""

    def test_quarter(self):
        """What is kept is never more than a quarter of them, so that clients can come."""
        site = Site()
        site.pool = site.proxy.pool = pool.Pool(site.reactor, site.pool.limits, 10, lambda: 0.5, 42)
        for number in range(30):
            ask(site, b"http://h%d.example.com/" % number)
            site.server().send(response())
            site.settle()
        self.assertEqual(site.pool.kept, 10)


@tabular
class AddressTests(SynchronousTestCase):
    """The address that is dialled is one that may be, also on kept connections."""

    def site(self, *addresses, **more):
        site = Site(INSIDE, EITHER, **more)
        site.names.table = dict.fromkeys(("www.example.com", "inside.example", "either.example"), addresses)
        return site

    @rows(
        private=("10.0.0.7", "private"),
        loopback=("127.0.0.1", "loopback"),
        loopback_six=("::1", "loopback"),
        metadata=("169.254.169.254", "metadata"),
        mapped=("::ffff:10.0.0.7", "private"),
        translated=("64:ff9b::a00:7", "private"),
    )
    def test_refused(self, address, kind):
        """Names that lead inside are refused with the address in the record."""
        for wire in (request(), request(b"CONNECT", b"www.example.com:443")):
            site = self.site(address)
            got = site.client().asks(wire)
            self.assertTrue(got.startswith(b"HTTP/1.1 403 "))
            record = site.record
            self.assertEqual((record.result, record.failure), (ResultCode.BLOCKED, "address-refused"))
            self.assertEqual((record.decision, record.rule), ("block", "safety: addresses"))
            self.assertIn(f"{address} is a {kind} address", record.reason)
            self.assertEqual((site.reactor.dials, site.pool._dialling), ([], {}))

    def test_mixed(self):
        """Of several addresses those are dialled that may be."""
        site = self.site("10.0.0.7", "93.184.216.34", "::1")
        ask(site)
        site.reactor.advance(1)
        self.assertEqual(site.dialling, ["93.184.216.34:80"])

    def test_written(self):
        """An address in the request is checked without any look-up."""
        site = self.site()
        got = site.client().asks(request(target=b"http://127.0.0.1:8080/"))
        self.assertTrue(got.startswith(b"HTTP/1.1 403 "))
        self.assertEqual(site.record.rule, "safety: addresses")

    def test_kept_inside(self):
        """A kept connection to an inner address is not for who may not go there."""
        site = self.site("10.0.0.7")
        site.names.table["www.example.com"] = ("10.0.0.7",)
        client = ask(site, b"http://inside.example/")
        site.server().send(response())
        self.assertTrue(client.received.startswith(b"HTTP/1.1 200 "))
        site.proxy.in_force = Site().force
        got = site.client().asks(request(target=b"http://inside.example/"))
        self.assertTrue(got.startswith(b"HTTP/1.1 403 "))
        self.assertEqual(site.pool.kept, 1)

    def test_kept_elsewhere_makes_room(self):
        """Kept connections that may not be used do not keep out those that may."""
        site = self.site("10.0.0.7", connections=ConnectionLimits(per_server=1))
        ask(site, b"http://either.example/")
        site.server().send(response())
        site.proxy.in_force = Site().force
        site.names.table["either.example"] = ("93.184.216.34",)
        client = ask(site, b"http://either.example/")
        site.server().send(response(content=b"public"))
        self.assertTrue(client.take().endswith(b"public"))


@tabular
class PinTests(SynchronousTestCase):
    """A connection on which a client signed in belongs to that client alone."""

    SIGNS_IN = request(b"GET", b"http://www.example.com/", b"Authorization: NTLM TlRMTVNTUAAB")

    def pinned(self, wire=SIGNS_IN, answer=b""):
        site = Site()
        client, server, _ = site.exchange(wire, answer or response())
        client.take(), server.take()
        return site, client, server

    @rows(
        ntlm=(request(b"GET", b"http://www.example.com/", b"Authorization: NTLM TlRMTVNTUAAB"), response()),
        negotiate=(request(b"GET", b"http://www.example.com/", b"Authorization: negotiate YII="), response()),
        challenged=(request(), response(401, b"WWW-Authenticate: Basic realm=x", b"WWW-Authenticate: NTLM")),
    )
    def test_not_shared(self, wire, answer):
        """Another client gets another connection; the same one gets its own back."""
        site, client, server = self.pinned(wire, answer)
        ask(site)
        self.assertEqual(len(site.dialling), 1)
        self.assertEqual(server.take(), b"")
        client.send(request())
        self.assertIn(b"GET / ", server.take())
        self.assertEqual(site.pool.kept, 0)

    def test_basic_is_shared(self):
        """Credentials for one request bind nothing."""
        wire = request(b"GET", b"http://www.example.com/", b"Authorization: Basic eDp5")
        site, _, server = self.pinned(wire)
        ask(site)
        self.assertIn(b"GET / ", server.take())

    def test_closed_with_the_client(self):
        """When its client goes, it goes."""
        for leave in ("end", "break_off"):
            site, client, server = self.pinned()
            getattr(client, leave)()
            site.settle()
            self.assertTrue(server.closed)
            self.assertEqual((site.pool.in_use, site.pool._lines), (0, {}))

    def test_closed_by_the_server(self):
        """When the server closes it, the client gets a new one."""
        site, client, server = self.pinned()
        server.end()
        site.settle()
        client.send(request())
        self.assertEqual(len(site.dialling), 1)

    def test_grown_old(self):
        """It does not live for ever without use."""
        site, _, server = self.pinned()
        site.wait(70)
        self.assertTrue(server.closed)

    def test_reused_and_closed(self):
        """One that was closed just as it was reused is tried again on a new one."""
        site, client, server = self.pinned()
        client.send(request())
        server.break_off()
        site.settle()
        site.server().send(response(content=b"again"))
        self.assertTrue(client.take().endswith(b"again"))
