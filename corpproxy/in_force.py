"""
Putting a policy, or new lists, into force: one reference is swapped.

What is built beside the old comes first: if that fails nothing is changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from twisted.logger import Logger

from corpproxy.assembly import assemble, with_lists
from corpproxy.config.configuration import Configuration
from corpproxy.destination.index import CategoryIndex
from corpproxy.objections import TEST_FAILED, objections

if TYPE_CHECKING:
    from corpproxy.service import CorpproxyService

log = Logger()


def put_in_force(service: CorpproxyService, configuration: Configuration, texts: Mapping[str, bytes]) -> None:
    """Put a policy into force; running exchanges keep what they began under."""
    index = service.index if configuration.lists else None
    in_force = assemble(configuration, index, service.lasting)
    before, service.configuration, service.texts = service.configuration, configuration, texts
    service.index = index
    service.proxy.in_force = in_force
    service.quota_keeper.define()
    if configuration.names != before.names:
        service.proxy.names.use(configuration.names)
    if _reaches_servers(configuration) != _reaches_servers(before):
        # What is kept was made by the old settings: it leads to old addresses and has old patience.
        service.proxy.pool.close()
    service.proxy.pool.limits = configuration.connections
    service.proxy.pool.wait_seconds = configuration.timeouts.connect
    service.writer.take_up(configuration.audit)
    if (configuration.audit, configuration.time_zone) != (before.audit, before.time_zone):
        service.name_people()
    service.checkpoints.copies = configuration.audit.checkpoints_to
    service.shelf.settings = configuration.audit
    service.sinks.use(configuration.audit.to)
    if configuration.lists != before.lists:
        # A keeper that finds an index takes it up at once: it must find the new policy in force.
        service.lists.stop()
        service.lists = service.make_list_keeper()
        service.lists.start()
        service.updates.take(configuration.lists)
    service.is_last_good, service.problems, service.refused = False, (), ()
    service.loaded_at = service.now()


def put_lists_in_force(service: CorpproxyService, index: CategoryIndex) -> None:
    """Put a new index of the category lists into force."""
    service.index = index
    service.proxy.in_force = with_lists(service.proxy.in_force, service.configuration, index)
    if not service.is_last_good and any(problem.code == TEST_FAILED for problem in service.problems):
        _judge_again(service, index)


def _judge_again(service: CorpproxyService, index: CategoryIndex) -> None:
    """Run the policy's tests that had to wait for a list; one that fails now is told, loudly."""
    failed = tuple(objections(service.configuration, index, service.now()))
    service.problems = (*(one for one in service.problems if one.code != TEST_FAILED), *failed)
    for problem in failed:
        (log.error if problem.is_error else log.warn)("{problem}", problem=str(problem))


def _reaches_servers(configuration: Configuration) -> tuple[object, ...]:
    """The settings that a connection to a server is made by."""
    return configuration.names, configuration.timeouts, configuration.http
