"""Reload: everything new is built beside the old, then swapped; on any problem the old goes on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from corpproxy.assembly import classifier_of
from corpproxy.backends.history import Run
from corpproxy.backends.policy_files import DISK
from corpproxy.config.configuration import Configuration
from corpproxy.config.listeners import Purpose
from corpproxy.config.load import load_policy
from corpproxy.config.sources import read_sources, version_of
from corpproxy.destination.index import CategoryIndex
from corpproxy.errors import Problem
from corpproxy.identity.people import People
from corpproxy.policy.cases import run_cases
from corpproxy.policy.question import Surroundings

if TYPE_CHECKING:
    from corpproxy.service import CorpproxyService

log = Logger()

# How often a watched policy is looked at.
LOOK_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What came of a reload: the version that runs now, whether it is new, and what was found."""

    taken: bool
    version: str
    changed: bool
    problems: tuple[Problem, ...]


class Reloading:
    """Takes up policies and lists while the service runs."""

    def __init__(self, service: CorpproxyService) -> None:
        self._service = service
        self._loop = LoopingCall(self._look)
        self._loop.clock = service.reactor
        self._running = version_on_disk(service.policy)
        self._seen = self._running

    def start(self) -> None:
        """Look for changes of the policy file from now on, where the policy asks for that."""
        self._loop.start(LOOK_SECONDS, now=False)

    def stop(self) -> None:
        """Look no more."""
        self._loop.stop()

    def _look(self) -> None:
        """
        Take up an edit once two looks in a row see the same: an editor may be in the middle of writing.

        An edit that was refused is not tried again until it is edited further.
        """
        service = self._service
        if not service.configuration.watch:
            return
        now = version_on_disk(service.policy)
        seen, self._seen = self._seen, now
        if now == seen and now != self._running:
            self._running = now
            self.reload("watch", 0, "reload")

    def reload(self, by: str, uid: int, why: str) -> Reloaded:
        """Take up the policy file as it stands; with an error in it nothing changes."""
        service = self._service
        self._running = version_on_disk(service.policy)
        loaded = load_policy(service.policy, DISK, known_categories=self.known_categories)
        configuration, problems = loaded.configuration, loaded.problems
        if configuration is not None:
            problems += tuple(objections(configuration, service.index, service.now()))
        if configuration is None or any(problem.is_error for problem in problems):
            self._refused(problems, by)
            return Reloaded(False, service.configuration.version, False, problems)
        changed = configuration.version != service.configuration.version
        problems += needs_restart(service.configuration, configuration)
        service.take(configuration, loaded.texts)
        service.keep(Run(service.now(), by, uid, why))
        service.telemetry.reload("taken")
        log.info("{by} put version {version} of the policy into force", by=by, version=configuration.version)
        return Reloaded(True, configuration.version, changed, problems)

    def known_categories(self, state: Path) -> frozenset[str] | None:
        """The categories of the lists that are in use."""
        index = self._service.index
        return index.known_categories if index is not None else None

    def _refused(self, problems: Sequence[Problem], by: str) -> None:
        service = self._service
        service.telemetry.reload("refused")
        for problem in problems:
            log.error("{problem}", problem=str(problem))
        log.error(
            "{by} asked for a reload; version {version} of the policy goes on until the problems are mended",
            by=by,
            version=service.configuration.version,
        )


def version_on_disk(policy: Path) -> str:
    """The version that the files of a policy are now, whether they can be loaded or not."""
    return version_of(read_sources(policy, DISK).texts)


def objections(
    configuration: Configuration, index: CategoryIndex | None, now: float | None = None
) -> Sequence[Problem]:
    """
    Run the policy's own tests: a test that fails refuses the policy.

    People are those of the policy file; groups that stand in a file of their own are not asked.
    """
    classifier = classifier_of(configuration, index)
    forward = configuration.listening(Purpose.FORWARD)
    surroundings = Surroundings(
        classifier.classify,
        People(configuration.identity),
        forward[0].name if forward else "",
        asks_to_sign_in=bool(configuration.identity.methods),
    )
    policy = configuration.policy.with_missing(classifier.missing)
    failures = run_cases(policy, surroundings, configuration.cases, time.time() if now is None else now)
    return [Problem(failure.place, "test-failed", failure.message) for failure in failures]


def needs_restart(old: Configuration, new: Configuration) -> tuple[Problem, ...]:
    """Say what of a new policy only a restart can put into force: where it listens, and its state folder."""
    told = []
    before = {(one.purpose, one.address, one.port) for one in old.listeners}
    for listener in new.listeners:
        if (listener.purpose, listener.address, listener.port) not in before:
            told.append(
                Problem(
                    listener.place,
                    "needs-restart",
                    f"listener '{listener.name}' at {listener} is new; restart corpproxy to listen there",
                    "warning",
                )
            )
    kept = {(one.purpose, one.address, one.port) for one in new.listeners}
    for listener in old.listeners:
        if (listener.purpose, listener.address, listener.port) not in kept:
            told.append(
                Problem(
                    listener.place,
                    "needs-restart",
                    f"listener '{listener.name}' at {listener} is gone from the policy; "
                    "it goes on until corpproxy is restarted",
                    "warning",
                )
            )
    return tuple(told)
