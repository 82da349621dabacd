"""Fetching: one request on its way to a server until the head of its answer is there."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from corpproxy.born import born
from corpproxy.errors import UpstreamError
from corpproxy.exchange.commands import Answer, Fetch
from corpproxy.http1.forward import forward_response
from corpproxy.http1.framing import Body, Framing
from corpproxy.http1.signing_in import signs_in_connection
from corpproxy.http1.steering import expects_continue
from corpproxy.net.reach import Reach
from corpproxy.net.upstream import Server, Upstream

if TYPE_CHECKING:
    from corpproxy.http1.head import ResponseHead
    from corpproxy.net.downstream import Downstream
    from corpproxy.net.run import Run

log = Logger()

# As the class would make it, without its Python.
_server: Callable[[tuple[str, int]], Server] = partial(tuple.__new__, Server)

# How long a client that waits for 100 (Continue) is kept waiting for the server's.  Then it gets ours,
# because servers of HTTP/1.0 never send one, and clients give up on it in their own time (curl after 1 s).
CONTINUE_SECONDS = 1.0
_answer = born(Answer, "head", "body", "connection")
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Fetching:
    """
    One request under way.

    A kept connection is used where there is one; else the request waits for its turn at the server and for
    a new connection.
    """

    __slots__ = ("_command", "_continue", "_downstream", "_run", "_server", "_waiting")

    def __init__(self, run: Run, downstream: Downstream, command: Fetch) -> None:
        self._run = run
        self._downstream = downstream
        self._command = command
        self._server = _server((command.dial.name, command.port))
        self._waiting: Deferred[Any] | Reach | None = None
        self._continue: IDelayedCall | None = None

    def start(self) -> None:
        """Find a connection and send the request."""
        command, downstream = self._command, self._downstream
        pool, server = downstream.proxy.pool, self._server
        self._run.abandon = self.abandon
        upstream = None
        if not command.fresh:
            pins = downstream.pins
            if pins is not None:
                upstream = pins.take(server, command.addresses)
            if upstream is None:
                upstream = pool.take(server, command.addresses)
        if upstream is not None:
            self.reached(upstream)
        elif pool.may_open(server):
            self._connect()
        else:
            self._wait(pool.turn(server), self._turn)

    def join(self, upstream: Upstream) -> None:
        """The request was sent ahead of its road (`corpproxy.net.ahead`): wait for its answer."""
        self._run.abandon = self.abandon
        upstream.asker = self

    def abandon(self) -> None:
        """The road was cancelled: what is pending is given up."""
        self._stop_continue()
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting.cancel()
        downstream = self._downstream
        upstream = downstream.upstream
        if upstream is not None:
            downstream.part()
            upstream.forget()
        if downstream.upload is not None:
            downstream.upload.stop_sending()

    def _connect(self) -> None:
        command, downstream = self._command, self._downstream
        reach = self._waiting = Reach(downstream.proxy, downstream.exchange, command.addresses, self)
        reach.connect(self._server, command.dial)

    def _wait(self, waiting: Deferred[Any], then: Callable[[Any], None]) -> None:
        self._waiting = waiting
        waiting.addCallback(then)
        waiting.addErrback(self.not_reached)

    def _turn(self, upstream: Upstream | None) -> None:
        """Our turn came: with a connection that another exchange gave back, or to open one."""
        self._waiting = None
        if upstream is None:
            self._connect()
        elif upstream.address_class in self._command.addresses:
            self.reached(upstream)
        else:
            upstream.discard()
            self.start()

    def not_reached(self, problem: BaseException | Failure) -> None:
        """There is no connection to the server."""
        failure = problem if isinstance(problem, Failure) else Failure(problem)  # type: ignore[no-untyped-call]
        if self._waiting is None and failure.check(CancelledError):  # type: ignore[no-untyped-call]
            return
        self._waiting = None
        if not self._run.over:
            self._run.fail(failure)
        else:
            log.failure("after the end of an exchange", failure)

    # The request is sent.

    def reached(self, upstream: Upstream) -> None:
        """A connection to the server is there: send the request."""
        self._waiting = None
        downstream, command = self._downstream, self._command
        exchange = downstream.exchange
        downstream.upstream = upstream
        exchange.upstream = upstream.address
        upstream.asked_at = downstream.proxy.reactor.seconds()
        head = exchange.head
        fields = head.fields
        if not fields.outline.is_plain and signs_in_connection(fields, b"authorization"):
            downstream.pin(upstream)
        upload = downstream.upload
        is_whole = upload is None or upload.over
        upstream.ask(self, command.method, command.head, is_whole=is_whole)
        if upload is None or is_whole:
            return
        if expects_continue(exchange.head):
            self._continue = downstream.proxy.reactor.callLater(CONTINUE_SECONDS, self._continue_ourselves)
        upload.pass_upstream(upstream)

    def _continue_ourselves(self) -> None:
        self._continue = None
        downstream = self._downstream
        if not downstream.exchange.content_over and downstream.exchange.account.received <= (
            downstream.exchange.head.octets
        ):
            downstream.send_interim(CONTINUE)

    def _stop_continue(self) -> None:
        if self._continue is not None:
            self._continue.cancel()
            self._continue = None

    # The asker of the connection.

    def interim(self, head: ResponseHead) -> None:
        """Pass a 1xx on, to clients that know of them (RFC 9110, section 15.2)."""
        exchange = self._downstream.exchange
        if head.status == 100:
            if self._continue is None:
                return  # nobody waits for it, or it had ours already
            self._stop_continue()
        if exchange.head.version >= 11:
            octets = forward_response(head, framing=Framing.NONE, via=exchange.in_force.via)
            self._downstream.send_interim(octets)

    def answered(self, head: ResponseHead, body: Body) -> None:
        """The answer has begun."""
        if self._continue is not None:
            self._stop_continue()
        downstream = self._downstream
        exchange, upstream = downstream.exchange, downstream.upstream
        assert upstream is not None
        exchange.first_octet_seconds = downstream.proxy.reactor.seconds() - upstream.asked_at
        if upstream.challenges and not upstream.bound:
            downstream.pin(upstream)
        self._run.succeed(_answer(head, body, upstream))

    def failed(self, error: UpstreamError) -> None:
        """There will be no answer."""
        self._stop_continue()
        downstream = self._downstream
        downstream.part()
        if downstream.upload is not None:
            downstream.upload.stop_sending()
        self._run.fail(error)
