"""
The commands between supervisor and workers, in AMP over a socket pair.

Every command has one argument, ``value``, a struct of `corpproxy.supervisor.messages` in MessagePack; what is
longer than a box goes as the name of a file.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any, cast

import msgspec
from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.tcp import Connection
from twisted.protocols import amp
from twisted.python.failure import Failure

from corpproxy.accounting.last_days import DayUse
from corpproxy.accounting.ledger import Columns
from corpproxy.accounting.present import Present, Question
from corpproxy.accounting.quotas import Asked, Lent
from corpproxy.audit.erasure import Erasure
from corpproxy.identity.grants import Grant
from corpproxy.identity.requests import AccessRequest
from corpproxy.net.by_hand import Chosen, Ended
from corpproxy.policy.set_limits import SetLimit
from corpproxy.reload import Objection
from corpproxy.supervisor.messages import (
    Beginning,
    Counted,
    Crowd,
    Edition,
    Notice,
    Parts,
    Report,
    Stands,
    Takings,
)
from corpproxy.supervisor.parcels import Parcels

_ENCODER = msgspec.msgpack.Encoder()


class NotStored(Exception):
    """The store took nothing of it; the message is what it said."""


class Value(amp.Argument):
    """A struct of ours in a box."""

    def __init__(self, kind: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._decoder = msgspec.msgpack.Decoder(kind)

    def toStringProto(self, inObject: Any, proto: Any) -> bytes:
        return cast(bytes, proto.parcels.wrap(_ENCODER.encode(inObject)))

    def fromStringProto(self, inString: bytes, proto: Any) -> Any:
        return self._decoder.decode(proto.parcels.opened(inString))


def _value(kind: Any) -> list[tuple[bytes, amp.Argument]]:
    return [(b"value", Value(kind))]


# From the supervisor.


class Begin(amp.Command):
    """Build everything, and listen; answered when clients are served."""

    arguments = _value(Beginning)
    errors = {Objection: b"OBJECTION"}


class Prepare(amp.Command):
    """Build what this version needs beside what runs, and keep it at hand."""

    arguments = _value(Edition)
    errors = {Objection: b"OBJECTION"}


class Swap(amp.Command):
    """Put the version that was prepared into force."""

    arguments = _value(str)
    errors = {Objection: b"OBJECTION"}


class TakeLists(amp.Command):
    """Open the index of the category lists as it stands now."""

    arguments = _value(None)


class Reopen(amp.Command):
    """Begin a new segment of the record."""

    arguments = _value(None)


class Settle(amp.Command):
    """Write the records that wait, and close the open segment; answered when that is done."""

    arguments = _value(None)


class Forget(amp.Command):
    """Forget somebody in memory, and record what of it runs without; answered when that is so."""

    arguments = _value(Erasure)


class Hear(amp.Command):
    """Take notice of what other workers learned."""

    arguments = _value(tuple[Notice, ...])
    requiresAnswer = False


class Others(amp.Command):
    """Know what is open in all other workers together."""

    arguments = _value(Crowd)
    requiresAnswer = False


class SetLimits(amp.Command):
    """Hold to the limits that administrators set, these and no others."""

    arguments = _value(tuple[SetLimit, ...])


class Stand(amp.Command):
    """Know how members of quotas stand."""

    arguments = _value(tuple[Stands, ...])
    requiresAnswer = False


class Lend(amp.Command):
    """Move so much of quotas, at most."""

    arguments = _value(tuple[Lent, ...])
    requiresAnswer = False


class Deal(amp.Command):
    """Let so much through of the buckets of limits from now on."""

    arguments = _value(Parts)
    requiresAnswer = False


class Look(amp.Command):
    """Say what runs now, as far as it is asked for."""

    arguments = _value(Question)
    response = _value(Present)


class EndByHand(amp.Command):
    """End what an administrator chose of what runs."""

    arguments = _value(Chosen)
    response = _value(Ended)


class Stop(amp.Command):
    """Take what waits at the socket, let exchanges end, write everything and end; True: do not wait."""

    arguments = _value(bool)


# From a worker.


class Tell(amp.Command):
    """Pass on to all others what this worker learned."""

    arguments = _value(tuple[Notice, ...])
    requiresAnswer = False


class Book(amp.Command):
    """
    Store the columns of a batch of usage; ``number`` counts the batches of this worker process.

    A batch that was stored already is answered as if it were stored now.
    """

    arguments = [*_value(Columns), (b"number", amp.Integer())]  # type: ignore[no-untyped-call]
    errors = {NotStored: b"NOT-STORED"}


class KeepGrant(amp.Command):
    """Store a grant."""

    arguments = _value(Grant)
    errors = {NotStored: b"NOT-STORED"}


class EndGrant(amp.Command):
    """Forget the grant of this id."""

    arguments = _value(str)
    errors = {NotStored: b"NOT-STORED"}


class KeepRequest(amp.Command):
    """Store a request for access."""

    arguments = _value(AccessRequest)
    errors = {NotStored: b"NOT-STORED"}


class ReadDays(amp.Command):
    """Say what this person moved in the last days; nothing where that cannot be read."""

    arguments = _value(str)
    response = _value(tuple[DayUse, ...] | None)


class GrantQuota(amp.Command):
    """Give a member of this limit so much more; answered with whether there is such a quota."""

    arguments = _value(tuple[str, str, float])
    response = _value(bool)


class Count(amp.Command):
    """Add up what members of quotas moved."""

    arguments = _value(tuple[Counted, ...])
    requiresAnswer = False


class Borrow(amp.Command):
    """Say what moved of what was lent of quotas, and ask for more; `Lend` is the answer."""

    arguments = _value(tuple[Asked, ...])
    requiresAnswer = False


class Taken(amp.Command):
    """Say what was taken of the buckets of limits."""

    arguments = _value(Takings)
    requiresAnswer = False


class Tidings(amp.Command):
    """Say how this worker does."""

    arguments = _value(Report)
    requiresAnswer = False


class Link(amp.AMP):
    """One end of the socket pair."""

    def __init__(self, parcels: Parcels) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.parcels = parcels
        self.transport: Any = None
        self.is_open = False
        self.when_lost: Callable[[], None] = lambda: None

    def makeConnection(self, transport: Any) -> None:
        self.is_open = True
        # AMP itself would log both ends of a pair that have no names.
        amp.BinaryBoxProtocol.makeConnection(self, transport)  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.is_open = False
        amp.BinaryBoxProtocol.connectionLost(self, reason)  # type: ignore[no-untyped-call]
        self.transport = None
        self.when_lost()

    def ask(self, command: type[amp.Command], value: Any = None, **more: Any) -> Deferred[Any]:
        """Give a command to the other side; fails as the other side does, or when it is gone."""
        return maybeDeferred(self.callRemote, command, value=value, **more)


class PairTransport(Connection):
    """One socket of a pair, in the reactor."""

    logstr = "worker"

    def __init__(self, own: socket.socket, protocol: Protocol, reactor: Any) -> None:
        super().__init__(own, protocol, reactor)
        self.connected = 1
        self.startReading()  # type: ignore[no-untyped-call]
        protocol.makeConnection(self)  # type: ignore[no-untyped-call]

    def getHost(self) -> UNIXAddress:
        return UNIXAddress(None)

    def getPeer(self) -> UNIXAddress:
        return UNIXAddress(None)
