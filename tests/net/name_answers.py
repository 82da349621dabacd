"""Answers of name servers for tests, and a name server on loopback that gives them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.protocol import DatagramProtocol, Factory
from twisted.names import dns
from twisted.protocols.basic import Int16StringReceiver


def answer(
    name: str,
    *addresses: str,
    aliases: tuple[str, ...] = (),
    ttl: int = 300,
    code: int = dns.OK,
    soa: tuple[int, int] | None = None,
) -> dns.Message:
    """
    Make an answer: ``name`` leads over ``aliases`` to ``addresses``.

    ``soa`` is the time to live and the minimum of an SOA record in the authority section.
    """
    message = dns.Message(0, answer=1, recDes=1, recAv=1, rCode=code)
    for alias in aliases:
        message.answers.append(
            dns.RRHeader(name.encode(), dns.CNAME, ttl=ttl, payload=dns.Record_CNAME(alias))
        )
        name = alias
    for address in addresses:
        record = dns.Record_AAAA(address) if ":" in address else dns.Record_A(address)
        message.answers.append(dns.RRHeader(name.encode(), record.TYPE, ttl=ttl, payload=record))
    if soa is not None:
        zone = dns.Record_SOA(b"ns.example", b"who.example", minimum=soa[1])
        message.authority.append(dns.RRHeader(b"example", dns.SOA, ttl=soa[0], payload=zone))
    return message


class Script:
    """Stands for name servers: keeps each question until the test answers it."""

    def __init__(self) -> None:
        self.questions: list[tuple[Any, str, int]] = []
        self.open: list[Deferred[dns.Message]] = []
        self.cancelled = 0

    def ask(self, server: Any, name: str, kind: int) -> Deferred[dns.Message]:
        self.questions.append((server, name, kind))
        self.open.append(Deferred(self._cancel))
        return self.open[-1]

    def _cancel(self, _: Any) -> None:
        self.cancelled += 1

    def reply(self, name: str, kind: int, outcome: dns.Message | Exception, server: Any = None) -> None:
        """Answer the oldest open question for a name and a kind."""
        for question, deferred in zip(self.questions, self.open, strict=True):
            if question[1:] == (name, kind) and not deferred.called and server in {None, question[0]}:
                if isinstance(outcome, Exception):
                    deferred.errback(outcome)
                else:
                    deferred.callback(outcome)
                return
        raise AssertionError(f"nobody asked for {name} {kind}: {self.questions}")

    def kinds(self, name: str) -> list[int]:
        """The kinds that were asked for a name."""
        return [kind for _, asked, kind in self.questions if asked == name]


Reply = Callable[[dns.Message, bool], list[bytes]]


class LoopbackServer:
    """A name server on a port of loopback, for UDP and TCP; ``reply`` makes the octets to send back."""

    def __init__(self, reactor: Any, reply: Reply) -> None:
        self.reply = reply
        self.asked: list[tuple[str, bytes, int]] = []
        self.sources: list[tuple[int, int]] = []
        factory = Factory.forProtocol(_Stream)
        factory.server = self  # type: ignore[attr-defined]
        self.tcp = reactor.listenTCP(0, factory, interface="127.0.0.1")
        number = self.tcp.getHost().port
        # Ports of UDP are rarely taken; those of TCP are by every connection of other tests.
        self.udp = reactor.listenUDP(number, _Datagrams(self), interface="127.0.0.1")
        self.address = ("127.0.0.1", number)
        self.streams: list[Deferred[None]] = []

    def answers(self, octets: bytes, transport: str, port: int = 0) -> list[bytes]:
        message = dns.Message()
        message.fromStr(octets)
        self.asked.append((transport, message.queries[0].name.name, message.queries[0].type))
        self.sources.append((port, message.id))
        return self.reply(message, transport == "tcp")

    async def stop(self) -> None:
        await maybeDeferred(self.udp.stopListening)
        await maybeDeferred(self.tcp.stopListening)
        for stream in self.streams:
            await stream


class _Datagrams(DatagramProtocol):
    transport: Any

    def __init__(self, server: LoopbackServer) -> None:
        self._server = server

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        for octets in self._server.answers(datagram, "udp", addr[1]):
            self.transport.write(octets, addr)


class _Stream(Int16StringReceiver):
    factory: Any

    def connectionMade(self) -> None:
        self._gone: Deferred[None] = Deferred()
        self.factory.server.streams.append(self._gone)

    def stringReceived(self, string: bytes) -> None:
        for octets in self.factory.server.answers(string, "tcp"):
            self.sendString(octets)

    def connectionLost(self, reason: Any = None) -> None:
        self._gone.callback(None)


def in_reply(question: dns.Message, message: dns.Message) -> bytes:
    """The octets of an answer to a question."""
    message.id = question.id
    message.queries = question.queries
    return message.toStr()
