"""
How exactly limits hold: real sockets, from 64 KiB a second to 100 MiB a second, and how often they are woken.

Run as ``python -m benchmarks.rates`` from the checkout; ``--seconds`` says how long each rate is measured.
A server in a thread sends as fast as it can, a client in another reads; the proxy between them runs in this
process, on both kinds of transports.
"""

from __future__ import annotations

import argparse
import socket
import threading
import time
from typing import Any

from twisted.internet import reactor as default_reactor
from twisted.internet.protocol import Factory

from corpproxy.accounting.sharing import BucketKey
from corpproxy.net.deadlines import Deadlines
from corpproxy.net.engine.listening import EnginePort
from corpproxy.net.engine.loop import Engine
from corpproxy.net.pacing import Pace, Pacer
from corpproxy.net.wire import Wire

KIB, MIB = 1024, 1024 * 1024
RATES = (64 * KIB, MIB, 10 * MIB, 100 * MIB)


class Read(Wire):
    """A connection whose octets are thrown away, at a pace; ``wakes`` counts how often it was woken."""

    def __init__(self, deadlines: Deadlines, pacer: Pacer, rate: float) -> None:
        super().__init__(deadlines)
        self.sink = self
        self.octets_read = 0
        self.wakes = 0
        self._pacer = pacer
        self._rate = rate

    def connectionMade(self) -> None:
        super().connectionMade()
        key = BucketKey("each", "amir", 0)
        Pace(self._pacer, "down amir", [(key, self._rate)], 0).lead(self)

    def octets(self, data: bytes) -> None:
        """Throw them away."""
        self.octets_read += len(data)

    def go_on(self, why: int) -> None:
        """It was woken."""
        self.wakes += 1
        super().go_on(why)

    def half_closed(self) -> None:
        self.close()

    def lost(self, clean: bool) -> None:
        """Over."""


class Reads(Factory):
    """Makes a `Read` for each connection."""

    noisy = False

    def __init__(self, deadlines: Deadlines, pacer: Pacer, rate: float) -> None:
        self.made: list[Read] = []
        self._make = lambda: Read(deadlines, pacer, rate)

    def buildProtocol(self, address: object) -> Any:
        self.made.append(self._make())
        return self.made[-1]


def send_without_end(port: int, over: threading.Event) -> None:
    """Send as fast as it goes."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(0.5)
        piece = bytes(256 * KIB)
        while not over.is_set():
            try:
                connection.send(piece)
            except TimeoutError:
                continue
            except OSError:
                return


def measure(rate: int, seconds: float, *, is_engine: bool, connections: int = 1, reactor: Any = None) -> Any:
    """Give a Deferred of what moved, by the octets that were due, and of the times a connection was woken."""
    from twisted.internet.defer import Deferred

    reactor = reactor or default_reactor
    pacer, factory_of = Pacer(reactor), Reads
    factory = factory_of(Deadlines(reactor), pacer, rate)
    over, done = threading.Event(), Deferred[tuple[float, float]]()
    engine = Engine(reactor) if is_engine else None
    if engine is not None:
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        listening.listen(16)
        listening.setblocking(False)
        port: Any = EnginePort(engine, listening, factory)
        number = listening.getsockname()[1]
    else:
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        number = port.getHost().port
    threads = [threading.Thread(target=send_without_end, args=(number, over)) for _ in range(connections)]
    for thread in threads:
        thread.start()
    began: list[float] = []

    def begin() -> None:
        began.extend((time.monotonic(), sum(one.octets_read for one in factory.made)))
        for one in factory.made:
            one.wakes = 0
        reactor.callLater(seconds, end)

    def end() -> None:
        took = time.monotonic() - began[0]
        moved = sum(one.octets_read for one in factory.made) - began[1]
        woken = max(one.wakes for one in factory.made) / took
        over.set()
        pacer.stop()
        for one in factory.made:
            one.abort()
        port.stopListening()
        for thread in threads:
            thread.join()
        if engine is not None:
            engine.stop()
        done.callback((moved / (rate * took), woken))

    reactor.callLater(1.0, begin)
    return done


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()

    async def run() -> None:
        print("transports  connections  rate        error   woken a second")
        for is_engine in (True, False):
            for rate in RATES:
                for connections in (1, 8):
                    exact, woken = await measure(
                        rate, options.seconds, is_engine=is_engine, connections=connections
                    )
                    name = "engine" if is_engine else "twisted"
                    print(
                        f"{name:11} {connections:11}  {rate // KIB:7} KiB/s {100 * (exact - 1):+6.2f} %"
                        f"  {woken:.1f}",
                        flush=True,
                    )

    from twisted.internet.task import react

    def started(reactor: Any) -> Any:
        from twisted.internet.defer import Deferred

        return Deferred.fromCoroutine(run())

    react(started, ())


if __name__ == "__main__":
    main()
