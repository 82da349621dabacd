"""A worker's end of the link: what the supervisor asks of it, from its beginning to its end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Never

from twisted.internet.defer import Deferred
from twisted.internet.protocol import connectionDone
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from corpproxy.accounting.present import Question
from corpproxy.accounting.quotas import Lent
from corpproxy.audit.erasure import Erasure
from corpproxy.backends.lists.files import open_index
from corpproxy.backends.policies.files import DISK, Kept
from corpproxy.backends.policies.start import Started
from corpproxy.config.configuration import Configuration
from corpproxy.config.load import load_policy
from corpproxy.destination.index import CategoryIndex
from corpproxy.net.by_hand import Chosen, end_by_hand
from corpproxy.net.crowd import Crowd
from corpproxy.policy.set_limits import SetLimit
from corpproxy.reload import Objection
from corpproxy.service import NotStarted
from corpproxy.supervisor.messages import Beginning, Edition, Notice, Parts, Stands
from corpproxy.supervisor.parcels import Parcels
from corpproxy.supervisor.quotas import standings_of
from corpproxy.supervisor.teller import hear
from corpproxy.supervisor.wire import (
    Begin,
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
)
from corpproxy.supervisor.worker import Worker

log = Logger()


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
    def take_lists(self, value: None) -> Deferred[dict[str, Any]]:
        return self._service.open_lists().addCallback(lambda _: {})

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


def _objecting(failure: Failure) -> Never:
    if not failure.check(Objection):  # type: ignore[no-untyped-call]
        log.failure("a version cannot be prepared", failure)
        raise Objection("a fault of corpproxy keeps the version from being prepared; the log says more")
    failure.raiseException()
