"""One run of one workload with one proxy."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.duties import SOMEBODY, Neglected, fetch
from benchmarks.fixtures import Fixtures
from benchmarks.load import Load, Seen, counted
from benchmarks.origin import Origin
from benchmarks.peers.peer import Peer
from benchmarks.place import Place
from benchmarks.programs import busy_seconds
from benchmarks.workloads import Kind, Workload

# A list that changed must be in force after so long; Squid reads a million names in well under a minute.
TAKEN_UP_SECONDS = 90


@dataclass(slots=True)
class Run:
    """
    What came of a run.

    ``figure`` is in the unit of the workload's kind.  ``cpu_each`` is processor time of the proxy in
    microseconds for each exchange, or in seconds for each GB.  ``foreign`` is how many cores' worth other
    work took meanwhile: above 0.2 the figure deserves a second look.  ``more`` is what else was seen.
    """

    workload: str
    peer: str
    figure: float | None = None
    cpu_each: float | None = None
    foreign: float = 0.0
    fault: str = ""
    more: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bench:
    """What runs have in common: ``secs`` counted after ``warm`` ones; ``idle`` connections that are held."""

    place: Place
    fixtures: Fixtures
    origin: Origin
    load: Path
    secs: float
    warm: float
    idle: int

    def options(self, workload: Workload, peer: Peer, **more: Any) -> dict[str, Any]:
        """The options of the load for a workload."""
        port = self.place.tunnel_port if workload.tunnels else self.place.web_port
        chosen = {"port": port, "secs": self.secs, "warm": self.warm, **workload.load, **more}
        if workload.duties.login and peer.can_login:
            chosen["users"] = self.fixtures.everyone if workload.everyone else self.fixtures.people
        return chosen

    def loaded(self, workload: Workload, peer: Peer, **more: Any) -> Load:
        """Start the load."""
        return Load(self.load, self.place, peer.port, self.options(workload, peer, **more))


@dataclass(frozen=True, slots=True)
class _Look:
    """Processor time so far: the proxy's, the origin's, everybody's."""

    at: float
    proxy: float
    origin: float
    busy: float


def _look(bench: Bench, peer: Peer) -> _Look:
    return _Look(time.monotonic(), peer.runs.seconds(), bench.origin.seconds(), busy_seconds())


def one_run(bench: Bench, workload: Workload, peer: Peer, pace: float) -> Run:
    """Run a workload; a proxy that cannot stand it gives a run with a fault."""
    run = Run(workload.name, peer.name)
    try:
        if workload.fresh:
            peer.stop()
        if peer.running is None:
            peer.start()
            peer.runs.settle()
        if workload.kind is Kind.IDLE:
            _idle(bench, workload, peer, run)
        elif workload.kind is Kind.START:
            peer.stop()
            run.figure = peer.start()
            peer.runs.settle()
            run.more["octets"] = peer.runs.octets()
        elif workload.kind is Kind.RELOAD:
            _reload(bench, workload, peer, run)
        else:
            _counted(bench, workload, peer, run, pace)
    except (Neglected, RuntimeError, OSError, ValueError) as error:
        run.fault = str(error)[:500]
    return run


def _counted(bench: Bench, workload: Workload, peer: Peer, run: Run, pace: float) -> None:
    more: dict[str, float] = {"rate": round(pace)} if workload.kind is Kind.PACED else {}
    if workload.fresh:
        more["warm"] = 0
    load = bench.loaded(workload, peer, **more)
    seen, before, after = counted(load, lambda: _look(bench, peer))
    used = after.proxy - before.proxy
    others = used + after.origin - before.origin + seen.cpu_seconds
    run.foreign = round(max(0.0, after.busy - before.busy - others) / (after.at - before.at), 2)
    run.more = {
        "count": seen.count,
        "refused": seen.refused,
        "errors": seen.errors,
        "stale": seen.stale,
        "opened": seen.opened,
        "p50_ms": seen.p50_ms,
        "p90_ms": seen.p90_ms,
        "p99_ms": seen.p99_ms,
        "proxy_cores": round(used / (after.at - before.at), 3),
        "load_cores": round(seen.cpu_seconds / seen.seconds, 3),
        "origin_cores": round((after.origin - before.origin) / (after.at - before.at), 3),
        "octets": peer.runs.octets(),
    }
    _figures(workload, seen, used, run)


def _figures(workload: Workload, seen: Seen, used: float, run: Run) -> None:
    done = seen.count + seen.refused
    if workload.kind is Kind.BULK:
        run.figure = seen.octets / seen.seconds / 1e6
        run.cpu_each = used / (seen.octets / 1e9) if seen.octets else None
    else:
        run.figure = seen.p99_ms if workload.kind is Kind.PACED else done / seen.seconds
        run.cpu_each = used / done * 1e6 if done else None
        share = seen.refused / done if done else 0
        # A proxy without sign-in knows nobody who is barred.
        if not done or (share > workload.refused + 0.02):
            run.fault = f"{seen.refused} of {done} answers are refusals"
    if seen.lost > max(10, done // 1000):
        run.fault = f"{seen.lost} exchanges failed: {seen.errors}"


def _idle(bench: Bench, workload: Workload, peer: Peer, run: Run) -> None:
    """So many connections, each after one exchange; what they add to the memory of a fresh proxy."""
    peer.stop()
    peer.start()
    peer.runs.settle()
    counted(bench.loaded(workload, peer, conns=16, hold=0, secs=0.5, warm=0.5), lambda: None)
    time.sleep(1)
    before = peer.runs.octets()
    load = bench.loaded(workload, peer, conns=bench.idle)
    try:
        held = load.line()["held"]
        time.sleep(0.5)
        after, began = peer.runs.octets(), peer.runs.seconds()
        time.sleep(1)
        run.more = {"held": held, "before": before, "after": after}
        run.more["cores_when_idle"] = round(peer.runs.seconds() - began, 3)
        if held < bench.idle:
            run.fault = f"only {held} of {bench.idle} stay open"
        if held:
            run.figure = (after - before) / held
        run.more["errors"] = load.end().errors
    finally:
        load.stop()
        # The next run begins when all these connections are gone.
        time.sleep(1)


def _reload(bench: Bench, workload: Workload, peer: Peer, run: Run) -> None:
    """One name more in the list, while requests come at a steady rate: who waits, and what is lost."""
    name = f"reload{time.monotonic_ns()}.bench.test"
    load = bench.loaded(workload, peer, secs=TAKEN_UP_SECONDS + 20, warm=1, timeout=TAKEN_UP_SECONDS)
    try:
        load.line()
        before = peer.runs.octets()
        with peer.list_file().open("a") as lines:
            lines.write(peer.list_line(name))
        began = time.monotonic()
        peer.reload()
        most = _until_refused(peer, bench.place, name)
        run.more = {"in_force_seconds": round(time.monotonic() - began, 2)}
        time.sleep(1)
        seen = load.end()
        run.figure = seen.longest_ms
        run.more |= {
            "before": before,
            "most": most,
            "after": peer.runs.octets(),
            "lost": seen.lost,
            "count": seen.count,
            "p99_ms": seen.p99_ms,
            "gap_ms": seen.gap_ms,
            "errors": seen.errors,
        }
    finally:
        load.stop()


def _until_refused(peer: Peer, place: Place, name: str) -> int:
    """Wait until a name is refused; gives the most memory seen meanwhile.  Raises RuntimeError."""
    until, most = time.monotonic() + TAKEN_UP_SECONDS, 0
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            if fetch(peer.port, name, place, SOMEBODY, wait=TAKEN_UP_SECONDS) == peer.refuses_with:
                return most
        most = max(most, peer.runs.octets())
        time.sleep(0.05)
    raise RuntimeError(f"the list is not in force after {TAKEN_UP_SECONDS} s")
