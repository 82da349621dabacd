"""Links in memory, and a crew whose workers are objects of the test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from corpproxy.reload import Objection
from corpproxy.supervisor.crew import Crew
from corpproxy.supervisor.messages import Beginning, Edition
from corpproxy.supervisor.parcels import Parcels
from corpproxy.supervisor.seat import Seat
from corpproxy.supervisor.wire import Begin, Hear, Link, Others, Prepare, Stop, Swap

FIRST = Edition("first", "/site/policy.yaml", {"policy.yaml": b"site: A"})
SECOND = Edition("second", "/site/policy.yaml", {"policy.yaml": b"site: B"})


class End:
    """The transport of one end: what is written reaches the other in a turn of its own."""

    def __init__(self, clock: Clock, link: Link) -> None:
        self._clock = clock
        self.link = link
        self.other: Any = None
        self.is_open = True

    def write(self, octets: bytes) -> None:
        self._clock.callLater(0, self._deliver, octets)

    def _deliver(self, octets: bytes) -> None:
        if self.is_open and self.other.is_open:
            self.other.link.dataReceived(octets)

    def loseConnection(self) -> None:
        for end in (self, self.other):
            if end.is_open:
                end.is_open = False
                self._clock.callLater(0, end.link.connectionLost, Failure(ConnectionDone()))

    abortConnection = loseConnection

    def getPeer(self) -> UNIXAddress:
        return UNIXAddress(None)

    getHost = getPeer


def connect(clock: Clock, ours: Link, theirs: Link) -> tuple[End, End]:
    """Connect two links."""
    one, other = End(clock, ours), End(clock, theirs)
    one.other, other.other = other, one
    ours.makeConnection(one)
    theirs.makeConnection(other)
    return one, other


class FakeWorker(Link):
    """A worker that does what the test says."""

    def __init__(self, parcels: Parcels) -> None:
        super().__init__(parcels)
        self.objects = ""
        self.hangs = False
        self.version = ""
        self.prepared = ""
        self.heard: list[Any] = []
        self.others: Any = None
        self.stops: list[bool] = []

    @Begin.responder
    def begin(self, value: Beginning) -> Any:
        if self.objects:
            raise Objection(self.objects)
        self.version = value.edition.version
        return Deferred() if self.hangs else {}

    @Prepare.responder
    def prepare(self, value: Edition) -> Any:
        if self.objects:
            raise Objection(self.objects)
        self.prepared = value.version
        return Deferred() if self.hangs else {}

    @Swap.responder
    def swap(self, value: str) -> Any:
        if self.prepared != value:
            raise Objection("not prepared")
        self.version = value
        return {}

    @Hear.responder
    def hear(self, value: Any) -> Any:
        self.heard.extend(value)
        return {}

    @Others.responder
    def take_others(self, value: Any) -> Any:
        self.others = value
        return {}

    @Stop.responder
    def stop(self, value: bool) -> Any:
        self.stops.append(value)
        return {}


class FakeEmployment:
    """A process that is an object of the test."""

    def __init__(self, office: FakeOffice, seat: Seat) -> None:
        self.office = office
        self.seat = seat
        self.link = seat.link()
        self.worker = FakeWorker(office.parcels)
        self.signals: list[str] = []
        self.pid = 0

    def start(self, sockets: Any) -> None:
        if self.office.cannot_start:
            raise OSError("no more processes")
        self.sockets = sockets
        self.pid = 1000 + len(self.office.employed)
        self.office.prepare(self.worker)
        self.end, _ = connect(self.office.clock, self.link, self.worker)

    def signal(self, name: str) -> None:
        self.signals.append(name)
        if name == "KILL":
            self.dies("by signal 9")

    def dies(self, how: str = "by signal 9") -> None:
        """The process is over."""
        if self.pid:
            self.pid = 0
            self.end.loseConnection()
            self.office.clock.advance(0)
            self.seat.ended(how)


class FakeOffice:
    """The supervisor, as far as seats need one."""

    def __init__(self, clock: Clock, parcels: Parcels) -> None:
        self.clock = clock
        self.parcels = parcels
        self.employed: list[FakeEmployment] = []
        self.deaths: list[tuple[int, float, str]] = []
        self.served: list[int] = []
        self.cannot_start = False
        self.prepare: Callable[[FakeWorker], None] = lambda worker: None
        self.edition = FIRST

    def link(self, seat: Seat) -> Link:
        return Link(self.parcels)

    def employ(self, seat: Seat) -> Any:
        employment = FakeEmployment(self, seat)
        self.employed.append(employment)
        return employment

    def beginning(self, seat: Seat) -> Beginning:
        seat.edition = self.edition.version
        return Beginning(seat.number, 2, 1, b"key", "/state", "engine", self.edition, ())

    def serves(self, seat: Seat) -> None:
        self.served.append(seat.number)

    def died(self, seat: Seat, began: float, how: str) -> None:
        self.deaths.append((seat.number, began, how))


def settle(clock: Clock) -> None:
    """Let everything that is due happen."""
    for _ in range(20):
        clock.advance(0)


def crew_of(office: FakeOffice, count: int = 2) -> Crew:
    """A crew of seats with one socket each."""
    now = office.clock.seconds
    seats = [Seat(number, [10 + number], office, office.clock, now) for number in range(1, count + 1)]
    return Crew(seats, office.clock)
