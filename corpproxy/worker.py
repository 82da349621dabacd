"""
The process of a worker: a copy of the supervisor's template, or ``python -m corpproxy.worker``.

Either way it has a link to the supervisor as descriptor 3 and its sockets behind that, and writes its log as
lines of JSON to its standard output.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
from twisted.logger import ILogObserver, LogEvent, eventAsText, globalLogBeginner
from zope.interface import implementer

from corpproxy.config.configuration import Configuration
from corpproxy.resident import keep_little
from corpproxy.steady import keep_steady
from corpproxy.supervisor.employment import LINK_DESCRIPTOR, LogLine
from corpproxy.supervisor.parcels import Parcels
from corpproxy.supervisor.wire import PairTransport
from corpproxy.supervisor.worker_link import WorkerLink

# What a terminal, or who writes to all processes of the service, sends: the supervisor passes it on.
IGNORED = (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)


@implementer(ILogObserver)
class ToSupervisor:
    """Writes each event as one line, which the supervisor puts into the log of the service."""

    def __call__(self, event: LogEvent) -> None:
        """Write one; without a supervisor there is nobody to read it."""
        text = eventAsText(event, includeTimestamp=False, includeSystem=False)
        level = getattr(event.get("log_level"), "name", "info")
        line = LogLine(level, str(event.get("log_namespace") or "corpproxy"), text)
        try:
            os.write(1, msgspec.json.encode(line) + b"\n")
        except (OSError, UnicodeEncodeError):
            pass


def main(parcels: Path) -> None:
    """Be a worker in an interpreter of its own."""
    from twisted.internet import reactor

    globalLogBeginner.beginLoggingTo([ToSupervisor()], redirectStandardIO=False)
    serve(parcels, reactor)


def serve(parcels: Path, reactor: Any, configuration: Configuration | None = None) -> None:
    """
    Serve until the supervisor says that it is enough, or is gone.

    ``configuration`` was loaded already, by the process that this one is a copy of.
    """
    keep_little()
    keep_steady(reactor)
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    own = socket.socket(fileno=LINK_DESCRIPTOR)
    os.set_inheritable(LINK_DESCRIPTOR, False)
    link = WorkerLink(Parcels(parcels), reactor, time.time, lambda: _over(reactor), configuration)
    PairTransport(own, link, reactor)
    reactor.run()


def _over(reactor: Any) -> None:
    gc.unfreeze()
    if reactor.running:
        reactor.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
