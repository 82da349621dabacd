"""
Where the time goes: the load of a workload against corpproxy alone, seen twice.

``perf``, where it is installed, sees the kernel, the interpreter and the libraries, and disturbs nobody.
The profiler of Python sees our functions by name, and makes each call dearer than it is.
"""

from __future__ import annotations

import argparse
import pstats
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from benchmarks import fixtures
from benchmarks.load import Load, Seen
from benchmarks.measure import Bench
from benchmarks.origin import NotThere, Origin, compiled
from benchmarks.peers.corpproxy import Corpproxy
from benchmarks.place import enter, name_hosts
from benchmarks.workloads import IDLE, WORKLOADS, Workload

DEFAULT = "get-all"
FUNCTIONS = 45


class Alone(Corpproxy):
    """Ourselves in one process, so that what is seen of it is all there is."""

    def tables(self) -> dict[str, object]:
        """The policy."""
        return {**super().tables(), "workers": 0}


class Profiled(Alone):
    """Ourselves, under the profiler that twistd has."""

    name = "corpproxy-profiled"

    @property
    def statistics(self) -> Path:
        """Where the profiler leaves what it saw."""
        return self.folder / "statistics"

    def command(self) -> Sequence[str]:
        twistd, *words = super().command()
        return [twistd, f"--profile={self.statistics}", "--profiler=cprofile", "--savestats", *words]


def profile(options: argparse.Namespace, folder: Path) -> int:
    """Profile one workload and print what was seen; gives the exit code."""
    workload = _chosen(options.only or DEFAULT)
    place = enter(folder)
    if workload.root_only and not place.private:
        raise NotThere(f"{workload.name} wants root: its names stand in a hosts file of our own")
    name_hosts(place, workload.duties.hosts)
    made = fixtures.make(folder / "fixtures", 50_000)
    origin = Origin(place, made)
    load = compiled("load", folder)
    bench = Bench(place, made, origin, load, options.secs, 1.0, IDLE)
    try:
        _by_perf(bench, workload)
        _by_function(bench, workload)
    finally:
        origin.stop()
    return 0


def _chosen(name: str) -> Workload:
    for workload in WORKLOADS:
        if workload.name == name and workload.load:
            return workload
    raise NotThere(f"no workload of requests or tunnels: {name}")


def _by_perf(bench: Bench, workload: Workload) -> None:
    perf = shutil.which("perf")
    if perf is None:
        print("perf is not installed (linux-perf): the kernel's and the interpreter's shares are left out")
        return
    peer = Alone(bench.place, bench.fixtures, workload.duties)
    peer.lay_out()
    kept = bench.place.folder / "perf.data"
    try:
        peer.start()
        load = bench.loaded(workload, peer)
        load.line()
        used = peer.runs.seconds()
        # cpu-clock: virtual machines have no cycle counter to show.
        words = [perf, "record", "-q", "-e", "cpu-clock", "-F", "1999", "-o", str(kept)]
        process = str(peer.runs.root.pid)
        recorder = subprocess.Popen([*words, "-p", process, "--", "sleep", str(bench.secs)], stderr=-3)
        seen = Seen(**load.line())
        used = peer.runs.seconds() - used
        recorder.wait(30)
        load.stop()
    finally:
        peer.stop()
    done = seen.count + seen.refused
    each = used / max(1, done) * 1e6
    print(f"{workload.title}: {done / seen.seconds:,.0f} a second, {each:.1f} us of CPU each")
    for title, keys in (("by library", "dso"), ("by function of the machine", "dso,symbol")):
        print(f"\n{title} (per cent)")
        shown = [perf, "report", "-i", str(kept), "--stdio", "--percent-limit", "0.7", "--sort", keys]
        text = subprocess.run(shown, capture_output=True, text=True, check=False).stdout
        lines = (line.rstrip(" -") for line in text.splitlines() if not line.startswith("#"))
        print("\n".join(line for line in lines if line))


def _by_function(bench: Bench, workload: Workload) -> None:
    peer = Profiled(bench.place, bench.fixtures, workload.duties)
    peer.lay_out()
    try:
        peer.start()
        load: Load = bench.loaded(workload, peer)
        load.line()
        seen = Seen(**load.line())
        load.stop()
    finally:
        peer.stop()
    print(f"\nby function of ours ({seen.count / seen.seconds:,.0f} a second under the profiler)")
    statistics = pstats.Stats(str(peer.statistics))
    statistics.strip_dirs().sort_stats("tottime").print_stats(FUNCTIONS)
