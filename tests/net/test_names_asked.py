"""Servers of names that are asked, and aliases: which answer counts."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.names import dns

from corpproxy.config.names import NameSettings
from corpproxy.net.name_answer import Found
from corpproxy.net.name_query import NoAnswer
from tests.net.name_answers import answer
from tests.net.test_names import NOTHING, SECOND, SERVER, NamesCase


class ServerTests(NamesCase):
    """Which servers are asked, and in what order."""

    def servers_asked(self, name):
        """The servers that were asked for the A records of a name."""
        return [server for server, asked, kind in self.script.questions if (asked, kind) == (name, dns.A)]

    def test_next_on_failure(self):
        """A server that fails is followed by the next at once."""
        self.names = self.make(NameSettings(servers=(SERVER, SECOND)))
        waiting = self.names.addresses("www.example")
        self.script.reply("www.example", dns.AAAA, answer("www.example"))
        self.script.reply("www.example", dns.A, NoAnswer("192.0.2.53 answered SERVFAIL"))
        self.assertEqual(self.servers_asked("www.example"), [SERVER, SECOND])
        self.script.reply("www.example", dns.A, answer("www.example", "192.0.2.1"))
        self.assertEqual(self.successResultOf(waiting), ("192.0.2.1",))

    def test_next_on_silence(self):
        """A server that keeps silent for 0.8 s is followed by the next, and may still answer first."""
        self.names = self.make(NameSettings(servers=(SERVER, SECOND)))
        waiting = self.names.addresses("www.example")
        self.clock.advance(0.79)
        self.assertEqual(self.servers_asked("www.example"), [SERVER])
        self.clock.advance(0.02)
        self.assertEqual(self.servers_asked("www.example"), [SERVER, SECOND])
        for kind in (dns.A, dns.AAAA):
            self.script.reply("www.example", kind, answer("www.example", "192.0.2.1"), server=SERVER)
        self.assertEqual(self.successResultOf(waiting), ("192.0.2.1",))
        self.assertEqual(self.script.cancelled, 2)

    def test_silent_server_set_aside(self):
        """A server that kept silent is asked last for half a minute."""
        self.names = self.make(NameSettings(servers=(SERVER, SECOND)))
        self.names.addresses("a.example")
        self.clock.advance(0.81)
        for kind in (dns.A, dns.AAAA):
            self.script.reply("a.example", kind, answer("a.example", "192.0.2.1"), server=SECOND)
        self.names.addresses("b.example")
        self.assertEqual(self.servers_asked("b.example"), [SECOND])
        self.answer_both("b.example", ["192.0.2.1"])
        self.clock.pump([1.0] * 31)
        self.names.addresses("c.example")
        self.assertEqual(self.servers_asked("c.example"), [SERVER])

    def test_silence(self):
        """When no server answers, the look-up ends within five seconds and says which servers were silent."""
        waiting = self.names.addresses("www.example")
        self.clock.pump([0.1] * 39)
        self.assertNoResult(waiting)
        self.clock.pump([0.1] * 11)
        problem = self.refused(waiting)
        self.assertEqual((problem.code, problem.timed_out, problem.status), ("name-failed", True, 504))
        self.assertIn("192.0.2.53", problem.message)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_split_names(self):
        """The longest domain of the policy decides which servers are asked; others go to the general ones."""
        inner, deep = ("10.0.0.53", 53), ("10.0.0.54", 5353)
        self.names = self.make(
            NameSettings(
                servers=(SERVER,), domains={"internal.example": (inner,), "Deep.internal.example.": (deep,)}
            )
        )
        expected = {
            "a.internal.example": inner,
            "internal.example": inner,
            "a.deep.internal.example": deep,
            "notinternal.example": SERVER,
            "example": SERVER,
        }
        for name, server in expected.items():
            self.names.addresses(name)
            self.assertEqual(self.servers_asked(name), [server], name)

    def test_system_servers(self):
        """Without servers in the policy those of resolv.conf are asked, and a change is taken up."""
        self.resolv_conf.write_text(
            "search example\nnameserver 192.0.2.7\nnameserver oops\nnameserver fe80::1%eth0\n"
        )
        self.names = self.make(NameSettings())
        waiting = self.names.addresses("a.example")
        self.assertEqual(self.servers_asked("a.example"), [("192.0.2.7", 53)])
        self.clock.advance(1.7)
        self.assertEqual(self.servers_asked("a.example")[:2], [("192.0.2.7", 53), ("fe80::1%eth0", 53)])
        self.answer_both("a.example", ["192.0.2.1"])
        self.successResultOf(waiting)
        self.resolv_conf.write_text("nameserver 192.0.2.99\n")
        self.clock.advance(5)
        self.names.addresses("b.example")
        self.assertEqual(self.servers_asked("b.example"), [("192.0.2.99", 53)])

    def test_no_server(self):
        """A machine without name servers asks its C library."""
        self.system.found["www.example", dns.A] = Found(("192.0.2.1",), 30.0)
        self.names = self.make(NameSettings())
        self.assertEqual(self.names.addresses("www.example"), ("192.0.2.1",))
        self.assertEqual(self.script.questions, [])
        self.assertEqual(self.refused(self.names.addresses("gone.example")).code, "name-unknown")

    def test_single_label(self):
        """A name of one label is asked for like any other, without a search list."""
        self.names.addresses("intranet")
        self.assertEqual(self.script.kinds("intranet"), [dns.AAAA, dns.A])


class AliasTests(NamesCase):
    """Aliases (CNAME) are followed."""

    def test_whole_chain(self):
        """An answer that holds the chain and the address needs no further question."""
        waiting = self.names.addresses("www.example")
        more = {"aliases": ("cdn.example", "edge.cdn.example")}
        self.answer_both("www.example", ["192.0.2.1"], ["2001:db8::1"], **more)
        self.assertEqual(self.successResultOf(waiting), ("2001:db8::1", "192.0.2.1"))
        self.assertEqual(len(self.script.questions), 2)

    def test_cut_chain(self):
        """A chain that is not complete is followed by asking for its end, at the servers of that name."""
        inner = ("10.0.0.53", 53)
        self.names = self.make(NameSettings(servers=(SERVER,), domains={"internal": (inner,)}))
        waiting = self.names.addresses("www.example")
        self.answer_both("www.example", (), aliases=("web.internal",), ttl=7)
        self.assertEqual(
            self.script.questions[2:], [(inner, "web.internal", kind) for kind in (dns.AAAA, dns.A)]
        )
        self.answer_both("web.internal", ["10.0.0.1"], ttl=300)
        self.assertEqual(self.successResultOf(waiting), ("10.0.0.1",))
        self.clock.advance(7.1)
        self.assertIsInstance(self.names.addresses("www.example"), Deferred)

    def test_end_without_address(self):
        """A chain whose end has no address of a family, as the zone says, is not followed further."""
        waiting = self.names.addresses("www.example")
        self.answer_both("www.example", (), aliases=("cdn.example",), soa=(60, 60))
        self.assertEqual(self.refused(waiting).code, "name-unknown")
        self.assertEqual(len(self.script.questions), 2)

    def test_end_gone(self):
        """A chain to a name that does not exist leads nowhere."""
        waiting = self.names.addresses("www.example")
        self.answer_both("www.example", (), aliases=("gone.example",), **NOTHING)
        self.assertEqual(self.refused(waiting).code, "name-unknown")

    def test_circle(self):
        """Aliases in a circle end, within one answer and over several."""
        waiting = self.names.addresses("a.example")
        for _ in range(20):
            for name, other in (("a.example", "b.example"), ("b.example", "a.example")):
                for kind in (dns.A, dns.AAAA):
                    try:
                        self.script.reply(name, kind, answer(name, aliases=(other,)))
                    except AssertionError:
                        break
        problem = self.refused(waiting)
        self.assertEqual(problem.code, "name-failed")
        self.assertIn("lead nowhere", problem.message)
        waiting = self.names.addresses("c.example")
        self.answer_both("c.example", (), aliases=("d.example", "c.example"), soa=(5, 5))
        self.assertEqual(self.refused(waiting).code, "name-unknown")

    def test_stranger(self):
        """Addresses of names that were not asked for are passed over."""
        waiting = self.names.addresses("www.example")
        self.script.reply("www.example", dns.AAAA, answer("www.example"))
        self.script.reply("www.example", dns.A, answer("bank.example", "192.0.2.66"))
        self.assertEqual(self.refused(waiting).code, "name-unknown")
        self.assertIsInstance(self.names.addresses("bank.example"), Deferred)

    def test_other_case(self):
        """Names in answers may be written in another case."""
        waiting = self.names.addresses("www.example")
        self.script.reply(
            "www.example", dns.AAAA, answer("WWW.example", aliases=("CDN.Example",), soa=(5, 5))
        )
        self.script.reply("www.example", dns.A, answer("WWW.Example", "192.0.2.1"))
        self.assertEqual(self.successResultOf(waiting), ("192.0.2.1",))

    def test_slow_chain(self):
        """A chain of slow answers ends with the look-up's own limit."""
        waiting = self.names.addresses("a.example")
        self.clock.advance(0.7)
        for kind in (dns.AAAA, dns.A):
            self.script.reply("a.example", kind, answer("a.example", aliases=("b.example",)))
        self.clock.pump([0.1] * 44)
        self.assertEqual(self.refused(waiting).timed_out, True)
