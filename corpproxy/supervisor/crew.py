"""
The crew: all workers, spoken to as one.

A version of the policy comes into force in all of them or in none.  Every worker prepares it, and only when
all have answered is any told to swap.  What can still fail then is a worker that dies or hangs between the
two: it is ended, and its replacement begins with the version in force.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, TimeoutError, inlineCallbacks
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.logger import Logger
from twisted.protocols.amp import Command
from twisted.python.failure import Failure

from corpproxy.audit.erasure import Erasure
from corpproxy.net.crowd import together
from corpproxy.reload import Objection
from corpproxy.supervisor.employment import Employment
from corpproxy.supervisor.messages import Edition, Notice
from corpproxy.supervisor.seat import Seat, Stage
from corpproxy.supervisor.untold import not_told
from corpproxy.supervisor.wire import Forget, Hear, Others, Prepare, Reopen, Settle, Swap, TakeLists

log = Logger()

UNTOLD = "worker {number} could not be told"

# A policy of some thousand rules takes seconds to build, all workers at the same time.
PREPARE_SECONDS = 30.0
# A worker that takes longer to begin is brought to the new version once it serves.
BEGIN_SECONDS = 5.0
# One reference is exchanged.
SWAP_SECONDS = 10.0
# A batch is written and synced.
SETTLE_SECONDS = 30.0
# What a worker gets beyond the time that its exchanges have, to write what is left.
LAST_SECONDS = 5.0
# Workers that were killed are gone at once.
KILLED_SECONDS = 5.0


Employed = list[tuple[Seat, Employment]]


# Says why a worker refuses, if it does.
_Refuses = Callable[[Failure, Seat, Employment], str | None]


class Crew:
    """
    All seats of a service.

    ``clock`` keeps time (IReactorTime).
    """

    def __init__(self, seats: Sequence[Seat], clock: Any) -> None:
        self.seats = tuple(seats)
        self.prepare_seconds = PREPARE_SECONDS
        self.swap_seconds = SWAP_SECONDS
        self.begin_seconds = BEGIN_SECONDS
        self.hurries = False
        self._clock = clock

    def start(self) -> None:
        """Begin all workers."""
        for seat in self.seats:
            seat.fill()

    # To all.

    def tell(self, command: type[Command], value: Any, but: Seat | None = None) -> None:
        """Tell every worker that serves; nobody answers, or what is answered matters little."""
        for seat in self._serving():
            if seat is not but:
                told = seat.employment.link.ask(command, value)  # type: ignore[union-attr]
                told.addErrback(not_told, UNTOLD, number=seat.number)

    def tell_one(self, seat: Seat, command: type[Command], value: Any) -> None:
        """Tell one worker, if it serves."""
        if seat.is_serving:
            seat.employment.link.ask(command, value).addErrback(not_told, UNTOLD, number=seat.number)  # type: ignore[union-attr]

    def hear(self, notices: tuple[Notice, ...], of: Seat) -> None:
        """Pass on what one worker learned."""
        self.tell(Hear, notices, but=of)

    def reopen(self) -> None:
        """Let all begin new segments."""
        self.tell(Reopen, None)

    def settle(self) -> Deferred[Any]:
        """Let all write what waits and close their segments; one that dies meanwhile has none open either."""
        return self._all_do(Settle, None)

    def forget(self, erasure: Erasure) -> Deferred[Any]:
        """Let all forget somebody in memory; one that dies meanwhile has no memory either."""
        return self._all_do(Forget, erasure)

    def _all_do(self, command: type[Command], value: Any) -> Deferred[Any]:
        asked = []
        for seat, employment in self._employed(self._serving()):
            answer = employment.link.ask(command, value).addTimeout(SETTLE_SECONDS, self._clock)
            asked.append(answer.addErrback(not_told, UNTOLD, number=seat.number))
        return DeferredList(asked)

    def gather(self, command: type[Command], value: Any, seconds: float) -> Deferred[list[Any]]:
        """Ask all that serve; fires with the answers, without those that did not come in time."""
        asked = []
        for seat, employment in self._employed(self._serving()):
            answer = employment.link.ask(command, value).addTimeout(seconds, self._clock)
            asked.append(answer.addCallbacks(_value, _nothing_of, errbackArgs=(seat.number,)))
        return DeferredList(asked).addCallback(lambda told: [one for _, one in told if one is not None])

    def take_lists(self) -> None:
        """Let all open the new index of the lists."""
        self.tell(TakeLists, None)

    def spread_crowds(self) -> None:
        """Tell each worker what is open in all others, where that has changed."""
        serving = self._serving()
        for seat in serving:
            others = together(one.report.crowd for one in serving if one is not seat)
            if others != seat.told:
                seat.told = others
                told = seat.employment.link.ask(Others, others)  # type: ignore[union-attr]
                told.addErrback(not_told, UNTOLD, number=seat.number)

    # A new version.

    @inlineCallbacks
    def take(self, edition: Edition, meanwhile: Callable[[], None]) -> Any:
        """
        Put a version into force in all workers; ``meanwhile`` puts it into force here, between the two steps.

        A worker that is just beginning, with the version of before, is waited for: whoever is told that
        a version is in force may believe it.

        :raises Objection: when a worker objects or does not answer; then nothing has changed anywhere.
        """
        beginning = DeferredList([seat.settled() for seat in self.seats])
        yield self._at_most(beginning, self.begin_seconds)
        serving = self._employed(self._serving())
        yield self._prepare(serving, edition)
        meanwhile()
        yield self._swap(serving, edition)

    @inlineCallbacks
    def catch_up(self, seat: Seat, edition: Edition) -> Any:
        """Bring one worker that began with an older version to the one in force, or end it."""
        one = self._employed([seat])
        try:
            yield self._prepare(one, edition)
        except Objection as objection:
            log.error("{reason}; it is ended", reason=str(objection))
            seat.kill()
            return
        yield self._swap(one, edition)

    def _swap(self, prepared: Employed, edition: Edition) -> Any:
        # A worker that died since has a replacement, which prepared nothing.
        still = [(seat, employment) for seat, employment in prepared if seat.employment is employment]
        for seat, _ in still:
            seat.edition = edition.version
        return self._each(still, Swap, edition.version, self.swap_seconds, _refuses_to_swap)

    @inlineCallbacks
    def _prepare(self, employed: Employed, edition: Edition) -> Any:
        answers = yield self._each(employed, Prepare, edition, self.prepare_seconds, _refuses)
        reasons = [answer for _, answer in answers if isinstance(answer, str)]
        if reasons:
            raise Objection("; ".join(reasons))

    def _each(
        self, employed: Employed, command: type[Command], value: Any, seconds: float, refuses: _Refuses
    ) -> Deferred[Any]:
        asked = []
        for seat, employment in employed:
            answer = employment.link.ask(command, value)
            answer.addTimeout(seconds, self._clock)
            asked.append(answer.addErrback(refuses, seat, employment))
        return DeferredList(asked)

    # The end.

    @inlineCallbacks
    def stop(self, seconds: float) -> Any:
        """End all workers; those that are not over after so long are killed."""
        over = DeferredList([seat.stop(hurries=self.hurries) for seat in self.seats])
        yield self._at_most(over, seconds + LAST_SECONDS)
        late = [seat for seat in self.seats if seat.stage is not Stage.OVER]
        for seat in late:
            log.error("worker {number} does not end and is killed", number=seat.number)
            seat.kill()
        yield self._at_most(over, KILLED_SECONDS)

    def hurry(self) -> None:
        """Let workers that end wait for nothing more."""
        self.hurries = True
        for seat in self.seats:
            if seat.stage is not Stage.OVER:
                seat.stop(hurries=True)

    def _at_most(self, waiting: Deferred[Any], seconds: float) -> Deferred[None]:
        """Fires when another one does, or after a while; the other is left alone."""
        waited: Deferred[None] = Deferred()
        late = self._clock.callLater(seconds, waited.callback, None)

        def over(result: Any) -> Any:
            if late.active():
                late.cancel()
                waited.callback(None)
            return result

        waiting.addBoth(over)
        return waited

    def _employed(self, seats: Iterable[Seat]) -> Employed:
        return [(seat, seat.employment) for seat in seats if seat.employment is not None]

    def _serving(self) -> list[Seat]:
        return [seat for seat in self.seats if seat.is_serving]


def _value(answer: dict[str, Any]) -> Any:
    return answer["value"]


def _refuses(failure: Failure, seat: Seat, employment: Employment) -> str | None:
    """
    Say why a worker did not do it.

    One that died meanwhile objects to nothing: its replacement begins with what is in force then.
    """
    if employment is not seat.employment or failure.check(ConnectionDone, ConnectionLost):  # type: ignore[no-untyped-call]
        return None
    if failure.check(TimeoutError):  # type: ignore[no-untyped-call]
        return f"worker {seat.number} did not answer in time"
    return f"worker {seat.number}: {failure.getErrorMessage()}"


def _refuses_to_swap(failure: Failure, seat: Seat, employment: Employment) -> str | None:
    """End a worker that did not do it: the others have the new policy already."""
    said = _refuses(failure, seat, employment)
    if said is not None:
        log.error("{reason}; it is ended, and its replacement begins with the new policy", reason=said)
        employment.signal("KILL")
    return said


def _nothing_of(failure: Failure, number: int) -> None:
    if failure.check(TimeoutError):  # type: ignore[no-untyped-call]
        log.warn("worker {number} did not answer in time", number=number)
        return
    not_told(failure, UNTOLD, number=number)
