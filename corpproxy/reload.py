"""Reload: everything new is built beside the old, then swapped; on any problem the old goes on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from corpproxy.backends.lists.files import open_index
from corpproxy.backends.policies.files import DISK
from corpproxy.backends.policies.history import Run
from corpproxy.backends.policies.watch import PolicyWatch
from corpproxy.config.configuration import Configuration
from corpproxy.config.listeners import Listener, Purpose
from corpproxy.config.load import Loaded, load_policy
from corpproxy.cores import workers_for
from corpproxy.destination.index import CategoryIndex
from corpproxy.errors import NOWHERE, Place, Problem
from corpproxy.objections import objections

if TYPE_CHECKING:
    from corpproxy.service import CorpproxyService

log = Logger()

# How often a watched policy is looked at.
LOOK_SECONDS = 2.0


class Objection(Exception):
    """A process of the service cannot do what all are to do; the message is for the administrator."""


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What came of a reload: the version that runs now, whether it is new, and what was found."""

    taken: bool
    version: str
    changed: bool
    problems: tuple[Problem, ...]


class Reloading:
    """Takes up policies while the service runs, one reload at a time."""

    def __init__(self, service: CorpproxyService) -> None:
        self._service = service
        self._loop = LoopingCall(self._look)
        self._loop.clock = service.reactor
        self._turn = DeferredLock()
        self._watch = PolicyWatch(service.policy)
        self._watch.note()

    def start(self) -> None:
        """Look for changes of the policy file from now on, where the policy asks for that."""
        self._loop.start(LOOK_SECONDS, now=False)

    def stop(self) -> None:
        """Look no more."""
        if self._loop.running:
            self._loop.stop()

    def _look(self) -> None:
        """Take up an edit; a bug in looking is logged, and the next look comes all the same."""
        if not self._service.configuration.watch:
            return
        try:
            edited = self._watch.look()
        except Exception:
            log.failure("whether the policy was edited cannot be told")
            return
        if edited:
            self.reload("watch", 0, "reload")

    def reload(self, by: str, uid: int, why: str) -> Deferred[Reloaded]:
        """
        Take up the policy file as it stands; with an error in it nothing changes.

        Reading and testing take a second for a long policy, so they happen in a thread.  The Deferred does
        not fail: what nobody expected is a problem like others.
        """
        reloaded: Deferred[Reloaded] = self._turn.run(self._reload, by, uid, why)
        return reloaded.addErrback(self._not_expected, by)

    def _reload(self, by: str, uid: int, why: str) -> Deferred[Reloaded]:
        service = self._service
        self._watch.note()
        pool = service.reactor.getThreadPool()
        read: Deferred[Loaded] = deferToThreadPool(
            service.reactor, pool, loaded_for, service.policy, service.state, service.now()
        )
        return read.addCallback(self._decide, by, uid, why)

    def _decide(self, loaded: Loaded, by: str, uid: int, why: str) -> Reloaded | Deferred[Reloaded]:
        service, configuration, problems = self._service, loaded.configuration, loaded.problems
        if service.proxy.stopping:
            said = "corpproxy is stopping; its next start reads the policy"
            return Reloaded(
                False, service.configuration.version, False, (Problem(NOWHERE, "stopping", said),)
            )
        if configuration is None:
            return self._refused(problems, by)
        changed = configuration.version != service.configuration.version
        problems += needs_restart(service, configuration)
        taking = service.take_everywhere(configuration, loaded.texts)
        taken: Deferred[Reloaded] = taking.addCallbacks(
            lambda _: self._taken(configuration, problems, changed, by, uid, why),
            self._objected,
            errbackArgs=(by,),
        )
        return taken

    def _objected(self, failure: Failure, by: str) -> Reloaded:
        """A process of the service cannot take it: none has."""
        failure.trap(Objection)  # type: ignore[no-untyped-call]
        place = Place(str(self._service.policy))
        return self._refused((Problem(place, "worker-objects", failure.getErrorMessage()),), by)

    def _taken(
        self,
        configuration: Configuration,
        problems: tuple[Problem, ...],
        changed: bool,
        by: str,
        uid: int,
        why: str,
    ) -> Reloaded:
        service = self._service
        service.problems = problems
        service.keep(Run(service.now(), by, uid, why))
        service.telemetry.reload("taken")
        for problem in problems:
            log.warn("{problem}", problem=str(problem))
        log.info("{by} put version {version} of the policy into force", by=by, version=configuration.version)
        return Reloaded(True, configuration.version, changed, problems)

    def _refused(self, problems: tuple[Problem, ...], by: str) -> Reloaded:
        service = self._service
        service.refused = problems
        service.errands.edits.refused(by, problems)
        service.telemetry.reload("refused")
        version = service.configuration.version
        for problem in problems:
            log.error("{problem}", problem=str(problem))
        log.error(
            "{by} asked for a reload; version {version} of the policy goes on until the problems are mended",
            by=by,
            version=version,
        )
        return Reloaded(False, version, False, problems)

    def _not_expected(self, failure: Failure, by: str) -> Reloaded:
        log.failure("the reload asked for by {by} failed in a way that nobody expected", failure, by=by)
        said = "a fault of corpproxy kept the policy from being taken up; the log of the service says more"
        return self._refused((Problem(Place(str(self._service.policy)), "reload-failed", said),), by)


def loaded_for(policy: Path, state: Path, now: float) -> Loaded:
    """
    Load a policy with the lists' index of a state folder, and run its tests.

    An error in a test leaves no configuration, like any other.
    """
    opened: list[CategoryIndex] = []

    def known_categories(_: Path) -> frozenset[str] | None:
        index = open_index(state)
        opened.extend([index] if index is not None else ())
        return index.known_categories if index is not None else None

    loaded = load_policy(policy, DISK, known_categories=known_categories)
    if loaded.configuration is None:
        return loaded
    found = tuple(objections(loaded.configuration, opened[0] if opened else None, now))
    broken = any(problem.is_error for problem in found)
    return Loaded(None if broken else loaded.configuration, loaded.problems + found, loaded.texts)


def needs_restart(service: CorpproxyService, new: Configuration) -> tuple[Problem, ...]:
    """Say what of a new policy only a restart can put into force."""
    told = list(_listeners_changed([socket.listener for socket in service.sockets], new.listeners))
    where = Place(str(service.policy))
    if new.state != service.state:
        said = f"the state folder is still {service.state}; restart corpproxy to use {new.state}"
        told.append((where, said))
    if new.store != service.store_address:
        before = service.store_address.written
        said = f"the store is still {before}; restart corpproxy to use {new.store.written}"
        told.append((where, said))
    if new.transports != service.transports:
        said = f"the transports are still '{service.transports}'; restart corpproxy to use '{new.transports}'"
        told.append((where, said))
    if workers_for(new.workers) != service.workers:
        said = f"'workers' is still {service.workers}; restart corpproxy to change it"
        told.append((where, said))
    return tuple(Problem(place, "needs-restart", said, "warning") for place, said in told)


def _listeners_changed(running: Iterable[Listener], new: Iterable[Listener]) -> Iterable[tuple[Place, str]]:
    before = {_endpoint(one): one for one in running}
    after = {_endpoint(one): one for one in new}
    for endpoint, listener in after.items():
        old = before.get(endpoint)
        if old is None:
            yield (
                listener.place,
                f"listener '{listener.name}' at {listener} is new; restart corpproxy to listen there",
            )
        elif old.name != listener.name:
            yield (
                listener.place,
                f"the listener at {listener} is still called '{old.name}'; restart corpproxy to call it "
                f"'{listener.name}' in rules and records",
            )
        elif old.token != listener.token:
            yield (
                listener.place,
                f"listener '{old.name}' still asks for its old token; restart corpproxy to change that",
            )
    for endpoint, listener in before.items():
        if endpoint not in after:
            yield (
                listener.place,
                f"listener '{listener.name}' at {listener} is gone from the policy; it goes on until "
                "corpproxy is restarted",
            )


def _endpoint(listener: Listener) -> tuple[Purpose, str, int]:
    return listener.purpose, listener.address, listener.port
