"""
The service: the one place that knows all the parts by name, makes them, and starts and stops them in order.

What a policy says is built anew with each reload (``assembly.py``); what outlives it is made here, once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.error import ReactorNotRunning
from twisted.logger import Logger

from corpproxy.accounting.accounts import Accounts
from corpproxy.accounting.ledger import Ledger
from corpproxy.accounting.present import Present, Question, together
from corpproxy.admin.telemetry import Telemetry
from corpproxy.assembly import Lasting
from corpproxy.audit.erasure import Erasure
from corpproxy.backends.bookkeeping import Bookkeeper
from corpproxy.backends.books import PROGRESS_SECONDS, Books
from corpproxy.backends.lists.files import open_index
from corpproxy.backends.policies.history import History, HistoryError, Run
from corpproxy.backends.policies.start import Started
from corpproxy.backends.records.checkpoints import LOOK_SECONDS
from corpproxy.backends.records.shelf import SHELF_SECONDS
from corpproxy.backends.state_folder import FORMS_KEY, kept_key, make_state_folder
from corpproxy.backends.store.acceptable import refuse_unknown
from corpproxy.backends.store.aside import concerns_aside
from corpproxy.backends.store.away import concerns_of
from corpproxy.binding import bound
from corpproxy.config.configuration import Configuration
from corpproxy.config.listeners import Listener, Purpose
from corpproxy.cores import workers_for
from corpproxy.destination.index import CategoryIndex
from corpproxy.draining import Draining
from corpproxy.errors import CorpproxyError, Problem
from corpproxy.following import Following
from corpproxy.forgetting import forget
from corpproxy.holding import Holding
from corpproxy.identity.forms import Signer
from corpproxy.identity.grants import Grants
from corpproxy.identity.requests import Requests
from corpproxy.in_force import put_in_force, put_lists_in_force
from corpproxy.interpreter import GC_THRESHOLDS, set_interpreter
from corpproxy.making import Making
from corpproxy.naming import naming_of
from corpproxy.net.by_hand import Chosen, Ended, end_by_hand
from corpproxy.net.listening import Socket
from corpproxy.pages.refusals import Refusals
from corpproxy.progress import Progress
from corpproxy.readiness import reasons_not_ready
from corpproxy.reload import Reloaded
from corpproxy.repeating import every
from corpproxy.resident import give_back_files
from corpproxy.serving import factory_of, make_engine, make_proxy
from corpproxy.steady import CLOCK_SECONDS, ClockWatch
from corpproxy.stopping import stop
from corpproxy.telemetry import measure

log = Logger()


class NotStarted(CorpproxyError):
    """
    The service cannot start; what stands in the way is logged already.

    It is no SystemExit: twistd in the background would wait for ever for a child that ends in that way.
    """


class CorpproxyService(Making, Holding, Service):
    """
    corpproxy, from its sockets to its files.

    Sockets are bound and tokens are read when it is made, so that an address that is taken is told before
    anything starts, and low ports work for a service that gives up its privileges.  Nothing is written
    before `startService`, when it has become who it runs as.
    """

    _thresholds = GC_THRESHOLDS

    def __init__(
        self, policy: Path, started: Started, *, reactor: Any, now: Callable[[], float] = time.time
    ) -> None:
        """
        Make it for a policy that was loaded; ``now`` gives POSIX seconds.

        :raises CannotListen: with the place of the listener.
        """
        configuration = started.configuration
        if configuration is None:
            raise ValueError("there is no policy that can run")
        self.policy = policy
        self.configuration: Configuration = configuration
        # A policy that asks for others of these changes nothing before a restart.
        self.state = configuration.state
        self.store_address = configuration.store
        self.transports = configuration.transports
        self.workers = workers_for(configuration.workers)
        self.texts = started.texts
        self.is_last_good = started.is_last_good
        self.problems: tuple[Problem, ...] = started.problems
        self.refused: tuple[Problem, ...] = ()
        self.index: CategoryIndex | None = open_index(self.state) if configuration.lists else None
        self.telemetry = Telemetry(now)
        self.began = now()
        self.reactor = reactor
        self.now = now
        self.loaded_at = self.began
        self._is_ending = False
        self._key_file = self._open_key()
        self.sockets, self._tokens = self._bind(configuration.listeners)
        # From the moment that somebody may take us for running: a signal that comes early would be the end.
        self.signals = self._make_signals()
        self.signals.start()

    def _bind(self, listeners: tuple[Listener, ...]) -> tuple[list[Socket], dict[Listener, str]]:
        return bound(listeners)

    # Starting.

    def startService(self) -> None:
        """
        Make the parts, begin to listen.

        Raises NotStarted with what stands in the way, which is logged in a line.
        """
        super().startService()  # type: ignore[no-untyped-call]
        try:
            self._make_parts()
        except (CorpproxyError, OSError) as error:
            said = error.message if isinstance(error, CorpproxyError) else str(error)
            log.critical("corpproxy does not start: {reason}", reason=said)
            raise NotStarted("not-started", said) from error
        self._measure()
        self._tell()
        self._start_parts()

    def _measure(self) -> None:
        measure(self)

    def _make_parts(self) -> None:
        make_state_folder(self.state)
        refuse_unknown(self.state, self.store_address)
        self.revealing = self._make_revealing()
        self.control = self._make_control()
        self.control.start()
        self.store = self._make_store()
        self._make_record()
        self._make_books()
        self._make_people()
        self._make_proxy()
        self._make_limits()
        self.name_people()
        self.reloading = self._make_reloading()
        self.erasing = self._make_erasing()
        self.retention = self._make_retention()
        self.draining = Draining(self.proxy)
        self.errands = self._make_errands()
        self.ending = self._make_ends()

    def _make_record(self) -> None:
        self.writer = self._make_writer()
        self.checkpoints = self._make_checkpoints()
        self.shelf = self._make_shelf()
        self.sinks = self._make_sinks()

    def _make_books(self) -> None:
        now = self.now
        self.clock = ClockWatch(now, self.reactor.seconds, tells=not self._worker_number)
        self.accounts = Accounts(Ledger())
        self.intake = self._make_intake()
        self.bookkeeper = Bookkeeper(self.reactor, self.accounts, self.intake, now=now)
        self.books = Books(self.accounts, self.writer, now, self.telemetry.exchange)
        self.books.hides = self.hides

    def _make_people(self) -> None:
        self.reception = self._make_reception()
        signer = Signer(kept_key(self.state / FORMS_KEY))
        self.lasting = Lasting(Grants(), Requests(), Refusals(), signer, self.reception)
        self.granting = self._make_granting()

    def _make_proxy(self) -> None:
        self.following = Following(self)
        self.lists = self.make_list_keeper()
        self.updates = self._list_updates()
        self.engine = make_engine(self.transports, self.reactor)
        self.proxy = make_proxy(self, self._make_references())
        self.lasting.limiting = lambda: self.proxy.in_force.limiting
        self.reception.accounts_changed = self.proxy.rounds.accounts_changed

    def _make_limits(self) -> None:
        self.limit_keeper = self._make_limit_keeper()
        self.quota_keeper = self._make_quota_keeper()
        proxy, keeper = self.proxy, self.quota_keeper
        proxy.counter.send = lambda counts: keeper.count(proxy.borrowing.count(counts))
        proxy.borrowing.send = keeper.borrow
        proxy.allowances = self.allowances = self._make_allowances()

    def _start_parts(self) -> None:
        self._keep()
        self.granting.start()
        self.proxy.deadlines.start()
        self.proxy.rounds.start()
        self.quota_keeper.start()
        self.following.start()
        self.limit_keeper.start()
        self.bookkeeper.start()
        self.sinks.use(self.configuration.audit.to)
        self.reception.start()
        self.loops = [
            every(PROGRESS_SECONDS, Progress(self.proxy, self.books, self.now).look, self.reactor),
            every(LOOK_SECONDS, self._look_at_chains, self.reactor),
            every(SHELF_SECONDS, self.shelf.look, self.reactor),
            every(CLOCK_SECONDS, self.clock.look, self.reactor),
        ]
        self.lists.start()
        self.updates.start()
        self.errands.start()
        self.reloading.start()
        self.erasing.start()
        self.retention.start()
        # The reactor takes these two when it begins to run; who asks for the end is then answered by us.
        self.reactor.callWhenRunning(self.ending.start)
        for socket in self.sockets:
            self._listen(socket)
        set_interpreter(self._thresholds)
        self._give_back()

    def _give_back(self) -> None:
        """Give back what only the start has touched."""
        give_back_files()

    def _look_at_chains(self) -> None:
        """Tell how far our own record is, and have it signed when it is time."""
        self.checkpoints.note(self, self.writer.reached())
        self.checkpoints.look()

    def close_checkpoints(self) -> Any:
        self.checkpoints.note(self, self.writer.reached())
        return self.checkpoints.close()

    def _listen(self, socket: Socket) -> None:
        listener = socket.listener
        factory = factory_of(self, listener, self._tokens.get(listener))
        if listener.purpose is Purpose.ADMIN or self.engine is None:
            socket.listen(self.reactor, factory)
        else:
            socket.listen_in(self.engine, factory)
        purpose = listener.purpose.value
        log.info("{name} listens on {at} ({purpose})", name=listener.name, at=socket.written, purpose=purpose)

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
        self.errands.edits.taken(run)
        try:
            History(self.state).keep(self.texts, self.policy, run)
        except HistoryError as error:
            log.error("the policy in force could not be kept: {error}", error=str(error))

    # Running.

    def reasons_not_ready(self) -> list[str]:
        """Why this proxy should not be given to people now, in sentences; none when all is well."""
        return reasons_not_ready(self)

    def concerns(self) -> list[str]:
        """What somebody should look at although the proxy does its work: lists, sinks, damaged files."""
        sinks: list[str] = self.sinks.problems()
        told = [problem.message for problem in self.updates.problems]
        return told + sinks + concerns_aside(self.state) + concerns_of(self.store, self.quota_keeper.shut)

    def status(self) -> dict[str, Any]:
        """What is open now, for ``corpproxy status``."""
        admission = self.proxy.admission
        return {"connections": len(admission.connections), "tunnels": len(admission.tunnels)}

    def look(self, question: Question) -> Deferred[Present]:
        """Fire with what runs now, for whoever looks."""
        watching = self.proxy.watching
        return watching.look(question).addCallback(
            lambda seen: watching.slices.take(together([seen], question))
        )

    def end_by_hand(self, chosen: Chosen) -> Deferred[Ended]:
        """End what an administrator chose of what runs; fires with what was ended."""
        return succeed(end_by_hand(self.proxy, chosen))

    def take(self, configuration: Configuration, texts: Mapping[str, bytes]) -> None:
        """Put a policy into force; running exchanges keep what they began under."""
        put_in_force(self, configuration, texts)

    def take_everywhere(self, configuration: Configuration, texts: Mapping[str, bytes]) -> Deferred[None]:
        """
        Put a policy into force in all processes of the service, or in none.

        The Deferred fails with `Objection` when one of them cannot take it.
        """
        return maybeDeferred(self.take, configuration, texts)

    def take_lists(self, index: CategoryIndex) -> None:
        """Put a new index of the category lists into force."""
        put_lists_in_force(self, index)

    def reload(self, by: str, uid: int, why: str = "reload") -> Deferred[Reloaded]:
        """Take up the policy file as it stands now; the Deferred does not fail."""
        reloaded: Deferred[Reloaded] = self.reloading.reload(by, uid, why)
        return reloaded

    def look_at_people(self) -> None:
        """Take up the password file and the groups file as they are now."""
        self.reception.look()

    def reopen(self) -> None:
        """Begin new record files: someone moved the old ones away."""
        self.writer.reopen()

    def name_people(self) -> None:
        """Let the record have pseudonyms, or names, as the policy wants it."""
        self.books.naming = naming_of(self, self._worker_number)

    @property
    def _worker_number(self) -> int:
        return 0

    def hides(self, hosts: Iterable[str]) -> bool:
        """Whether there is one among some hosts that nothing that is kept may name."""
        return self.proxy.in_force.hides(hosts)

    def settle(self) -> Deferred[None]:
        """Write what waits, records and usage, and close the open segments; fires when that is done."""
        return self.writer.settle().addCallback(lambda _: self.bookkeeper.settle())

    def forget(self, erasure: Erasure) -> Deferred[Any]:
        """Forget in memory what is being erased; fires when no process names it again."""
        return maybeDeferred(forget, self, erasure)

    # Stopping.

    def end(self) -> None:
        """Stop, as SIGTERM and Ctrl-C ask for; asked once more, without waiting for what still runs."""
        if self._is_ending or self.proxy.stopping:
            log.warn("asked to end once more: what still runs is cut off")
            self.draining.hurry()
            return
        self._is_ending = True
        log.info("asked to end: no new connections; what runs may end within {seconds:.0f} s",
                 seconds=self.configuration.timeouts.drain)  # fmt: skip
        try:
            self.reactor.stop()
        except ReactorNotRunning:
            pass

    def stopService(self) -> Deferred[None]:
        """Take no more clients, let exchanges end, write what is left; each step whatever the others do."""
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(stop(self))

    def drain(self) -> Deferred[Any]:
        """Let exchanges end."""
        return self.draining.drain(self.configuration.timeouts.drain)
