"""One question to name servers on loopback: UDP, TCP, forged answers, closed ports, and any octets."""

from __future__ import annotations

import socket
import struct
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred, maybeDeferred
from twisted.names import dns
from twisted.trial.unittest import SynchronousTestCase, TestCase

from corpproxy.config.names import NameSettings
from corpproxy.errors import UpstreamError
from corpproxy.net.name_answer import MAX_ADDRESSES, Found, read_answer
from corpproxy.net.name_query import NoAnswer, Question, ask_server, written
from corpproxy.net.names import Names
from corpproxy.net.system_names import SystemNames
from tests.net.name_answers import LoopbackServer, answer, in_reply
from tests.support.rows import rows, tabular


class LoopbackTests(TestCase):
    """Questions over real sockets."""

    def setUp(self):
        self.server = LoopbackServer(reactor, lambda question, stream: [in_reply(question, self.says())])
        self.addCleanup(lambda: ensureDeferred(self.server.stop()))

    def says(self):
        """The answer of the server, which tests replace."""
        return answer("www.example", "192.0.2.1")

    async def ask(self, name="www.example", kind=dns.A):
        return await ask_server(reactor, self.server.address, name, kind)

    async def refusal(self):
        try:
            await self.ask()
        except NoAnswer as problem:
            return str(problem)
        raise AssertionError("the question was answered")

    async def test_answer(self):
        """A question is answered over UDP."""
        message = await self.ask()
        self.assertEqual(read_answer(message, "www.example", dns.A), Found(("192.0.2.1",), 300))
        self.assertEqual(self.server.asked, [("udp", b"www.example", dns.A)])

    async def test_names(self):
        """The whole way: both families over real sockets, then out of the cache."""
        folder = Path(self.mktemp())
        names = Names(reactor, NameSettings(servers=(self.server.address,)), hosts=folder, resolv_conf=folder)
        self.assertEqual(await names.addresses("www.example"), ("192.0.2.1",))
        self.assertEqual({kind for _, _, kind in self.server.asked}, {dns.A, dns.AAAA})
        self.assertEqual(names.addresses("www.example"), ("192.0.2.1",))

    async def test_ports_and_identifiers(self):
        """Every question has another port and another identifier, so that an answer is hard to forge."""
        for _ in range(12):
            await self.ask()
        ports, identifiers = zip(*self.server.sources, strict=True)
        self.assertGreater(len(set(ports)), 8)
        self.assertGreater(len(set(identifiers)), 8)

    async def test_truncated(self):
        """An answer that does not fit is asked for again over TCP."""
        addresses = [f"192.0.2.{n}" for n in range(1, 60)]

        def reply(question, stream):
            message = answer("www.example", *addresses) if stream else answer("www.example")
            message.trunc, message.maxSize = not stream, 0
            return [in_reply(question, message)]

        self.server.reply = reply
        found = read_answer(await self.ask(), "www.example", dns.A)
        self.assertEqual(found.addresses, tuple(addresses[:MAX_ADDRESSES]))
        self.assertEqual([transport for transport, *_ in self.server.asked], ["udp", "tcp"])

    async def test_truncated_everywhere(self):
        """A server that truncates over TCP too is of no use."""
        self.says = lambda: answer_with(trunc=1)
        self.assertIn("over TCP", await self.refusal())

    async def test_forged(self):
        """Answers that do not repeat the question are passed over, and the true one counts."""
        evil = answer("www.example", "192.0.2.66")

        def reply(question, stream):
            true = in_reply(question, answer("www.example", "192.0.2.1"))
            return [*forgeries(question, evil), b"", b"\0", b"x" * 600, true]

        self.server.reply = reply
        found = read_answer(await self.ask(), "www.example", dns.A)
        self.assertEqual(found.addresses, ("192.0.2.1",))

    async def test_flood(self):
        """A server, or somebody in its name, that sends one wrong answer after the other is given up."""
        self.server.reply = lambda question, stream: [b"\0" * 12] * 100
        self.assertIn("other questions", await self.refusal())

    async def test_from_elsewhere(self):
        """An answer from another address than the server's is not even read."""
        other = LoopbackServer(reactor, lambda question, stream: [])
        self.addCleanup(lambda: ensureDeferred(other.stop()))

        def reply(question, stream):
            port = self.server.sources[-1][0]
            other.udp.protocol.transport.write(
                in_reply(question, answer("www.example", "192.0.2.66")), ("127.0.0.1", port)
            )
            return [in_reply(question, answer("www.example", "192.0.2.1"))]

        self.server.reply = reply
        self.assertEqual(read_answer(await self.ask(), "www.example", dns.A).addresses, ("192.0.2.1",))

    async def test_refusals(self):
        """Each refusal of a server is named, so that an administrator can look for it."""
        for code, word in {
            dns.ESERVER: "SERVFAIL",
            dns.EREFUSED: "REFUSED",
            dns.ENOTIMP: "NOTIMP",
            9: "9",
        }.items():
            self.says = lambda code=code: answer("www.example", code=code)
            self.assertIn(word, await self.refusal())

    async def test_referral(self):
        """A server without recursion, which only points elsewhere, is no name server for us."""

        def says():
            message = answer("www.example")
            message.recAv = 0
            message.authority.append(dns.RRHeader(b"example", dns.NS, payload=dns.Record_NS(b"ns.example")))
            return message

        self.says = says
        self.assertIn("refers", await self.refusal())

    async def test_closed_port(self):
        """A port where nobody listens is known at once, not after a time-out."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
            unused.bind(("127.0.0.1", 0))
            address = unused.getsockname()
        folder = Path(self.mktemp())
        names = Names(reactor, NameSettings(servers=(address,)), hosts=folder, resolv_conf=folder)
        before = reactor.seconds()
        try:
            await names.addresses("www.example")
        except UpstreamError as problem:
            self.assertEqual((problem.code, problem.timed_out), ("name-failed", False))
            self.assertIn(written(address), problem.message)
        else:
            self.fail("nobody could have answered")
        self.assertLess(reactor.seconds() - before, 0.7)

    async def test_closed_tcp_port(self):
        """A server that truncates but has no TCP is of no use."""
        await maybeDeferred(self.server.tcp.stopListening)
        self.says = lambda: answer_with(trunc=1)
        self.assertIn("over TCP", await self.refusal())

    async def test_unreachable(self):
        """A server that cannot even be sent to fails at once."""
        try:
            await ask_server(reactor, ("ff02::1%nowhere0", 53), "www.example", dns.A)
        except NoAnswer as problem:
            self.assertIn("ff02::1", str(problem))
        else:
            self.fail("nobody could have answered")


def answer_with(**attributes: Any) -> dns.Message:
    """An answer without records, with other header fields."""
    message = answer("www.example")
    for name, value in attributes.items():
        setattr(message, name, value)
    return message


def forgeries(question: dns.Message, evil: dns.Message) -> list[bytes]:
    """Answers that somebody else may send: each is wrong in one thing."""
    octets = in_reply(question, evil)
    other = answer("www.example", "192.0.2.66")
    other.id = question.id
    wrong = [bytes([octets[0] ^ 1]) + octets[1:], octets[:2] + b"\x01\x80" + octets[4:]]
    for name, kind, cls in [
        (b"other.example", dns.A, dns.IN),
        (b"www.example", dns.AAAA, dns.IN),
        (b"www.example", dns.A, dns.CH),
    ]:
        other.queries = [dns.Query(name, kind, cls)]
        wrong.append(other.toStr())
    other.queries = []
    wrong.append(other.toStr())
    other.queries = list(question.queries) * 2
    wrong.append(other.toStr())
    return wrong


class AnyOctetsTests(SynchronousTestCase):
    """Whatever a server sends is an answer or nothing."""

    def read(self, question, octets):
        message = question.read(octets)
        if message is not None:
            found = read_answer(message, "www.example", question.kind)
            self.assertTrue(all(isinstance(address, str) for address in found.addresses))

    @settings(max_examples=100, deadline=None)
    @given(st.binary(max_size=200), st.sampled_from([dns.A, dns.AAAA]))
    def test_any_octets(self, octets, kind):
        """Any octets behind a header that fits give an answer or nothing."""
        question = Question("www.example", kind)
        self.read(question, octets)
        start = struct.pack("!HHHHHH", question.identifier, 0x8180, 1, 3, 1, 1)
        self.read(question, start + b"\3www\7example\0" + struct.pack("!HH", kind, 1) + octets)

    @settings(max_examples=100, deadline=None)
    @given(st.data())
    def test_damaged(self, data):
        """An answer with some octets changed or cut off gives an answer or nothing."""
        question = Question("www.example", dns.A)
        message = answer(
            "www.example", "192.0.2.1", "2001:db8::1", aliases=("a.example", "b.example"), soa=(5, 5)
        )
        message.id, message.queries = question.identifier, [dns.Query(b"www.example", dns.A)]
        octets = bytearray(message.toStr())
        for _ in range(data.draw(st.integers(1, 4))):
            octets[data.draw(st.integers(2, len(octets) - 1))] = data.draw(st.integers(0, 255))
        self.read(question, bytes(octets[: data.draw(st.integers(0, len(octets)))]))


@tabular
class WrittenTests(SynchronousTestCase):
    """Servers in messages."""

    @rows(
        usual=(("192.0.2.53", 53), "192.0.2.53"),
        other_port=(("192.0.2.53", 5353), "192.0.2.53:5353"),
        six=(("2001:db8::53", 53), "2001:db8::53"),
        six_other_port=(("2001:db8::53", 5353), "[2001:db8::53]:5353"),
    )
    def test_written(self, server, expected):
        """A server is written as in the policy; the usual port is left out."""
        self.assertEqual(written(server), expected)


class SystemNamesTests(TestCase):
    """The C library as a source of names."""

    def setUp(self):
        self.outcome = []
        self.names = SystemNames(reactor, self.getaddrinfo)
        self.addCleanup(self.names.close)

    def getaddrinfo(self, name, port, family, type):
        self.asked = (name, family)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    async def test_found(self):
        """Its addresses are taken, each once, and kept for half a minute."""
        self.outcome = [
            (socket.AF_INET, 1, 6, "", (address, 0)) for address in ("192.0.2.1", "192.0.2.2", "192.0.2.1")
        ]
        self.assertEqual(await self.names.find("nas", dns.A), Found(("192.0.2.1", "192.0.2.2"), 30.0))
        self.assertEqual(self.asked, ("nas", socket.AF_INET))

    async def test_nothing(self):
        """A name that it does not know has no addresses."""
        self.outcome = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        self.assertEqual(await self.names.find("nas", dns.AAAA), Found((), 30.0))
        self.assertEqual(self.asked, ("nas", socket.AF_INET6))

    async def test_failures(self):
        """What it cannot find out is a failure with its words."""
        for problem, word in [
            (socket.gaierror(socket.EAI_AGAIN, "Temporary failure"), "Temporary"),
            (OSError(24, "Too many open files"), "Too many"),
        ]:
            self.outcome = problem
            try:
                await self.names.find("nas", dns.A)
            except NoAnswer as failure:
                self.assertIn(word, str(failure))
            else:
                self.fail("there was no address to give")
