"""
How many records the writer alone sustains: ``python -m benchmarks.writer``.

One process, one reactor: records are given to the writer as fast as it takes them, as exchanges would give
them, and come out encoded, committed, chained, written and synced.  Told are records a second by the wall
clock, and microseconds of processor time for a record in all threads, with the compiled twin of the chain and
without.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RECORDS = 500_000
# What is given in one turn of the reactor, and how much may wait: as a busy reactor would.
IN_A_TURN = 512
WAITING = 20_000
WAIT_SECONDS = 0.002


def run(folder: Path, count: int) -> None:
    """Write so many records, and print how it went."""
    from twisted.internet import reactor
    from twisted.internet.defer import Deferred

    from corpproxy import twins
    from corpproxy.audit.settings import AuditSettings
    from corpproxy.backends.records.files import RecordWriter

    records = sample()
    writer = RecordWriter(reactor, folder, AuditSettings())
    began, cpu = time.perf_counter(), time.process_time()
    given = 0

    def turn() -> None:
        nonlocal given
        if writer.waiting < WAITING:
            for _ in range(IN_A_TURN):
                writer.write(records[given % len(records)])
                given += 1
        if given < count:
            # Who waits for the disk in a circle would be measured, too.
            reactor.callLater(0 if writer.waiting < WAITING else WAIT_SECONDS, turn)
        else:
            Deferred.fromCoroutine(end())

    async def end() -> None:
        await writer.close()
        wall, used = time.perf_counter() - began, time.process_time() - cpu
        octets = sum(path.stat().st_size for path in folder.iterdir())
        peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) // 1024
        kind = "compiled" if twins.chain is not None else "in Python"
        print(
            f"{kind:10} {writer.written:9,} records  {writer.written / wall:9,.0f} a second  "
            f"{used / writer.written * 1e6:5.2f} us of CPU each  {octets / wall / 1e6:6.1f} MB/s  "
            f"peak {peak} MB  lost {writer.lost}"
        )
        reactor.stop()

    reactor.callWhenRunning(turn)
    reactor.run()


def sample() -> list:
    """Different records of an ordinary size."""
    from corpproxy.audit.record import Record
    from corpproxy.audit.results import Kind, ResultCode

    return [
        Record(
            id=f"0s3c9d0000{number:04}", kind=Kind.EXCHANGE, at="2026-11-23T10:00:00.123Z", seconds=0.05,
            listener="rooms", groups=("pupils", "year7"), source="basic", method="GET", scheme="http",
            port=80,
            categories=("news",), lists=("ut1=1a2b3c4d",), policy="301a707b21f5", decision="allow",
            rule="everything else", place="policy.yaml:120:5", status=200, received=500 + number,
            sent=12_000 + number, up_sent=480, up_received=11_900, connect_ms=3, first_octet_ms=40,
            result=ResultCode.FORWARDED, client=f"10.1.{number % 7}.{number % 250}", user=f"user{number}",
            agent="Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0",
            host=f"www{number}.example.com", upstream="192.0.2.7:80", path=f"/news/{number}/index.html",
        )
        for number in range(1000)
    ]  # fmt: skip


def main() -> None:
    """Run it with and without the compiled twin, each in a process of its own."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.writer", description=__doc__)
    parser.add_argument("--records", type=int, default=RECORDS)
    parser.add_argument("--folder", type=Path, help="where to write; a folder that is taken away after")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        run(options.folder, options.records)
        return
    for pure in ("", "1"):
        folder = Path(tempfile.mkdtemp(prefix="corpproxy-writer-", dir=options.folder))
        command = [sys.executable, "-m", "benchmarks.writer", "--here", "--folder", str(folder)]
        command += ["--records", str(options.records)]
        environment = {name: value for name, value in os.environ.items() if name != "CORPPROXY_PURE"}
        try:
            subprocess.run(command, check=True, env=environment | ({"CORPPROXY_PURE": pure} if pure else {}))
        finally:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
