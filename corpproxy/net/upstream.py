"""The upstream side: one connection to a server, which serves one exchange at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from twisted.python.failure import Failure

from corpproxy import twins
from corpproxy.born import born
from corpproxy.destination.addresses import address_class
from corpproxy.destination.model import AddressClass
from corpproxy.errors import ProtocolError, UpstreamError
from corpproxy.exchange.limits import Timeouts
from corpproxy.http1.framing import Body, answer_framing
from corpproxy.http1.head import ResponseHead, ResponseReader
from corpproxy.http1.limits import Limits
from corpproxy.net.deadlines import NEVER, Deadlines
from corpproxy.net.wire import FULL, GONE, LOST, UNTAKEN, Sink, Wire

# The heads of all 1xx before one answer, together.  Servers send a 103 with links, or a 102 now and then; one
# that sends them without end fills our memory when its client does not read.
MAX_INTERIM_OCTETS = 256 * 1024


class _Written(dict[tuple[str, int], tuple[str, AddressClass]]):
    """Addresses as they are recorded, with their classes: all tunnels to one server keep one text."""

    BOUND = 4096

    def __missing__(self, address: tuple[str, int]) -> tuple[str, AddressClass]:
        host, port = address
        text = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        if len(self) >= self.BOUND:
            self.clear()
        known = self[address] = text, address_class(host)
        return known


written = _Written()


class Server(NamedTuple):
    """
    What makes two connections interchangeable: the pool's key.

    ``host`` is the one that was dialled, in normal form.
    """

    host: str
    port: int


class _Servers(dict[tuple[str, int], Server]):
    """Servers as tunnels keep them: all to the same one keep one."""

    BOUND = 4096

    def __missing__(self, place: tuple[str, int]) -> Server:
        if len(self) >= self.BOUND:
            self.clear()
        made = self[place] = Server(*place)
        return made


servers = _Servers()


class Keeper(Protocol):
    """Keeps connections between exchanges: the pool."""

    def give_back(self, upstream: Upstream) -> None:
        """Take a connection whose exchange is over."""

    def closed(self, upstream: Upstream) -> None:
        """A connection is lost."""


class Asker(Protocol):
    """Waits for the answer to a request."""

    def interim(self, head: ResponseHead) -> None:
        """A 1xx came; the answer follows."""

    def answered(self, head: ResponseHead, body: Body) -> None:
        """The answer has begun; its content waits in the connection."""

    def failed(self, error: UpstreamError) -> None:
        """There will be no answer."""


class EndInPython:
    """How the connection to a server is lost; ``native/reach.c`` is made after it, of `Upstream`."""

    __slots__ = ()

    if TYPE_CHECKING:
        keeper: Keeper | None
        sink: Sink

    def connectionLost(self: Upstream, reason: Failure = LOST) -> None:  # type: ignore[misc]
        if self.keeper is not None:
            self.keeper.closed(self)
        Wire.connectionLost(self, reason)
        if self.sink is self:
            self.sink = GONE


if twins.wire is None or TYPE_CHECKING:
    _End = EndInPython
else:
    _End = twins.wire.ServerEnd


class Upstream(_End, Wire):
    """
    One connection to a server.

    Between exchanges it is its own sink: what comes then was not asked for and ends it.  ``received`` and
    ``sent`` count the octets of the present exchange.  ``reused`` says that it served another one
    before.  ``challenges`` says that the answer asks to sign in the whole connection, ``bound`` that a client
    signed in on it (NTLM, Negotiate): it then belongs to that client's connection alone.
    ``asker`` waits for the answer to what was asked at ``asked_at``, by the reactor's clock.  ``keeper`` is
    None for the connection of a tunnel, which nobody keeps; what comes over that one before it is joined
    waits.
    """

    __slots__ = (
        "_interim_octets",
        "_limits",
        "_method",
        "_reader",
        "address_class",
        "asked_at",
        "asker",
        "bound",
        "challenges",
        "keep",
        "keeper",
        "received",
        "reused",
        "sent",
        "server",
        "timeouts",
    )

    def __init__(
        self,
        server: Server,
        keeper: Keeper | None,
        deadlines: Deadlines,
        timeouts: Timeouts,
        limits: Limits,
    ) -> None:
        super().__init__(deadlines)
        self.server = server
        self.keeper = keeper
        self.timeouts = timeouts
        self.address_class = AddressClass.RESERVED
        self.sink = self
        self.reused = False
        self.bound = False
        self.challenges = False
        self.keep = False
        self.received = 0
        self.sent = 0
        self.asker: Asker | None = None
        self.asked_at = 0.0
        self._limits = limits
        self._method = b""
        self._interim_octets = 0

    def connectionMade(self) -> None:
        transport = self.transport
        transport.registerProducer(self, True)
        self.deadlines.watch(self)
        peer = transport.getPeer()
        self.address, self.address_class = written[peer.host, peer.port]

    # Asking.

    def ask(self, asker: Asker, method: bytes, head: bytes, *, is_whole: bool) -> None:
        """
        Send a request head; ``asker`` hears of the answer.

        ``is_whole`` says that no content follows, so that the server is waited for from now on.
        """
        if not self.reused:
            # Nobody asks over a tunnel.
            self._reader = ResponseReader(self._limits)
        self.asker = asker
        self._method = method
        self._interim_octets = 0
        self.deadline = self.deadlines.now + self.timeouts.answer if is_whole else NEVER
        self.received = 0
        self.sent = len(head)
        self.transport.write(head)

    def write(self, data: bytes) -> None:
        """Send content of the request, or octets of a tunnel."""
        self.sent += len(data)
        self.transport.write(data)

    def await_answer(self) -> None:
        """Its content is sent, too: from now on the server is waited for, unless it has answered already."""
        if self.asker is not None:
            self.deadline = self.deadlines.now + self.timeouts.answer

    def forget(self) -> None:
        """The asker wants no answer any more: the server need not go on with it."""
        self.asker = None
        self.release(False)

    # What comes while nobody takes content.

    def octets(self, data: bytes) -> None:
        """Take octets of an answer's head; between exchanges, octets that nobody asked for."""
        if self.asker is None:
            if self.keeper is None:
                self._untaken().octets(data)
            elif not self.closing:
                # A server that sends before it is asked, or more than it announced (RFC 9112, section 6.3):
                # its octets must never become the next answer.
                self.discard()
            return
        self.received += len(data)
        reader = self._reader
        try:
            head = reader.feed(data)
            while head is not None and head.status < 200 and head.is_interim:
                head = self._interim(head)
            if head is None:
                return
            body, keep, self.challenges = answer_framing(head, self._method)
        except ProtocolError as error:
            self._fail(
                UpstreamError(
                    "answer-invalid", f"the answer is invalid: {error.message}", phase="answer", answered=True
                )
            )
            return
        # After a 1xx it may be another one, whose road began with that (`corpproxy.net.ahead`).
        asker = self.asked_no_more()
        self.keep = keep
        self.deadline = NEVER
        rest = reader.rest
        if rest:
            reader.rest = b""
            self.received -= len(rest)  # whoever takes it counts it
        self.sink = waiting = Waiting(rest)
        asker.answered(head, body)
        if self.sink is waiting:
            self.hold(UNTAKEN)

    def _interim(self, head: ResponseHead) -> ResponseHead | None:
        """Tell of a 1xx; gives the head that came behind it, if one did and is waited for."""
        self._interim_octets += head.octets
        if self._interim_octets > MAX_INTERIM_OCTETS:
            raise ProtocolError("too-many-interim", "1xx answers without end")
        assert self.asker is not None
        self.asker.interim(head)
        return self._reader.feed(self._reader.take_rest()) if self._is_asked() else None

    def _is_asked(self) -> bool:
        """Whether somebody waits for an answer still, whoever it is."""
        return self.asker is not None

    def half_closed(self) -> None:
        """The server closed its side without an answer, or between exchanges: it is of no more use."""
        if self.asker is None and self.keeper is None:
            self._untaken().half_closed()
            return
        self.lost(True)
        if not self.closing:
            self.discard()

    def lost(self, clean: bool) -> None:
        """The connection is gone before the answer has come, or between exchanges."""
        if self.asker is not None:
            code, how = ("upstream-closed", "closed") if clean else ("upstream-reset", "reset")
            self._fail(
                UpstreamError(
                    code,
                    f"the server {self.address} {how} the connection without an answer",
                    phase="answer",
                    answered=self._reader.pending > 0,
                    reused=self.reused,
                )
            )
        elif self.keeper is None:
            self._untaken().lost(clean)

    def _untaken(self) -> Sink:
        """
        Take what comes over the connection of a tunnel that is not joined yet, until somebody takes it.

        Few servers speak before they are spoken to: for all others nothing is made.
        """
        if self.closing:
            return GONE
        self.await_taker()
        return self.sink

    def deadline_passed(self) -> None:
        """The server was waited for too long; between exchanges, the connection was kept long enough."""
        if self.asker is not None:
            self._fail(
                UpstreamError(
                    "answer-timeout",
                    f"the server {self.address} did not answer in time",
                    phase="answer",
                    timed_out=True,
                )
            )
        elif self.closing:
            self.abort()
        elif self.sink is self:
            self.discard()
        else:
            self.sink.lost(False)

    def asked_no_more(self) -> Asker:
        """Nobody waits for an answer from now on; gives who did."""
        asker, self.asker = self.asker, None
        assert asker is not None
        return asker

    def _fail(self, error: UpstreamError) -> None:
        asker = self.asked_no_more()
        self.forget()
        asker.failed(error)

    # Taking content.

    def await_taker(self) -> None:
        """Hold what the server sends until somebody takes it."""
        self.sink = Waiting(b"", self)

    def waiting_octets(self) -> int:
        """How many octets have come that nobody has taken yet."""
        return len(self.sink.held) if isinstance(self.sink, Waiting) else 0

    def take_whole(self, length: int) -> bytes | None:
        """Give the content of an answer if it came with its head, exactly so long, and nothing else did."""
        waiting = self.sink
        if not isinstance(waiting, Waiting) or waiting.ended or len(waiting.held) != length:
            return None
        self.received += length
        return waiting.held

    def pass_to(self, sink: Sink) -> None:
        """Let ``sink`` take all that came behind the head, and all that comes from now on."""
        waiting = self.sink
        if waiting is self and self.keeper is None:
            # Nothing came over the connection of a tunnel.
            self.sink = sink
            return
        assert isinstance(waiting, Waiting)
        if waiting.ended:
            self.keep = False
        self.sink = sink
        if waiting.held:
            sink.octets(waiting.held)
        if waiting.ended and self.sink is sink:
            if waiting.ended == "half":
                sink.half_closed()
            else:
                sink.lost(waiting.ended == "clean")
        if self.sink is sink and self.on_hold:
            self.go_on(UNTAKEN)

    def release(self, whole: bool) -> None:
        """
        The exchange is over; ``whole`` says that request and answer went to their ends.

        The next exchange may begin before anything more is read: what waits behind the answer already would
        become the answer to it (RFC 9112, section 6.3).
        """
        if self.source is not None:
            self.fed_no_more()
        self.sink = GONE if self.gone else self
        if self.pace is not None:
            self.pace.let_go()
        if self.gone:
            return
        if not whole:
            if self.keeper is not None:
                self.keeper.closed(self)
            self.abort()
        elif self.keep and self.keeper is not None and not self.has_unread():
            self.reused = True
            if self.on_hold:
                self.go_on(UNTAKEN | FULL)
            self.deadline = self.deadlines.now + self.timeouts.upstream_idle
            self.keeper.give_back(self)
        else:
            self.discard()

    def discard(self) -> None:
        """Close this connection and forget it."""
        if self.pace is not None:
            self.pace.let_go()
        if self.source is not None:
            self.fed_no_more()
        if self.keeper is not None:
            self.sink = GONE if self.gone else self
            self.keeper.closed(self)
        else:
            self.sink = GONE
        self.close()


class Waiting:
    """
    Holds what comes between the head of an answer and the moment somebody takes its content.

    A ``fresh`` connection is held when something comes: few servers speak before they are spoken to.
    """

    __slots__ = ("_fresh", "ended", "held")

    def __init__(self, rest: bytes, fresh: Upstream | None = None) -> None:
        self.held = rest
        self.ended = ""
        self._fresh = fresh

    def octets(self, data: bytes) -> None:
        self.held += data
        if self._fresh is not None:
            self._fresh.hold(UNTAKEN)

    def half_closed(self) -> None:
        self.ended = self.ended or "half"

    def lost(self, clean: bool) -> None:
        self.ended = "clean" if clean else "broken"


new_upstream = born(Upstream, "server", "keeper", "deadlines", "timeouts", "_limits")
