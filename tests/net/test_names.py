"""Names become addresses: from the policy, from /etc/hosts, from DNS, and out of the cache."""

from __future__ import annotations

import socket
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.names import dns
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.config.names import NameSettings
from corpproxy.errors import UpstreamError
from corpproxy.net import names as names_module
from corpproxy.net.name_answer import Found
from corpproxy.net.name_query import NoAnswer
from corpproxy.net.names import Names, in_order
from tests.net.name_answers import Script, answer
from tests.support.rows import rows, tabular

SERVER = ("192.0.2.53", 53)
SECOND = ("192.0.2.54", 53)
NOTHING = {"code": dns.ENAME}


class System:
    """Stands for the C library."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, int], Found] = {}
        self.closed = False

    async def find(self, name, kind):
        return self.found.get((name, kind), Found())

    def close(self):
        self.closed = True


class NamesCase(SynchronousTestCase):
    """Names with scripted servers and a clock that stands still."""

    def setUp(self):
        self.clock = Clock()
        self.script = Script()
        self.system = System()
        self.ipv6 = True
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.hosts = self.folder / "hosts"
        self.resolv_conf = self.folder / "resolv.conf"
        self.names = self.make(NameSettings(servers=(SERVER,)))

    def make(self, settings):
        """Names for these settings."""
        return Names(
            None,
            settings,
            clock=self.clock,
            ask=self.script.ask,
            system=self.system,
            ipv6=lambda: self.ipv6,
            hosts=self.hosts,
            resolv_conf=self.resolv_conf,
        )

    def answer_both(self, host, four, six=(), **more):
        """Let the servers answer for both families of a name."""
        self.script.reply(host, dns.AAAA, answer(host, *six, **more))
        self.script.reply(host, dns.A, answer(host, *four, **more))

    def known(self, host, *four, six=(), **more):
        """Look a name up, so that it is in the cache."""
        waiting = self.names.addresses(host)
        self.answer_both(host, four, six, **more)
        return self.successResultOf(waiting)

    def refused(self, waiting):
        """The UpstreamError that a look-up ended with."""
        failure = self.failureResultOf(waiting, UpstreamError)
        self.assertEqual(failure.value.phase, "resolve")
        return failure.value


@tabular
class OrderTests(SynchronousTestCase):
    """The order in which addresses are tried."""

    @rows(
        interleaved=(["10.0.0.1", "10.0.0.2", "::1", "::2"], True, ("::1", "10.0.0.1", "::2", "10.0.0.2")),
        more_of_one=(["10.0.0.1", "10.0.0.2", "::1"], True, ("::1", "10.0.0.1", "10.0.0.2")),
        one_family=(["10.0.0.2", "10.0.0.1"], True, ("10.0.0.2", "10.0.0.1")),
        no_ipv6=(["::1", "10.0.0.1", "::2"], False, ("10.0.0.1", "::1", "::2")),
        none=([], True, ()),
    )
    def test_order(self, given, ipv6, expected):
        """The families take turns, IPv6 first, unless this machine has no IPv6."""
        self.assertEqual(in_order(given, ipv6), expected)


@tabular
class WrittenTests(NamesCase):
    """Names that are known without asking."""

    def test_policy(self):
        """A name of the policy is answered at once, in any case, before /etc/hosts, and nobody is asked."""
        self.hosts.write_text("10.0.0.1 printer.internal\n")
        names = self.make(
            NameSettings(servers=(SERVER,), hosts={"Printer.internal": ("10.0.0.9", "fd00::9")})
        )
        self.assertEqual(names.addresses("printer.internal"), ("fd00::9", "10.0.0.9"))
        self.assertEqual(self.script.questions, [])

    def test_hosts_file(self):
        """A name in /etc/hosts has all the addresses written for it."""
        self.hosts.write_text("10.0.0.1 intranet\n::1 other\nfd00::1 INTRANET\n")
        self.assertEqual(self.names.addresses("intranet"), ("fd00::1", "10.0.0.1"))

    def test_hosts_file_changes(self):
        """An edit of /etc/hosts holds a second later, and the file is not looked at before."""
        self.hosts.write_text("10.0.0.1 intranet\n")
        self.names.addresses("intranet")
        self.hosts.write_text("10.0.0.22 intranet\n")
        self.clock.advance(0.9)
        self.assertEqual(self.names.addresses("intranet"), ("10.0.0.1",))
        self.clock.advance(0.2)
        self.assertEqual(self.names.addresses("intranet"), ("10.0.0.22",))

    def test_hosts_file_over_cache(self):
        """A name that comes into /etc/hosts is taken from there although the cache knows another address."""
        self.known("www.example", "192.0.2.1")
        self.hosts.write_text("10.0.0.1 www.example\n")
        self.clock.advance(1.5)
        self.assertEqual(self.names.addresses("www.example"), ("10.0.0.1",))

    @rows(
        four=("192.0.2.1", ("192.0.2.1",)),
        six=("2001:db8::1", ("2001:db8::1",)),
        loopback=("localhost", ("::1", "127.0.0.1")),
        below_loopback=("app.localhost", ("::1", "127.0.0.1")),
    )
    def test_without_asking(self, host, expected):
        """Addresses are their own answer, and localhost never leaves the machine."""
        self.assertEqual(self.names.addresses(host), expected)
        self.assertEqual(self.script.questions, [])

    @rows(
        invalid=("nothing.invalid",),
        onion=("abc.onion",),
        empty=("",),
        empty_label=("a..b",),
        long_label=("a" * 64 + ".example",),
        long_name=(".".join(["abcdefg"] * 40),),
        not_ascii=("bücher.example",),
    )
    def test_never_asked(self, host):
        """Names that cannot exist are unknown at once, and nobody is asked."""
        self.assertEqual(self.refused(self.names.addresses(host)).code, "name-unknown")
        self.assertEqual(self.script.questions, [])


@tabular
class CacheTests(NamesCase):
    """What is known is answered at once, as long as it holds and no longer."""

    def test_known(self):
        """The second request for a name has its addresses at once."""
        self.assertEqual(
            self.known("www.example", "192.0.2.1", six=["2001:db8::1"]), ("2001:db8::1", "192.0.2.1")
        )
        self.assertEqual(self.names.addresses("www.example"), ("2001:db8::1", "192.0.2.1"))
        self.assertEqual((self.names.asked, self.names.remembered, len(self.names)), (1, 1, 1))

    @rows(
        as_said=(300, 300.0),
        nought=(0, 1.0),
        a_week=(604_800, 3600.0),
        over_the_top=(2**32 - 1, 3600.0),
    )
    def test_time_to_live(self, ttl, seconds):
        """An answer is kept as long as the server says, within bounds; then the servers are asked again."""
        self.known("www.example", "192.0.2.1", ttl=ttl)
        self.clock.advance(seconds - 0.01)
        self.assertIsInstance(self.names.addresses("www.example"), tuple)
        self.clock.advance(0.02)
        again = self.names.addresses("www.example")
        self.assertNoResult(again)
        self.answer_both("www.example", ["192.0.2.2"])
        self.assertEqual(self.successResultOf(again), ("192.0.2.2",))

    @rows(
        no_name_by_soa=(dns.ENAME, (3600, 30), 30.0, "does not exist"),
        no_address_by_soa=(dns.OK, (20, 3600), 20.0, "has no address"),
        at_least=(dns.ENAME, (0, 0), 5.0, "does not exist"),
        at_most=(dns.ENAME, (86400, 86400), 60.0, "does not exist"),
        without_soa=(dns.ENAME, None, 5.0, "does not exist"),
    )
    def test_negative(self, code, soa, seconds, said):
        """That a name does not exist, or has no address, is kept as the zone says, within bounds."""
        waiting = self.names.addresses("gone.example")
        self.answer_both("gone.example", (), code=code, soa=soa)
        problem = self.refused(waiting)
        self.assertEqual((problem.code, problem.timed_out), ("name-unknown", False))
        self.assertIn(said, problem.message)
        self.clock.advance(seconds - 0.01)
        self.assertEqual(self.refused(self.names.addresses("gone.example")).code, "name-unknown")
        self.assertEqual(self.names.asked, 1)
        self.clock.advance(0.02)
        self.assertNoResult(self.names.addresses("gone.example"))

    def test_failures_kept_briefly(self):
        """That servers fail is kept for three seconds."""
        waiting = self.names.addresses("www.example")
        for kind in (dns.AAAA, dns.A):
            self.script.reply("www.example", kind, NoAnswer("192.0.2.53 answered SERVFAIL"))
        problem = self.refused(waiting)
        self.assertEqual((problem.code, problem.timed_out), ("name-failed", False))
        self.assertIn("SERVFAIL", problem.message)
        self.clock.advance(2.9)
        self.refused(self.names.addresses("www.example"))
        self.assertEqual(self.names.asked, 1)
        self.clock.advance(0.2)
        self.assertNoResult(self.names.addresses("www.example"))

    def test_bounded(self):
        """The cache holds so many names, and forgets the one that was not used for longest."""
        self.patch(names_module, "MAX_NAMES", 2)
        self.known("a.example", "192.0.2.1")
        self.known("b.example", "192.0.2.2")
        self.names.addresses("a.example")
        self.known("c.example", "192.0.2.3")
        self.assertIsInstance(self.names.addresses("a.example"), tuple)
        self.assertIsInstance(self.names.addresses("b.example"), Deferred)

    def test_own_failure_each(self):
        """Each who asks for a name that is known to fail gets an exception of its own."""
        waiting = self.names.addresses("gone.example")
        self.answer_both("gone.example", (), **NOTHING)
        first = self.refused(waiting)
        self.assertIsNot(first, self.refused(self.names.addresses("gone.example")))


class FamilyTests(NamesCase):
    """Both families are asked for at once, and one does not wait long for the other."""

    def test_parallel(self):
        """AAAA is asked for first, A beside it."""
        self.names.addresses("www.example")
        self.assertEqual(self.script.kinds("www.example"), [dns.AAAA, dns.A])

    def test_resolution_delay(self):
        """The second family has 50 ms after the first; then there is an answer without it."""
        waiting = self.names.addresses("www.example")
        self.script.reply("www.example", dns.A, answer("www.example", "192.0.2.1"))
        self.clock.advance(0.049)
        self.assertNoResult(waiting)
        self.clock.advance(0.002)
        self.assertEqual(self.successResultOf(waiting), ("192.0.2.1",))

    def test_late_family(self):
        """A family that comes later is taken into the cache, and does not make the first hold for longer."""
        waiting = self.names.addresses("www.example")
        self.script.reply("www.example", dns.A, answer("www.example", "192.0.2.1", ttl=10))
        self.clock.advance(0.06)
        self.successResultOf(waiting)
        self.clock.advance(0.5)
        self.script.reply("www.example", dns.AAAA, answer("www.example", "2001:db8::1", ttl=300))
        self.assertEqual(self.names.addresses("www.example"), ("2001:db8::1", "192.0.2.1"))
        self.clock.advance(9.6)
        self.assertIsInstance(self.names.addresses("www.example"), Deferred)

    def test_late_family_without_addresses(self):
        """A late family that does not exist or failed leaves the answer as it is."""
        for number, outcome in enumerate([answer("x", **NOTHING), NoAnswer("SERVFAIL")]):
            host = f"www{number}.example"
            waiting = self.names.addresses(host)
            self.script.reply(host, dns.A, answer(host, "192.0.2.1"))
            self.clock.advance(0.06)
            self.successResultOf(waiting)
            self.script.reply(host, dns.AAAA, outcome)
            self.assertEqual(self.names.addresses(host), ("192.0.2.1",))

    def test_late_after_replacement(self):
        """A family that comes after its first half ran out does not touch the newer answer."""
        waiting = self.names.addresses("www.example")
        self.script.reply("www.example", dns.A, answer("www.example", "192.0.2.1", ttl=0))
        self.clock.advance(0.06)
        self.successResultOf(waiting)
        self.clock.advance(1.1)
        again = self.names.addresses("www.example")
        self.script.reply("www.example", dns.A, answer("www.example", "192.0.2.2"))
        self.clock.advance(0.06)
        self.assertEqual(self.successResultOf(again), ("192.0.2.2",))
        self.script.reply("www.example", dns.AAAA, answer("www.example", "2001:db8::1"))
        self.assertEqual(self.names.addresses("www.example"), ("192.0.2.2",))

    def test_nothing_waits(self):
        """A family without addresses is no answer yet: the other one is waited for."""
        waiting = self.names.addresses("www.example")
        self.script.reply("www.example", dns.AAAA, answer("www.example"))
        self.clock.advance(1)
        self.assertNoResult(waiting)
        self.script.reply("www.example", dns.A, answer("www.example", "192.0.2.1"))
        self.assertEqual(self.successResultOf(waiting), ("192.0.2.1",))

    def test_gone_for_aaaa_alone(self):
        """Servers that deny a name when they only lack its AAAA are not believed (RFC 4074)."""
        waiting = self.names.addresses("www.example")
        self.script.reply("www.example", dns.AAAA, answer("www.example", **NOTHING))
        self.clock.advance(0.2)
        self.script.reply("www.example", dns.A, answer("www.example", "192.0.2.1"))
        self.assertEqual(self.successResultOf(waiting), ("192.0.2.1",))

    def test_gone_for_a(self):
        """A name that does not exist is unknown 50 ms after that was said for A."""
        waiting = self.names.addresses("gone.example")
        self.script.reply("gone.example", dns.A, answer("gone.example", **NOTHING))
        self.assertNoResult(waiting)
        self.clock.advance(0.051)
        self.assertEqual(self.refused(waiting).code, "name-unknown")

    def test_one_family_fails(self):
        """Addresses of one family are enough when the other fails; none and a failure is a failure."""
        waiting = self.names.addresses("www.example")
        self.script.reply("www.example", dns.AAAA, NoAnswer("SERVFAIL"))
        self.script.reply("www.example", dns.A, answer("www.example", "192.0.2.1"))
        self.assertEqual(self.successResultOf(waiting), ("192.0.2.1",))
        waiting = self.names.addresses("six.example")
        self.script.reply("six.example", dns.AAAA, NoAnswer("SERVFAIL"))
        self.script.reply("six.example", dns.A, answer("six.example"))
        self.assertEqual(self.refused(waiting).code, "name-failed")


class AskerTests(NamesCase):
    """Several may ask for one name."""

    def test_shared(self):
        """All who ask while a name is being looked up share one question."""
        waiting = [self.names.addresses("www.example") for _ in range(3)]
        self.assertEqual(len(self.script.questions), 2)
        self.answer_both("www.example", ["192.0.2.1"])
        self.assertEqual([self.successResultOf(each) for each in waiting], [("192.0.2.1",)] * 3)

    def test_client_gone(self):
        """One who gives up leaves the others alone, and the answer is kept all the same."""
        first, second = self.names.addresses("www.example"), self.names.addresses("www.example")
        first.addErrback(lambda _: None)
        first.cancel()
        self.answer_both("www.example", ["192.0.2.1"])
        self.assertEqual(self.successResultOf(second), ("192.0.2.1",))

    def test_everybody_gone(self):
        """A look-up that nobody waits for any more still ends in the cache."""
        alone = self.names.addresses("www.example")
        alone.addErrback(lambda _: None)
        alone.cancel()
        self.answer_both("www.example", ["192.0.2.1"])
        self.assertEqual(self.names.addresses("www.example"), ("192.0.2.1",))

    def test_too_many(self):
        """More names at once than the bound fail at once; names that are known are answered."""
        self.patch(names_module, "MAX_LOOK_UPS", 2)
        self.known("known.example", "192.0.2.1")
        for name in ("a.example", "b.example"):
            self.names.addresses(name)
        problem = self.refused(self.names.addresses("c.example"))
        self.assertEqual(problem.code, "name-failed")
        self.assertIn("too many", problem.message)
        self.assertIsInstance(self.names.addresses("known.example"), tuple)
        self.answer_both("a.example", ["192.0.2.2"])
        self.assertNoResult(self.names.addresses("c.example"))

    def test_close(self):
        """When the names are given up, all who wait are told, and nothing stays behind."""
        waiting = self.names.addresses("www.example")
        self.names.close()
        self.assertEqual(self.refused(waiting).code, "name-failed")
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.script.cancelled, 2)
        self.assertTrue(self.system.closed)

    def test_other_settings(self):
        """After a reload names are looked up anew; who waited has the old answer, and the cache does not."""
        self.known("known.example", "192.0.2.1")
        waiting = self.names.addresses("www.example")
        self.names.use(NameSettings(servers=(SECOND,), hosts={"printer": ("10.0.0.9",)}))
        self.answer_both("www.example", ["192.0.2.1"])
        self.assertEqual(self.successResultOf(waiting), ("192.0.2.1",))
        self.assertEqual(self.names.addresses("printer"), ("10.0.0.9",))
        for name in ("known.example", "www.example"):
            self.assertIsInstance(self.names.addresses(name), Deferred)
            self.assertEqual(self.script.questions[-1], (SECOND, name, dns.A))

    def test_nothing_left_behind(self):
        """After an answer no timer runs."""
        self.known("www.example", "192.0.2.1")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_fault_of_ours(self):
        """A fault in our own code fails the look-up and is in the log."""
        self.patch(names_module, "read_answer", lambda *_: 1 / 0)
        waiting = self.names.addresses("www.example")
        self.answer_both("www.example", ["192.0.2.1"])
        self.assertEqual(self.refused(waiting).code, "name-failed")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)


class RouteTests(SynchronousTestCase):
    """Whether this machine has IPv6 is asked of the kernel."""

    def test_no_route(self):
        """Without a route there is no IPv6."""

        class NoRoute(socket.socket):
            def connect(self, address):
                raise OSError(101, "Network is unreachable")

        self.patch(names_module.socket, "socket", NoRoute)
        self.assertFalse(names_module.reaches_ipv6())
