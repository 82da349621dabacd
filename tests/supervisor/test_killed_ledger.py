"""
Workers and the supervisor are killed at random instants, and the ledger loses at most one second.

Each of some clients drips octets through a tunnel from an address of its own, and knows to the octet and the
millisecond what had come back through the proxy; so the store tells how much time it lost of each.

A run is short by default; ``CORPPROXY_KILLS=100`` makes it long.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import socket
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.report import By, UsageQuestion, UsageReport
from corpproxy.accounting.store_address import STORE_FILE
from corpproxy.backends.store.sqlite import report_from
from tests.service.case import ALLOW
from tests.service.origin import Origin
from tests.service.whole import WholeService, policy_for
from tests.supervisor.test_whole import runs, workers_of

KILLS = int(os.environ.get("CORPPROXY_KILLS", "3"))
DRIPS = 4
DROP = b"d" * 64
PAUSE_SECONDS = 0.005
# When the first batches are on their way, and how long until a kill.
SETTLED_SECONDS = 0.3
LIFE_SECONDS = (0.0, 1.6)
PATIENCE_SECONDS = 20.0
# What the service promises; a machine that is busy with other things takes its time over the disk.
LOST_SECONDS = 1.0
BUSY_SECONDS = float(os.environ.get("CORPPROXY_BUSY_SECONDS", "1.0"))

_addresses = itertools.count(1)


@dataclass
class Tunnel:
    """One tunnel from its first octet to its end: what was sent, and what had come back by when."""

    address: str
    sent: int = 0
    echoed: list[tuple[float, int]] = field(default_factory=list)

    def lost_seconds(self, counted: int) -> float:
        """How long before its end the last octet moved that is counted."""
        lost = [at for at, octets in self.echoed if octets > counted]
        return self.echoed[-1][0] - lost[0] if lost else 0.0


class Drip(threading.Thread):
    """A client with one tunnel after the other."""

    def __init__(self, port: int, origin: Origin) -> None:
        super().__init__(daemon=True)
        self._port = port
        self._at = f"origin.test:{origin.echo_port}"
        self.over = False
        self.ended: list[Tunnel] = []
        self.open: Tunnel | None = None

    def run(self) -> None:
        while not self.over:
            number = next(_addresses)
            tunnel = Tunnel(f"127.2.{number // 250}.{number % 250 + 1}")
            try:
                self._drip(tunnel)
            except OSError:
                time.sleep(0.02)
            self.open = None
            if tunnel.sent:
                self.ended.append(tunnel)

    def _drip(self, tunnel: Tunnel) -> None:
        with socket.create_connection(
            ("127.0.0.1", self._port), PATIENCE_SECONDS, source_address=(tunnel.address, 0)
        ) as client:
            self._send(client, tunnel, f"CONNECT {self._at} HTTP/1.1\r\nHost: {self._at}\r\n\r\n".encode())
            if not client.recv(4096).endswith(b"\r\n\r\n"):
                return
            while not self.over:
                self._send(client, tunnel, DROP)
                if len(client.recv(len(DROP), socket.MSG_WAITALL)) < len(DROP):
                    return
                tunnel.echoed.append((time.monotonic(), tunnel.sent))
                self.open = tunnel
                time.sleep(PAUSE_SECONDS)

    def _send(self, client: socket.socket, tunnel: Tunnel, octets: bytes) -> None:
        # It counts before it goes: the service may have it and be dead before this returns.
        tunnel.sent += len(octets)
        client.sendall(octets)


class KilledLedgerTests(SynchronousTestCase):
    """kill -9, at random instants, also just while the store writes."""

    timeout = 1800

    def test_killed(self) -> None:
        """Whoever is killed, at most one second of octets is lost, and no octet is counted twice."""
        origin = Origin()
        self.addCleanup(origin.stop)
        self.service = WholeService(policy_for(origin, ALLOW), workers=2)
        self.addCleanup(self.service.forget)
        self.drips = [Drip(self.service.forward, origin) for _ in range(DRIPS)]
        for drip in self.drips:
            drip.start()
            self.addCleanup(setattr, drip, "over", True)
        self.dice = random.Random()
        kinds = itertools.cycle((self.kill_worker, self.kill_supervisor, self.kill_while_it_writes))
        for kill in itertools.islice(kinds, KILLS):
            self.wait_for(lambda: all(drip.open is not None for drip in self.drips))
            time.sleep(SETTLED_SECONDS + self.dice.uniform(*LIFE_SECONDS))
            kill()
        self.wait_for(lambda: all(drip.open is not None for drip in self.drips))
        for drip in self.drips:
            drip.over = True
        for drip in self.drips:
            drip.join(PATIENCE_SECONDS)
        self.assertEqual(self.service.ended(signal.SIGTERM), 0)
        self.look_through([tunnel for drip in self.drips for tunnel in drip.ended])

    def look_through(self, tunnels: list[Tunnel]) -> None:
        """Compare all tunnels with the store."""
        counted = {row.name: row for row in self.report().rows}
        lost = []
        for tunnel in tunnels:
            row = counted.get(tunnel.address)
            received, exchanges = (row.received, row.exchanges) if row is not None else (0, 0)
            self.assertLessEqual(received, tunnel.sent, "an octet was counted twice")
            self.assertLessEqual(exchanges, 1)
            lost.append(tunnel.lost_seconds(received) if tunnel.echoed else 0.0)
        self.assertGreater(len(tunnels), KILLS)
        self.assertLess(max(lost), LOST_SECONDS + BUSY_SECONDS)
        if path := os.environ.get("CORPPROXY_KILLS_TOLD"):
            lost.sort()
            most = [round(one, 3) for one in lost[-20:]]
            said = f"{KILLS} kills, {len(lost)} tunnels; the most seconds lost: {most}\n"
            Path(path).write_text(said, encoding="ascii")

    def report(self) -> UsageReport:
        """What the store has."""
        return report_from(self.service.state / STORE_FILE, UsageQuestion(By.DEVICE, UTC))

    def kill_worker(self) -> None:
        """A worker, which the supervisor replaces."""
        workers = workers_of(self.service.process.pid)
        os.kill(self.dice.choice(workers), signal.SIGKILL)

    def kill_supervisor(self) -> None:
        """The supervisor, and a new one that finds what it left."""
        workers = workers_of(self.service.process.pid)
        self.service.kill()
        # They end by themselves; only then is what they counted lost for good.
        self.wait_for(lambda: not any(runs(pid) for pid in workers))
        self.service.start_again()

    def kill_while_it_writes(self) -> None:
        """The same just when the file of the store has changed, in the middle of a batch."""
        log = self.service.state / f"{STORE_FILE}-wal"
        before = log.stat().st_mtime_ns
        self.wait_for(lambda: log.stat().st_mtime_ns != before, pause=0.0)
        self.kill_supervisor()

    def wait_for(self, holds, pause: float = 0.01) -> None:
        """Wait until something holds."""
        ends = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            self.assertLess(time.monotonic(), ends, "it did not come to this")
            time.sleep(pause)
