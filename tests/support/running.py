"""
The real service as a process of its own, on free loopback ports, with a site folder that is thrown away.

For tests with programs that others wrote, and for what only a whole process can show.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from corpproxy.audit.record import Record, decode
from corpproxy.audit.results import Kind
from corpproxy.backends.people.htpasswd_edit import set_passwords

CHECKOUT = Path(__file__).resolve().parents[2]

# A loaded machine starts Python slowly; what must be quick has a test of its own.
START_SECONDS = 60.0
STOP_SECONDS = 60.0
LOOK_SECONDS = 0.02
# Records are flushed within a second, where nothing else runs.
RECORD_SECONDS = 40.0

_TWISTD = "from twisted.scripts.twistd import run; run()"


class DidNotStart(Exception):
    """The service ended, or did not listen in time; the message is what it said."""


class RunningProxy:
    """
    A service that runs.

    :ivar address: where it listens.
    :ivar forward: the port that browsers use, there; ``forward6`` is the same on ::1.
    :ivar portal: the port with the PAC file.
    :ivar admin: the port with health and metrics, on loopback.
    :ivar folder: the site folder; it goes when the service is stopped.
    """

    def __init__(
        self,
        policy: str,
        people: Mapping[str, str] | None = None,
        workers: int = 0,
        *,
        address: str = "127.0.0.1",
        inside: Sequence[str] = (),
    ) -> None:
        """
        Start it.

        ``policy`` is YAML without the tables ``listen``, ``site`` and ``state``; ``people`` are passwords by
        name for ``users.htpasswd``.  In ``policy``, ``{forward}`` becomes the forward port.  So many
        ``workers`` serve clients; none but the one process, as a rule.  ``inside`` is a command that runs
        another one, elsewhere.
        """
        self.workers = workers
        self.address = address
        self._inside = inside
        self.folder = Path(tempfile.mkdtemp(prefix="corpproxy-site-"))
        self.forward, self.portal, self.admin = free_ports(3)
        self.forward6 = free_ports(1, "::1")[0] if not inside and has_ipv6() else 0
        if people:
            set_passwords(self.folder / "users.htpasswd", people)
        self.policy = self.folder / "policy.yaml"
        self.write_policy(policy)
        self.log = self.folder / "service.log"
        self._ended = False
        self.process = self._start()
        # trial has no ends of classes; whoever keeps one for a class need not end it.
        atexit.register(self.forget)

    def write_policy(self, policy: str) -> None:
        """Write another policy for the same listeners; it is taken up by a reload."""
        listen = [
            f'  - {{name: rooms, forward: "{self.address}:{self.forward}"}}',
            f'  - {{name: pac, portal: "{self.address}:{self.portal}"}}',
            f'  - {{name: office, admin: "127.0.0.1:{self.admin}"}}',
        ]
        if self.forward6:
            listen.append(f'  - {{name: rooms6, forward: "[::1]:{self.forward6}"}}')
        written = policy.replace("{forward}", str(self.forward))
        own = f"workers: {self.workers}"
        text = "\n".join(["site: Hillside School", "state: state", own, "listen:", *listen, written])
        self.policy.write_text(text + "\n", encoding="utf-8")

    def _start(self) -> subprocess.Popen[bytes]:
        command = [*self._inside, sys.executable, "-c", _TWISTD, "-n", "--pidfile=", "corpproxy", "--policy"]
        environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "PYTHONUNBUFFERED": "1"}
        with self.log.open("wb") as log:
            process = subprocess.Popen(
                [*command, str(self.policy)],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        until = time.monotonic() + START_SECONDS
        ports = [(self.address, self.forward), (self.address, self.portal)]
        if not self._inside:
            ports.append(("127.0.0.1", self.admin))
        while not all(accepts(port, address) for address, port in ports):
            if process.poll() is not None or time.monotonic() > until:
                process.kill()
                process.wait()
                said = self.log_text()
                shutil.rmtree(self.folder, ignore_errors=True)
                raise DidNotStart(said)
            time.sleep(LOOK_SECONDS)
        return process

    def log_text(self) -> str:
        """What the service said so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def records(self) -> list[Record]:
        """The records that are in the files now, in their order."""
        segments = sorted((self.folder / "state" / "records").glob("records-*.jsonl"))
        lines = [line for segment in segments for line in segment.read_bytes().splitlines(keepends=True)]
        return [decode(line) for line in lines if line.endswith(b"\n")]

    def closed(self, **fields: object) -> list[Record]:
        """Wait for records that close an exchange and have these values; none after a while is none."""
        until = time.monotonic() + RECORD_SECONDS
        while True:
            found = [record for record in self.records() if _closes(record) and _has(record, fields)]
            if found or time.monotonic() > until:
                return found
            time.sleep(LOOK_SECONDS)

    def stop(self) -> None:
        """End it as Ctrl-C does and wait; a second time nothing happens. The files stay until `forget`."""
        if self._ended:
            return
        self._ended = True
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def forget(self) -> None:
        """Stop it and remove its folder."""
        atexit.unregister(self.forget)
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def faults(self) -> list[str]:
        """
        What no run may leave behind, in sentences; call it when the service has stopped.

        Each exchange has one closing record, none is a bug of ours, and nothing was logged as an error.
        """
        records = self.records()
        closings = Counter(record.id for record in records if _closes(record))
        faults = [f"exchange {id} has {count} closing records" for id, count in closings.items() if count > 1]
        opened = {record.id for record in records if not _closes(record)}
        faults += [f"exchange {id} was opened and never closed" for id in opened - closings.keys()]
        faults += [f"a bug of ours: {record}" for record in records if record.result == "failed"]
        # twistd ends in order, then by the signal that asked for it.
        if self.process.returncode not in {0, -signal.SIGTERM}:
            faults.append(f"the service ended with {self.process.returncode}")
        log = self.log_text()
        if "Traceback" in log or "#error]" in log or "#critical]" in log:
            faults.append(f"the log has errors:\n{log}")
        return faults


def _closes(record: Record) -> bool:
    return record.kind in {Kind.EXCHANGE, Kind.CLOSING}


def _has(record: Record, fields: Mapping[str, object]) -> bool:
    return all(getattr(record, name) == value for name, value in fields.items())


def free_ports(count: int, address: str = "127.0.0.1") -> list[int]:
    """Ports that were free a moment ago; no two are the same."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sockets = [socket.socket(family, socket.SOCK_STREAM) for _ in range(count)]
    try:
        for one in sockets:
            one.bind((address, 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def has_ipv6() -> bool:
    """Whether this machine has ::1."""
    try:
        free_ports(1, "::1")
    except OSError:
        return False
    return True


def accepts(port: int, address: str = "127.0.0.1") -> bool:
    """Whether something listens on a port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((address, port)) == 0
