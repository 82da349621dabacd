"""From a policy file to a service that can start."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.logger import Logger

from corpproxy import __version__, twins
from corpproxy.backends.lists.files import open_index
from corpproxy.backends.policies.start import start_configuration
from corpproxy.config.configuration import Configuration
from corpproxy.cores import workers_for
from corpproxy.destination.index import CategoryIndex
from corpproxy.errors import CorpproxyError, Problem
from corpproxy.objections import objections
from corpproxy.service import CorpproxyService

log = Logger()


class CannotStart(CorpproxyError):
    """Neither the policy nor a kept one can run; the message is all that is wrong."""


def start_service(policy: Path, reactor: Any, now: Callable[[], float] = time.time) -> CorpproxyService:
    """
    Make the service for a policy file.

    Raises CannotStart with every problem of the file, or CannotListen.
    """

    # What somebody has open is not opened again: the service serves with what the policy was checked with.
    opened: list[CategoryIndex | None] = []

    def index_of(state: Path) -> CategoryIndex | None:
        opened.append(open_index(state))
        return opened[-1]

    def known_categories(state: Path) -> frozenset[str] | None:
        index = index_of(state)
        return index.known_categories if index is not None else None

    def object_to(configuration: Configuration) -> list[Problem]:
        index = index_of(configuration.state) if configuration.lists else None
        return list(objections(configuration, index, now()))

    policy = policy.absolute()
    started = start_configuration(policy, known_categories=known_categories, objections=object_to)
    if started.configuration is None:
        lines = [str(problem) for problem in started.problems]
        raise CannotStart("policy-broken", "\n".join([f"{policy} cannot run:", *lines]))
    log.info("corpproxy {version}, {parts}", version=__version__, parts=twins.described())
    if advice := twins.advice():
        log.info("{advice}", advice=advice)
    return _kind(workers_for(started.configuration.workers))(policy, started, reactor=reactor, now=now)


def _kind(workers: int) -> type[CorpproxyService]:
    """Which service a policy wants; what speaks to workers is imported where there are some."""
    if not workers:
        return CorpproxyService
    from corpproxy.supervisor.service import Supervisor

    return Supervisor
