"""
The supervisor: the service of a site that has workers.

It is the same service as one that does all by itself, but for its clients: it gives the sockets to workers.
What workers share (the store, the lists, the policy in force, administrators) stays here.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Mapping
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from corpproxy.accounting.ledger import Batch
from corpproxy.accounting.present import Present, Question, together
from corpproxy.audit.erasure import Erasure
from corpproxy.audit.record import Record
from corpproxy.audit.times import utc_text
from corpproxy.backends.records.segments import RECORDS_FOLDER
from corpproxy.binding import bound
from corpproxy.config.configuration import Configuration
from corpproxy.config.listeners import Listener, Purpose
from corpproxy.counted import counted
from corpproxy.destination.index import CategoryIndex
from corpproxy.interpreter import SUPERVISOR_THRESHOLDS
from corpproxy.net.by_hand import Chosen, Ended, all_ended
from corpproxy.net.listening import CannotListen, Socket, bind_shared
from corpproxy.net.pacing import TURN_SECONDS
from corpproxy.policy.quota import Member, Standing
from corpproxy.policy.set_limits import SetLimit
from corpproxy.repeating import every
from corpproxy.resident import give_back_files
from corpproxy.service import CorpproxyService
from corpproxy.slices import Slices
from corpproxy.supervisor.board import Board
from corpproxy.supervisor.crew import UNTOLD, Crew
from corpproxy.supervisor.employment import FIRST_SOCKET, Employment
from corpproxy.supervisor.granting import SharedGranting
from corpproxy.supervisor.lost import lost_tunnels
from corpproxy.supervisor.messages import (
    Beginning,
    Edition,
    Granted,
    GrantEnded,
    HandedSocket,
    LookAgain,
    Notice,
    Report,
    Requested,
)
from corpproxy.supervisor.parcels import Parcels
from corpproxy.supervisor.quotas import batches, telling
from corpproxy.supervisor.rates import Dealing
from corpproxy.supervisor.seat import Seat
from corpproxy.supervisor.spawning import Spawner
from corpproxy.supervisor.sums import Sums
from corpproxy.supervisor.supervisor_link import SupervisorLink, not_stored
from corpproxy.supervisor.teller import hear
from corpproxy.supervisor.template import make_template
from corpproxy.supervisor.untold import not_told
from corpproxy.supervisor.wire import (
    Deal,
    EndByHand,
    Hear,
    Link,
    Look,
    SetLimits,
    Stand,
    TakeLists,
)

log = Logger()

PARCELS_FOLDER = "parcels"
KEY_OCTETS = 32
# How often each worker is told what the others have open.
CROWD_SECONDS = 1.0
# Who looks at what runs is told without a worker that answers later.
LOOK_SECONDS = 3.0


class Supervisor(CorpproxyService):
    """corpproxy with workers."""

    # Of the bound sockets, those for clients: one for each worker of each listener.
    _shared: dict[Listener, list[socket.socket]]
    granting: SharedGranting
    _thresholds = SUPERVISOR_THRESHOLDS

    def _bind(self, listeners: tuple[Listener, ...]) -> tuple[list[Socket], dict[Listener, str]]:
        self._shared = {}
        sockets, tokens = bound(tuple(one for one in listeners if one.purpose is Purpose.ADMIN))
        try:
            for listener in listeners:
                if listener.purpose is not Purpose.ADMIN:
                    shared = bind_shared(listener, self.workers)
                    self._shared[listener] = shared
                    # One that is never listened on here: it tells the address.
                    sockets.append(Socket(listener, shared[0].dup()))
        except CannotListen:
            for one in sockets:
                one.stop()
            self._close_shared()
            raise
        return sockets, tokens

    def _close_shared(self) -> None:
        for shared in self._shared.values():
            for one in shared:
                one.close()

    def _make_parts(self) -> None:
        # Before anything has a thread or a file of its own.
        self.template = make_template(self.reactor, self.configuration)
        super()._make_parts()
        self.parcels = Parcels(self.state / PARCELS_FOLDER)
        self.parcels.clear()
        self.board = Board(self.now, self.configuration.identity.remember_seconds)
        self.sums = Sums(self.telemetry)
        self._key = secrets.token_bytes(KEY_OCTETS)
        self._process = secrets.randbelow(1 << 20)
        self.dealing = Dealing(lambda seat, parts: self.crew.tell_one(seat, Deal, parts), self.reactor)
        self._standings_told = Slices(self.reactor)
        self._closing_lost: set[Deferred[None]] = set()
        self.crew = Crew([self._seat(number) for number in range(1, self.workers + 1)], self.reactor)

    def _make_granting(self) -> SharedGranting:
        return SharedGranting(self)

    def _measure(self) -> None:
        super()._measure()
        self.sums.measure()

    def _seat(self, number: int) -> Seat:
        descriptors = [shared[number - 1].fileno() for shared in self._shared.values()]
        return Seat(number, descriptors, self, self.reactor, self.now)

    def _start_parts(self) -> None:
        # Workers begin while the rest of this starts; what can stand in the way was made before.
        self.crew.start()
        super()._start_parts()
        self.loops.append(every(CROWD_SECONDS, self.crew.spread_crowds, self.reactor))
        self.loops.append(every(TURN_SECONDS, self.dealing.deal, self.reactor))

    def _give_back(self) -> None:
        # Workers come first.
        begun = DeferredList([seat.settled() for seat in self.crew.seats])
        begun.addCallback(lambda _: give_back_files())

    def _listen(self, socket: Socket) -> None:
        if socket.listener.purpose is Purpose.ADMIN:
            super()._listen(socket)
            return
        said = "{name} listens on {at} ({purpose}) with {workers}"
        listener = socket.listener
        purpose = listener.purpose.value
        workers = counted(self.workers, "worker")
        log.info(said, name=listener.name, at=socket.written, purpose=purpose, workers=workers)

    # What seats ask for.

    def link(self, seat: Seat) -> Link:
        """Make our end of the link to a worker."""
        return SupervisorLink(self.parcels, self, seat)

    def employ(self, seat: Seat) -> Employment:
        """Make the employment of a new worker."""
        return Employment(seat.number, seat, self.reactor, self.template or Spawner(self.reactor))

    def beginning(self, seat: Seat) -> Beginning:
        """What a worker is to begin with: the version in force, and its sockets."""
        self._process += 1
        seat.edition = self.configuration.version
        return Beginning(
            seat.number,
            self.workers,
            self._process,
            self._key,
            str(self.state),
            self.transports.value,
            self._edition(self.configuration, self.texts),
            tuple(
                HandedSocket(one.name, one.purpose.value, one.address, one.port, number)
                for number, one in enumerate(self._shared, FIRST_SOCKET)
            ),
        )

    def serves(self, seat: Seat) -> None:
        """A worker serves: tell it what the others know, and what came while it began."""
        log.info("worker {number} serves, as process {pid}", number=seat.number, pid=seat.pid)
        assert seat.employment is not None
        link = seat.employment.link
        link.ask(TakeLists).addErrback(not_told, UNTOLD, number=seat.number)
        link.ask(SetLimits, self.lasting.set_limits.entries).addErrback(not_told, UNTOLD, number=seat.number)
        tell = partial(self.crew.tell_one, seat, Stand)
        self._standings_told.add(telling(self.lasting.standings, tell))
        self.granting.tell(seat)
        for batch in self.board.batches():
            link.ask(Hear, batch).addErrback(not_told, UNTOLD, number=seat.number)
        self._catch_up()
        if self.template is not None and all(one.is_serving for one in self.crew.seats):
            self.template.rest(self.state)

    def died(self, seat: Seat, began: float, how: str) -> None:
        """A worker is over: close the records of its tunnels."""
        self.sums.forget(seat.incarnation)
        self.dealing.forget(seat)
        self.quota_keeper.bury(seat.borrower)
        folder, pool = self.state / RECORDS_FOLDER, self.reactor.getThreadPool()
        find = partial(lost_tunnels, folder, seat.number, began, self.now())
        closing: Deferred[Any] = deferToThreadPool(self.reactor, pool, find)
        closing.addCallback(self._close_lost).addErrback(_not_closed)
        self._closing_lost.add(closing)
        closing.addBoth(lambda _: self._closing_lost.discard(closing))

    # What workers tell.

    def take_notice(self, notices: tuple[Notice, ...], seat: Seat) -> None:
        """Keep what a worker learned, and pass it on."""
        self.board.post(notices)
        hear(tuple(one for one in notices if isinstance(one, Granted | GrantEnded | Requested)), self.lasting)
        self.crew.hear(notices, seat)

    def take_report(self, report: Report, seat: Seat) -> None:
        """Add up what a worker counted."""
        seat.heard()
        seat.report = report
        self.sums.take(seat.incarnation, report)
        self.checkpoints.note(seat.incarnation, report.end)

    def book(self, batch: Batch, number: int, seat: Seat) -> Deferred[None]:
        """Store a batch of usage once, however often it comes."""
        if number <= seat.booked:
            return succeed(None)
        booking = self.intake.add_usage(batch)
        return booking.addCallbacks(partial(_booked, seat, seat.employment, number), not_stored)

    # What reaches all.

    def take_everywhere(self, configuration: Configuration, texts: Mapping[str, bytes]) -> Deferred[None]:
        """Put a policy into force in all workers and here, or nowhere."""
        taking: Deferred[None] = self.crew.take(
            self._edition(configuration, texts), lambda: self.take(configuration, texts)
        )
        return taking.addCallback(lambda _: self._catch_up())

    def take(self, configuration: Configuration, texts: Mapping[str, bytes]) -> None:
        """Put a policy into force here."""
        super().take(configuration, texts)
        self.board.remember_seconds = configuration.identity.remember_seconds

    def take_lists(self, index: CategoryIndex) -> None:
        """Put a new index of the lists into force here and in all workers."""
        super().take_lists(index)
        self.crew.take_lists()

    def look_at_people(self) -> None:
        """Take up who there is, in all workers."""
        super().look_at_people()
        self.crew.tell(Hear, (LookAgain(),))

    def take_limits(self, entries: tuple[SetLimit, ...]) -> None:
        """Put the limits that are set into force, here and in all workers."""
        super().take_limits(entries)
        self.crew.tell(SetLimits, entries)

    def take_standings(self, standings: Mapping[Member, Standing]) -> None:
        """Some members of quotas stand otherwise, here and in all workers."""
        super().take_standings(standings)
        for batch in batches(standings):
            self.crew.tell(Stand, batch)

    def waiting_for_limits(self) -> Mapping[str, tuple[str, ...]]:
        """The people who wait now in any worker, by the names of the limits that they wait for."""
        return self.dealing.waiting()

    def look(self, question: Question) -> Deferred[Present]:
        """Fire with what runs now in all workers together."""
        seen = self.crew.gather(Look, question, LOOK_SECONDS)
        slices = self.proxy.watching.slices
        return seen.addCallback(lambda told: slices.take(together(told, question)))

    def end_by_hand(self, chosen: Chosen) -> Deferred[Ended]:
        """End what an administrator chose of what runs in all workers."""
        return self.crew.gather(EndByHand, chosen, LOOK_SECONDS).addCallback(all_ended)

    def reopen(self) -> None:
        """Begin new record files everywhere."""
        super().reopen()
        self.crew.reopen()

    def settle(self) -> Deferred[None]:
        """Write what waits, and close the open segments, here and in all workers."""
        return Deferred.fromCoroutine(self._settle())

    async def _settle(self) -> None:
        await self.crew.settle()
        await super().settle()

    def forget(self, erasure: Erasure) -> Deferred[Any]:
        """Forget in memory what is being erased, here and in all workers."""
        self.board.forget(erasure)
        return super().forget(erasure).addCallback(lambda _: self.crew.forget(erasure))

    def reasons_not_ready(self) -> list[str]:
        """Why this proxy should not be given to people now."""
        reasons = super().reasons_not_ready()
        for seat in self.crew.seats:
            if not seat.is_serving:
                reasons.append(f"worker {seat.number} does not serve yet")
            reasons += [f"worker {seat.number}: {reason}" for reason in seat.report.reasons]
        return reasons

    def status(self) -> dict[str, Any]:
        """What is open now in all workers, and how each does."""
        seats = self.crew.seats
        return {
            "connections": sum(seat.report.connections for seat in seats),
            "tunnels": sum(seat.report.tunnels for seat in seats),
            "workers": [
                {
                    "worker": seat.number,
                    "stage": seat.stage.value,
                    "pid": seat.pid,
                    "connections": seat.report.connections,
                    "tunnels": seat.report.tunnels,
                    "since": utc_text(seat.began) if seat.pid else "",
                    "ended": seat.deaths,
                }
                for seat in seats
            ],
        }

    def drain(self) -> Deferred[Any]:
        """End the workers: they take what waits, and let exchanges end."""
        return Deferred.fromCoroutine(self._drain_workers())

    async def _drain_workers(self) -> None:
        self._close_shared()
        await self.crew.stop(self.configuration.timeouts.drain)
        self.dealing.stop()
        self._standings_told.finish()
        if self.template is not None:
            self.template.close()
        for closing in list(self._closing_lost):
            await closing

    def end(self) -> None:
        """Stop; asked once more, without waiting for what still runs."""
        if self._is_ending or self.proxy.stopping:
            self.crew.hurry()
        super().end()

    # Inside.

    def _edition(self, configuration: Configuration, texts: Mapping[str, bytes]) -> Edition:
        return Edition(configuration.version, str(self.policy), dict(texts))

    def _catch_up(self) -> Deferred[None]:
        """Bring workers that began while a version came into force to that version; fires when they are."""
        edition = self._edition(self.configuration, self.texts)
        late = [seat for seat in self.crew.seats if seat.is_serving and seat.edition != edition.version]
        caught_up = [
            self.crew.catch_up(seat, edition).addErrback(not_told, UNTOLD, number=seat.number)
            for seat in late
        ]
        return DeferredList(caught_up).addCallback(lambda _: None)

    def _close_lost(self, records: list[Record]) -> None:
        for record in records:
            self.writer.write(record)
            self.telemetry.exchange(record)
        if records:
            lost = counted(len(records), "tunnel was", "tunnels were")
            log.warn("{lost} lost with their worker", lost=lost, count=len(records))


def _booked(seat: Seat, employment: Employment | None, number: int, _: object) -> None:
    if seat.employment is employment:
        seat.booked = number


def _not_closed(failure: Failure) -> None:
    log.failure("the records of a dead worker cannot be read: its tunnels stay without an end", failure)
