"""A whole run: which proxies and workloads, in which order, and where the results go."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import fixtures, manual, table
from benchmarks.duties import Duties, Neglected, prove
from benchmarks.figures import AGAINST, rows
from benchmarks.measure import Bench, Run, one_run
from benchmarks.origin import NotThere, Origin, compiled
from benchmarks.peers import PEERS
from benchmarks.peers.peer import Peer
from benchmarks.place import enter, machine, name_hosts
from benchmarks.workloads import IDLE, WORKLOADS, Kind, Workload

RESULTS = Path(__file__).with_name("results")
QUICK_DOMAINS = 50_000
# Where Squid was not measured, latencies are taken at a rate that every proxy here can stand.
DEFAULT_PACE = 2_000.0


def measure(options: argparse.Namespace, folder: Path) -> int:
    """Measure what the options ask for, print it and keep it; gives the exit code."""
    return Session(options, folder).run()


class Session:
    """Proxies stay up side by side, and take turns under the load: what disturbs one disturbs the other."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self._options = options
        self._place = enter(folder)
        self._runs: list[Run] = []
        self._notes: list[str] = []
        self._peers = list(self._chosen_peers())
        self._workloads = list(self._chosen_workloads())
        self._repeat = 1 if options.quick else options.runs
        self._is_warm = False

    def _chosen_peers(self) -> Iterator[type[Peer]]:
        known = {peer.name: peer for peer in PEERS}
        wanted = list(known) if self._options.peers == "all" else self._options.peers.split(",")
        for name in wanted:
            if name not in known:
                raise NotThere(f"no such proxy: {name} (there are {', '.join(known)})")
            peer = known[name]
            if peer.found() is None:
                self._note(f"{name} is not installed: {peer.package}")
            elif peer.needs_private and not self._place.private:
                self._note(f"{name} can be measured by root only: it looks names up in /etc/hosts")
            else:
                yield peer

    def _chosen_workloads(self) -> Iterator[Workload]:
        known = {workload.name: workload for workload in WORKLOADS}
        only = self._options.only.split(",") if self._options.only else None
        if unknown := [name for name in only or () if name not in known]:
            raise NotThere(f"no such workload: {', '.join(unknown)} (there are {', '.join(known)})")
        for workload in WORKLOADS:
            if workload.name not in only if only else self._options.quick and not workload.quick:
                continue
            if workload.root_only and not self._place.private:
                self._note(f"{workload.name} wants root: its 50,000 names stand in a hosts file of our own")
                continue
            yield workload

    def _note(self, text: str) -> None:
        self._notes.append(text)
        print(f"# {text}", flush=True)

    def run(self) -> int:
        """Measure everything; gives the exit code."""
        if not self._peers or not self._workloads:
            return 1
        quick = self._options.quick
        if quick:
            self._note(f"a quick run: the list has {QUICK_DOMAINS:,} names, and one second says little")
        domains = QUICK_DOMAINS if quick else fixtures.DOMAINS
        made = fixtures.make(self._place.folder / "fixtures", domains)
        load = compiled("load", self._place.folder)
        origin = Origin(self._place, made)
        secs, warm, idle = (1.0, 0.5, 500) if quick else (self._options.secs, 1.0, IDLE)
        bench = Bench(self._place, made, origin, load, secs, warm, idle)
        try:
            for duties, group in groupby(self._workloads, key=lambda workload: workload.duties):
                self._with(duties, list(group), bench)
        finally:
            origin.stop()
        self._keep()
        return int(any(run.fault for run in self._runs))

    def _with(self, duties: Duties, workloads: Sequence[Workload], bench: Bench) -> None:
        """Run the workloads of one set of duties: all proxies are up, and take turns."""
        peers = []
        name_hosts(self._place, duties.hosts)
        try:
            for kind in self._peers:
                peer = kind(self._place, bench.fixtures, duties)
                try:
                    peer.lay_out()
                    seconds = peer.start()
                    seen = prove(peer, duties, bench.fixtures, self._place)
                except (Neglected, OSError) as error:
                    peer.stop()
                    self._note(f"{peer.name} is left out with the duties '{duties.name}': {error}")
                    continue
                peer.runs.settle()
                peers.append(peer)
                print(f"# {peer.name}, {duties.name}: up in {seconds:.2f} s; {'; '.join(seen)}", flush=True)
            for workload in workloads:
                self._warm_up(bench, workload, peers)
                for _ in range(self._repeat):
                    for peer in peers:
                        if peer.stands(workload):
                            self._measure(bench, workload, peer)
        finally:
            for peer in peers:
                peer.stop()

    def _warm_up(self, bench: Bench, workload: Workload, peers: Sequence[Peer]) -> None:
        """Let gigabytes move once, unmeasured: the first waits for memory that the machine never used."""
        standing = [peer for peer in peers if peer.stands(workload)]
        if workload.kind is Kind.BULK and standing and not self._is_warm:
            self._is_warm = True
            one_run(bench, workload, standing[0], self._pace())

    def _measure(self, bench: Bench, workload: Workload, peer: Peer) -> None:
        run = one_run(bench, workload, peer, self._pace())
        self._runs.append(run)
        each = "" if run.cpu_each is None else f", CPU {table.number(run.cpu_each)} each"
        fault = f", fault: {run.fault}" if run.fault else ""
        told = f"{table.number(run.figure)} {workload.kind.value}{each}, foreign {run.foreign}{fault}"
        print(f"{workload.name:17} {peer.name:10} {told}", flush=True)

    def _pace(self) -> float:
        """Half of what Squid did with small requests and all duties."""
        most = [
            run.figure
            for run in self._runs
            if run.peer == AGAINST and run.workload == "get-all" and run.figure and not run.fault
        ]
        return median(most) / 2 if most else DEFAULT_PACE

    def _keep(self) -> None:
        kept: dict[str, Any] = {
            "machine": machine(),
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "versions": {peer.name: peer.version() for peer in self._peers},
            "options": {key: str(value) for key, value in vars(self._options).items()},
            "notes": [*self._notes, *table.lacking(self._peers)],
            "pace": self._pace(),
            "runs": [asdict(run) for run in self._runs],
        }
        path = self._options.out
        if path is None:
            RESULTS.mkdir(exist_ok=True)
            path = RESULTS / f"{kept['at'].replace(':', '')}.json"
        path.write_text(json.dumps(kept, indent=1))
        show(kept, in_manual=self._options.manual)
        print(f"\n{path}")


def show(kept: Mapping[str, Any], *, in_manual: bool) -> None:
    """Print the table of a run that was kept, and put it into the manual if asked to."""
    runs = [Run(**run) for run in kept["runs"]]
    ran = {run.workload for run in runs}
    made = rows([workload for workload in WORKLOADS if workload.name in ran], runs)
    print("\n".join(["", table.text(made), "", *kept["notes"]]))
    if in_manual:
        manual.write(kept, made)
