"""
What the road asks of the outside world.

A station awaits a command; whoever drives the road performs it and sends its outcome back, or throws
its failure in: an `UpstreamError`, a `ProtocolError` of the client's, a `Refusal`, or `ClientGone`.
The commands are plain values, so that a test answers them by hand.

Those that every exchange needs are not frozen: setting the fields of a frozen value costs twice as much.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from corpproxy import twins
from corpproxy.accounting.last_days import DayUse
from corpproxy.audit.deeds import Deed
from corpproxy.destination.model import AddressClass, Host
from corpproxy.http1.framing import Body, Framing
from corpproxy.http1.head import ResponseHead
from corpproxy.identity.grants import Grant
from corpproxy.identity.model import Identity
from corpproxy.identity.requests import AccessRequest
from corpproxy.pages.page import Page
from corpproxy.preface.first_octets import Verdict

Outcome = TypeVar("Outcome")


class AwaitedInPython:
    """What can be awaited: it goes to the driver of the road, and its outcome comes back."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, Any, Any]:
        """Yield it, and give back what is sent; ``native/road.c`` has the twin, which makes no generator."""
        outcome = yield self
        return outcome


if TYPE_CHECKING or twins.road is None:
    _Awaited = AwaitedInPython
else:
    _Awaited = twins.road.Awaited


class Command(_Awaited, Generic[Outcome]):
    """A wish of the road; awaiting it yields it to the driver and gives back its outcome."""

    __slots__ = ()

    if TYPE_CHECKING:

        def __await__(self) -> Generator[Command[Any], Any, Outcome]: ...


class Connection(Protocol):
    """An upstream connection, which the road passes on and never looks into."""

    address: str


@dataclass(slots=True)
class Answer:
    """The head of a server's answer, what content follows it, and the connection it comes on."""

    head: ResponseHead
    body: Body
    connection: Connection


@dataclass(frozen=True, slots=True)
class CheckCredentials(Command[Identity]):
    """Check the value of a Proxy-Authorization field; the failure is a `SignInRefused`."""

    value: bytes


@dataclass(frozen=True, slots=True)
class Resolve(Command[tuple[str, ...]]):
    """Look up a host; the outcome is its addresses as text, in the order to try them."""

    host: Host


@dataclass(slots=True)
class Fetch(Command[Answer]):
    """
    Send a request and bring the head of its answer; the content of the request moves meanwhile.

    ``dial`` is the host to connect to and ``name`` the one asked for; they differ where a strict
    host of a search engine is dialled instead.  ``addresses`` are the classes that may be dialled.
    ``fresh`` asks for a new connection, after a kept one turned out to be closed.
    """

    dial: Host
    port: int
    head: bytes
    body: Body
    method: bytes
    addresses: frozenset[AddressClass]
    fresh: bool = False


@dataclass(slots=True)
class Relay(Command[None]):
    """
    Send ``head``, then move the content of an answer to the client, framed anew; lasts until its end.

    More content than ``limit_octets`` (-1: any) is an `AnswerTooLong`.
    """

    answer: Answer
    head: bytes
    framing: Framing
    limit_octets: int = -1


@dataclass(frozen=True, slots=True)
class GiveUp(Command[None]):
    """Take no content of the answer that has begun: its connection is closed, and the upload ends."""


@dataclass(frozen=True, slots=True)
class Respond(Command[None]):
    """Send an answer of our own."""

    page: Page


@dataclass(frozen=True, slots=True)
class ReadContent(Command[bytes]):
    """Read the whole content of the request; more than ``limit_octets`` is a `ProtocolError` (413)."""

    limit_octets: int


@dataclass(frozen=True, slots=True)
class Drain(Command[None]):
    """
    Take what is left of the request off the connection, within bounds.

    A client that still sends while we close would get a reset instead of our answer (RFC 9112, section 9.6).
    """


@dataclass(slots=True)
class OpenTunnel(Command[Connection]):
    """Connect to a host for a tunnel."""

    dial: Host
    port: int
    addresses: frozenset[AddressClass]


@dataclass(frozen=True, slots=True)
class Establish(Command[None]):
    """Send the head that opens a tunnel, and record its opening."""

    head: bytes


@dataclass(frozen=True, slots=True)
class Peek(Command[Verdict]):
    """Wait for the first octets of a tunnel and say what they are; the octets stay in place."""


@dataclass(frozen=True, slots=True)
class Upgrade(Command[bool]):
    """
    Send the WebSocket upgrade that begins a tunnel, ``octets`` long, and pass the server's answer on.

    The outcome is whether the server agreed (101).  If it did not, the tunnel has ended with its answer.  A
    client that sends more before the server agreed is a `TunnelEnded`.
    """

    connection: Connection
    octets: int


@dataclass(frozen=True, slots=True)
class SaveGrant(Command[None]):
    """Put a grant into force and keep it over restarts."""

    grant: Grant


@dataclass(frozen=True, slots=True)
class EndGrant(Command[None]):
    """End a grant before its time, everywhere."""

    id: str


@dataclass(frozen=True, slots=True)
class SaveRequest(Command[None]):
    """Keep a request for access as it is now, and let those find it who decide."""

    request: AccessRequest


@dataclass(frozen=True, slots=True)
class RecordDeed(Command[None]):
    """Record what a person did to the access of others."""

    deed: Deed


@dataclass(frozen=True, slots=True)
class ReadDays(Command[tuple[DayUse, ...] | None]):
    """Read what a person moved in the last days; None where that cannot be read now."""

    user: str


@dataclass(frozen=True, slots=True)
class GrantQuota(Command[bool]):
    """Give a member of a quota more until it is made good again; the outcome is whether there is one."""

    limit: str
    whom: str
    more: float


@dataclass(frozen=True, slots=True)
class ChangePassword(Command[str]):
    """Change a person's own password; the outcome is empty, or why not, in words."""

    name: str
    old: str
    new: str
