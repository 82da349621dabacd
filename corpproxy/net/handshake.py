"""
The opening handshake of a WebSocket in a tunnel: until the server has agreed, the client sends no more.

The request that begins such a tunnel was looked at; what comes behind it was not.  Moved freely from its
first octet, a tunnel to one host of a server would carry plain requests to all its others, which no rule saw.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from corpproxy.errors import ProtocolError, UpstreamError
from corpproxy.exchange.refusal import TunnelEnded
from corpproxy.http1.head import ResponseHead, ResponseReader
from corpproxy.http1.steering import upgrade_protocol
from corpproxy.net.deadlines import NEVER

if TYPE_CHECKING:
    from corpproxy.net.downstream import Downstream
    from corpproxy.net.run import Run
    from corpproxy.net.upstream import Upstream


class Handshake:
    """
    The sink of both connections of a tunnel until the server answers the upgrade.

    The outcome is whether it changed the protocol (101).  Otherwise its answer goes to the client, and the
    tunnel ends with it.
    """

    def __init__(self, run: Run, downstream: Downstream, upstream: Upstream, octets: int) -> None:
        self._run = run
        self._octets = octets
        self._downstream = downstream
        self._upstream = upstream
        self._reader = ResponseReader(downstream.exchange.in_force.limits)
        self._refused = False
        self._over = False

    def start(self) -> None:
        """Send the request, which is held and nothing behind it, and wait for the answer."""
        downstream, upstream = self._downstream, self._upstream
        self._run.abandon = self._stop
        downstream.sink = _Client(self)
        request = downstream.held.take()
        if len(request) > self._octets:
            self.client_sent(len(request))
            return
        downstream.exchange.account.received += len(request)
        upstream.write(request)
        downstream.fed_by(upstream)
        self._await(upstream.timeouts.answer)
        upstream.pass_to(self)

    def client_sent(self, octets: int) -> None:
        """The client did not wait for the answer, or sends more after it was no 101."""
        self._downstream.exchange.account.received += octets
        self._fail(
            TunnelEnded("tunnel-content", "octets behind a WebSocket upgrade that the server did not take")
        )

    def client_left(self) -> None:
        """The client is gone, or ended its side; a handshake has no end of the stream in it."""
        self._downstream.client_gone()

    # What the server sends.

    def octets(self, data: bytes) -> None:
        """Take octets of the answer."""
        if self._refused:
            self._pass_on(data)
            return
        try:
            head = self._reader.feed(data)
            while head is not None and head.is_interim:
                head = self._reader.feed(self._reader.take_rest())
        except ProtocolError as fault:
            self._fail(
                UpstreamError("answer-invalid", f"the answer is invalid: {fault.message}", phase="answer")
            )
            return
        rest = self._reader.take_rest()
        self._pass_on(data[: len(data) - len(rest)])
        if head is not None and not self._over:
            self._answered(head, rest)

    def half_closed(self) -> None:
        """The server ended its stream: without an answer, or behind one that was no 101."""
        self.lost(True)

    def lost(self, clean: bool) -> None:
        """The connection is gone, or the answer did not come in time."""
        if not clean and not self._upstream.gone:
            self._fail(
                UpstreamError(
                    "answer-timeout", "the server did not answer in time", phase="answer", timed_out=True
                )
            )
        elif self._refused:
            self._succeed(False)
        else:
            self._fail(
                UpstreamError("upstream-closed", "the server closed without an answer", phase="answer")
            )

    def _answered(self, head: ResponseHead, rest: bytes) -> None:
        if head.status == 101 and upgrade_protocol(head) == b"websocket":
            upstream = self._upstream
            upstream.await_taker()
            if rest:
                upstream.sink.octets(rest)
            self._succeed(True)
            return
        self._refused = True
        if rest:
            self._pass_on(rest)

    def _pass_on(self, data: bytes) -> None:
        self._upstream.received += len(data)
        self._await(self._upstream.timeouts.content if self._refused else self._upstream.timeouts.answer)
        self._downstream.write(data)

    def _await(self, seconds: float) -> None:
        waited_for = self._downstream if self._downstream.full else self._upstream
        waited_for.deadline = self._upstream.deadlines.now + seconds

    # The end.

    def _succeed(self, upgraded: bool) -> None:
        self._stop()
        self._run.succeed(upgraded)

    def _fail(self, error: TunnelEnded | UpstreamError) -> None:
        if not self._over:
            self._stop()
            self._run.fail(error)

    def _stop(self) -> None:
        self._over = True
        downstream, upstream = self._downstream, self._upstream
        downstream.fed_no_more()
        downstream.deadline = upstream.deadline = NEVER
        downstream.sink = downstream.held


class _Client:
    """What the client sends in the meantime."""

    __slots__ = ("_handshake",)

    def __init__(self, handshake: Handshake) -> None:
        self._handshake = handshake

    def octets(self, data: bytes) -> None:
        self._handshake.client_sent(len(data))

    def half_closed(self) -> None:
        self._handshake.client_left()

    def lost(self, clean: bool) -> None:
        self._handshake.client_left()
