"""
A tunnel without the kernel: what one costs from accept to close, and what an idle one keeps in memory.

    python -m benchmarks.tunnel [--limits [WHICH]] [--profile] [--memory] [--tunnels N]

The engine, its transports and everything above them are the real ones, with a real policy, sign-in, records
and ledger.  The sockets under them are stand-ins that take no time, and count the calls that a kernel would
have had to answer.

With ``--limits`` the person stands below limits that nobody reaches; what is done between, a few times a
second, is in the time of a tunnel.
"""

from __future__ import annotations

import argparse
import cProfile
import errno
import gc
import itertools
import pstats
import select
import sys
import tempfile
import time
import tracemalloc
from base64 import b64encode
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

from twisted.internet.task import Clock

from benchmarks.lending import LIMITS, Lending, offer_limits
from benchmarks.road import ANSWER, HEADS, PASSWORD, PEOPLE, make_proxy
from corpproxy.exchange.exchange import Mode
from corpproxy.net.engine.connecting import EngineReactor
from corpproxy.net.engine.listening import EnginePort
from corpproxy.net.engine.loop import Engine
from corpproxy.net.listening import ClientFactory

ADDRESS = ("127.0.0.1", 50_000)
CAME = select.EPOLLIN | select.EPOLLOUT
LEFT = CAME | select.EPOLLRDHUP

CONNECTS = [
    b"CONNECT h%02d.bench.test:443 HTTP/1.1\r\n"
    b"Host: h%02d.bench.test:443\r\n"
    b"Proxy-Authorization: Basic %b\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\r\n"
    % (i, i, PASSWORD)
    for i in range(16)
]
TLS_ANSWER = bytes(200)

# Tunnels of one short run.
BATCH = 200


def client_hello(name: bytes) -> bytes:
    """The ClientHello of a browser, 517 octets long (RFC 8446, section 4.1.2)."""

    def part(content: bytes, length_octets: int) -> bytes:
        return len(content).to_bytes(length_octets, "big") + content

    def extension(kind: int, content: bytes) -> bytes:
        return kind.to_bytes(2, "big") + part(content, 2)

    extensions = (
        extension(0, part(b"\0" + part(name, 2), 2))
        + extension(43, bytes.fromhex("0403040303"))
        + extension(10, bytes.fromhex("0006001d00170018"))
        + extension(13, bytes.fromhex("0008040308040403"))
        + extension(16, bytes.fromhex("000908687474702f312e31"))
        + extension(51, bytes.fromhex("0024001d0020") + bytes(32))
    )
    before = b"\x03\x03" + bytes(32) + part(bytes(32), 1) + part(bytes(range(14)), 2) + b"\x01\0"
    extensions += extension(21, bytes(517 - 9 - len(before) - 2 - len(extensions) - 4))
    return b"\x16\x03\x01" + part(b"\x01" + part(before + part(extensions, 2), 3), 2)


HELLOS = [client_hello(b"h%02d.bench.test" % i) for i in range(16)]


class Kernel:
    """Counts what it is asked for, and tells a nested epoll what has happened."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.descriptors: Iterator[int] = itertools.count(3)
        # As a kernel does, descriptors that were closed are given again.
        self.closed: list[int] = []
        self.events: list[tuple[int, int]] = []
        self.made: deque[Socket] = deque()

    def socket(self, *kind: int, **ignored: Any) -> Socket:
        """Make the socket of a dial."""
        self.calls["socket"] += 1
        made = Socket(self)
        self.made.append(made)
        return made

    def descriptor(self) -> int:
        """The number of a new socket."""
        return self.closed.pop() if self.closed else next(self.descriptors)

    # As an epoll.

    def register(self, descriptor: int, events: int) -> None:
        self.calls["epoll_ctl"] += 1

    def unregister(self, descriptor: int) -> None:
        self.calls["epoll_ctl"] += 1

    def poll(self, seconds: float, limit: int) -> list[tuple[int, int]]:
        events, self.events = self.events, []
        return events

    def fileno(self) -> int:
        return -1

    def close(self) -> None:
        pass


class Socket:
    """A socket to which this program writes what the other side would send."""

    __slots__ = ("came", "descriptor", "ended", "kernel", "sent")
    family: ClassVar[int] = 2

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.descriptor = kernel.descriptor()
        self.came: bytes = b""
        self.ended = False
        self.sent = 0

    def fileno(self) -> int:
        return self.descriptor

    def recv(self, size: int, flags: int = 0) -> bytes:
        self.kernel.calls["recv"] += 1
        came = self.came
        if not came and not self.ended:
            raise BlockingIOError(errno.EAGAIN, "nothing now")
        self.came = b""
        return came

    def send(self, data: bytes, flags: int = 0) -> int:
        self.kernel.calls["send"] += 1
        self.sent += len(data)
        return len(data)

    def connect_ex(self, address: Any) -> int:
        self.kernel.calls["connect"] += 1
        return errno.EINPROGRESS

    def setblocking(self, blocking: bool) -> None:
        self.kernel.calls["ioctl"] += 1

    def setsockopt(self, *option: Any) -> None:
        self.kernel.calls["setsockopt"] += 1

    def getsockopt(self, *option: Any) -> int:
        self.kernel.calls["getsockopt"] += 1
        return 0

    def shutdown(self, how: int) -> None:
        self.kernel.calls["shutdown"] += 1

    def close(self) -> None:
        self.kernel.calls["close"] += 1
        self.kernel.closed.append(self.descriptor)


class Listening(Socket):
    """A listening socket: what waits is taken from it once."""

    __slots__ = ("waiting",)

    def __init__(self, kernel: Kernel) -> None:
        super().__init__(kernel)
        self.waiting: deque[Socket] = deque()

    def take(self) -> tuple[Any, Any] | None:
        """A connection that waits, as `corpproxy.net.engine.sockets.accept` gives it."""
        if not self.waiting:
            return None
        self.kernel.calls["accept"] += 1
        return self.waiting.popleft(), ADDRESS


class Bench:
    """A proxy on an engine without a kernel, and the two ends of its tunnels."""

    def __init__(self, folder: Path, limits: str = "") -> None:
        self.kernel = Kernel()
        clock = Clock()
        self.proxy = make_proxy(folder, LIMITS[limits or "none"], clock)
        self.lending = Lending(self.proxy, clock)
        self.engine = Engine(SimpleNamespace(**_quiet(self.proxy.reactor)))
        self.engine._epoll.close()
        self.engine._epoll = self.kernel  # type: ignore[assignment]
        self.engine._register = self.kernel.register
        self.engine._descriptor = -1
        self.proxy.connector = EngineReactor(self.engine, self.kernel.socket)
        self.listening = Listening(self.kernel)
        factory = ClientFactory(self.proxy, Mode.FORWARD, "forward")
        EnginePort(self.engine, self.listening, factory, Listening.take)  # type: ignore[arg-type]
        self.servers: dict[int, Socket] = {}
        self.kernel.calls.clear()

    def accept(self) -> Socket:
        """A client connects."""
        client = Socket(self.kernel)
        self.listening.waiting.append(client)
        self.happens(self.listening, select.EPOLLIN)
        return client

    def happens(self, on: Socket, events: int = CAME) -> None:
        """The kernel tells of one socket."""
        self.kernel.events.append((on.descriptor, events))
        self.engine.doRead()

    def comes(self, on: Socket, octets: bytes) -> None:
        """Octets come on one socket."""
        on.came = octets
        self.happens(on)

    def ends(self, on: Socket) -> None:
        """The other side of a socket closes it."""
        on.ended = True
        self.happens(on, LEFT)

    def open(self, number: int, head: bytes = b"") -> tuple[Socket, Socket]:
        """Open a tunnel, and let the first octets go both ways."""
        client = self.accept()
        self.comes(client, head or CONNECTS[number & 15])
        server = self.kernel.made.popleft()
        self.happens(server, select.EPOLLOUT)
        self.comes(client, HELLOS[number & 15])
        self.comes(server, TLS_ANSWER)
        return client, server

    def open_first(self, number: int) -> tuple[Socket, Socket]:
        """Open a tunnel that is the first of its kind: that of a person who has just signed in."""
        name = PEOPLE[number]
        password = b64encode(f"{name}:secret123".encode())
        reception: Any = self.proxy.sign_in
        reception._memory.remember(b"Basic " + password, name, time.time())
        return self.open(number, CONNECTS[number & 15].replace(PASSWORD, password))

    def tunnel(self, number: int) -> None:
        """One tunnel from accept to close."""
        client, server = self.open(number)
        self.ends(client)
        self.ends(server)

    def connection(self, number: int) -> Socket:
        """One kept client connection, after a request of which nothing is left but the connection."""
        client = self.accept()
        host = number * 7 & 15
        self.comes(client, HEADS[host])
        if self.kernel.made:
            server = self.servers[host] = self.kernel.made.popleft()
            self.happens(server, select.EPOLLOUT)
        self.comes(self.servers[host], ANSWER)
        return client


def _quiet(reactor: Any) -> dict[str, Any]:
    """The parts of a reactor that an engine uses, without its readers."""
    return {
        "seconds": reactor.seconds,
        "callLater": reactor.callLater,
        "addReader": lambda reader: None,
        "removeReader": lambda reader: None,
    }


def warm(bench: Bench) -> None:
    """Have some tunnels, with time between: what the first ones are lent of quotas comes a moment later."""
    for number in range(64):
        client, server = bench.open(number)
        bench.lending.turn()
        bench.ends(client)
        bench.ends(server)
        bench.lending.turn()


def timed(bench: Bench, tunnels: int) -> float:
    """Run so many tunnels one after another; gives microseconds of processor time for each."""
    began = time.process_time()
    for number in range(tunnels):
        bench.tunnel(number)
    took = time.process_time() - began
    return (took + bench.lending.turn()) * 1e6 / tunnels


def least(bench: Bench, tunnels: int) -> float:
    """The least of many short runs: what other work on the machine takes only makes a run longer."""
    return min(timed(bench, BATCH) for _ in range(max(1, tunnels // BATCH)))


def profiled(bench: Bench, tunnels: int) -> pstats.Stats:
    """Run so many tunnels under the profiler, which makes each call dearer than it is."""
    profile = cProfile.Profile()
    profile.enable()
    timed(bench, tunnels)
    profile.disable()
    return pstats.Stats(profile)


def by_part(statistics: pstats.Stats, tunnels: int) -> list[tuple[str, float, float]]:
    """Microseconds and calls that a tunnel has in each of our files, the dearest first."""
    parts: dict[str, list[float]] = {}
    rows: dict[Any, Any] = statistics.stats  # type: ignore[attr-defined]
    for (file, _, _), (_, calls, own, _, _) in rows.items():
        name = file.rpartition("/corpproxy/")[2] if "/corpproxy/" in file else "(others)"
        part = parts.setdefault(name if "/benchmarks/" not in file else "(benchmark)", [0.0, 0.0])
        part[0] += own * 1e6 / tunnels
        part[1] += calls / tunnels
    return sorted(((name, *sums) for name, sums in parts.items()), key=lambda row: -row[1])


def kept_octets(bench: Bench, make: Any, count: int) -> tuple[float, list[tuple[str, float, float]]]:
    """
    Memory of ours that each of so many idle things keeps, and the files whose lines allocated it.

    Each row has octets and allocations.  What the stand-ins for sockets keep is left out.
    """
    # Records that wait for their batch are no memory of what made them.
    flush = bench.proxy.books._writer.flush  # type: ignore[attr-defined]
    kept = [make(number) for number in range(64)]
    flush()
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.take_snapshot()
    kept += [make(number) for number in range(count)]
    flush()
    gc.collect()
    after = tracemalloc.take_snapshot()
    tracemalloc.stop()
    rows = []
    for row in after.compare_to(before, "lineno"):
        frame = row.traceback[0]
        if "/benchmarks/" not in frame.filename and row.size_diff > count:
            name = frame.filename.rpartition("/corpproxy/")[2]
            rows.append((f"{name}:{frame.lineno}", row.size_diff / count, row.count_diff / count))
    return sum(row[1] for row in rows), rows


def _show_profile(bench: Bench, tunnels: int) -> None:
    statistics = profiled(bench, tunnels)
    print("by part: microseconds (under the profiler) and calls of a tunnel")
    for name, micros, calls in by_part(statistics, tunnels):
        if micros >= 0.5:
            print(f"{micros:8.1f} {calls:7.1f}  {name}")
    statistics.strip_dirs().sort_stats("tottime").print_stats(60)


def _show_memory(bench: Bench, count: int) -> None:
    kinds = (("tunnel", bench.open), ("first tunnel", bench.open_first), ("connection", bench.connection))
    for title, make in kinds:
        total, rows = kept_octets(bench, make, count)
        print(f"{total:,.0f} octets of ours for an idle {title}")
        for name, octets, allocations in rows:
            print(f"{octets:8.0f} {allocations:7.1f}  {name}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tunnels", type=int, default=10_000)
    offer_limits(parser)
    parser.add_argument("--profile", action="store_true", help="print where the time goes")
    parser.add_argument("--memory", action="store_true", help="print what idle tunnels and connections keep")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), options.limits)
        warm(bench)
        for _ in range(5):
            timed(bench, BATCH)
        gc.collect()
        bench.kernel.calls.clear()
        if options.profile:
            _show_profile(bench, options.tunnels // 5)
        if options.memory:
            _show_memory(bench, 500)
        bench.kernel.calls.clear()
        print(f"{least(bench, options.tunnels):.1f} us of Python for a tunnel, the least of many runs")
        bench.kernel.calls.clear()
        timed(bench, BATCH)
        calls = {name: count / BATCH for name, count in bench.kernel.calls.items()}
        print("calls of the kernel:", ", ".join(f"{name} {count:g}" for name, count in calls.items()))


if __name__ == "__main__":
    sys.exit(main())
