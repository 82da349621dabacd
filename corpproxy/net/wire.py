"""
The wire: one connection, whichever side it is on, and who takes what comes over it.

What a connection receives goes to its *sink*, which is exchanged as the connection passes from
one state to the next (idle, reading a head, content, tunnel).  When its transport can take no more, its
*source* - the connection on the other side - is told to hold.  So memory is bounded by what the
transports hold, and neither side knows what the other one is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocol, IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from corpproxy import twins
from corpproxy.net.deadlines import NEVER, Deadlines
from corpproxy.net.engine.pump import Pump
from corpproxy.net.pacing import STOCK_OCTETS, AnyPace, Pace, PacedProtocol

LOST = Failure(ConnectionDone())  # type: ignore[no-untyped-call]

# Why a connection is not read: nobody takes what it sends, the other side has its hands full, or a limit lets
# no more through now (`corpproxy.net.pacing`).  It is read again when none of these holds any more.
UNTAKEN = 1
FULL = 2

# A connection that we closed and whose peer does not read the rest is cut off after so long.
LINGER_SECONDS = 60.0


# Content of a known length of which at least this is still to come is moved by the kernel.  Below it, taking
# a pipe costs more than it saves.
PUMPED_OCTETS = 64 * 1024


class Sink(Protocol):
    """Takes what comes over a wire."""

    def octets(self, data: bytes) -> None:
        """Take octets."""

    def half_closed(self) -> None:
        """The peer will send no more, and may still read."""

    def lost(self, clean: bool) -> None:
        """The connection is gone; ``clean`` unless it was reset or broke."""


class _Gone:
    """The sink of a connection that is gone, over which nothing comes any more."""

    def octets(self, data: bytes) -> None:
        """Nothing comes."""

    def half_closed(self) -> None:
        """It has ended before."""

    def lost(self, clean: bool) -> None:
        """It was told before."""


# A connection that is its own sink refers to itself.  Once it is gone this takes the place, so that it is
# freed there and then: what waits for the collector is cold when its memory is used again.
GONE = _Gone()


class SideInPython:
    """
    What both sides of an exchange do for each piece; ``native/sides.c`` is made after it.

    The members are those of `Wire`.
    """

    if not TYPE_CHECKING:
        __slots__ = ()

    def makeConnection(self, transport: Any) -> None:
        """Begin to serve a connected transport."""
        self.transport = transport
        self.connectionMade()

    # What comes.

    def dataReceived(self, data: bytes) -> None:
        self.sink.octets(data)

    def readConnectionLost(self) -> None:
        self.read_ended = True
        self.sink.half_closed()

    def connectionLost(self, reason: Failure = LOST) -> None:
        self.deadlines.drop(self, None)
        self.gone = True
        self.sink.lost(isinstance(reason.value, ConnectionDone))

    # What goes.

    def end_writing(self) -> None:
        """Send the end of the stream once all is written, and go on reading."""
        self.transport.loseWriteConnection()

    def close(self) -> None:
        """Close once all is written."""
        if not self.gone and not self.closing:
            self.closing = True
            self.deadline = self.deadlines.now + LINGER_SECONDS
            self.transport.unregisterProducer()
            self.transport.loseConnection()

    # Holding back.

    def fed_by(self, source: Wire) -> None:
        """From now on ``source`` is held while this connection is full; it may be so already."""
        self.source = source
        if self.full:
            source.hold(FULL)
            self.filled()

    def fed_no_more(self) -> None:
        """Nothing more comes from the source."""
        source, self.source = self.source, None
        if source is not None and source.on_hold:
            source.go_on(FULL)

    def hold(self, why: int) -> None:
        """Read no more for now."""
        if not self.on_hold and not self.gone and not self.read_ended:
            self.transport.pauseProducing()
        self.on_hold |= why

    def go_on(self, why: int) -> None:
        """Read again, unless there is another reason not to."""
        if self.on_hold:
            self.on_hold &= ~why
            # After the end of the stream a reactor would tell of that end again, and again.
            if not self.on_hold and not self.gone and not self.read_ended:
                self.transport.resumeProducing()

    # What only the whole wire knows.

    if TYPE_CHECKING:
        transport: Any
        sink: Sink
        deadlines: Deadlines
        deadline: float
        source: Wire | None
        on_hold: int
        full: bool
        gone: bool
        closing: bool
        read_ended: bool

        def connectionMade(self) -> None: ...
        def deadline_passed(self) -> None: ...
        def filled(self) -> None: ...


if twins.wire is None or TYPE_CHECKING:
    Side = SideInPython
else:
    Side = twins.wire.Side


@implementer(IProtocol, IHalfCloseableProtocol, IPushProducer)
class Wire(Side):
    """
    A connection with a sink, a source and a deadline.

    It is no `twisted.internet.protocol.Protocol`: those have a dictionary each, which is larger than all
    that stands in it here.

    ``address`` is that of the peer.  ``gone`` is set once the connection is lost.  ``closing`` says that we
    closed it, and only wait for the peer to read the rest.  ``on_hold`` are the reasons not to read.
    """

    __slots__ = (
        "address",
        "closing",
        "deadline",
        "deadlines",
        "full",
        "gone",
        "on_hold",
        "pace",
        "read_ended",
        "sink",
        "source",
        "transport",
    )

    transport: Any
    sink: Sink
    source: Wire | None

    def __init__(self, deadlines: Deadlines) -> None:
        self.deadlines = deadlines
        self.deadline = NEVER
        self.source = None
        self.on_hold = 0
        self.pace: AnyPace | None = None
        self.full = self.gone = self.closing = self.read_ended = False

    def connectionMade(self) -> None:
        self.transport.registerProducer(self, True)
        self.deadlines.watch(self)

    def deadline_passed(self) -> None:
        """What happens is for the two kinds of connections to say."""
        raise AssertionError("a connection knows what its deadline means")

    def writeConnectionLost(self) -> None:
        """The peer took all and closed its side for reading; what it sends still comes."""

    def has_unread(self) -> bool:
        """Whether octets have come that no sink was given yet; of a stock transport nobody knows."""
        has_unread = getattr(self.transport, "has_unread", None)
        return has_unread is not None and has_unread()

    def abort(self) -> None:
        """Close now, with a reset."""
        if not self.gone:
            if not self.closing:
                self.closing = True
                self.transport.unregisterProducer()
            self.deadline = NEVER
            self.transport.abortConnection()

    def pump_to(
        self,
        other: Wire,
        took: Callable[[int], None],
        gave: Callable[[int], None],
        limit: int | None = None,
        done: Callable[[], None] | None = None,
    ) -> Pump | None:
        """Let the kernel move what comes to another wire, where both transports can; None where not."""
        if self.gone or other.gone or not hasattr(self.transport, "pump_to"):
            return None
        pump: Pump = self.transport.pump_to(other.transport, took, gave, limit, done)
        return pump

    # As fast as its limits let it.

    @property
    def may_be_paced(self) -> bool:
        """Whether its transport asks before each read; a stock one reads as much as it was told before."""
        return hasattr(self.transport, "paced_by")

    def paced_by(self, pace: AnyPace | None) -> None:
        """Read at this pace from now on, or as it comes."""
        self.pace = pace
        if self.gone:
            return
        transport = self.transport
        paced_by = getattr(transport, "paced_by", None)
        if paced_by is not None:
            paced_by(pace)
        elif pace is None:
            transport.protocol = self
            transport.bufferSize = STOCK_OCTETS
        else:
            assert isinstance(pace, Pace)
            PacedProtocol(self, pace)

    # Holding back: the transport tells us that it is full, we tell the other side to hold.

    def pauseProducing(self) -> None:
        self.full = True
        if self.source is not None:
            self.source.hold(FULL)
            self.filled()

    def resumeProducing(self) -> None:
        self.full = False
        if self.source is not None:
            self.source.go_on(FULL)
            self.drained()

    def stopProducing(self) -> None:
        """The transport is being lost; `connectionLost` follows."""

    def filled(self) -> None:
        """The peer does not read as fast as the source sends: from here on it is waited for."""
        assert self.source is not None
        self.source.deadline, self.deadline = NEVER, self.source.deadline

    def drained(self) -> None:
        """The peer took what was written: the source is waited for again."""
        assert self.source is not None
        self.source.deadline, self.deadline = self.deadline, NEVER


if twins.wire is not None:
    twins.wire.set_side(Wire, Deadlines, ConnectionDone, LOST, LINGER_SECONDS, GONE)
