"""The content of an answer on its way to the client, framed anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corpproxy.errors import CorpproxyError, ProtocolError, UpstreamError
from corpproxy.exchange.refusal import AnswerTooLong
from corpproxy.http1.body import LengthReader, body_reader, body_writer
from corpproxy.http1.forward import forward_trailers
from corpproxy.http1.framing import Framing
from corpproxy.net.deadlines import NEVER
from corpproxy.net.wire import PUMPED_OCTETS

if TYPE_CHECKING:
    from corpproxy.exchange.commands import Relay
    from corpproxy.http1.limits import Limits
    from corpproxy.net.downstream import Downstream
    from corpproxy.net.engine.pump import Pump
    from corpproxy.net.run import Run
    from corpproxy.net.upstream import Upstream


class ContentRelay:
    """
    Moves one answer: the sink of the server's connection while its content comes.

    The head waits for the first content, so that a short answer leaves in one piece.
    """

    __slots__ = (
        "_downstream",
        "_framing",
        "_head",
        "_left",
        "_pump",
        "_reader",
        "_run",
        "_upstream",
        "_writer",
        "over",
    )

    def __init__(
        self, run: Run, downstream: Downstream, upstream: Upstream, command: Relay, limits: Limits
    ) -> None:
        self._run = run
        self._downstream = downstream
        self._upstream = upstream
        self._head = command.head
        self._framing = command.framing
        # The octets of content that may still come; -1 for any.
        self._left = command.limit_octets
        self._reader = body_reader(command.answer.body, limits)
        self._writer = body_writer(command.framing)
        self._pump: Pump | None = None
        self.over = False

    def start(self) -> None:
        """Send what is there, and all that comes, until the answer ends."""
        downstream, upstream = self._downstream, self._upstream
        downstream.fed_by(upstream)
        upstream.pass_to(self)
        if self.over:
            return
        self._await_content()
        if self._head:
            self._send([])
        if self._reader.done:
            self._finish()
        else:
            self._let_the_kernel_move()

    def abandon(self) -> None:
        """The client is gone: the server need not go on."""
        self._part(whole=False)

    def octets(self, data: bytes) -> None:
        """Take octets of the answer."""
        upstream = self._upstream
        upstream.received += len(data)
        self._await_content()
        reader = self._reader
        try:
            pieces = reader.feed(data)
        except ProtocolError as error:
            self._fail(
                UpstreamError(
                    "answer-invalid",
                    f"the content is invalid: {error.message}",
                    phase="content",
                    answered=True,
                )
            )
            return
        if self._left >= 0 and not self._may_come(sum(map(len, pieces))):
            return
        self._send(pieces)
        if reader.done:
            upstream.received -= len(reader.rest)
            self._finish()

    def _may_come(self, octets: int) -> bool:
        """Whether so much more content may go to the client; the exchange fails when it may not."""
        if octets > self._left:
            said = "the answer has more content than a rule lets through"
            self._fail(AnswerTooLong("answer-too-long", said))
            return False
        self._left -= octets
        return True

    def half_closed(self) -> None:
        """The server ended its stream: that is the end of the content, or cuts it short."""
        self._ended("answer-cut-short")

    def lost(self, clean: bool) -> None:
        """The connection is gone, or nothing came over it in time."""
        if clean:
            self._ended("answer-cut-short")
        elif self._upstream.gone:
            self._fail(
                UpstreamError(
                    "answer-cut-short", "the server broke the answer off", phase="content", answered=True
                )
            )
        else:
            self._fail(
                UpstreamError(
                    "content-timeout",
                    "no content came in time",
                    phase="content",
                    answered=True,
                    timed_out=True,
                )
            )

    # Long content of a known length: what was seen of it says all that we must know.

    def _let_the_kernel_move(self) -> None:
        reader = self._reader
        if isinstance(reader, LengthReader) and reader.left >= PUMPED_OCTETS:
            self._pump = self._upstream.pump_to(
                self._downstream, self._pump_took, self._pump_gave, reader.left, self._finish
            )

    def _pump_took(self, octets: int) -> None:
        self._upstream.received += octets
        self._reader.pass_over(octets)  # type: ignore[attr-defined]
        self._await_content()

    def _pump_gave(self, octets: int) -> None:
        self._downstream.exchange.account.sent += octets

    def _await_content(self) -> None:
        """Wait for more of the answer, or for a client that is full to take some of it."""
        upstream = self._upstream
        waited_for = self._downstream if self._downstream.full else upstream
        waited_for.deadline = upstream.deadlines.now + upstream.timeouts.content

    def _send(self, pieces: list[bytes]) -> None:
        write = self._writer.piece
        if self._framing is Framing.CHUNKED:
            parts = [part for piece in pieces for part in write(piece)]
        else:
            parts = pieces
        if self._reader.done:
            parts.append(self._writer.end(forward_trailers(self._reader.trailers)))
        if self._head:
            parts.insert(0, self._head)
            self._head = b""
        if parts:
            self._downstream.write(b"".join(parts) if len(parts) > 1 else parts[0])

    def _ended(self, code: str) -> None:
        try:
            self._reader.end_of_stream()
        except ProtocolError as error:
            self._fail(
                UpstreamError(
                    code,
                    f"the server ended its answer early: {error.message}",
                    phase="content",
                    answered=True,
                )
            )
            return
        self._send([])
        self._finish()

    def _finish(self) -> None:
        self._part(whole=self._downstream.exchange.content_over)
        self._run.succeed()

    def _fail(self, error: CorpproxyError) -> None:
        if self._framing is Framing.CLOSE and not self._head:
            # The answer has begun: only a reset tells this client that its content is not whole (RFC 9112,
            # section 8).
            self._downstream.abort_at_end = True
        self._part(whole=False)
        self._run.fail(error)

    def _part(self, *, whole: bool) -> None:
        self.over = True
        downstream, upstream = self._downstream, self._upstream
        if self._pump is not None:
            self._pump.stop()
        if self._reader.rest:
            # More than was announced: never the next answer (RFC 9112, section 6.3).
            upstream.keep = False
        downstream.fed_no_more()
        downstream.deadline = NEVER
        upstream.deadline = NEVER
        downstream.part()
        upstream.release(whole)
        if not whole and downstream.upload is not None:
            downstream.upload.stop_sending()
