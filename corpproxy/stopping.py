"""Stopping: no more clients, exchanges end, what is left is written; each step whatever the others do."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from corpproxy.config.listeners import Purpose
from corpproxy.net.listening import Socket

if TYPE_CHECKING:
    from corpproxy.service import CorpproxyService

log = Logger()

# Connections taken at the very end have this long to send a request, which then is answered.
LAST_TAKEN_SECONDS = 0.2

Step = Callable[[], Any]


async def stop(service: CorpproxyService) -> None:
    """Stop the parts of a service in their order."""
    service.proxy.stopping = True
    clients = [one for one in service.sockets if one.listener.purpose is not Purpose.ADMIN]
    rest = [one for one in service.sockets if one.listener.purpose is Purpose.ADMIN]
    for step in _in_order(service, lambda: _take_no_more(service, clients), lambda: _close(rest)):
        try:
            await maybeDeferred(step)
        except Exception:
            log.failure("a part of corpproxy could not be stopped")
    gc.unfreeze()


def _in_order(service: CorpproxyService, clients: Step, rest: Step) -> list[Step]:
    """
    What is stopped, in this order.

    ``clients`` and ``rest`` stop listening: administrators may look until the end, and a machine that
    asks whether we are ready is told no.
    """
    proxy = service.proxy
    steps: list[Step] = [
        service.reloading.stop,
        service.erasing.stop,
        service.retention.stop,
        service.revealing.stop,
        service.updates.stop,
        service.errands.stop,
        service.lists.stop,
        clients,
        service.drain,
        proxy.watching.stop,
        proxy.rounds.stop,
        proxy.pacer.stop,
        service.limit_keeper.stop,
        proxy.leeways.stop,
        proxy.counter.stop,
        proxy.borrowing.stop,
        service.following.stop,
        service.quota_keeper.stop,
        *(loop.stop for loop in service.loops),
        proxy.pool.close,
        proxy.names.close,
        proxy.deadlines.stop,
        service.reception.stop,
        service.granting.stop,
        service.bookkeeper.stop,
        service.shelf.close,
        service.writer.close,
        service.errands.written,
        service.close_checkpoints,
        # What was written until now is delivered, if that is quick.
        service.sinks.close,
        service.store.close,
        rest,
        service.signals.stop,
        service.ending.stop,
        service.control.stop,
    ]
    return [*steps, service.engine.stop] if service.engine is not None else steps


async def _take_no_more(service: CorpproxyService, sockets: list[Socket]) -> None:
    """Take no more clients, once those are taken who connected before."""
    taken = [socket.take_waiting() for socket in sockets]
    await _close(sockets)
    if any(taken):
        # They have a moment to be read: an idle connection is closed.
        await deferLater(service.reactor, LAST_TAKEN_SECONDS)


async def _close(sockets: list[Socket]) -> None:
    for socket in sockets:
        await maybeDeferred(socket.stop)
