"""
corpproxy beside other proxies, in one run: ``python -m benchmarks``.

Everything happens on loopback.  As root it happens in a network namespace of its own, and other work on the
machine yields to it.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.duties import Neglected
from benchmarks.origin import NotThere
from benchmarks.peers import PEERS
from benchmarks.place import INSIDE, can_be_private, go_private
from benchmarks.profiling import profile
from benchmarks.session import measure, show
from benchmarks.soak import soak
from benchmarks.workloads import WORKLOADS


def options(words: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = ", ".join(workload.name for workload in WORKLOADS)
    peers = "which proxies, with commas, or 'all': " + ", ".join(peer.name for peer in PEERS)
    parser.add_argument("--only", help=f"these workloads, with commas: {names}")
    parser.add_argument("--peers", default="corpproxy,squid", help=peers)
    parser.add_argument("--runs", type=int, default=3, help="runs of each, of which the median counts")
    parser.add_argument("--secs", type=float, default=3.0, help="counted seconds of a run")
    parser.add_argument("--quick", action="store_true", help="one run of a second, and few workloads")
    parser.add_argument("--out", type=Path, help="the results file; else one in benchmarks/results")
    parser.add_argument(
        "--show", type=Path, metavar="FILE", help="measure nothing, show results that were kept"
    )
    parser.add_argument("--manual", action="store_true", help="put the table into the manual as well")
    parser.add_argument(
        "--profile", action="store_true", help="show where the time goes (of get-all, or --only)"
    )
    parser.add_argument(
        "--soak",
        type=int,
        metavar="COUNT",
        help="so many mixed exchanges: do all counts agree, does it grow?",
    )
    return parser.parse_args(words)


def take_turn() -> None:
    """Wait until no other run is under way on this checkout; two at a time would measure each other."""
    # Held until this process ends.
    folder = os.open(Path(__file__).parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("# another run is under way: this one waits", flush=True)
        fcntl.flock(folder, fcntl.LOCK_EX)


def kind_of(chosen: argparse.Namespace) -> Callable[[argparse.Namespace, Path], int]:
    """What the options ask for."""
    if chosen.soak:
        return soak
    return profile if chosen.profile else measure


def main(words: Sequence[str]) -> int:
    """Measure, print, keep."""
    chosen = options(words)
    if chosen.show:
        show(json.loads(chosen.show.read_text()), in_manual=chosen.manual)
        return 0
    if INSIDE not in os.environ and can_be_private():
        go_private(words)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if not chosen.quick:
        take_turn()
    with tempfile.TemporaryDirectory(prefix="corpproxy-bench-") as folder:
        try:
            return kind_of(chosen)(chosen, Path(folder))
        except (NotThere, Neglected) as error:
            print(error, file=sys.stderr)
            return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
