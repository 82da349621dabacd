"""Listening sockets in the engine."""

from __future__ import annotations

import math
import select
import socket
from collections.abc import Callable
from errno import EMFILE, ENFILE, ENOBUFS, ENOMEM
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from corpproxy import twins
from corpproxy.net.engine.loop import Engine
from corpproxy.net.engine.sockets import Peer, accept
from corpproxy.net.engine.transport import Transport, to_address

log = Logger()

# Connections taken in one turn.
MAX_ACCEPTS = 64
# Without descriptors, accepting again at once would only burn the processor.
PAUSE_SECONDS = 0.1
# And to say so each time would fill the log.
SAID_SECONDS = 60.0
_NO_ROOM = (EMFILE, ENFILE, ENOBUFS, ENOMEM)


class EnginePort:
    """
    Takes connections from a listening socket and gives each a protocol of the factory.

    One that need not know who comes has ``fresh``, which makes a protocol without being told.
    """

    def __init__(
        self,
        engine: Engine,
        listening: socket.socket,
        factory: Any,
        accept: Callable[[Any], tuple[Any, Peer] | None] = accept,
    ) -> None:
        self._accept = accept
        self._engine = engine
        self._socket = listening
        self._factory = factory
        self._fresh: Callable[[], Any] | None = getattr(factory, "fresh", None)
        self._fd = listening.fileno()
        self._open = True
        self._said_at = -math.inf
        factory.doStart()
        self._watch()

    def ready(self, events: int) -> None:
        """Clients are waiting."""
        if twins.wire is None:
            self._serve()
        else:
            twins.wire.serve(self, Transport, MAX_ACCEPTS)

    def _serve(self) -> None:
        """Give each connection that waits a transport and a protocol; ``native/accept.c`` is its twin."""
        for _ in range(MAX_ACCEPTS):
            try:
                taken = self._accept(self._socket)
            except OSError as problem:
                self._cannot_accept(problem)
                return
            if taken is None:
                return
            connection, peer = taken
            protocol = self._factory.buildProtocol(peer) if self._fresh is None else self._fresh()
            if protocol is None:
                connection.close()
            else:
                Transport(self._engine, connection, peer).start(protocol)
            if not self._open:
                return

    def _cannot_accept(self, problem: OSError) -> None:
        if problem.errno in _NO_ROOM:
            self._rest(problem)
        else:
            log.error("cannot accept a connection: {problem}", problem=str(problem))

    def failed(self) -> None:
        """The factory raised: that client is gone, the next may come."""

    def engine_stopped(self) -> None:
        """The reactor stops."""
        self.stopListening()

    def fileno(self) -> int:
        """The listening descriptor."""
        return self._fd

    def getHost(self) -> Any:
        return to_address(self._socket.getsockname())

    def stopListening(self) -> Deferred[None]:
        """Take no more connections."""
        if self._open:
            self._open = False
            self._engine.leave(self._fd)
            self._socket.close()
            self._factory.doStop()
        return succeed(None)

    def _watch(self) -> None:
        # Level-triggered: what one turn does not take is told again with the next.
        self._engine.join(self._fd, self, select.EPOLLIN)

    def _rest(self, problem: OSError) -> None:
        reactor = self._engine.reactor
        if reactor.seconds() - self._said_at >= SAID_SECONDS:
            self._said_at = reactor.seconds()
            said = "no connection can be accepted: {problem}; raise the limit of open files"
            log.critical(said, problem=str(problem))
        self._engine.pause(self._fd)
        reactor.callLater(PAUSE_SECONDS, self._again)

    def _again(self) -> None:
        if self._open:
            self._watch()
