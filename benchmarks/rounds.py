"""
What it costs others when all open tunnels are decided again: ``python -m benchmarks.rounds [TUNNELS]``.

A real service with two workers carries so many open tunnels, half of them to a game.  Three rules begin one
after the other: under the first all tunnels may go on, the second blocks the game, the third blocks
everything.  Meanwhile a client of each worker asks for a small page on its open connection, a thousand times
a second or nearly.  For each change is told, beside what it was in a time of the same length in which nothing
happened:

* how long it took until the last tunnel had ended,
* the longest pause of a worker: the most processor time that it spent between two turns of its loop,
* how long a client waited for its page: all but one in a hundred, and the longest.

One worker has a core of its own, where the machine has two; all else, the load and the other worker too, is
on the other cores.  That worker and its client run before everything else on their cores (root may ask for
that), so that what this client waits is what the round does, and not what other programs do.

Each worker needs two descriptors for each of its tunnels, and this program one: ``ulimit -n`` must be above
the number of tunnels.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import resource
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.place import NICE

TUNNELS = 10_000
WORKERS = 2
HOSTS = ("games.bench.test", "other.bench.test")
# From one page to the next.
PROBE_SECONDS = 0.001
QUIET_SECONDS = 3.0
# Python reads it when a process begins: in each worker a beat looks how much was worked since the last one.
BEATS = """
import os, sys, threading, time

HERE = os.path.dirname(__file__)

def beat(reactor, file, before):
    now = time.thread_time()
    if now - before > 0.001:
        file.write(f"{time.monotonic()} {now - before}\\n")
    reactor.callLater(0.001, beat, reactor, file, time.thread_time())

def begin():
    while "twisted.internet.reactor" not in sys.modules:
        time.sleep(0.1)
    time.sleep(1)
    from twisted.internet import reactor
    file = HERE + "/%s-%d" % ("beats" if is_worker else "supervisor", os.getpid())
    reactor.callFromThread(beat, reactor, open(file, "w", 1), 1e9)

# Where there is a thread no worker is made by forking: each is a process of its own from the start.
is_worker = "corpproxy.worker" in sys.orig_argv
threading.Thread(target=begin, daemon=True).start()
if not is_worker:
    threading.Thread(target=lambda: time.sleep(1e6), daemon=True).start()
"""
OPENED = b"HTTP/1.1 200 Connection established\r\n\r\n"
PROBE = b"GET http://proxy.internal/proxy.pac HTTP/1.1\r\nHost: proxy.internal\r\n\r\n"
# What begins, what it blocks, and the share of the tunnels that it ends.
CHANGES = (("all go on", "news.bench.test", 0.0), ("half end", HOSTS[0], 0.5), ("the rest end", "test", 0.5))
# From one rule to the next; the first one waits until the tunnels are open.
BETWEEN_SECONDS = 2 * QUIET_SECONDS + 2


def free_port() -> int:
    """A port that nobody has just now."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


def far_end(listening: socket.socket) -> None:
    """The server of all tunnels: it takes what comes and says nothing."""
    listening.setblocking(False)
    held: dict[int, socket.socket] = {}
    poll = select.epoll()
    poll.register(listening, select.EPOLLIN)
    while True:
        for descriptor, _ in poll.poll():
            if descriptor == listening.fileno():
                with contextlib.suppress(BlockingIOError):
                    while True:
                        one, _ = listening.accept()
                        one.setblocking(False)
                        held[one.fileno()] = one
                        poll.register(one, select.EPOLLIN | select.EPOLLRDHUP)
            else:
                with contextlib.suppress(OSError):
                    if held[descriptor].recv(65536):
                        continue
                held.pop(descriptor).close()


def probing(port: int, worker: int, questions: Any) -> None:
    """A client of one worker; in a process of its own, where no other thread makes it wait."""
    waits: list[tuple[float, float]] = []
    with _connection_to(port, worker) as one:
        while not questions.poll(PROBE_SECONDS):
            began = time.monotonic()
            _ask(one)
            waits.append((began, time.monotonic() - began))
    windows = questions.recv()
    questions.send(
        [_waits_ms([took for at, took in waits if since <= at <= until]) for since, until in windows]
    )


def _waits_ms(waits: list[float]) -> tuple[float, float]:
    """What all but one in a hundred are below, and the longest, in milliseconds."""
    waits = sorted(waits) or [0.0]
    return waits[len(waits) * 99 // 100] * 1000, waits[-1] * 1000


def _ask(one: socket.socket) -> None:
    one.sendall(PROBE)
    if not one.recv(65536):
        raise EOFError


def _connection_to(port: int, worker: int) -> socket.socket:
    """Connect until it is this worker that serves: the kernel deals connections out."""
    for _ in range(200):
        one = socket.create_connection(("127.0.0.1", port))
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _ask(one)
        if _far_inode(port, one.getsockname()[1]) in _sockets_of(worker):
            return one
        one.close()
    raise RuntimeError(f"no connection comes to worker {worker}")


def _far_inode(port: int, ours: int) -> str:
    """The inode of the other end of a connection on loopback."""
    ends = (f"0100007F:{port:04X}", f"0100007F:{ours:04X}")
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return next((row[9] for row in rows if (row[1], row[2]) == ends), "")


def _sockets_of(process: int) -> set[str]:
    """The inodes of the sockets that a process has open."""
    found = set()
    for descriptor in os.scandir(f"/proc/{process}/fd"):
        with contextlib.suppress(OSError):
            found.add(os.readlink(descriptor.path).removeprefix("socket:[").removesuffix("]"))
    return found


class Site:
    """A service with its workers, and a policy."""

    def __init__(self, folder: Path, far_port: int) -> None:
        self.folder, self.port = folder, free_port()
        self._policy = folder / "policy.yaml"
        self._tables: dict[str, Any] = {
            "site": "Benchmark",
            "time_zone": "UTC",
            "state": "state",
            "workers": WORKERS,
            "listen": [{"name": "rooms", "forward": f"127.0.0.1:{self.port}"}],
            "names": {"hosts": {name: ["127.0.0.1"] for name in HOSTS}},
            "safety": {
                "addresses": ["public", "loopback"],
                "connect_ports": [far_port],
                "tunnel_content": "any",
            },
            "rules": [{"name": "everything", "do": "allow"}],
            "connections": dict.fromkeys(
                ("total", "per_address", "per_person", "tunnels_per_address", "tunnels_per_person"), 50_000
            ),
        }
        self._policy.write_text(json.dumps(self._tables))
        (folder / "sitecustomize.py").write_text(BEATS)
        self._log = (folder / "log").open("w")
        self.process = subprocess.Popen(
            [self._program("twistd"), "-n", "--pidfile=", "corpproxy", "--policy", str(self._policy)],
            stdout=self._log,
            stderr=self._log,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(folder)},
        )

    def _program(self, name: str) -> str:
        return str(Path(sys.executable).parent / name)

    def begin(self, at: float) -> None:
        """Put the rules into force, the first from a time in POSIX seconds on."""
        rules = [
            {
                "name": name,
                "what": {"domain": domain},
                "do": "block",
                "from": _moment(at + number * BETWEEN_SECONDS),
            }
            for number, (name, domain, _) in enumerate(CHANGES)
        ]
        self._tables["rules"] = [*rules, {"name": "everything else", "do": "allow"}]
        self._policy.write_text(json.dumps(self._tables))
        self.command("reload")

    def command(self, *words: str) -> str:
        """Give a command of the command line."""
        done = subprocess.run(
            [self._program("corpproxy"), "--policy", str(self._policy), *words],
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    def wait(self) -> None:
        """Wait until all workers serve."""
        until = time.monotonic() + 30
        while time.monotonic() < until:
            with contextlib.suppress(subprocess.CalledProcessError):
                if "no worker" not in (said := self.command("status")) and said.count("serving") >= WORKERS:
                    return
            time.sleep(0.2)
        raise RuntimeError(f"the service does not start: {(self.folder / 'log').read_text()[-2000:]}")

    def stop(self) -> None:
        """End the service."""
        self.process.terminate()
        self.process.wait(60)
        self._log.close()

    def workers(self) -> list[int]:
        """The processes of the workers."""
        return sorted(int(file.name.removeprefix("beats-")) for file in self.folder.glob("beats-*"))

    def longest_pause_ms(self, since: float, until: float, of: str = "beats") -> float:
        """
        The most that a worker worked between two turns, in milliseconds of processor time.

        With ``supervisor`` it is that of the supervisor.
        """
        lines = [line for file in self.folder.glob(f"{of}-*") for line in file.read_text().splitlines()]
        beats = [tuple(map(float, line.split())) for line in lines]
        return max((worked for at, worked in beats if since <= at <= until), default=0.0) * 1000

    def ended_tunnels(self) -> dict[str, int]:
        """The closing records of tunnels that were decided again, by the rule that ended them."""
        found: dict[str, int] = {}
        for file in (self.folder / "state" / "records").iterdir():
            for line in file.read_bytes().splitlines():
                rule = json.loads(line).get("ended_rule")
                if rule:
                    found[rule] = found.get(rule, 0) + 1
        return found


class Tunnels:
    """Open tunnels, and how many of them have ended."""

    def __init__(self, proxy_port: int, far_port: int, count: int) -> None:
        self.open: dict[int, socket.socket] = {}
        self._poll = select.epoll()
        for number in range(count):
            one = socket.create_connection(("127.0.0.1", proxy_port))
            target = f"{HOSTS[number % 2]}:{far_port}".encode()
            one.sendall(b"CONNECT %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (target, target))
            if (answer := one.recv(4096)) != OPENED:
                raise RuntimeError(f"tunnel {number} is not opened: {answer!r}")
            self.open[one.fileno()] = one
            self._poll.register(one, select.EPOLLIN | select.EPOLLRDHUP)

    def until_ended(self, count: int, seconds: float) -> float:
        """Wait until so many have ended; gives the moment at which the last one did."""
        last, until = time.monotonic(), time.monotonic() + seconds
        while count > 0 and time.monotonic() < until:
            for descriptor, _ in self._poll.poll(0.05):
                self.open.pop(descriptor).close()
                count, last = count - 1, time.monotonic()
        if count > 0:
            raise RuntimeError(f"{count} tunnels that should have ended are open")
        return last


def lift_limit(count: int) -> None:
    """Let this program, and what it starts, have a descriptor for each tunnel, and more."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count + 1000:
        raise SystemExit(f"{count} tunnels need 'ulimit -n' above {count + 1000}; it is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextlib.contextmanager
def made(folder: Path) -> Iterator[tuple[Site, int]]:
    """A service that serves, and the port of the server of all tunnels."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=1000)
    far_port = int(listening.getsockname()[1])
    end = multiprocessing.Process(target=far_end, args=(listening,), daemon=True)
    end.start()
    site = Site(folder, far_port)
    try:
        site.wait()
        yield site, far_port
    finally:
        site.stop()
        end.terminate()


class Probes:
    """A client of each worker."""

    def __init__(self, port: int, workers: list[int]) -> None:
        self._questions = []
        self._running = []
        for number, worker in enumerate(workers):
            ours, theirs = multiprocessing.Pipe()
            one = multiprocessing.Process(target=probing, args=(port, worker, theirs), daemon=True)
            one.start()
            if not number:
                _undisturbed(int(one.pid or 0))
            self._questions.append(ours)
            self._running.append(one)

    def end(self, windows: list[tuple[float, float]]) -> list[list[tuple[float, float]]]:
        """Ask no more; gives for each client how long it waited in each of these times."""
        for one in self._questions:
            one.send(windows)
        found = [one.recv() for one in self._questions]
        for one in self._running:
            one.join(10)
        return found


def measure(folder: Path, count: int) -> None:
    """Measure and print."""
    cores = sorted(os.sched_getaffinity(0))
    # All that is started from here on is on the other cores, until a worker gets the first one.
    os.sched_setaffinity(0, cores[1:] or cores)
    with made(folder) as (site, far_port):
        workers = seated(site, cores[0])
        # Before the tunnels: what a child inherits would keep them open.
        probes = Probes(site.port, workers)
        began = time.monotonic()
        tunnels = Tunnels(site.port, far_port, count)
        print(f"# {count:,} tunnels over {WORKERS} workers, opened in {time.monotonic() - began:.1f} s")
        at = float(int(time.time() + QUIET_SECONDS + 4))
        site.begin(at)
        changes = [
            _change(name, at + number * BETWEEN_SECONDS, tunnels, round(count * share))
            for number, (name, _, share) in enumerate(CHANGES)
        ]
        windows = [window for one in changes for window in one.windows]
        _print(changes, windows, probes.end(windows), site)
        time.sleep(1.5)
        print(f"# closing records by the rule that ended them: {site.ended_tunnels()}")


def seated(site: Site, core: int) -> list[int]:
    """Give the first worker a core of its own; gives all workers, that one first."""
    until = time.monotonic() + 30
    while len(workers := site.workers()) < WORKERS and time.monotonic() < until:
        time.sleep(0.1)
    for thread in os.listdir(f"/proc/{workers[0]}/task"):
        os.sched_setaffinity(int(thread), {core})
    _undisturbed(workers[0])
    return workers


def _undisturbed(process: int) -> None:
    """Let the loop of a process run before all else on its core, as if it were alone there."""
    with contextlib.suppress(PermissionError):
        # Its threads that are to come are no more than others.
        os.sched_setscheduler(process, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))


@dataclass(frozen=True, slots=True)
class Change:
    """What began, how many tunnels it ended, and when it began and the last one ended."""

    name: str
    ended: int
    begins: float
    last: float

    @property
    def windows(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The time before, and the same time from then on."""
        begins = self.begins
        return (begins - QUIET_SECONDS, begins), (begins, begins + QUIET_SECONDS)


def _change(name: str, at: float, tunnels: Tunnels, ending: int) -> Change:
    begins = time.monotonic() + at - time.time()
    time.sleep(max(0.0, begins - time.monotonic() - 0.05))
    last = tunnels.until_ended(ending, 10)
    time.sleep(max(0.0, begins + QUIET_SECONDS - time.monotonic()))
    return Change(name, ending, begins, last)


def _print(
    changes: list[Change],
    windows: list[tuple[float, float]],
    waits: list[list[tuple[float, float]]],
    site: Site,
) -> None:
    print("# milliseconds; waits: all but one in a hundred are below the first, none is above the second")
    print("# what begins   ended  the last after           longest pause  wait, own core  wait, shared core")
    for number, window in enumerate(windows):
        one, is_after = changes[number // 2], number % 2
        what = f"{one.name:13} {one.ended:6,}" if is_after else f"{'  before it':20}"
        last = f"{one.last - one.begins:8.2f} s" if is_after and one.ended else " " * 10
        cells = [f"{of[number][0]:7.1f} {of[number][1]:6.1f}" for of in waits]
        pause = site.longest_pause_ms(*window)
        print(f"{what}  {last:>20}  {pause:18.1f}  {'    '.join(cells)}", flush=True)


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))


def main() -> None:
    """Measure as many tunnels as the command line says."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else TUNNELS
    lift_limit(count)
    with contextlib.suppress(PermissionError):
        # Other work on the machine yields to us and to all that we start; only root may ask for that.
        os.nice(NICE)
    with tempfile.TemporaryDirectory(prefix="corpproxy-rounds-") as folder:
        measure(Path(folder), count)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONHASHSEED", "0")
    main()
