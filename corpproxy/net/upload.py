"""The content of a request on its way: to the server, to one of our own pages, or nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from corpproxy.errors import ProtocolError
from corpproxy.http1.body import LengthReader, body_reader, body_writer
from corpproxy.http1.forward import forward_trailers
from corpproxy.http1.framing import Body
from corpproxy.http1.limits import Limits
from corpproxy.net.deadlines import NEVER
from corpproxy.net.wire import PUMPED_OCTETS

if TYPE_CHECKING:
    from corpproxy.net.downstream import Downstream
    from corpproxy.net.engine.pump import Pump
    from corpproxy.net.upstream import Upstream


class Taker(Protocol):
    """Takes the content of a request."""

    def content(self, pieces: list[bytes]) -> None:
        """Take content."""

    def content_over(self) -> None:
        """All content has come."""

    def content_failed(self, error: ProtocolError) -> None:
        """The content breaks the rules; the connection is of no more use."""


class Upload:
    """
    Reads the content of one request off a client connection.

    Nothing is read from the connection beyond what it holds until somebody takes the content.  ``over`` says
    that the end was reached; what came behind it is held for the next exchange.
    """

    def __init__(self, downstream: Downstream, body: Body, limits: Limits) -> None:
        self._downstream = downstream
        self._reader = body_reader(body, limits, content_octets=limits.content_octets)
        self._body = body
        self._taker: Taker | None = None
        self._pump: Pump | None = None
        self.broken = False

    @property
    def over(self) -> bool:
        """Whether all content has come."""
        return self._reader.done

    def pass_to(self, taker: Taker) -> None:
        """Let ``taker`` have the content from now on: also what is held already."""
        self._taker = taker
        downstream = self._downstream
        if downstream.when_late is None and not self.over:
            # Also for the first octets: who announces content and sends none must not stay for ever.
            downstream.deadline = downstream.deadlines.now + downstream.timeouts.content
        if downstream.sink is not self:
            downstream.sink = self
            held = downstream.held.take()
            if held:
                self.octets(held)

    def pass_upstream(self, upstream: Upstream) -> None:
        """Send the content to a server, in the framing it came in."""
        taker = _Upstream(self, upstream, self._downstream, self._body)
        self.pass_to(taker)
        reader = self._reader
        if self._taker is taker and isinstance(reader, LengthReader) and reader.left >= PUMPED_OCTETS:
            self._pump = self._downstream.pump_to(
                upstream, self._pump_took, taker.pump_gave, reader.left, self._pump_ended
            )

    def _pump_took(self, octets: int) -> None:
        downstream = self._downstream
        downstream.exchange.account.received += octets
        self._reader.pass_over(octets)  # type: ignore[attr-defined]
        if downstream.when_late is None:
            downstream.deadline = downstream.deadlines.now + downstream.timeouts.content

    def _pump_ended(self) -> None:
        self._pump = None
        taker = self._taker
        self._stop(broken=False)
        if taker is not None:
            taker.content_over()

    def stop_sending(self) -> None:
        """The server is gone: what still comes is held until somebody wants it."""
        self._taker = None
        if self._pump is not None:
            self._pump.stop()
            self._pump = None
        downstream = self._downstream
        if downstream.sink is self:
            downstream.sink = downstream.held
            downstream.deadline = NEVER

    def octets(self, data: bytes) -> None:
        """Take octets off the connection."""
        downstream = self._downstream
        account = downstream.exchange.account
        account.received += len(data)
        if downstream.when_late is None:
            downstream.deadline = downstream.deadlines.now + downstream.timeouts.content
        taker = self._taker
        assert taker is not None
        try:
            pieces = self._reader.feed(data)
        except ProtocolError as error:
            self._stop(broken=True)
            taker.content_failed(error)
            return
        if self._reader.done:
            rest = self._reader.rest
            account.received -= len(rest)
            self._stop(broken=False)
            if rest:
                downstream.held.octets(rest)
        if pieces:
            taker.content(pieces)
        if self._reader.done and self._taker is taker:
            taker.content_over()

    def trailers(self) -> bytes:
        """What ends the content toward the server, trailers with it."""
        return body_writer(self._body.framing).end(forward_trailers(self._reader.trailers))

    def half_closed(self) -> None:
        """The client closed its side in the middle of its content."""
        self._downstream.client_gone()

    def lost(self, clean: bool) -> None:
        """The connection is gone in the middle of the content."""
        self._downstream.client_gone()

    def _stop(self, *, broken: bool) -> None:
        self.broken = broken
        downstream = self._downstream
        downstream.sink = downstream.held
        downstream.deadline = NEVER
        if not broken:
            downstream.exchange.content_over = True


class _Upstream:
    """Sends content to a server; the server not taking it holds the client."""

    def __init__(self, upload: Upload, upstream: Upstream, downstream: Downstream, body: Body) -> None:
        self._upload = upload
        self._upstream = upstream
        self._downstream = downstream
        self._writer = body_writer(body.framing)
        upstream.fed_by(downstream)

    def content(self, pieces: list[bytes]) -> None:
        write = self._writer.piece
        octets = b"".join([part for piece in pieces for part in write(piece)])
        self._upstream.write(octets)

    def pump_gave(self, octets: int) -> None:
        """The kernel moved octets to the server."""
        self._upstream.sent += octets

    def content_over(self) -> None:
        end = self._upload.trailers()
        if end:
            self._upstream.write(end)
        self._upstream.fed_no_more()
        self._upstream.await_answer()

    def content_failed(self, error: ProtocolError) -> None:
        self._downstream.cancel(error)


class Gather:
    """Gathers content for a page of our own, up to a bound."""

    def __init__(self, limit_octets: int, done: Gathered) -> None:
        self._limit = limit_octets
        self._done = done
        self._pieces: list[bytes] = []
        self._octets = 0
        self._failed = False

    def content(self, pieces: list[bytes]) -> None:
        self._pieces += pieces
        self._octets += sum(map(len, pieces))
        if self._octets > self._limit:
            self._pieces.clear()
            if not self._failed:
                self._failed = True
                self._done.fail(
                    ProtocolError("content-too-large", f"a form has at most {self._limit} octets", status=413)
                )

    def content_over(self) -> None:
        if not self._failed:
            self._done.succeed(b"".join(self._pieces))

    def content_failed(self, error: ProtocolError) -> None:
        self._done.fail(error)


class Gathered(Protocol):
    """Who waits for gathered content: a run."""

    def succeed(self, outcome: bytes) -> None:
        """Here it is."""

    def fail(self, failure: BaseException) -> None:
        """It will not come."""


class Waste:
    """Takes content that nobody wants, up to a bound, so that the client gets to read our answer."""

    def __init__(self, limit_octets: int, too_much: Wasted, done: Wasted) -> None:
        self._left = limit_octets
        self._too_much = too_much
        self._done = done

    def content(self, pieces: list[bytes]) -> None:
        self._left -= sum(map(len, pieces))
        if self._left < 0:
            self._too_much()

    def content_over(self) -> None:
        self._done()

    def content_failed(self, error: ProtocolError) -> None:
        self._done()


class Wasted(Protocol):
    """Told that no more content comes, or too much."""

    def __call__(self) -> None:
        """Go on."""
