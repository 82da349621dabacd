"""
The wire: one connection, whichever side it is on, and who takes what comes over it.

What a connection receives goes to its *sink*, which is exchanged as the connection passes from
one state to the next (idle, reading a head, content, tunnel).  When its transport can take no more, its
*source* - the connection on the other side - is told to hold.  So memory is bounded by what the
transports hold, and neither side knows what the other one is.
"""

from __future__ import annotations

from typing import Any, Protocol

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from corpproxy.net.deadlines import NEVER, Deadlines

LOST = Failure(ConnectionDone())  # type: ignore[no-untyped-call]


class Sink(Protocol):
    """Takes what comes over a wire."""

    def octets(self, data: bytes) -> None:
        """Take octets."""

    def half_closed(self) -> None:
        """The peer will send no more, and may still read."""

    def lost(self, clean: bool) -> None:
        """The connection is gone; ``clean`` unless it was reset or broke."""


@implementer(IHalfCloseableProtocol, IPushProducer)
class Wire(TwistedProtocol):
    """
    A connection with a sink, a source and a deadline.

    ``address`` is that of the peer.  ``gone`` is set once the connection is lost or was given up.
    """

    transport: Any
    sink: Sink
    source: Wire | None = None
    full = False
    gone = False
    on_hold = False
    deadline = NEVER
    address = ""

    def __init__(self, deadlines: Deadlines) -> None:
        self.deadlines = deadlines

    def connectionMade(self) -> None:
        self.transport.registerProducer(self, True)
        self.deadlines.watch(self)

    def deadline_passed(self) -> None:
        """What happens is for the two kinds of connections to say."""
        raise AssertionError("a connection knows what its deadline means")

    # What comes.

    def dataReceived(self, data: bytes) -> None:
        self.sink.octets(data)

    def readConnectionLost(self) -> None:
        self.sink.half_closed()

    def writeConnectionLost(self) -> None:
        """The peer took all and closed its side for reading; what it sends still comes."""

    def connectionLost(self, reason: Failure = LOST) -> None:
        self.deadlines.release(self)
        self.gone = True
        clean = reason.check(ConnectionDone)  # type: ignore[no-untyped-call]
        self.sink.lost(bool(clean))

    # What goes.

    def end_writing(self) -> None:
        """Send the end of the stream once all is written, and go on reading."""
        self.transport.loseWriteConnection()

    def close(self) -> None:
        """Close once all is written."""
        if not self.gone:
            self.transport.unregisterProducer()
            self.transport.loseConnection()

    def abort(self) -> None:
        """Close now, with a reset."""
        if not self.gone:
            self.transport.unregisterProducer()
            self.transport.abortConnection()

    # Holding back: the transport tells us that it is full, we tell the other side to hold.

    def pauseProducing(self) -> None:
        self.full = True
        if self.source is not None:
            self.source.hold()
            self.filled()

    def resumeProducing(self) -> None:
        self.full = False
        if self.source is not None:
            self.source.go_on()
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

    def hold(self) -> None:
        """Read no more for now."""
        if not self.on_hold and not self.gone:
            self.on_hold = True
            self.transport.pauseProducing()

    def go_on(self) -> None:
        """Read again."""
        if self.on_hold and not self.gone:
            self.on_hold = False
            self.transport.resumeProducing()
