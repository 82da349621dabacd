"""Two nodes, machines of their own with two workers each, that have one database: one quota for a person."""

from __future__ import annotations

import atexit
import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.programs.log_servers import Postgresql
from tests.service.client import Client
from tests.support.network import NO_NETWORK, Machine
from tests.support.running import CHECKOUT, RunningProxy

MIB = 1 << 20
PEOPLE = {name: f"the password of {name}" for name in ("amir", "beth", "carol", "dora", "emil")}

POLICY = """
safety: {{addresses: [public, reserved], connect_ports: [443], tunnel_content: any}}
identity: {{methods: [{{basic: {{htpasswd: users.htpasswd}}}}]}}
store: {store}
limits:
  - {{name: day, per: user, who: {{user: [amir, beth, dora, emil]}}, volume: 100MiB, every: day, then: block}}
  - {{name: week, per: user, who: {{user: carol}}, volume: 100MiB, every: week, store_away: continue}}
rules:
  - {{name: everything, do: allow}}
"""

PIECE = b"x" * (1 << 18)


class Endless:
    """A server that sends without an end; ``/few`` is a short answer."""

    def __init__(self, address: str) -> None:
        self._socket = socket.create_server((address, 0), backlog=64)
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._send, args=self._socket.accept()[:1], daemon=True).start()

    @staticmethod
    def _send(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            if b" /few " in connection.recv(65536):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nyes")
                return
            connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
            while True:
                connection.sendall(PIECE)


class Node:
    """One machine with a proxy."""

    def __init__(self, machine: Machine, database: int) -> None:
        self.machine = machine
        self.origin = Endless(machine.here)
        policy = POLICY.format(store=f"postgresql://postgres@{machine.here}:{database}/postgres")
        self.proxy = RunningProxy(
            policy, PEOPLE, workers=2, address=self.machine.address, inside=self.machine.inside
        )

    def client(self, user: str) -> Client:
        return Client(self.proxy.forward, user, PEOPLE[user], self.machine.address)

    def url(self, path: str = "/much") -> str:
        return f"http://{self.machine.here}:{self.origin.port}{path}"

    def status(self, user: str) -> int:
        """What somebody is answered who asks for little."""
        client = self.client(user)
        try:
            return client.ask("GET", self.url("/few"), "Connection: close").status
        finally:
            client.close()

    def says(self, *words: str) -> str:
        """What a command says there."""
        command = [
            sys.executable,
            "-m",
            "corpproxy",
            *words[:2],
            "--policy",
            str(self.proxy.policy),
            *words[2:],
        ]
        done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=False)
        return done.stdout + done.stderr

    def metrics(self) -> str:
        """The metrics, which can be read on that machine alone."""
        command = [*self.machine.inside, "curl", "-s", f"http://127.0.0.1:{self.proxy.admin}/metrics"]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout

    def used(self, user: str, limit: str = "day") -> float:
        (quota,) = [
            one for one in json.loads(self.says("quota", "show", "--format", "json")) if one["name"] == limit
        ]
        return sum(one["used"] for one in quota["members"] if one["whom"] == user)


class Download:
    """One that goes on until it is ended."""

    def __init__(self, node: Node, user: str) -> None:
        self._client = node.client(user)
        self.is_over = False
        self._thread = threading.Thread(target=self._run, args=(node.url(),), daemon=True)
        self._thread.start()

    def _run(self, url: str) -> None:
        with contextlib.suppress(OSError):
            self._client.send_request("GET", url, "Connection: close")
            self._client.socket.settimeout(60)
            while self._client.more():
                pass
        self.is_over = True

    @property
    def received(self) -> int:
        return self._client.received

    def wait(self, seconds: float = 60.0) -> int:
        self._thread.join(seconds)
        return self.received

    def stop(self) -> None:
        self._client.close()


class TwoNodesTests(SynchronousTestCase):
    """Two machines in a network of their own."""

    skip = NO_NETWORK
    timeout = 240

    database: Any = None
    nodes: Any = ()

    def setUp(self) -> None:
        if not self.nodes:
            cls = type(self)
            cls.database, cls.nodes = _begin()
        self.one, self.two = self.nodes

    def downloads(self, user: str, count: int) -> list[Download]:
        made = [Download(self.nodes[number % 2], user) for number in range(count)]
        for one in made:
            self.addCleanup(one.stop)
        return made

    def is_refused(self, node: Node, user: str) -> bool:
        """Whether nothing more goes through; what downloads gave back when they were ended is used first."""
        Download(node, user).wait()
        return node.status(user) == 403

    def until(self, holds: Callable[[], Any], what: str, seconds: float = 30.0) -> Any:
        ends = time.monotonic() + seconds
        while not (found := holds()):
            self.assertLess(time.monotonic(), ends, what)
            time.sleep(0.1)
        return found

    def test_exact(self) -> None:
        """Sixteen downloads over two nodes with two workers each end within 1 MiB of 100 MiB."""
        moved = sum(one.wait() for one in self.downloads("amir", 16))
        self.assertLess(abs(moved - 100 * MIB), MIB)
        for node in self.nodes:
            self.until(lambda node=node: abs(node.used("amir") - 100 * MIB) < MIB, "both know it")
            self.until(lambda node=node: self.is_refused(node, "amir"), "nothing is left")
            self.assertEqual(node.status("emil"), 200)

    def test_killed(self) -> None:
        """A database that is killed in the middle and is back soon ends no download, and lends no more."""
        downloads = self.downloads("dora", 16)
        self.until(lambda: sum(one.received for one in downloads) > 20 * MIB, "they run")
        self.database.kill(hard=True)
        time.sleep(1.0)
        self.database.start()
        moved = sum(one.wait() for one in downloads)
        self.assertLess(abs(moved - 100 * MIB), MIB)

    def test_away(self) -> None:
        """While the database is away a node goes on with what it holds, and then as the policy says."""
        for user in ("beth", "carol"):
            self.assertEqual(self.one.status(user), 200)
        holds = "SELECT whom FROM corpproxy.loan WHERE granted > moved AND whom IN ('beth', 'carol')"
        self.until(lambda: len(self.database.rows(holds)) == 2, "both have something on loan")
        self.database.kill(hard=True)
        try:
            stays, goes_on = Download(self.one, "beth"), Download(self.one, "carol")
            moved = stays.wait(), goes_on.wait()
            # A sixteenth of the quota is on loan.
            self.assertLess(abs(moved[0] - 100 * MIB / 16), MIB)
            self.assertLess(abs(moved[1] - 100 * MIB), MIB)
            self.assertEqual([self.one.status(user) for user in ("beth", "carol")], [403, 403])
            metrics = self.one.metrics()
            self.assertIn("\ncorpproxy_quotas_shut 1.0\n", metrics)
            self.assertIn("\ncorpproxy_store_away 1.0\n", metrics)
            said = self.one.says("status")
            self.assertIn("what was on loan is used up for 1 member of quotas", said)
        finally:
            self.database.start()
        self.until(lambda: self.two.status("beth") == 200, "beth goes on")
        self.until(lambda: self.one.status("beth") == 200, "beth goes on")
        self.until(lambda: abs(self.two.used("carol", "week") - moved[1]) < MIB, "both know it")
        self.until(lambda: self.is_refused(self.two, "carol"), "nothing is left for her there")
        more = sum(one.wait() for one in self.downloads("beth", 4))
        self.assertLess(abs(moved[0] + more - 100 * MIB), MIB)


def _begin() -> tuple[Postgresql, list[Node]]:
    machines = [Machine(number) for number in (1, 2)]
    database = Postgresql(*[one.here for one in machines])
    atexit.register(database.stop)
    return database, [Node(one, database.port) for one in machines]
