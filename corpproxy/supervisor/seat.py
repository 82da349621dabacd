"""
The seat of a worker: its sockets, and the worker process that serves them now.

The seat outlives its workers.  One that dies leaves its sockets, in which the kernel queues who connects, to
the next; that comes at once, or after a rest that grows when workers die young.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from corpproxy.supervisor.employment import Employment
from corpproxy.supervisor.messages import Beginning, Crowd, Report
from corpproxy.supervisor.wire import Begin, Link, Stop

log = Logger()

# A worker that lived so long did not die of how it began.
STEADY_SECONDS = 10.0
# How long a seat rests after one, two, ... workers that died young.  The first is replaced at once: whoever
# kills one worker should not see the service pause.
RESTS_SECONDS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
# A worker that does not serve after this long is ended: it loads a policy, which is a matter of seconds.
BEGIN_SECONDS = 60.0
# One that says nothing for so long hangs; it says something each second.
SILENCE_SECONDS = 30.0


class Stage(enum.Enum):
    """Where a seat is."""

    EMPTY = "empty"
    STARTING = "starting"
    SERVING = "serving"
    RESTING = "resting"
    STOPPING = "stopping"
    OVER = "over"


class Event(enum.Enum):
    """What happens to a seat."""

    FILL = "fill"
    SERVES = "serves"
    DIES = "dies"
    STOP = "stop"


# What is not here is a mistake of ours.
NEXT = {
    (Stage.EMPTY, Event.FILL): Stage.STARTING,
    (Stage.EMPTY, Event.STOP): Stage.OVER,
    (Stage.STARTING, Event.SERVES): Stage.SERVING,
    (Stage.STARTING, Event.DIES): Stage.RESTING,
    (Stage.STARTING, Event.STOP): Stage.STOPPING,
    (Stage.SERVING, Event.DIES): Stage.RESTING,
    (Stage.SERVING, Event.STOP): Stage.STOPPING,
    (Stage.RESTING, Event.FILL): Stage.STARTING,
    (Stage.RESTING, Event.STOP): Stage.OVER,
    (Stage.STOPPING, Event.DIES): Stage.OVER,
    (Stage.STOPPING, Event.STOP): Stage.STOPPING,
    (Stage.OVER, Event.STOP): Stage.OVER,
}


class Office(Protocol):
    """What a seat needs of the supervisor."""

    def link(self, seat: Seat) -> Link:
        """Make our end of the link to a worker."""

    def employ(self, seat: Seat) -> Employment:
        """Make the employment of a new worker process, not started."""

    def beginning(self, seat: Seat) -> Beginning:
        """What the worker is to begin with."""

    def serves(self, seat: Seat) -> None:
        """The worker serves."""

    def died(self, seat: Seat, began: float, how: str) -> None:
        """The worker that began then, POSIX seconds, is over; all that it sent has been taken."""


class Seat:
    """
    One worker's place.

    ``number`` counts from 1.  ``sockets`` are the descriptors that it serves.  ``clock`` keeps time
    (IReactorTime), ``now`` gives POSIX seconds.
    """

    def __init__(
        self, number: int, sockets: Sequence[int], office: Office, clock: Any, now: Callable[[], float]
    ) -> None:
        self.number = number
        self.sockets = tuple(sockets)
        self.stage = Stage.EMPTY
        self.employment: Employment | None = None
        self.began = 0.0
        # Which of its workers this is: a number that no other has.
        self.incarnation = (number, 0)
        # The version of the policy that this worker has.
        self.edition = ""
        self.deaths = 0
        self.report = Report()
        # What this worker was told last of all others.
        self.told = Crowd()
        # The batch of usage that was stored last, of this worker process.
        self.booked = 0
        self._office = office
        self._clock = clock
        self._now = now
        self._young_deaths = 0
        self._began_seconds = 0.0
        self._heard = 0.0
        self._alarm: Any = None
        self._gone: list[Deferred[None]] = []
        self._settled: list[Deferred[None]] = []

    # The employer of a process.

    def link(self) -> Link:
        """Make our end of the socket pair."""
        return self._office.link(self)

    def ended(self, how: str) -> None:
        """The process is over."""
        self._rest_alarm()
        was, self.employment = self.stage, None
        self._turn(Event.DIES)
        self._settle()
        self._office.died(self, self.began, how)
        self.report, self.booked, self.told = Report(), 0, Crowd()
        if self.stage is Stage.OVER:
            self._is_over()
            return
        self.deaths += 1
        lived = self._clock.seconds() - self._began_seconds
        self._young_deaths = 1 if lived >= STEADY_SECONDS and was is Stage.SERVING else self._young_deaths + 1
        rest = RESTS_SECONDS[min(self._young_deaths, len(RESTS_SECONDS)) - 1]
        said = "worker {number} ended {how}; the next one begins {when}"
        when = "now" if not rest else f"in {rest:.1f} s"
        log.error(said, number=self.number, how=how, when=when)
        self._alarm = self._clock.callLater(rest, self.fill)

    # Life.

    @property
    def pid(self) -> int:
        """The process that serves here, 0 when there is none."""
        return self.employment.pid if self.employment is not None else 0

    @property
    def is_serving(self) -> bool:
        """Whether a worker serves the sockets now."""
        return self.stage is Stage.SERVING

    @property
    def borrower(self) -> str:
        """The worker here, as it borrows: no other has this name."""
        number, incarnation = self.incarnation
        return f"{number}-{incarnation}"

    def fill(self) -> None:
        """Begin a worker."""
        self._alarm = None
        self._turn(Event.FILL)
        self.incarnation = (self.number, self.incarnation[1] + 1)
        self.began, self._began_seconds = self._now(), self._clock.seconds()
        self.employment = employment = self._office.employ(self)
        try:
            employment.start(self.sockets)
        except OSError as error:
            log.critical("worker {number} cannot be started: {reason}", number=self.number, reason=str(error))
            self.ended("before it began")
            return
        self._alarm = self._clock.callLater(BEGIN_SECONDS, self._hangs)
        begun = employment.link.ask(Begin, self._office.beginning(self))
        begun.addCallbacks(
            self._begun, self._not_begun, callbackArgs=(employment,), errbackArgs=(employment,)
        )

    def settled(self) -> Deferred[None]:
        """Fires once no worker is on its way here: it serves, or there is none."""
        settled: Deferred[None] = Deferred()
        if self.stage is Stage.STARTING:
            self._settled.append(settled)
        else:
            settled.callback(None)
        return settled

    def heard(self) -> None:
        """The worker said something."""
        self._heard = self._clock.seconds()

    def stop(self, *, hurries: bool = False) -> Deferred[None]:
        """End the worker, and begin none any more; fires when it is over."""
        self._turn(Event.STOP)
        gone: Deferred[None] = Deferred()
        self._gone.append(gone)
        if self.stage is Stage.OVER:
            self._rest_alarm()
            self._is_over()
        elif self.employment is not None:
            self.employment.link.ask(Stop, hurries).addErrback(self._not_stopped, self.employment)
        return gone

    def kill(self) -> None:
        """End the worker as it stands."""
        if self.employment is not None:
            self.employment.signal("KILL")

    def _begun(self, _: object, employment: Employment) -> None:
        if employment is not self.employment or self.stage is not Stage.STARTING:
            return
        self._rest_alarm()
        self._turn(Event.SERVES)
        self.heard()
        self._alarm = self._clock.callLater(SILENCE_SECONDS, self._listen)
        self._office.serves(self)
        self._settle()

    def _not_begun(self, failure: Failure, employment: Employment) -> None:
        if employment is not self.employment or not employment.link.is_open:
            # It died, or was ended: its end is told by itself.
            return
        said = "worker {number} cannot begin: {reason}"
        log.error(said, number=self.number, reason=failure.getErrorMessage())
        employment.signal("KILL")

    def _not_stopped(self, failure: Failure, employment: Employment) -> None:
        """A worker that cannot even be told is ended; one that is gone needs no more."""
        if employment.link.is_open:
            employment.signal("KILL")

    def _listen(self) -> None:
        """Look whether the worker said something lately."""
        silent = self._clock.seconds() - self._heard
        if silent < SILENCE_SECONDS:
            self._alarm = self._clock.callLater(SILENCE_SECONDS - silent, self._listen)
            return
        self._alarm = None
        self._hangs()

    def _hangs(self) -> None:
        log.error("worker {number} does nothing any more and is ended", number=self.number)
        self._alarm = None
        self.kill()

    def _turn(self, event: Event) -> None:
        self.stage = NEXT[self.stage, event]

    def _settle(self) -> None:
        settled, self._settled = self._settled, []
        for one in settled:
            one.callback(None)

    def _rest_alarm(self) -> None:
        if self._alarm is not None and self._alarm.active():
            self._alarm.cancel()
        self._alarm = None

    def _is_over(self) -> None:
        gone, self._gone = self._gone, []
        for one in gone:
            one.callback(None)
