"""
A person's first sign-in: what it costs a worker's loop, its threads and the supervisor, and what it keeps.

    python -m benchmarks.sign_in [--people N] [--abreast N] [--profile]

The reception, the password file (apr1), the teller and the board of the supervisor are the real ones.  What
is left out is the exchange that waits, and the socket pair between the processes.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import pstats
import sys
import tempfile
import time
import tracemalloc
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from twisted.internet import reactor as twisted_reactor
from twisted.internet.defer import Deferred, DeferredList, succeed

from corpproxy import twins
from corpproxy.backends.people.reception import Reception
from corpproxy.identity.settings import BasicMethod, IdentitySettings
from corpproxy.interpreter import set_interpreter
from corpproxy.supervisor.board import Board
from corpproxy.supervisor.messages import Notice
from corpproxy.supervisor.teller import Teller

reactor: Any = twisted_reactor

PEOPLE = 2_000
# So many come in one turn of the loop: of 64 exchanges that a busy proxy has at a time those of new people.
ABREAST = 8

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(tuple[Notice, ...])


def value_of(number: int) -> bytes:
    """What the browser of a person sends."""
    return b"Basic " + b64encode(b"person%05d:secret%05d" % (number, number))


def address_of(number: int) -> str:
    """Each has a machine."""
    return f"10.1.{number >> 8}.{number & 255}"


def write_users(path: Path, people: int) -> None:
    """Write a password file as ``htpasswd -m`` would."""
    with path.open("w") as file:
        for number in range(people):
            salt = f"{number:08d}"
            (written,) = _hashes([(b"secret%05d" % number, salt.encode())])
            file.write(f"person{number:05d}:$apr1${salt}${written}\n")
    path.chmod(0o600)


def _hashes(pairs: list[tuple[bytes, bytes]]) -> list[str]:
    if twins.apr1 is not None:
        return twins.apr1.apr1(pairs)  # type: ignore[no-any-return]
    from passlib.hash import apr_md5_crypt

    return [apr_md5_crypt.using(salt=salt.decode()).hash(octets).rpartition("$")[2] for octets, salt in pairs]


class Bench:
    """A worker's reception, and what it tells."""

    def __init__(self, folder: Path, people: int) -> None:
        self.boxes: list[bytes] = []
        users = folder / "users"
        if not users.exists():
            write_users(users, people)
        self.teller = Teller(self._send, reactor)
        settings = IdentitySettings(methods=(BasicMethod(users),))
        self.reception = Reception(
            reactor, time.time, settings, bytes(32), self.teller.learned, self.teller.changed
        )
        self.reception.start()

    def _send(self, notices: tuple[Notice, ...]) -> Deferred[Any]:
        self.boxes.append(_ENCODER.encode(notices))
        return succeed(None)

    async def all_come(self, people: int, abreast: int) -> None:
        """All people sign in, so many in each turn of the loop."""
        for first in range(0, people, abreast):
            numbers = range(first, min(people, first + abreast))
            coming = [self.reception.check(value_of(one), address_of(one)) for one in numbers]
            await DeferredList(coming, fireOnOneErrback=True)
        self.teller.flush()


def kept_octets(people: int, boxes: list[bytes]) -> tuple[float, float]:
    """The octets that one person keeps in the board of the supervisor, and what it takes to be told."""
    board = Board(time.time, 7200.0)
    began = time.thread_time()
    for box in boxes:
        board.post(_DECODER.decode(box))
    micros = (time.thread_time() - began) * 1e6 / people
    board = Board(time.time, 7200.0)
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for box in boxes:
        board.post(_DECODER.decode(box))
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (after - before) / people, micros


def by_line(before: Any, after: Any, people: int) -> Iterator[str]:
    """The lines whose memory stays, the dearest first."""
    for row in after.compare_to(before, "lineno"):
        frame = row.traceback[0]
        if row.size_diff > people:
            name = frame.filename.rpartition("/corpproxy/")[2]
            yield f"{row.size_diff / people:8.0f} {row.count_diff / people:7.1f}  {name}:{frame.lineno}"


async def measure(folder: Path, people: int, abreast: int, profile: cProfile.Profile | None) -> None:
    """Print what it comes to."""
    loops: list[float] = []
    threads: list[float] = []
    for _ in range(5):
        bench = Bench(folder, people)
        await bench.all_come(1, 1)
        bench.reception._memory.clear()
        gc.collect()
        began, own = time.process_time(), time.thread_time()
        if profile is not None:
            profile.enable()
        try:
            await bench.all_come(people, abreast)
        finally:
            # Its threads would keep the process.
            bench.reception.stop()
        if profile is not None:
            profile.disable()
        own, whole = time.thread_time() - own, time.process_time() - began
        loops.append(own * 1e6 / people)
        threads.append((whole - own) * 1e6 / people)
    print(
        f"{min(loops):6.1f} us of the loop for a first sign-in, {abreast} in a turn; the least of five runs"
    )
    print(f"{min(threads):6.1f} us of other threads")
    octets, told = kept_octets(people, bench.boxes)
    print(
        f"{told:6.1f} us of the supervisor, who is told in {sum(map(len, bench.boxes)) / people:.0f} octets"
    )
    print(f"{octets:6.0f} octets that its board keeps")
    octets, rows = await kept_in_worker(folder, people, abreast)
    print(f"{octets:6.0f} octets in the worker")
    print("\n".join(rows))


async def kept_in_worker(folder: Path, people: int, abreast: int) -> tuple[float, list[str]]:
    """The octets that one person keeps in a worker, and the lines that allocated them."""
    bench = Bench(folder, people)
    try:
        await bench.all_come(1, 1)
        gc.collect()
        tracemalloc.start()
        before = tracemalloc.take_snapshot()
        await bench.all_come(people, abreast)
        bench.boxes.clear()
        gc.collect()
        after = tracemalloc.take_snapshot()
    finally:
        tracemalloc.stop()
        bench.reception.stop()
    octets = sum(row.size_diff for row in after.compare_to(before, "filename"))
    return octets / people, list(by_line(before, after, people))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=PEOPLE)
    parser.add_argument("--abreast", type=int, default=ABREAST)
    parser.add_argument("--profile", action="store_true", help="print where the time of the loop goes")
    options = parser.parse_args()
    profile = cProfile.Profile() if options.profile else None
    set_interpreter()

    def begin() -> None:
        done = Deferred.fromCoroutine(measure(Path(folder), options.people, options.abreast, profile))
        done.addErrback(lambda failure: failure.printTraceback())
        done.addBoth(lambda _: reactor.stop())

    with tempfile.TemporaryDirectory() as folder:
        reactor.callWhenRunning(begin)
        reactor.run()
    if profile is not None:
        pstats.Stats(profile).sort_stats("tottime").print_stats(40)


if __name__ == "__main__":
    sys.exit(main())
