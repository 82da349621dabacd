"""
What happens in the template of workers, and in each copy of it.

The template has one thread and one socket, and no reactor that runs: it waits for orders, copies itself, and
tells who was born and who died.  A copy puts what it was sent into the places where a worker looks for it,
makes a reactor of its own, and is a worker from then on.

What both inherited without wanting it (sockets of the supervisor, its log file, its reactor's descriptor) is
replaced by ``/dev/null`` and not closed: an object of the supervisor that still has the number would
otherwise close it one day under whoever got it next.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Never

import msgspec

from corpproxy.config.configuration import Configuration
from corpproxy.resident import give_back_files, rest

# The template and its copies are the service's own: who looks at processes should know them apart.
TEMPLATE_NAME = "corpproxy-seed"
WORKER_NAME = "corpproxy-work"

# A message is a folder and some numbers; a listener has one socket for each worker.
MAX_ORDER_OCTETS = 16 * 1024
MAX_DESCRIPTORS = 250

# Where descriptors that were sent go, from the link on; 1 and 2 are for the log.
_FIRST_PLACE = 3


class Order(msgspec.Struct, tag="order"):
    """Make a worker: the log, the link and the sockets come as descriptors with it."""

    number: int
    parcels: str


class Sending(msgspec.Struct, tag="signal"):
    """Send a signal to a worker."""

    pid: int
    signal: int


class Rest(msgspec.Struct, tag="rest"):
    """Put what you have alone into the file that comes with this."""


class Birth(msgspec.Struct, tag="birth"):
    """The worker of an order has this process."""

    number: int
    pid: int


class Death(msgspec.Struct, tag="death"):
    """A worker is over; process 0 is one that could not be made."""

    number: int
    pid: int
    exit_code: int


Told = Birth | Death

_ORDERS = msgspec.msgpack.Decoder(Order | Sending | Rest)


def be_template(own: socket.socket, configuration: Configuration) -> Never:
    """Serve orders until the supervisor is gone; never returns to what was copied."""
    code = 1
    try:
        _prepare(own)
        _Template(own, configuration).serve()
        code = 0
    except BaseException:
        traceback.print_exc(file=sys.__stderr__)
    finally:
        os._exit(code)


def _prepare(own: socket.socket) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        # The end of the supervisor is the end of the link.
        signal.signal(number, signal.SIG_IGN)
    _let_go(keeping={0, 1, 2, own.fileno()})
    _call_myself(TEMPLATE_NAME)


class _Template:
    def __init__(self, own: socket.socket, configuration: Configuration) -> None:
        self._own = own
        self._configuration = configuration
        self._living: set[int] = set()
        # A child that ends wakes the waiting up.
        woken, wakes = socket.socketpair()
        for end in (woken, wakes):
            end.setblocking(False)
        self._woken, self._wakes = woken, wakes
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)

    def serve(self) -> None:
        waiting = select.poll()
        waiting.register(self._own, select.POLLIN)
        waiting.register(self._woken, select.POLLIN)
        while True:
            ready = {number for number, _ in waiting.poll()}
            if self._woken.fileno() in ready:
                self._woken.recv(4096)
            self._bury()
            if self._own.fileno() in ready and not self._obey():
                return

    def _obey(self) -> bool:
        """Take one order; False when the supervisor is gone."""
        octets, descriptors, _, _ = socket.recv_fds(self._own, MAX_ORDER_OCTETS, MAX_DESCRIPTORS)
        if not octets:
            return False
        order = _ORDERS.decode(octets)
        if isinstance(order, Order):
            self._make(order, descriptors)
        elif isinstance(order, Rest):
            self._rest(descriptors)
        elif order.pid in self._living:
            os.kill(order.pid, order.signal)
        return True

    def _make(self, order: Order, descriptors: Sequence[int]) -> None:
        try:
            pid = os.fork()
        except OSError:
            self._tell(Death(order.number, 0, os.EX_OSERR))
        else:
            if not pid:
                be_worker(Path(order.parcels), descriptors, self._configuration)
            self._living.add(pid)
            self._tell(Birth(order.number, pid))
        for number in descriptors:
            os.close(number)

    def _rest(self, descriptors: Sequence[int]) -> None:
        """A full disk is told by those who have something to write; without it memory stays as it was."""
        give_back_files()
        with suppress(OSError):
            rest(descriptors[0])
        for number in descriptors:
            os.close(number)

    def _bury(self) -> None:
        while self._living:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            self._living.discard(pid)
            self._tell(Death(0, pid, os.waitstatus_to_exitcode(status)))

    def _tell(self, told: Told) -> None:
        self._own.sendall(msgspec.msgpack.encode(told))


def be_worker(parcels: Path, descriptors: Sequence[int], configuration: Configuration) -> Never:
    """Be a worker: the first descriptor is for the log, the second the link, sockets follow."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        _place(descriptors)
        _call_myself(WORKER_NAME)
        _work(parcels, configuration)
        code = 0
    except BaseException:
        traceback.print_exc(file=sys.__stderr__)
    finally:
        os._exit(code)


def _place(descriptors: Sequence[int]) -> None:
    """Put what was sent where a worker looks for it: 1 and 2 the log, 3 the link, 4 and on the sockets."""
    # Behind all places first, so that none is overwritten; not far: the limit of open files may be low.
    aside = _FIRST_PLACE + len(descriptors)
    log, *rest = (fcntl.fcntl(number, fcntl.F_DUPFD, aside) for number in descriptors)
    _let_go(keeping={log, *rest})
    for number, place in [(log, 1), (log, 2), *((one, at) for at, one in enumerate(rest, _FIRST_PLACE))]:
        os.dup2(number, place)
    for number in (log, *rest):
        os.close(number)


def _let_go(keeping: set[int]) -> None:
    """Put ``/dev/null`` in the place of every descriptor but these."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for name in os.listdir("/proc/self/fd"):
        number = int(name)
        if number not in keeping and number != nothing:
            try:
                os.fstat(number)
            except OSError:
                continue  # it was that of the listing
            _replace(number, nothing)
    os.close(nothing)


def _replace(number: int, nothing: int) -> None:
    try:
        os.dup2(nothing, number, inheritable=False)
    except OSError:
        # It was opened before the limit of open files became lower: nobody can get its number any more.
        os.close(number)


def _work(parcels: Path, configuration: Configuration) -> None:
    import twisted.internet
    from twisted.internet import epollreactor
    from twisted.logger import LogPublisher, globalLogPublisher

    from corpproxy.worker import ToSupervisor, serve

    # What the supervisor had is kept, unused: see the head of this file.
    kept: Any = (sys.modules.pop("twisted.internet.reactor"), vars(globalLogPublisher).copy())
    del twisted.internet.reactor
    LogPublisher.__init__(globalLogPublisher, ToSupervisor())
    reactor = epollreactor.EPollReactor()  # type: ignore[no-untyped-call]
    serve(parcels, reactor, configuration)
    del kept


def _call_myself(name: str) -> None:
    try:
        with open("/proc/self/comm", "w", encoding="ascii") as comm:
            comm.write(name)
    except OSError:
        pass
