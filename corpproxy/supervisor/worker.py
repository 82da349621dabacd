"""A worker: the service as it serves clients, with a supervisor in the place of all that workers share."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from twisted.internet.defer import Deferred, succeed
from twisted.internet.threads import deferToThreadPool

from corpproxy.audit.reference import References
from corpproxy.backends.lists.files import open_index
from corpproxy.backends.people.reception import Reception
from corpproxy.backends.policies.history import Run
from corpproxy.backends.policies.start import Started
from corpproxy.backends.records.files import RecordWriter
from corpproxy.backends.records.segments import RECORDS_FOLDER
from corpproxy.backends.store.interface import Store
from corpproxy.config.listeners import Listener, Purpose
from corpproxy.config.transports import Transports
from corpproxy.destination.index import CategoryIndex
from corpproxy.errors import NOWHERE
from corpproxy.net.listening import Socket
from corpproxy.repeating import every
from corpproxy.service import CorpproxyService
from corpproxy.signals import Signals
from corpproxy.supervisor.allowances import DistantAllowances
from corpproxy.supervisor.elsewhere import Elsewhere, KeptElsewhere, NoErrands, OpenedLists, SignedElsewhere
from corpproxy.supervisor.messages import (
    Beginning,
    HandedSocket,
    Report,
)
from corpproxy.supervisor.quotas import CountedElsewhere
from corpproxy.supervisor.rates import Taking
from corpproxy.supervisor.sums import report_of
from corpproxy.supervisor.teller import Teller
from corpproxy.supervisor.telling_store import TellingStore
from corpproxy.supervisor.untold import not_told
from corpproxy.supervisor.wire import (
    Borrow,
    Count,
    Taken,
    Tell,
    Tidings,
)

if TYPE_CHECKING:
    from corpproxy.supervisor.worker_link import WorkerLink

# How often the supervisor is told how this worker does.
REPORT_SECONDS = 1.0


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

    def make_list_keeper(self) -> OpenedLists:
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
        self.loops.append(every(REPORT_SECONDS, self.report, self.reactor))

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
        self._link.ask(Tidings, self.tidings()).addErrback(not_told, "the supervisor could not be told")

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

    def open_lists(self) -> Deferred[None]:
        """
        Take up the index that stands in the state folder.

        Its checksum touches all of it, which takes milliseconds: a thread counts it while clients are served.
        """
        if not self.configuration.lists:
            return succeed(None)
        pool = self.reactor.getThreadPool()
        opening: Deferred[CategoryIndex | None] = deferToThreadPool(
            self.reactor, pool, open_index, self.state
        )
        return opening.addCallback(self._take_opened)

    def _take_opened(self, opened: CategoryIndex | None) -> None:
        """Take up what stands there now; it is open already, unless it was replaced in this very moment."""
        index = open_index(self.state) if self.configuration.lists else None
        if index is not None and index is not self.index and self.running:
            self.take_lists(index)


def _inherited(handed: HandedSocket) -> Socket:
    own = socket.socket(fileno=handed.descriptor)
    own.setblocking(False)
    os.set_inheritable(handed.descriptor, False)
    listener = Listener(handed.name, Purpose(handed.purpose), handed.address, handed.port, None, NOWHERE)
    return Socket(listener, own)
