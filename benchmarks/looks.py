"""
What it costs others that somebody looks at what runs: ``python -m benchmarks.looks [TUNNELS]``.

A real service with two workers carries so many open tunnels.  As ``corpproxy top`` does, somebody looks at
people, then at what runs, then at what runs with a text that is looked for, each second.  For each is told,
beside a time in which nobody looks:

* how long an answer took,
* the longest pause of a worker, and of the supervisor: the most processor time that one spent between two
  turns of its loop.  It is to stay below 10 ms, which is what a client may have to wait beside all else.

Each worker needs two descriptors for each of its tunnels, and this program one: ``ulimit -n`` must be above
the number of tunnels.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.place import NICE
from benchmarks.rounds import TUNNELS, Site, Tunnels, lift_limit, made, seated
from corpproxy.backends.state_folder import CONTROL_SOCKET
from corpproxy.net.ask import ask

LOOKS = 6
# The longest that a look may keep others waiting.
PAUSE_MS = 10.0
KINDS: tuple[tuple[str, dict[str, str]], ...] = (
    ("nobody looks", {}),
    ("people", {"view": "people"}),
    ("what runs", {"view": "running"}),
    ("with a text", {"view": "running", "text": "games", "sort": "age"}),
)


def measure(folder: Path, count: int) -> bool:
    """Measure and print; gives whether no pause was too long."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[1:] or cores)
    with made(folder) as (site, far_port):
        seated(site, cores[0])
        tunnels = Tunnels(site.port, far_port, count)
        print(f"# {len(tunnels.open):,} tunnels; milliseconds")
        print("# who looks at        answer  longest pause: worker  supervisor")
        # All of them, whatever the first one says.
        short = [_look(site, name, question) for name, question in KINDS]
        return all(short)


def _look(site: Site, name: str, question: dict[str, str]) -> bool:
    began, took = time.monotonic(), 0.0
    for _ in range(LOOKS):
        at = time.monotonic()
        if question:
            ask(site.folder / "state" / CONTROL_SOCKET, "present", **question)
            took = max(took, time.monotonic() - at)
        time.sleep(max(0.0, at + 1 - time.monotonic()))
    until = time.monotonic()
    worker, supervisor = (site.longest_pause_ms(began, until, of) for of in ("beats", "supervisor"))
    print(f"{name:18}  {took * 1000:8.0f}  {worker:21.1f}  {supervisor:10.1f}", flush=True)
    return not question or max(worker, supervisor) < PAUSE_MS


def main(words: list[str]) -> int:
    """Measure; gives the exit status."""
    count = int(words[0]) if words else TUNNELS
    os.nice(NICE)
    lift_limit(count)
    with tempfile.TemporaryDirectory(prefix="corpproxy-looks-") as folder:
        is_short = measure(Path(folder), count)
    print("no pause was too long" if is_short else f"a pause was longer than {PAUSE_MS:.0f} ms")
    return 0 if is_short else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
