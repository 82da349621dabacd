"""
The service: the one place that knows all the parts by name, makes them, and starts and stops them in order.

What a policy says is built anew with each reload (``assembly.py``); what outlives it is made here, once.
"""

from __future__ import annotations

import gc
import secrets
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger

from corpproxy.accounting.accounts import Accounts
from corpproxy.accounting.ledger import Ledger
from corpproxy.admin.site import admin_site
from corpproxy.admin.telemetry import Telemetry
from corpproxy.assembly import Lasting, assemble, with_lists
from corpproxy.audit.reference import References
from corpproxy.backends.atomic_file import replace_file
from corpproxy.backends.bookkeeping import Bookkeeper
from corpproxy.backends.books import PROGRESS_SECONDS, Books
from corpproxy.backends.history import History, HistoryError, Run
from corpproxy.backends.list_files import open_index
from corpproxy.backends.list_watch import ListKeeper
from corpproxy.backends.policy_start import Started
from corpproxy.backends.reception import Reception
from corpproxy.backends.record_files import RecordWriter
from corpproxy.backends.record_segments import RECORDS_FOLDER
from corpproxy.backends.state_folder import CONTROL_SOCKET, FORMS_KEY
from corpproxy.backends.store import STORE_FILE, StoreError
from corpproxy.backends.store_sqlite import SqliteStore
from corpproxy.commands import commands
from corpproxy.config.configuration import Configuration
from corpproxy.config.listeners import Listener, Purpose
from corpproxy.destination.index import CategoryIndex
from corpproxy.errors import Problem
from corpproxy.exchange.exchange import Mode
from corpproxy.identity.forms import Signer
from corpproxy.identity.grants import Grants
from corpproxy.net.control import ControlServer
from corpproxy.net.deadlines import Deadlines
from corpproxy.net.engine.connecting import EngineReactor
from corpproxy.net.engine.loop import Engine
from corpproxy.net.listening import ClientFactory, Socket
from corpproxy.net.names import Names
from corpproxy.net.pool import Pool
from corpproxy.net.proxy import Proxy
from corpproxy.pages.refusals import Refusals
from corpproxy.reload import Reloaded, Reloading
from corpproxy.signals import Signals
from corpproxy.telemetry import measure

log = Logger()

# How often a stopping service looks whether the running exchanges have ended.
DRAIN_LOOK_SECONDS = 0.1
# How often grants that ended are forgotten.
GRANTS_SECONDS = 60.0
KEY_OCTETS = 32


class CorpproxyService(Service):
    """
    corpproxy, from its sockets to its files.

    Sockets are bound when it is made, so that an address that is taken is told before anything starts, and
    low ports work for a service that gives up its privileges.
    """

    def __init__(
        self, policy: Path, started: Started, *, reactor: Any, now: Callable[[], float] = time.time
    ) -> None:
        configuration = started.configuration
        if configuration is None:
            raise ValueError("there is no policy that can run")
        self.policy = policy
        self.configuration: Configuration = configuration
        self.texts = started.texts
        self.is_last_good = started.is_last_good
        self.problems: tuple[Problem, ...] = started.problems
        self.index: CategoryIndex | None = open_index(configuration.state) if configuration.lists else None
        self.telemetry = Telemetry()
        self.began = now()
        self.reactor = reactor
        self.now = now
        self.loaded_at = self.began
        self.sockets = [Socket(listener) for listener in configuration.listeners]

    # Starting.

    def startService(self) -> None:
        super().startService()  # type: ignore[no-untyped-call]
        configuration, reactor, now = self.configuration, self.reactor, self.now
        state = configuration.state
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.control = ControlServer(state / CONTROL_SOCKET, commands(self), reactor=reactor)
        self.control.start()
        self.store = SqliteStore(reactor, state / STORE_FILE, now=now)
        self.writer = RecordWriter(reactor, state / RECORDS_FOLDER, configuration.audit, now=now)
        self.accounts = Accounts(Ledger())
        self.bookkeeper = Bookkeeper(reactor, self.accounts, self.store, now=now)
        self.books = Books(self.accounts, self.writer, now, self.telemetry.exchange)
        self.reception = Reception(reactor, now, configuration.identity)
        self.lasting = Lasting(Grants(), Refusals(), Signer(_key(state / FORMS_KEY)), self.reception)
        self.lists = self._list_keeper(configuration)
        self.proxy = self._make_proxy()
        self.reloading = Reloading(self)
        self.signals = Signals(
            reactor,
            {signal.SIGHUP: lambda: self.reload("SIGHUP", 0), signal.SIGUSR1: self.reopen},
        )
        measure(self)
        self._tell()
        self._starting = self._start_waiting_parts()

    def _list_keeper(self, configuration: Configuration) -> ListKeeper:
        return ListKeeper(self.reactor, configuration.lists, configuration.state, self.take_lists, self.now)

    def _make_proxy(self) -> Proxy:
        configuration, reactor = self.configuration, self.reactor
        deadlines = Deadlines(reactor)
        self.engine = Engine(reactor)
        return Proxy(
            reactor=reactor,
            connector=EngineReactor(self.engine),
            in_force=assemble(configuration, self.index, self.lasting),
            deadlines=deadlines,
            names=Names(reactor, configuration.names),
            pool=Pool(reactor, configuration.connections, configuration.timeouts.connect),
            books=self.books,
            sign_in=self.reception,
            grants=self.store,
            references=References(secrets.randbelow(1 << 20)),
            now=self.now,
        )

    def _start_waiting_parts(self) -> Deferred[None]:
        """Read what has to be read, then listen."""
        return Deferred.fromCoroutine(self._start())

    async def _start(self) -> None:
        try:
            self.lasting.grants.load(await self.store.load_grants(self.now()), self.now())
        except StoreError as error:
            log.critical("grants cannot be read: {error}; warnings must be confirmed again", error=error)
        self._keep()
        self.proxy.deadlines.start()
        self.bookkeeper.start()
        self.reception.start()
        self._loops = [
            _loop(self.reactor, GRANTS_SECONDS, lambda: self.lasting.grants.expire(self.now())),
            _loop(self.reactor, PROGRESS_SECONDS, self._progress),
        ]
        self.lists.start()
        self.reloading.start()
        self.signals.start()
        for socket in self.sockets:
            self._listen(socket)
            log.info(
                "{name} listens on {at} ({purpose})",
                name=socket.listener.name,
                at=socket.written,
                purpose=socket.listener.purpose.value,
            )
        # What was made until now stays: the collector need not look at it again and again.
        gc.collect()
        gc.freeze()

    def _listen(self, socket: Socket) -> None:
        factory = self._factory(socket.listener)
        if socket.listener.purpose is Purpose.ADMIN:
            socket.listen(self.reactor, factory)
        else:
            socket.listen_in(self.engine, factory)

    def _factory(self, listener: Listener) -> Any:
        if listener.purpose is Purpose.ADMIN:
            token = listener.token.read_text().strip() if listener.token is not None else None
            return admin_site(
                self.telemetry, token, site=self.configuration.site, reasons=self.reasons_not_ready
            )
        mode = Mode.PORTAL if listener.purpose is Purpose.PORTAL else Mode.FORWARD
        return ClientFactory(self.proxy, mode, listener.name)

    def _tell(self) -> None:
        for problem in self.problems:
            tell = log.error if problem.is_error else log.warn
            tell("{problem}", problem=str(problem))
        if self.is_last_good:
            log.critical(
                "{policy} cannot run as it stands: the last good policy runs, version {version}. "
                "Mend the file and run: corpproxy reload",
                policy=str(self.policy),
                version=self.configuration.version,
            )

    def _keep(self) -> None:
        """Keep the policy that runs now as the last good one."""
        if not self.is_last_good:
            self.keep(Run(self.now(), "corpproxy", 0, "start"))

    def keep(self, run: Run) -> None:
        """Keep the policy in force among those that ran."""
        try:
            History(self.configuration.state).keep(self.texts, self.policy, run)
        except HistoryError as error:
            log.error("the policy in force could not be kept: {error}", error=str(error))

    # Running.

    def reasons_not_ready(self) -> list[str]:
        """Why this proxy should not be given to people now, in sentences; none when all is well."""
        reasons = []
        if self.is_last_good:
            reasons.append("the policy file is broken; the last good policy runs")
        if not self.writer.accepts():
            reasons.append(f"records cannot be written: {self.writer.failing_reason}")
        if self.bookkeeper.is_failing:
            reasons.append(f"usage cannot be stored: {self.bookkeeper.failing_reason}")
        if self.proxy.in_force.policy.missing_categories:
            reasons.append("category lists are missing; rules that block by them block everything")
        reasons += [str(problem) for problem in self.reception.problems if problem.is_error]
        if self.proxy.stopping:
            reasons.append("corpproxy is stopping")
        return reasons

    def take(self, configuration: Configuration, texts: Mapping[str, bytes]) -> None:
        """Put a policy into force: one reference is swapped; running exchanges keep what they began under."""
        in_force = assemble(configuration, self.index, self.lasting)
        if configuration.names != self.configuration.names:
            self.proxy.names.use(configuration.names)
        self.proxy.pool.limits = configuration.connections
        self.writer.take_up(configuration.audit)
        if configuration.lists != self.configuration.lists:
            self.lists.stop()
            self.lists = self._list_keeper(configuration)
            self.lists.start()
        self.proxy.in_force = in_force
        self.configuration, self.texts = configuration, texts
        self.is_last_good, self.problems = False, ()
        self.loaded_at = self.now()

    def take_lists(self, index: CategoryIndex) -> None:
        """Put a new index of the category lists into force."""
        self.index = index
        self.proxy.in_force = with_lists(self.proxy.in_force, self.configuration, index)

    def reload(self, by: str, uid: int, why: str = "reload") -> Deferred[Reloaded]:
        """Take up the policy file as it stands now."""
        return maybeDeferred(self.reloading.reload, by, uid, why)

    def reopen(self) -> None:
        """Begin new record files: someone moved the old ones away."""
        self.writer.reopen()

    def _progress(self) -> None:
        tunnels = self.proxy.admission.tunnels
        now = self.now()
        self.books.progress(
            [one.exchange for one in tunnels if now - one.exchange.started >= PROGRESS_SECONDS]
        )

    # Stopping.

    def stopService(self) -> Deferred[None]:
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        await self._starting
        self.proxy.stopping = True
        self.signals.stop()
        self.reloading.stop()
        self.lists.stop()
        for socket in self.sockets:
            await maybeDeferred(socket.stop)
        await self._drain()
        for loop in self._loops:
            loop.stop()
        self.proxy.pool.close()
        self.proxy.names.close()
        self.proxy.deadlines.stop()
        self.reception.stop()
        await self.bookkeeper.stop()
        await self.writer.close()
        await self.store.close()
        await self.control.stop()
        self.engine.stop()

    async def _drain(self) -> None:
        """Let running exchanges end; after a while end them, so that each has its record."""
        admission = self.proxy.admission
        for downstream in list(admission.connections):
            downstream.stop_if_idle()
        until = self.reactor.seconds() + self.configuration.timeouts.drain
        while admission.connections and self.reactor.seconds() < until:
            if all(one in admission.tunnels for one in admission.connections):
                break  # a tunnel has no end of its own to wait for
            await deferLater(self.reactor, DRAIN_LOOK_SECONDS)
        for downstream in list(admission.connections):
            downstream.stop_now()
        await deferLater(self.reactor, 0)


def _loop(reactor: Any, seconds: float, work: Callable[[], Any]) -> LoopingCall:
    loop = LoopingCall(work)
    loop.clock = reactor
    loop.start(seconds, now=False)
    return loop


def _key(path: Path) -> bytes:
    """The key of forms: made once, kept where only we can read it."""
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        key = b""
    if len(key) >= KEY_OCTETS:
        return key
    key = secrets.token_bytes(KEY_OCTETS)
    replace_file(path, key)
    return key
