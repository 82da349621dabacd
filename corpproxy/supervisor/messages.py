"""The values that supervisor and workers send each other."""

from __future__ import annotations

from msgspec import Struct, field

from corpproxy.audit.proof import End
from corpproxy.identity.grants import Grant
from corpproxy.identity.requests import AccessRequest
from corpproxy.net.crowd import Crowd
from corpproxy.pages.refusals import PastRefusal

__all__ = [
    "Beginning",
    "Crowd",
    "Edition",
    "GrantEnded",
    "Granted",
    "HandedSocket",
    "LookAgain",
    "Mistaken",
    "Notice",
    "Part",
    "Parts",
    "RefusedOnce",
    "Report",
    "Requested",
    "SignedIn",
    "Takings",
    "Took",
]


class Edition(Struct, frozen=True):
    """One version of the policy: its file, the texts of all its files by their paths below its folder."""

    version: str
    policy: str
    texts: dict[str, bytes]


class HandedSocket(Struct, frozen=True):
    """A bound socket that the worker inherits as a descriptor, and the listener it belongs to."""

    name: str
    purpose: str
    address: str
    port: int
    descriptor: int


class Beginning(Struct, frozen=True):
    """
    What a worker begins with.

    ``number`` is its place among ``workers``; ``process`` tells its references from those of others; ``key``
    is the key of remembered sign-ins, which all workers share; ``transports`` is what the service began with.
    """

    number: int
    workers: int
    process: int
    key: bytes
    state: str
    transports: str
    edition: Edition
    sockets: tuple[HandedSocket, ...]


# What one worker tells all others, through the supervisor.


class SignedIn(Struct, frozen=True, tag=True):
    """
    Credentials were checked and are right.

    ``digest`` is the keyed digest of the field value, ``line`` that of the line of the password file by which
    they were judged: a worker that has another line takes no notice.  ``at`` is POSIX seconds.
    """

    digest: bytes
    name: str
    address: str
    line: bytes
    at: float


class Mistaken(Struct, frozen=True, tag=True):
    """Credentials were checked and are wrong; ``is_kept`` where the next of the kind need not be checked."""

    digest: bytes
    name: str
    address: str
    line: bytes
    at: float
    is_kept: bool = True


class LookAgain(Struct, frozen=True, tag=True):
    """The password file, or the groups file, has changed: who has not seen it yet looks now."""


class Granted(Struct, frozen=True, tag=True):
    """Somebody was given a grant."""

    grant: Grant


class GrantEnded(Struct, frozen=True, tag=True):
    """A grant was ended before its time."""

    id: str


class Requested(Struct, frozen=True, tag=True):
    """A person asked for access, or somebody decided on that."""

    request: AccessRequest


class RefusedOnce(Struct, frozen=True, tag=True):
    """A person was refused something ``times`` times since it was told last; the portal shows it."""

    who: str
    past: PastRefusal
    times: int = 1


# What a worker took of the buckets of limits, and the parts of their rates that it gets.


class Took(Struct, frozen=True, array_like=True):
    """
    What was taken of one bucket; see `corpproxy.accounting.sharing.Wanted`.

    ``goes_on`` says that more of its names come next.
    """

    limit: str
    whom: str
    way: int
    whole: float
    has: float
    drawn: float
    content: int
    eager: tuple[str, ...]
    goes_on: bool = False


class Takings(Struct, frozen=True, array_like=True):
    """
    What was taken of some buckets otherwise than it was told before, and which buckets are gone.

    ``is_anew`` says that all is over that was told before.
    """

    took: tuple[Took, ...]
    gone: tuple[tuple[str, str, int], ...] = ()
    is_anew: bool = False


class Part(Struct, frozen=True, array_like=True):
    """The octets a second of one bucket that a worker may let through."""

    limit: str
    whom: str
    way: int
    rate: float


class Counted(Struct, frozen=True, array_like=True):
    """Octets that a member of a quota moved."""

    limit: str
    whom: str
    octets: int


class Stands(Struct, frozen=True, array_like=True):
    """How a member of a quota stands; see `corpproxy.policy.quota.Standing`."""

    limit: str
    whom: str
    used: float
    allowed: float
    until: float


class Parts(Struct, frozen=True):
    """
    Parts that are others than before.

    ``spread`` are the people who wait in another number of workers than before, with that.
    """

    parts: tuple[Part, ...]
    spread: dict[str, int] = {}


Notice = SignedIn | Mistaken | LookAgain | Granted | GrantEnded | Requested | RefusedOnce

# A number for each value of the label; one without a label has the empty text.
Numbers = dict[str, float]


class Report(Struct, frozen=True):
    """
    How a worker does, once a second: everything it counted since it began, and what is open now.

    ``exchanges`` are counts by decision, result, method and status; ``measured`` are the metrics by name.
    ``end`` is how far its records are on the disk.
    """

    exchanges: tuple[tuple[str, str, str, int, int], ...] = ()
    received: int = 0
    sent: int = 0
    durations: tuple[int, ...] = ()
    duration_sum: float = 0.0
    tunnel_durations: tuple[int, ...] = ()
    tunnel_duration_sum: float = 0.0
    measured: dict[str, Numbers] = field(default_factory=dict)
    connections: int = 0
    tunnels: int = 0
    reasons: tuple[str, ...] = ()
    crowd: Crowd = field(default_factory=Crowd)
    end: End | None = None
