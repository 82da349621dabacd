"""
One question to name servers: over UDP, over TCP when the answer does not fit, to the next server when one
fails.

The messages are written and read by twisted.names; its client is not used. That asks a second server with
the identifier of the first question, takes an answer without comparing the question, leaves SERVFAIL as it
is when another server could help, does not hear that a port is closed, and writes two lines to the log for
every question.

Forged answers (RFC 5452): every question leaves from a socket of its own, whose port the kernel picks at
random, with a random identifier; the socket is connected, so that the kernel drops what other addresses
send; an answer that does not repeat the question is passed over and waiting goes on.
"""

from __future__ import annotations

import itertools
import os
import secrets
import socket
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet import error
from twisted.internet.abstract import isIPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime, IReadDescriptor
from twisted.internet.protocol import ClientFactory, Protocol
from twisted.names import dns
from twisted.protocols.basic import Int16StringReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

Server = tuple[str, int]

# How long one server has before the next is asked too.  A resolver with the name in its cache answers in a
# few milliseconds, one that must find it usually within half a second.
PATIENCE_SECONDS = 0.8

# How long one question waits in all, whichever servers it went to.
QUESTION_SECONDS = 4.0

# How often a question is sent: a datagram may be lost, and a single server is asked again.
MIN_SENDS = 3
MAX_SENDS = 6

# The largest answer over UDP that is read; without EDNS a server sends at most 512 octets (RFC 1035, 2.3.4).
MAX_DATAGRAM_OCTETS = 4096

# Answers to other questions on one socket before it is given up: so many are an attempt to guess the
# identifier.
MAX_STRANGERS = 100


class NoAnswer(Exception):
    """The name servers did not answer a question; ``timed_out`` says that they were silent."""

    def __init__(self, message: str, *, timed_out: bool = False) -> None:
        super().__init__(message)
        self.timed_out = timed_out


def written(server: Server) -> str:
    """A server as an administrator writes it."""
    address, port = server
    if port == dns.PORT:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


class Question:
    """A question with its identifier: the octets to send, and which answers belong to it."""

    def __init__(self, name: str, kind: int) -> None:
        """``kind`` is ``dns.A`` or ``dns.AAAA``; the name must be one that ``may_be_asked``."""
        self.name = name.encode("ascii")
        self.kind = kind
        self.identifier = secrets.randbits(16)
        message = dns.Message(self.identifier, recDes=1)
        message.addQuery(self.name, kind)
        self.octets = message.toStr()

    def read(self, octets: bytes) -> dns.Message | None:
        """Read the answer to this question; None for anything else."""
        if len(octets) < dns.Message.headerSize:
            return None
        message = dns.Message()
        try:
            message.fromStr(octets)
        except (ValueError, EOFError):
            return None
        return message if self._is_answered_by(message) else None

    def _is_answered_by(self, message: dns.Message) -> bool:
        if message.id != self.identifier or not message.answer or message.opCode != dns.OP_QUERY:
            return False
        if not message.queries:
            # Some servers leave the question out when they refuse it.
            return message.rCode not in {dns.OK, dns.ENAME}
        asked = message.queries[0]
        return (
            len(message.queries) == 1
            and asked.name.name.lower() == self.name
            and asked.type == self.kind
            and asked.cls == dns.IN
        )


def may_be_asked(name: str) -> bool:
    """Whether a name can stand in a question at all (RFC 1035, section 2.3.4)."""
    return name.isascii() and len(name) <= 253 and all(0 < len(label) <= 63 for label in name.split("."))


@implementer(IReadDescriptor)
class _Datagrams:
    """A connected UDP socket of one question."""

    def __init__(self, reactor: Any, server: Server, question: Question, done: Deferred[dns.Message]) -> None:
        self._reactor = reactor
        self._server = server
        self._question = question
        self._done = done
        self._strangers = 0
        family = socket.AF_INET6 if isIPv6Address(server[0]) else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self._reading = False

    def start(self) -> None:
        """Send the question; OSError when it cannot be sent."""
        self._socket.connect(self._server)
        self._socket.send(self._question.octets)
        self._reactor.addReader(self)
        self._reading = True

    def doRead(self) -> None:
        try:
            octets = self._socket.recv(MAX_DATAGRAM_OCTETS)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as problem:
            self._done.errback(NoAnswer(f"{written(self._server)}: {problem.strerror}"))
            return
        message = self._question.read(octets)
        if message is not None:
            self._done.callback(message)
            return
        self._strangers += 1
        if self._strangers >= MAX_STRANGERS:
            self._done.errback(NoAnswer(f"{written(self._server)} sends answers to other questions"))

    def close(self) -> None:
        if self._reading:
            self._reactor.removeReader(self)
            self._reading = False
        self._socket.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    def logPrefix(self) -> str:
        return "name query"

    def connectionLost(self, reason: Failure) -> None:
        """The reactor gives the socket up: the kernel heard that nobody listens there."""
        number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if not self._done.called:
            why = os.strerror(number) if number else reason.getErrorMessage()
            self._done.errback(NoAnswer(f"{written(self._server)}: {why}"))


class _Stream(Int16StringReceiver):
    """The same question over TCP (RFC 7766), for an answer that did not fit into a datagram."""

    def __init__(self, server: Server, question: Question, done: Deferred[dns.Message]) -> None:
        self._server = server
        self._question = question
        self._done = done

    def connectionMade(self) -> None:
        self.sendString(self._question.octets)  # type: ignore[no-untyped-call]

    def stringReceived(self, string: bytes) -> None:
        message = self._question.read(string)
        if self._done.called:
            return
        if message is None or message.trunc:
            self._done.errback(NoAnswer(f"{written(self._server)} sent no proper answer over TCP"))
        else:
            self._done.callback(message)

    def connectionLost(self, reason: Failure = error.ConnectionDone) -> None:  # type: ignore[assignment]
        if not self._done.called:
            self._done.errback(NoAnswer(f"{written(self._server)} closed the connection without an answer"))


class _StreamFactory(ClientFactory):
    noisy = False

    def __init__(self, server: Server, question: Question, done: Deferred[dns.Message]) -> None:
        self._server = server
        self._question = question
        self._done = done

    def buildProtocol(self, addr: object) -> Protocol | None:
        return _Stream(self._server, self._question, self._done)

    def clientConnectionFailed(self, connector: object, reason: Failure) -> None:
        if not self._done.called:
            message = f"{written(self._server)} over TCP: {reason.getErrorMessage()}"
            self._done.errback(NoAnswer(message))


def ask_over_udp(reactor: Any, server: Server, question: Question) -> Deferred[dns.Message]:
    """Send a question in a datagram; cancelling closes the socket."""
    done: Deferred[dns.Message] = Deferred()
    try:
        datagrams = _Datagrams(reactor, server, question, done)
    except OSError as problem:
        done.errback(NoAnswer(f"{written(server)}: {problem.strerror}"))
        return done

    def close(outcome: Any) -> Any:
        datagrams.close()
        return outcome

    done.addBoth(close)
    try:
        datagrams.start()
    except OSError as problem:
        done.errback(NoAnswer(f"{written(server)}: {problem.strerror}"))
    return done


def ask_over_tcp(reactor: Any, server: Server, question: Question) -> Deferred[dns.Message]:
    """Send a question over a connection of its own; cancelling closes it."""
    done: Deferred[dns.Message] = Deferred()
    factory = _StreamFactory(server, question, done)
    connector = reactor.connectTCP(*server, factory, timeout=QUESTION_SECONDS)

    def close(outcome: Any) -> Any:
        connector.disconnect()
        return outcome

    return done.addBoth(close)


async def ask_server(reactor: Any, server: Server, name: str, kind: int) -> dns.Message:
    """Ask one server: a message that says OK or NXDOMAIN, or NoAnswer.  The caller sets the time limit."""
    message = await ask_over_udp(reactor, server, Question(name, kind))
    if message.trunc:
        message = await ask_over_tcp(reactor, server, Question(name, kind))
    if message.rCode not in {dns.OK, dns.ENAME}:
        raise NoAnswer(f"{written(server)} answered {_RESPONSE_CODES.get(message.rCode, message.rCode)}")
    if _is_referral(message):
        raise NoAnswer(f"{written(server)} is not a name server for clients: it only refers to others")
    return message


_RESPONSE_CODES = {
    dns.EFORMAT: "FORMERR",
    dns.ESERVER: "SERVFAIL",
    dns.ENOTIMP: "NOTIMP",
    dns.EREFUSED: "REFUSED",
}


def _is_referral(message: dns.Message) -> bool:
    """Whether a server without recursion points elsewhere (RFC 2308, section 2.2)."""
    kinds = {record.type for record in message.authority}
    return not message.recAv and not message.answers and dns.NS in kinds and dns.SOA not in kinds


Ask = Callable[[Server, str, int], Deferred[dns.Message]]


class Round:
    """
    One question to several servers.

    The next server is asked when one failed, or kept silent for a while; what was asked stays open, so that
    a slow answer still counts. The first answer ends it.
    """

    def __init__(
        self, clock: IReactorTime, ask: Ask, servers: Sequence[Server], name: str, kind: int
    ) -> None:
        """``servers`` in the order to ask them; at least one."""
        self._clock = clock
        self._ask = ask
        self._name = name
        self._kind = kind
        sends = min(max(MIN_SENDS, len(servers)), MAX_SENDS)
        self._waiting = list(itertools.islice(itertools.cycle(servers), sends))
        self._open: dict[Deferred[dns.Message], Server] = {}
        self._problems: dict[Server, str] = {}
        self._timers: dict[str, IDelayedCall] = {}
        self._done: Deferred[dns.Message] = Deferred(lambda _: self._end())
        self.silent: set[Server] = set()

    def start(self) -> Deferred[dns.Message]:
        """Begin; the Deferred gives a message or fails with NoAnswer within ``QUESTION_SECONDS``."""
        self._timers["end"] = self._clock.callLater(QUESTION_SECONDS, self._give_up)
        self._next()
        return self._done

    def _next(self) -> None:
        """Ask the next server, and plan the one after it."""
        timer = self._timers.pop("next", None)
        if timer is not None and timer.active():
            timer.cancel()
        if not self._waiting or self._done.called:
            return
        server = self._waiting.pop(0)
        self._timers["next"] = self._clock.callLater(PATIENCE_SECONDS, self._lose_patience, server)
        answer = self._ask(server, self._name, self._kind)
        self._open[answer] = server
        answer.addCallbacks(self._answered, self._failed, callbackArgs=(answer,), errbackArgs=(answer,))

    def _lose_patience(self, server: Server) -> None:
        self.silent.add(server)
        self._next()

    def _answered(self, message: dns.Message, answer: Deferred[dns.Message]) -> None:
        self.silent.discard(self._open.pop(answer))
        if not self._done.called:
            self._end()
            self._done.callback(message)

    def _failed(self, failure: Failure, answer: Deferred[dns.Message]) -> None:
        """A server failed: it is not asked again, the next one is at once."""
        server = self._open.pop(answer)
        if self._done.called or self._timers.get("end") is None:
            return
        self._problems[server] = str(failure.value)
        self._waiting = [other for other in self._waiting if other != server]
        if self._waiting:
            self._next()
        elif not self._open:
            self._end()
            self._done.errback(NoAnswer("; ".join(self._problems.values())))

    def _give_up(self) -> None:
        servers = sorted({written(server) for server in self._open.values()})
        self.silent.update(self._open.values())
        self._end()
        said = [f"no answer from {', '.join(servers)} in {QUESTION_SECONDS:.0f} s", *self._problems.values()]
        self._done.errback(NoAnswer("; ".join(said), timed_out=True))

    def _end(self) -> None:
        timers, self._timers = self._timers, {}
        for timer in timers.values():
            if timer.active():
                timer.cancel()
        self._waiting = []
        for answer in list(self._open):
            answer.cancel()
