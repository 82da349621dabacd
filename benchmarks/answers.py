"""
How fast the record answers: ``python -m benchmarks.answers``.

Ten million records are made (some 8 GB in a folder that is taken away at the end), and asked with the real
command: by a person, by a reference, by ten minutes.  Each figure is the wall time of one command, its start
included.  ``--records`` makes fewer of them, ``--keep FOLDER`` keeps them for another run.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.made_records import Made, make_records
from corpproxy.backends.afterwork.making import make_indexes
from corpproxy.backends.records.segment_file import create_segment
from corpproxy.backends.records.segments import RECORDS_FOLDER, segment_names
from corpproxy.backends.search.index import INDEX_FOLDER, INDEX_KEY, closed_segments
from corpproxy.backends.state_folder import kept_key

RECORDS = 10_000_000
RUNS = 3
_COPIED = 1024 * 1024
_MADE = "made.json"


def main(words: Sequence[str]) -> int:
    """Make, ask, print, take away."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.answers", description=__doc__)
    parser.add_argument("--records", type=int, default=RECORDS)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="make them here, or find them here")
    parser.add_argument("--plain", action="store_true", help="leave closed segments unpacked")
    options = parser.parse_args(words)
    state = options.keep or Path(tempfile.mkdtemp(prefix="corpproxy-answers-"))
    try:
        measure(state, options.records, packs=not options.plain)
    finally:
        if options.keep is None:
            shutil.rmtree(state)
    return 0


def measure(state: Path, count: int, *, packs: bool) -> None:
    """Make the record where it is not there yet, and ask."""
    folder = state / RECORDS_FOLDER
    if not (state / _MADE).exists():
        folder.mkdir(parents=True)
        began = time.perf_counter()
        made = make_records(folder, count)
        (state / _MADE).write_text(json.dumps(asdict(made)))
        print(f"made {made.records:,} records, {made.octets / 1e9:.1f} GB: {_since(began)}")
    made = Made(**json.loads((state / _MADE).read_text()))
    began = time.perf_counter()
    if packs:
        _pack(folder)
        stored = sum(name.path.stat().st_size for name in segment_names(folder))
        print(f"packed to {stored / 1e9:.1f} GB: {_since(began)}")
    began = time.perf_counter()
    number = make_indexes(folder, kept_key(state / INDEX_KEY), print)
    octets = sum(path.stat().st_size for path in (folder / INDEX_FOLDER).glob("*"))
    stored = sum(name.path.stat().st_size for name in segment_names(folder))
    print(f"made {number} indexes, {octets / stored:.1%} of what the segments take: {_since(began)}")
    for what, asked in (
        ("by a person", ("--user", made.user)),
        ("by a reference", ("--ref", made.reference)),
        ("by ten minutes", ("--since", made.since, "--until", made.until)),
        ("by a person, the last hundred", ("--user", made.user, "--order", "newest", "--limit", "100")),
        ("what is in no record", ("--user", "nobody")),
    ):
        _ask(folder, what, asked)


def _pack(folder: Path) -> None:
    """Pack the closed segments as a running service does."""
    for name in closed_segments(folder):
        if not name.is_compressed:
            path = name.path
            with path.open("rb") as plain, create_segment(path.with_name(f"{path.name}.zst")) as packed:
                shutil.copyfileobj(plain, packed, _COPIED)
            name.path.unlink()


def _ask(folder: Path, what: str, asked: Sequence[str]) -> None:
    argv = [sys.executable, "-m", "corpproxy", "audit", "search", "--records", str(folder), *asked]
    times, worked = [], []
    for _ in range(RUNS):
        began, before = time.perf_counter(), _processor_seconds()
        answer = subprocess.run(argv, stdout=subprocess.PIPE, check=True)
        times.append(time.perf_counter() - began)
        worked.append(_processor_seconds() - before)
    lines = answer.stdout.count(b"\n")
    print(f"{what}: {lines:,} records, {min(times):.2f} s, of the processor {min(worked):.2f} s")


def _processor_seconds() -> float:
    """What children have cost until now, which other programs on the machine hardly change."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _since(began: float) -> str:
    return f"{time.perf_counter() - began:.0f} s"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
