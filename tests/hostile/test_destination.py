"""Ways to a host that is blocked, or to an address inside."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.results import ResultCode
from corpproxy.destination.model import AddressClass
from corpproxy.policy.conditions import Who
from corpproxy.policy.model import Effect, Safety
from tests.support.builders import AMIR, BASIC, domain, request, response, rule
from tests.support.rows import rows, tabular
from tests.support.wires import PUBLIC, Site

NO_GAMES = rule("no games", Effect.BLOCK, what=domain("games.example"))
INSIDE = Safety(addresses=frozenset({AddressClass.PUBLIC, AddressClass.PRIVATE}))


@tabular
class SpellingTests(SynchronousTestCase):
    """One host, many spellings."""

    @rows(
        plain=(b"games.example",),
        case=(b"GaMeS.ExAmPlE",),
        dot=(b"games.example.",),
        two_dots=(b"games.example..",),
        dot_before=(b".games.example",),
        dots_inside=(b"games..example",),
        below=(b"www.games.example",),
        percent=(b"%67ames.example",),
        percent_dot=(b"games%2eexample",),
        percent_nul=(b"games.example%00.www.example.com",),
        userinfo=(b"www.example.com@games.example",),
        userinfo_port=(b"www.example.com:80@games.example",),
        backslash=(b"games.example\\.www.example.com",),
        backslash_at=(b"games.example\\@www.example.com",),
        full_width=("\uff47ames.example".encode(),),
        full_stop=("games\u3002example".encode(),),
        soft_hyphen=("ga\u00admes.example".encode(),),
        zero_width=("ga\u200bmes.example".encode(),),
        kelvin=("games.example\u212a".encode(),),
        latin_1=(b"g\xe1mes.example",),
        port=(b"games.example:80",),
        port_zeros=(b"games.example:00080",),
        port_empty=(b"games.example:",),
        port_sign=(b"games.example:+80",),
        port_twice=(b"games.example:80:80",),
        fragment=(b"games.example#.www.example.com",),
        semicolon=(b"games.example;.www.example.com",),
        tab=(b"games.example\t",),
        nul=(b"games.example\0",),
    )
    def test_blocked(self, written):
        """Blocked or refused, in a request, in a tunnel, and beside another Host; never dialled."""
        for wire in (
            request(target=b"http://" + written + b"/", host=b"www.example.com"),
            request(target=b"http://" + written + b"/", host=written),
            request(b"CONNECT", written, host=written),
            request(b"CONNECT", written + b":443", host=b"www.example.com"),
            request(target=b"http://games.example/", host=written),
        ):
            site = Site(NO_GAMES)
            client = site.client()
            client.send(wire)
            self.assertEqual(site.reactor.dials, [])
            self.assertIn(client.take()[9:12], (b"400", b"403"))
            client.end()
            self.assertIn(site.record.result, (ResultCode.BLOCKED, ResultCode.MALFORMED))

    @rows(
        octal=(b"0177.0.0.1",),
        hexadecimal=(b"0x7f.1",),
        number=(b"2130706433",),
        short=(b"127.1",),
        mapped=(b"[::ffff:127.0.0.1]",),
        mapped_hexadecimal=(b"[::ffff:7f00:1]",),
        compatible=(b"[::127.0.0.1]",),
        nat64=(b"[64:ff9b::7f00:1]",),
        six_to_four=(b"[2002:7f00:1::]",),
        loopback=(b"[::1]",),
        unspecified=(b"0.0.0.0",),
        unspecified_6=(b"[::]",),
        nothing=(b"0",),
        metadata=(b"169.254.169.254",),
        metadata_number=(b"0xa9fea9fe",),
        metadata_mapped=(b"[::ffff:a9fe:a9fe]",),
        metadata_6=(b"[fd00:ec2::254]",),
        private=(b"10.1",),
        link_local=(b"[fe80::1]",),
        zone=(b"[fe80::1%25eth0]",),
        multicast=(b"224.0.0.1",),
        broadcast=(b"255.255.255.255",),
    )
    def test_address_inside(self, written):
        """No spelling of an address inside is dialled."""
        for wire in (
            request(target=b"http://" + written + b"/", host=written),
            request(b"CONNECT", written + b":443", host=written),
        ):
            site = Site()
            client = site.client()
            client.send(wire)
            self.assertEqual(site.reactor.dials, [])
            self.assertIn(client.take()[9:12], (b"400", b"403"))


@tabular
class RebindingTests(SynchronousTestCase):
    """Names whose addresses lead inside."""

    @rows(
        loopback=("127.0.0.1",),
        loopback_6=("::1",),
        mapped=("::ffff:127.0.0.1",),
        private=("192.168.1.1",),
        unique_local=("fd12::1",),
        metadata=("169.254.169.254",),
        carrier=("100.64.0.1",),
        unspecified=("0.0.0.0",),
        nat64=("64:ff9b::a00:1",),
        teredo=("2001:0:7f00:1::",),
    )
    def test_inside(self, address):
        """A name that leads inside is not dialled, by request and by tunnel."""
        for wire in (request(), request(b"CONNECT", b"www.example.com:443")):
            site = Site()
            site.names.table["www.example.com"] = (address,)
            client = site.client()
            client.send(wire)
            self.assertEqual(site.reactor.dials, [])
            self.assertEqual(client.take()[9:12], b"403")
            self.assertEqual((site.record.result, site.record.failure), ("blocked", "address-refused"))

    def test_among_others(self):
        """Of several addresses only those outside are tried, also when they fail."""
        site = Site()
        site.names.table["www.example.com"] = ("10.0.0.1", PUBLIC, "127.0.0.1")
        client = site.client()
        client.send(request())
        self.assertEqual(site.dialling, [f"{PUBLIC}:80"])
        site.refuse()
        site.wait(15)
        self.assertEqual({dial.host for dial in site.reactor.dials}, {PUBLIC})
        self.assertEqual(client.take()[9:12], b"502")

    def test_second_answer(self):
        """A name that leads outside first and inside afterwards is checked each time it is dialled."""
        site = Site()
        client = site.client()
        client.send(request())
        site.server().send(response(200, b"Connection: close"))
        site.names.table["www.example.com"] = ("127.0.0.1",)
        client.take()
        client.send(request())
        site.settle()
        self.assertEqual([dial.host for dial in site.reactor.dials], [PUBLIC])
        self.assertEqual(client.take()[9:12], b"403")

    def test_kept_connection(self):
        """A connection inside, opened for one who may, is not reused for one who may not."""
        staff = rule("staff", Effect.ALLOW, who=Who(user=("amir",)), safety=INSIDE)
        site = Site(staff, sign_in=True, known={BASIC: AMIR, b"Basic Y2Fyb2w6eA==": _CAROL})
        site.names.table["www.example.com"] = ("10.0.0.1",)
        insider = site.client()
        insider.send(request(b"GET", b"http://www.example.com/", b"Proxy-Authorization: " + BASIC))
        site.server().send(response(content=b"inside"))
        self.assertTrue(insider.take().endswith(b"inside"))
        self.assertEqual(site.pool.kept, 1)
        other = site.client(host="10.1.2.4")
        other.send(request(b"GET", b"http://www.example.com/", b"Proxy-Authorization: Basic Y2Fyb2w6eA=="))
        self.assertEqual(other.take()[9:12], b"403")


_CAROL = type(AMIR)("carol", ())
