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


async def stop(service: CorpproxyService, in_order: Callable[[Step, Step], list[Step]]) -> None:
    """
    Stop the parts of a service.

    ``in_order`` gives the steps, and is given those that stop listening: for clients, and for the rest.
    """
    service.proxy.stopping = True
    clients = [one for one in service.sockets if one.listener.purpose is not Purpose.ADMIN]
    rest = [one for one in service.sockets if one.listener.purpose is Purpose.ADMIN]
    for step in in_order(lambda: _take_no_more(service, clients), lambda: _close(rest)):
        try:
            await maybeDeferred(step)
        except Exception:
            log.failure("a part of corpproxy could not be stopped")
    gc.unfreeze()


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
