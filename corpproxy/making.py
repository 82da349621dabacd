"""Making the parts of a service: a method for each, because workers and supervisors have other ones."""

from __future__ import annotations

import secrets
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from corpproxy.accounting.store_address import StoreAddress
from corpproxy.assembly import Lasting
from corpproxy.audit.reference import References
from corpproxy.backends.bookkeeping import Taking
from corpproxy.backends.intake import Intake
from corpproxy.backends.lists.past_keeper import PastKeeper
from corpproxy.backends.lists.removed import RemovedLists
from corpproxy.backends.lists.update_job import UpdateJob
from corpproxy.backends.lists.updates import ListUpdates
from corpproxy.backends.lists.watch import ListKeeper
from corpproxy.backends.one_thread import OneThread
from corpproxy.backends.people.reception import Reception
from corpproxy.backends.records.checkpoints import Checkpoints
from corpproxy.backends.records.files import RecordWriter
from corpproxy.backends.records.segments import RECORDS_FOLDER
from corpproxy.backends.records.signing_key import open_key, signing_key
from corpproxy.backends.state_folder import CONTROL_SOCKET
from corpproxy.backends.store.interface import Store
from corpproxy.backends.store.opening import store_at
from corpproxy.commands import commands
from corpproxy.config.configuration import Configuration
from corpproxy.erasing import Erasing
from corpproxy.errands import Errands
from corpproxy.granting import Granting
from corpproxy.keeping import make_shelf, make_sinks
from corpproxy.net.control import ControlServer
from corpproxy.reload import Reloading
from corpproxy.retention import Retention
from corpproxy.revealing import Revealing
from corpproxy.signals import Signals


class Making:
    """Makes the parts of a service that runs alone, which is the rest of this object."""

    reactor: Any
    now: Callable[[], float]
    state: Path
    policy: Path
    texts: Mapping[str, bytes]
    configuration: Configuration
    store_address: StoreAddress
    store: Store
    lasting: Lasting
    lists: Any
    _key_file: int | None

    @property
    def _whole(self) -> Any:
        """The service that the parts belong to."""
        return self

    def _make_control(self) -> Any:
        return ControlServer(self.state / CONTROL_SOCKET, commands(self._whole), reactor=self.reactor)

    def _make_store(self) -> Store:
        store = store_at(self.store_address, self.reactor, self.now)
        store.hides = self._whole.hides
        return store

    def _make_intake(self) -> Taking:
        return Intake(self.store, self.now)

    def _make_writer(self) -> RecordWriter:
        return RecordWriter(self.reactor, self.state / RECORDS_FOLDER, self.configuration.audit, now=self.now)

    def _open_key(self) -> int | None:
        return open_key(self.state)

    def _make_checkpoints(self) -> Any:
        key = signing_key(self.state, self._key_file)
        copies = self.configuration.audit.checkpoints_to
        thread = OneThread(self.reactor, "checkpoints")
        return Checkpoints(self.state / RECORDS_FOLDER, key, thread, self.now, copies)

    def _make_shelf(self) -> Any:
        return make_shelf(self._whole)

    def _make_sinks(self) -> Any:
        return make_sinks(self._whole)

    def _make_reception(self) -> Reception:
        return Reception(self.reactor, self.now, self.configuration.identity)

    def _make_granting(self) -> Granting:
        return Granting(self.reactor, self.store, self.lasting, self.now)

    def _make_reloading(self) -> Any:
        return Reloading(self._whole)

    def _make_errands(self) -> Any:
        return Errands(self._whole)

    def _make_erasing(self) -> Any:
        return Erasing(self._whole)

    def _make_revealing(self) -> Any:
        return Revealing(self._whole)

    def _make_retention(self) -> Any:
        return Retention(self._whole)

    def _make_signals(self) -> Signals:
        return Signals(
            self.reactor,
            {signal.SIGHUP: lambda: self._whole.reload("SIGHUP", 0), signal.SIGUSR1: self._whole.reopen},
        )

    def _make_ends(self) -> Signals:
        return Signals(self.reactor, {signal.SIGTERM: self._whole.end, signal.SIGINT: self._whole.end})

    def _make_references(self) -> References:
        return References(secrets.randbelow(1 << 20))

    def make_list_keeper(self) -> Any:
        lists, state = self.configuration.lists, self.state
        past = PastKeeper(self.reactor, state, lists)
        return ListKeeper(self.reactor, lists, state, self._whole.take_lists, self.now, past)

    def _list_updates(self) -> Any:
        return ListUpdates(
            self.reactor,
            self.configuration.lists,
            lambda names: UpdateJob(str(self.policy), dict(self.texts), names),
            self._build_lists,
            self.now,
            RemovedLists(self.state),
        )

    def _build_lists(self) -> None:
        """Take up a version of a list that came; the keeper is another one after a reload."""
        self.lists.build()
