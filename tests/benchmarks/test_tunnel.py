"""What a tunnel costs in calls and in memory: counted, not timed, so that it holds on any machine."""

from __future__ import annotations

import gc
from pathlib import Path
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.tunnel import BATCH, CONNECTS, Bench, by_part, kept_octets, profiled, timed
from corpproxy import twins
from corpproxy.net.downstream import Downstream
from corpproxy.net.engine.pump import PIPES
from corpproxy.net.upstream import Upstream

# What the kernel must be asked for: both connections, each in the epoll; a head, a hello, an answer and two
# ends of a stream are read; our line, the hello and the answer are written; one end is passed on.
CALLS = {
    "accept": 1,
    "socket": 1,
    "connect": 1,
    "epoll_ctl": 2,
    "recv": 5,
    "send": 3,
    "shutdown": 1,
    "close": 2,
}

# The compiled twins leave calls and objects out.
IS_COMPILED = len(twins.running()) == len(twins.PARTS)

# Octets of ours, and the records of some exchanges, which are written together.  They are what the
# interpreter says, and differ a little from one version to another.
TUNNEL_OCTETS = 1_850 if IS_COMPILED else 2_200
# With what stays in memories that all share, for as long as there is room.
FIRST_TUNNEL_OCTETS = 2_800 if IS_COMPILED else 3_100
CONNECTION_OCTETS = 800

# Function calls of a whole tunnel, those into C and of the stand-ins for sockets included.
FUNCTION_CALLS = 155 if IS_COMPILED else 490


class TunnelCostTests(SynchronousTestCase):
    """One tunnel after another, on an engine without a kernel."""

    def setUp(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        self.bench = Bench(folder)
        timed(self.bench, 50)

    def test_calls(self) -> None:
        """A short tunnel makes no call of the kernel that it could do without, and takes no pipe."""
        self.bench.kernel.calls.clear()
        with mock.patch.object(PIPES, "take") as take:
            timed(self.bench, 10)
        take.assert_not_called()
        self.assertEqual(dict(self.bench.kernel.calls), {name: 10 * count for name, count in CALLS.items()})

    def test_functions(self) -> None:
        """The calls of functions that a tunnel takes stay few."""
        calls = sum(row[2] for row in by_part(profiled(self.bench, BATCH), BATCH))
        self.assertLess(calls, FUNCTION_CALLS)

    def test_nothing_stays(self) -> None:
        """Of a tunnel that is over, nothing is left."""
        for _ in range(50):
            self.bench.tunnel(1)
        gc.collect()
        left = [one for one in gc.get_objects() if isinstance(one, Downstream | Upstream)]
        self.assertEqual(
            [one for one in left if getattr(one, "deadlines", None) is self.bench.proxy.deadlines], []
        )
        self.assertEqual(len(self.bench.engine), 1, "the socket that listens")

    def test_nothing_for_the_collector(self) -> None:
        """It is freed at its end: what waited for the collector would be cold when it is used again."""
        gc.collect()
        for number in range(50):
            self.bench.tunnel(number)
        self.assertLess(gc.collect(), 50)

    def test_idle_tunnel(self) -> None:
        """An idle tunnel keeps little."""
        octets, rows = kept_octets(self.bench, self.bench.open, 300)
        self.assertLess(octets, TUNNEL_OCTETS, rows)

    def test_idle_tunnel_first_of_its_kind(self) -> None:
        """Of a tunnel whose like never came before, little more is kept for a next one that may not come."""
        octets, rows = kept_octets(self.bench, self.bench.open_first, 300)
        self.assertLess(octets, FIRST_TUNNEL_OCTETS, rows)

    def test_head_is_forgotten(self) -> None:
        """Of the head of its request an open tunnel keeps the User-Agent, which browsers share."""
        for number in range(2):
            self.bench.open(number)
        one, other = (downstream.exchange.fields for downstream in self.bench.proxy.admission.tunnels)
        self.assertIs(one, other)
        self.assertEqual(one.names, [b"user-agent"])

    def test_first_ones_share(self) -> None:
        """The first tunnels to a server share what they found out, and keep nothing that deciding needed."""
        folder = Path(self.mktemp())
        folder.mkdir()
        bench = Bench(folder)
        # The same host twice; none is remembered before the third.
        for number in (0, len(CONNECTS)):
            bench.open(number)
        one, other = bench.proxy.admission.tunnels
        self.assertIsNone(one.exchange.known)
        self.assertIsNone(one.exchange.facts)
        self.assertIs(one.exchange.destination, other.exchange.destination)
        self.assertIs(one.exchange.method, other.exchange.method)
        self.assertIs(one.upstream.server, other.upstream.server)

    def test_idle_connection(self) -> None:
        """A kept connection of a client keeps less."""
        octets, rows = kept_octets(self.bench, self.bench.connection, 300)
        self.assertLess(octets, CONNECTION_OCTETS, rows)
