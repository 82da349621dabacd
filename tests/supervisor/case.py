"""A supervisor inside the test, with workers that are processes of their own."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import Any, ClassVar

from corpproxy.supervisor import service
from tests.service.case import ServiceCase
from tests.service.client import Client, ask
from tests.support.nursery import template_from_nursery


class WorkersCase(ServiceCase):
    """A test with a service of two workers."""

    timeout = 120
    workers: ClassVar[int] = 2
    # Otherwise each is a program of its own, as when the template is gone.
    are_copies: ClassVar[bool] = True

    def setUp(self) -> Any:
        if self.are_copies:
            self.patch(service, "make_template", template_from_nursery)
        return super().setUp()

    async def serving(self) -> Any:
        """Wait until all workers serve, and give their seats."""
        seats = self.service.crew.seats
        await self.until(lambda: all(seat.is_serving for seat in seats), "all workers serve")
        return seats

    async def kill(self, seat: Any) -> None:
        """Kill a worker with -9 and wait until its replacement serves."""
        before = seat.pid
        os.kill(before, signal.SIGKILL)
        await self.until(lambda: seat.is_serving and seat.pid not in {0, before}, "a replacement serves")

    def client_of(self, seat: Any, user: str = "", password: str = "") -> Client:
        """A connection that this worker serves: which one the kernel chooses is seen by its report."""
        clients = []
        try:
            while True:
                client = Client(self.forward, user, password).connect()
                if served_by(client, seat.pid):
                    return client
                clients.append(client)
        finally:
            for one in clients:
                one.close()

    async def on(self, seat: Any, user: str = "", password: str = "") -> Client:
        """`client_of`, off the reactor."""
        return await self.thread(self.client_of, seat, user, password)


def served_by(client: Client, pid: int) -> bool:
    """Whether a process has the other end of a connection; it accepts within a moment."""
    wanted = client.socket.getsockname()[1], client.socket.getpeername()[1]
    until = time.monotonic() + 0.5
    while time.monotonic() < until:
        inode = _inode(wanted)
        if inode and inode in _sockets(pid):
            return True
        if inode:
            return False
        time.sleep(0.01)
    return False


def _inode(wanted: tuple[int, int]) -> str:
    """The inode of the server's end of a connection, ``0`` while nobody has accepted it (proc(5))."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        for line in table.readlines()[1:]:
            fields = line.split()
            local, remote = (int(one.rpartition(":")[2], 16) for one in fields[1:3])
            if (remote, local) == wanted and fields[9] != "0":
                return fields[9]
    return ""


def _sockets(pid: int) -> set[str]:
    found = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{name}")
        except OSError:
            continue
        if target.startswith("socket:["):
            found.add(target[8:-1])
    return found


class Load:
    """Clients in threads that ask without a pause; ``failures`` are what was no answer."""

    def __init__(self, port: int, url: str, count: int = 3, *, fresh: bool = True) -> None:
        self.statuses: list[int] = []
        self.failures: list[BaseException] = []
        self.over = False
        self._port = port
        self._url = url
        self._fresh = fresh
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ask no more, and wait for what is under way."""
        self.over = True
        for thread in self._threads:
            thread.join(20)

    def _run(self) -> None:
        client = Client(self._port)
        while not self.over:
            try:
                if self._fresh:
                    self.statuses.append(ask(self._port, self._url).status)
                else:
                    self.statuses.append(client.ask("GET", self._url).status)
            except (OSError, ValueError, IndexError) as problem:
                self.failures.append(problem)
                client.close()
                client = Client(self._port)
        client.close()
