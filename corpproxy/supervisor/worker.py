"""A worker: the service as it serves clients, with a supervisor in the place of all that workers share."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Never

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.protocol import connectionDone
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from corpproxy.accounting.present import Question
from corpproxy.accounting.quotas import Lent
from corpproxy.audit.erasure import Erasure
from corpproxy.audit.reference import References
from corpproxy.backends.lists.files import open_index
from corpproxy.backends.people.reception import Reception
from corpproxy.backends.policies.files import DISK, Kept
from corpproxy.backends.policies.history import Run
from corpproxy.backends.policies.start import Started
from corpproxy.backends.records.files import RecordWriter
from corpproxy.backends.records.segments import RECORDS_FOLDER
from corpproxy.backends.store.interface import Store
from corpproxy.config.configuration import Configuration
from corpproxy.config.listeners import Listener, Purpose
from corpproxy.config.load import load_policy
from corpproxy.config.transports import Transports
from corpproxy.destination.index import CategoryIndex
from corpproxy.errors import NOWHERE
from corpproxy.identity.grants import Grant
from corpproxy.identity.requests import AccessRequest
from corpproxy.net.by_hand import Chosen, end_by_hand
from corpproxy.net.crowd import Crowd
from corpproxy.net.listening import Socket
from corpproxy.policy.set_limits import SetLimit
from corpproxy.reload import Objection
from corpproxy.repeating import every
from corpproxy.service import CorpproxyService, NotStarted
from corpproxy.signals import Signals
from corpproxy.supervisor.allowances import DistantAllowances
from corpproxy.supervisor.distant_store import DistantStore
from corpproxy.supervisor.elsewhere import Elsewhere, KeptElsewhere, NoErrands, OpenedLists, SignedElsewhere
from corpproxy.supervisor.messages import (
    Beginning,
    Edition,
    Granted,
    GrantEnded,
    HandedSocket,
    Notice,
    Parts,
    Report,
    Requested,
    Stands,
)
from corpproxy.supervisor.parcels import Parcels
from corpproxy.supervisor.quotas import CountedElsewhere, standings_of
from corpproxy.supervisor.rates import Taking
from corpproxy.supervisor.sums import report_of
from corpproxy.supervisor.teller import Teller, hear
from corpproxy.supervisor.wire import (
    Begin,
    Borrow,
    Count,
    Deal,
    EndByHand,
    Forget,
    Hear,
    Lend,
    Link,
    Look,
    Others,
    Prepare,
    Reopen,
    SetLimits,
    Settle,
    Stand,
    Stop,
    Swap,
    TakeLists,
    Taken,
    Tell,
    Tidings,
)

log = Logger()

# How often the supervisor is told how this worker does.
REPORT_SECONDS = 1.0


class TellingStore(DistantStore):
    """Tells the other workers of grants and requests when they are kept."""

    def __init__(self, link: Link, teller: Teller) -> None:
        super().__init__(link)
        self._teller = teller

    def save_grant(self, grant: Grant) -> Deferred[None]:
        """Keep a grant; it holds everywhere, whether it can be kept or not."""
        self._tell(Granted(grant))
        return super().save_grant(grant)

    def end_grant(self, id: str) -> Deferred[None]:
        """End a grant everywhere."""
        self._tell(GrantEnded(id))
        return super().end_grant(id)

    def save_request(self, request: AccessRequest) -> Deferred[None]:
        """Keep a request, and let those find it who decide on it elsewhere."""
        self._tell(Requested(request))
        return super().save_request(request)

    def _tell(self, notice: Notice) -> None:
        self._teller.tell(notice)
        self._teller.flush()


class Worker(CorpproxyService):
    """One worker."""

    def __init__(
        self,
        beginning: Beginning,
        started: Started,
        link: WorkerLink,
        *,
        reactor: Any,
        now: Callable[[], float],
    ) -> None:
        """Make it for a version that was loaded; it listens on inherited sockets."""
        self.beginning = beginning
        self._link = link
        alone = beginning.workers == 1
        self.teller = Teller(lambda notices: link.ask(Tell, notices), reactor, is_alone=alone)
        super().__init__(Path(beginning.edition.policy), started, reactor=reactor, now=now)
        # What only a restart can change is as it was when the service began.
        self.state = Path(beginning.state)
        self.transports = Transports(beginning.transports)

    def _bind(self, listeners: tuple[Listener, ...]) -> tuple[list[Socket], dict[Listener, str]]:
        return [_inherited(one) for one in self.beginning.sockets], {}

    def _make_control(self) -> Any:
        return Elsewhere()

    def _make_reloading(self) -> Any:
        return Elsewhere()

    def _make_limit_keeper(self) -> Any:
        return Elsewhere()

    def _make_quota_keeper(self) -> CountedElsewhere:
        link = self._link
        return CountedElsewhere(
            lambda counted: link.ask(Count, counted),
            lambda asked: link.ask(Borrow, asked),
            self.lasting.standings,
            self.reactor,
            self.now,
        )

    def _make_allowances(self) -> DistantAllowances:
        return DistantAllowances(self._link)

    def _make_errands(self) -> Any:
        return NoErrands()

    def _make_erasing(self) -> Any:
        return Elsewhere()

    def _make_revealing(self) -> Any:
        return Elsewhere()

    def _make_retention(self) -> Any:
        return Elsewhere()

    def _make_signals(self) -> Any:
        return Elsewhere()

    def _list_keeper(self) -> OpenedLists:
        return OpenedLists()

    def _list_updates(self) -> OpenedLists:
        return OpenedLists()

    def _make_store(self) -> Store:
        return TellingStore(self._link, self.teller)

    def _make_intake(self) -> Store:
        return self.store

    def _make_writer(self) -> RecordWriter:
        return RecordWriter(
            self.reactor,
            self.state / RECORDS_FOLDER,
            self.configuration.audit,
            now=self.now,
            worker=self.beginning.number,
        )

    def _open_key(self) -> None:
        """The key is not for workers."""

    def _make_checkpoints(self) -> SignedElsewhere:
        return SignedElsewhere()

    def _make_shelf(self) -> KeptElsewhere:
        return KeptElsewhere()

    def _make_sinks(self) -> KeptElsewhere:
        return KeptElsewhere()

    def _make_reception(self) -> Reception:
        return Reception(
            self.reactor,
            self.now,
            self.configuration.identity,
            self.beginning.key,
            self.teller.learned,
            self.teller.changed,
        )

    @property
    def _worker_number(self) -> int:
        return self.beginning.number

    def _make_references(self) -> References:
        return References(self.beginning.process)

    def _make_parts(self) -> None:
        super()._make_parts()
        workers = self.beginning.workers
        self.taking = Taking(self.proxy.pacer, workers, lambda took: self._link.ask(Taken, took))
        self.lasting.refusals.tell = self.teller.refused
        self.proxy.watching.worker = self.beginning.number

    def _start_parts(self) -> None:
        super()._start_parts()
        self._loops.append(every(REPORT_SECONDS, self.report, self.reactor))

    def _make_ends(self) -> Signals:
        """Ctrl-C reaches every process of a terminal: there the supervisor says what is to happen."""
        return Signals(self.reactor, {signal.SIGTERM: self.end})

    def end(self) -> None:
        """Stop, as SIGTERM asks for."""
        self._link.end()

    def keep(self, run: Run) -> None:
        """The supervisor keeps the policies that ran."""

    def report(self) -> None:
        """Tell the supervisor how this worker does."""
        self._link.ask(Tidings, self.tidings()).addErrback(_not_told)

    def tidings(self) -> Report:
        """How this worker does."""
        admission = self.proxy.admission
        told = report_of(self.telemetry)
        self.checkpoints.note(self, self.writer.reached())
        return msgspec.structs.replace(
            told,
            connections=len(admission.connections),
            tunnels=len(admission.tunnels),
            reasons=tuple(self.reasons_not_ready()),
            crowd=admission.crowd(self.beginning.workers),
            end=self.checkpoints.end,
        )

    def open_lists(self) -> None:
        """Take up the index that stands in the state folder."""
        index = open_index(self.state) if self.configuration.lists else None
        if index is not None:
            self.take_lists(index)


class WorkerLink(Link):
    """
    A worker's end of the link; ``over`` is called when this process is to end.

    ``had`` is a configuration that was loaded before this process was made, and is its to begin with if that
    version is in force still.
    """

    def __init__(
        self,
        parcels: Parcels,
        reactor: Any,
        now: Callable[[], float],
        over: Callable[[], None],
        had: Configuration | None = None,
    ) -> None:
        super().__init__(parcels)
        self._had = had
        self._reactor = reactor
        self._now = now
        self._over = over
        self._prepared: tuple[Edition, Configuration] | None = None
        self.worker: Worker | None = None

    @Begin.responder
    def begin(self, value: Beginning) -> dict[str, Any]:
        configuration, self._had = self._had, None
        if configuration is None or configuration.version != value.edition.version:
            configuration = loaded(value.edition, Path(value.state))
        started = Started(configuration, (), False, value.edition.texts)
        self.worker = Worker(value, started, self, reactor=self._reactor, now=self._now)
        try:
            self.worker.startService()
        except NotStarted as error:
            raise Objection(error.message) from error
        self.worker.report()
        return {}

    @Prepare.responder
    def prepare(self, value: Edition) -> Deferred[dict[str, Any]]:
        pool = self._reactor.getThreadPool()
        loading: Deferred[Configuration] = deferToThreadPool(
            self._reactor, pool, loaded, value, self._service.state
        )
        return loading.addCallbacks(self._keep_prepared, _objecting, callbackArgs=(value,))

    @Swap.responder
    def swap(self, value: str) -> dict[str, Any]:
        prepared, self._prepared = self._prepared, None
        if prepared is None or prepared[0].version != value:
            raise Objection(f"version {value} is not prepared")
        edition, configuration = prepared
        try:
            self._service.take(configuration, edition.texts)
        except Exception as error:
            log.failure("version {version} cannot be put into force", version=value)
            raise Objection("a fault of corpproxy keeps the version from being put into force") from error
        return {}

    @TakeLists.responder
    def take_lists(self, value: None) -> dict[str, Any]:
        self._service.open_lists()
        return {}

    @Reopen.responder
    def reopen(self, value: None) -> dict[str, Any]:
        self._service.reopen()
        return {}

    @Settle.responder
    def settle(self, value: None) -> Deferred[dict[str, Any]]:
        return self._service.settle().addCallback(lambda _: {})

    @Forget.responder
    def forget(self, value: Erasure) -> Deferred[dict[str, Any]]:
        self._service.teller.flush()
        return self._service.forget(value).addCallback(lambda _: {})

    @Hear.responder
    def hear(self, value: tuple[Notice, ...]) -> dict[str, Any]:
        hear(value, self._service.lasting)
        return {}

    @Others.responder
    def others(self, value: Crowd) -> dict[str, Any]:
        self._service.proxy.admission.elsewhere = value
        return {}

    @SetLimits.responder
    def set_limits(self, value: tuple[SetLimit, ...]) -> dict[str, Any]:
        self._service.take_limits(value)
        return {}

    @Stand.responder
    def stand(self, value: tuple[Stands, ...]) -> dict[str, Any]:
        self._service.take_standings(standings_of(value))
        return {}

    @Lend.responder
    def lend(self, value: tuple[Lent, ...]) -> dict[str, Any]:
        self._service.proxy.borrowing.take(value)
        return {}

    @Deal.responder
    def deal(self, value: Parts) -> dict[str, Any]:
        self._service.taking.take(value)
        return {}

    @Look.responder
    def look(self, value: Question) -> Deferred[dict[str, Any]]:
        return self._service.proxy.watching.look(value).addCallback(_answer)

    @EndByHand.responder
    def end_by_hand(self, value: Chosen) -> dict[str, Any]:
        return _answer(end_by_hand(self._service.proxy, value))

    @Stop.responder
    def stop(self, value: bool) -> dict[str, Any]:
        self.end(hurries=value)
        return {}

    def end(self, *, hurries: bool = False) -> None:
        """Stop the worker, then the process; without a supervisor too there is nothing more to do."""
        worker = self.worker
        if worker is None:
            self._over()
            return
        if hurries:
            worker.draining.hurry()
        if worker.running:
            worker.stopService().addBoth(self._ended)
        elif not self.is_open:
            self._over()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self.end()

    def _ended(self, _: object) -> None:
        """All is written: the last report goes out, and its end is the end of the link."""
        assert self.worker is not None
        if self.is_open:
            self.worker.teller.flush()
            self.worker.report()
            self.transport.loseConnection()
        else:
            self._over()

    @property
    def _service(self) -> Worker:
        if self.worker is None:
            raise Objection("this worker has not begun")
        return self.worker

    def _keep_prepared(self, configuration: Configuration, edition: Edition) -> dict[str, Any]:
        self._prepared = edition, configuration
        return {}


def _answer(value: Any) -> dict[str, Any]:
    return {"value": value}


def loaded(edition: Edition, state: Path) -> Configuration:
    """
    Load a version from its texts, not from the disk, where the next edit may stand already.

    :raises Objection: when it does not load here.
    """
    policy = Path(edition.policy)
    loading = load_policy(
        policy,
        Kept(edition.texts, policy.parent, DISK),
        known_categories=lambda _: _known_categories(state),
        forgiving=True,
    )
    if loading.configuration is None:
        errors = "; ".join(str(problem) for problem in loading.problems if problem.is_error)
        raise Objection(f"version {edition.version} does not load here: {errors}")
    if loading.configuration.version != edition.version:
        raise Objection(f"version {edition.version} became {loading.configuration.version} on the way")
    return loading.configuration


def _known_categories(state: Path) -> frozenset[str] | None:
    index: CategoryIndex | None = open_index(state)
    return index.known_categories if index is not None else None


def _not_told(failure: Failure) -> None:
    """Without a supervisor this worker ends; the loss of the link says so."""
    if not failure.check(ConnectionDone, ConnectionLost):  # type: ignore[no-untyped-call]
        log.failure("the supervisor could not be told", failure)


def _objecting(failure: Failure) -> Never:
    if not failure.check(Objection):  # type: ignore[no-untyped-call]
        log.failure("a version cannot be prepared", failure)
        raise Objection("a fault of corpproxy keeps the version from being prepared; the log says more")
    failure.raiseException()


def _inherited(handed: HandedSocket) -> Socket:
    own = socket.socket(fileno=handed.descriptor)
    own.setblocking(False)
    os.set_inheritable(handed.descriptor, False)
    listener = Listener(handed.name, Purpose(handed.purpose), handed.address, handed.port, None, NOWHERE)
    return Socket(listener, own)
