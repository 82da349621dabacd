"""
The template: a process that is a worker but for its work, and is copied whenever a worker is needed.

Importing everything takes a new interpreter a second.  The supervisor has imported it all, so that a copy of
it (fork) could serve at once; but what runs there, with its threads and sockets, cannot be copied later.
Therefore one copy is made at the very start, before any thread and any file, which does nothing but make
further copies of itself: see ``copied.py`` for what happens in it.  What copies share of memory counts once.

Where there are threads already there is no template, and where it died (somebody killed it) there is none any
more: workers are then begun as new programs (``spawning.py``).
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from twisted.internet.abstract import FileDescriptor
from twisted.internet.protocol import Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from corpproxy.config.configuration import Configuration
from corpproxy.pages.render import make_ready
from corpproxy.resident import give_back_free
from corpproxy.supervisor.copied import Birth, Death, Order, Rest, Sending, Told, be_template
from corpproxy.supervisor.employment import Process, Watcher, in_words
from corpproxy.supervisor.spawning import Spawner
from corpproxy.supervisor.wire import PairTransport

log = Logger()

# One message of the template: two numbers.
MAX_MESSAGE_OCTETS = 4096

_TOLD = msgspec.msgpack.Decoder(Told)


def make_template(reactor: Any, configuration: Configuration) -> Template | None:
    """
    Copy this process into one that makes workers; None where that is not safe, or not possible.

    Workers that begin with this configuration need not load it again.  To be called before this process has
    threads, and files that nobody else may have.
    """
    if threading.active_count() > 1 or not hasattr(os, "fork") or sys.platform != "linux":
        return None
    # All that a worker needs beside what the supervisor has imported.
    import corpproxy.net.engine.connecting
    import corpproxy.worker  # noqa: F401

    make_ready()
    # What is frozen is not written to by the collector, and stays one piece of memory for all copies.
    gc.collect()
    give_back_free()
    gc.freeze()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        pid = os.fork()
    except OSError as error:
        log.warn("no template of workers can be made, they start slowly: {reason}", reason=str(error))
        ours.close()
        theirs.close()
        return None
    if not pid:
        be_template(theirs, configuration)
    theirs.close()
    return Template(ours, pid, reactor)


class Template(FileDescriptor):
    """
    Our end of the template process.

    :ivar pid: its process.
    :ivar is_alive: whether it can be asked for copies.
    """

    def __init__(self, own: socket.socket, pid: int, reactor: Any) -> None:
        super().__init__(reactor)
        own.setblocking(False)
        self.pid = pid
        self.is_alive = True
        self._own = own
        self._reactor = reactor
        self._spawner = Spawner(reactor)
        self._count = 0
        self._unborn: dict[int, _Copy] = {}
        self._living: dict[int, _Copy] = {}
        self.startReading()  # type: ignore[no-untyped-call]

    def fileno(self) -> int:
        """The socket, for the reactor."""
        return self._own.fileno()

    def make(self, watcher: Watcher, parcels: Path, descriptors: Sequence[int]) -> Process:
        """Begin a worker; see `Maker`."""
        if not self.is_alive:
            return self._spawner.make(watcher, parcels, descriptors)
        self._count += 1
        copy = _Copy(watcher, self)
        ours, theirs = socket.socketpair()
        try:
            self.send(Order(self._count, str(parcels)), [theirs.fileno(), *descriptors])
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        self._unborn[self._count] = copy
        PairTransport(ours, copy.log, self._reactor)
        return copy

    def rest(self, folder: Path) -> None:
        """
        All that it made serve: let it put what only it has in memory into a file without a name.

        That is some 11 MB: its copies and the supervisor write to theirs, if only by counting references.
        """
        try:
            file = os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            log.info("the template of workers stays in memory: {reason}", reason=str(error))
            return
        try:
            if self.is_alive:
                self.send(Rest(), [file])
        except OSError:
            pass  # it is gone, which its socket tells
        finally:
            os.close(file)

    def send(self, message: Order | Sending | Rest, descriptors: Sequence[int] = ()) -> None:
        """
        Tell the template something.

        :raises OSError: when it cannot be told.
        """
        socket.send_fds(self._own, [msgspec.msgpack.encode(message)], list(descriptors))

    def close(self) -> None:
        """Let it end; workers that still run are not concerned."""
        if self.is_alive:
            self._end()

    def doRead(self) -> None:
        """Take what it tells."""
        while self.is_alive:
            try:
                message = self._own.recv(MAX_MESSAGE_OCTETS)
            except BlockingIOError:
                return
            except OSError:
                message = b""
            if message:
                self._take(_TOLD.decode(message))
            else:
                log.error(
                    "the template of workers is gone; new workers start slowly until corpproxy is restarted"
                )
                self._end()

    def connectionLost(self, reason: Failure) -> None:
        """The reactor has found the socket broken, or ends."""
        self.close()

    def _take(self, told: Birth | Death) -> None:
        if isinstance(told, Birth):
            copy = self._unborn.pop(told.number)
            copy.born(told.pid)
            self._living[told.pid] = copy
        else:
            copy = self._living.pop(told.pid) if told.pid else self._unborn.pop(told.number)
            copy.died(told.exit_code)

    def _end(self) -> None:
        self.is_alive = False
        self.stopReading()  # type: ignore[no-untyped-call]
        self._own.close()
        try:
            os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            pass
        for copy in [*self._unborn.values(), *self._living.values()]:
            copy.lose_template()
        self._unborn.clear()
        self._living.clear()


class _Copy:
    """One worker that the template made."""

    def __init__(self, watcher: Watcher, template: Template) -> None:
        self.pid = 0
        self.log = _Log(self)
        self.watcher = watcher
        self._template = template
        # Signals that came before its number was known.
        self._early: list[str] = []
        self._exit_code: int | None = None

    def signal(self, name: str) -> None:
        number = getattr(signal, f"SIG{name}")
        if not self.pid:
            self._early.append(name)
        elif self._template.is_alive:
            # It alone knows whether this number is still that process.
            self._template.send(Sending(self.pid, number))
        else:
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                pass

    def born(self, pid: int) -> None:
        self.pid = pid
        early, self._early = self._early, []
        for name in early:
            self.signal(name)

    def died(self, exit_code: int) -> None:
        self.pid = 0
        self._early.clear()
        self._exit_code = exit_code
        if not self.log.is_open:
            self.log_read()

    def log_read(self) -> None:
        """All that it wrote was told; with its exit code known, it is over."""
        if self._exit_code is not None:
            self.watcher.over(in_words(self._exit_code))

    def lose_template(self) -> None:
        self.watcher.orphaned()


class _Log(Protocol):
    """What a worker writes to its standard output and error."""

    def __init__(self, copy: _Copy) -> None:
        self.is_open = True
        self._copy = copy

    def dataReceived(self, data: bytes) -> None:
        self._copy.watcher.said(1, data)

    def connectionLost(self, reason: Any = None) -> None:
        self.is_open = False
        self._copy.log_read()
