"""
A crowd at the door (slow): thousands of connections at once, and clients that vanish at every stage.

What they leave is looked at: a record for each exchange, and nothing else.
"""

from __future__ import annotations

import gc
import resource
import socket

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from corpproxy.net.downstream import Downstream
from corpproxy.net.upstream import Upstream
from tests.preface.hellos import real_hello
from tests.support.loopback import ORIGIN, LoopbackSite, in_thread, reset

# Each has a descriptor at both ends, and a tunnel two more.
DESCRIPTORS = 3
# An address may have 1,000 connections and 800 tunnels.
SOURCES = 16


def room(wanted: int) -> int:
    """How many of so many clients this process has descriptors for."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return min(wanted, (hard - 500) // DESCRIPTORS)


class Door:
    """The tests, for both kinds of transports."""

    timeout = 240
    engine = False
    count = 1_000

    def setUp(self):
        self.site = LoopbackSite(engine=self.engine)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.site.stop()))
        # The kernel takes connections and octets for it; it never answers.
        self.silent = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.addCleanup(self.silent.close)
        self.clients = []

    def stages(self):
        """What a client sends before it vanishes, and how many exchanges it is: half a head is half."""
        authority = f"{ORIGIN}:{self.silent.getsockname()[1]}".encode()
        get = b"GET http://%b/ HTTP/1.1\r\nHost: %b\r\n\r\n" % (authority, authority)
        tunnel = b"CONNECT %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (authority, authority)
        return (
            (b"", 0.0),
            (get[:20], 0.5),
            (get, 1.0),
            (tunnel, 1.0),
            (tunnel + real_hello(ORIGIN)[:100], 1.0),
            (tunnel + real_hello(ORIGIN), 1.0),
            (tunnel + b"SSH-2.0-x\r\n", 1.0),
        )

    def come(self, count):
        """Connect all of them, each with what its stage sends; how many exchanges begin, and half begin."""
        stages, begun, half = self.stages(), 0, 0
        for number in range(count):
            octets, begins = stages[number % len(stages)]
            client = socket.create_connection(
                self.site.address, 60, source_address=(f"127.0.1.{1 + number % SOURCES}", 0)
            )
            self.clients.append(client)
            client.sendall(octets)
            begun += begins == 1.0
            half += begins == 0.5
        return begun, half

    def vanish(self):
        """Leave: some close, some reset, some end their side first."""
        for number, client in enumerate(self.clients):
            if number % 3 == 0:
                reset(client)
            elif number % 3 == 1:
                try:
                    client.shutdown(socket.SHUT_WR)
                except OSError:
                    pass  # we had closed it already
            client.close()
        self.clients.clear()

    async def test_vanish(self):
        """Clients that vanish at every stage leave a record for each exchange, and nothing behind."""
        begun, half = await in_thread(self.come, room(self.count))
        while self.site.references.made < begun:
            await deferLater(reactor, 0.05)
        # A reset takes along what was not read yet, and nobody asked for anything then.
        await deferLater(reactor, 0.5)
        await in_thread(self.vanish)
        # A client that ended its side may still read: its tunnel lasts as long as the server's side.
        self.silent.close()
        await self.site.quiet()
        self.assertEqual(self.site.references.made, begun + half)
        self.assertEqual(len(self.site.records), begun + half)
        proxy = self.site.proxy
        admission = proxy.admission
        self.assertEqual((len(admission.connections), len(admission.tunnels)), (0, 0))
        self.assertEqual((admission._by_address, admission._tunnels_by_address), ({}, {}))
        await deferLater(reactor, 0.2)
        self.assertEqual((self.site.pool.in_use, self.site.pool.kept, len(proxy.deadlines)), (0, 0, 0))
        gc.collect()
        left = [one for one in gc.get_objects() if isinstance(one, Downstream | Upstream)]
        self.assertEqual([one for one in left if getattr(one, "deadlines", None) is proxy.deadlines], [])


class StockTransportTests(Door, TestCase):
    """On transports of the reactor."""


class EngineTransportTests(Door, TestCase):
    """On transports of our own."""

    engine = True
    count = 5_000
