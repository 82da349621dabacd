"""After thousands of exchanges, whole and broken off, nothing of them is left."""

from __future__ import annotations

import contextlib
import gc
import os
import random
import socket
import struct

from corpproxy.net.downstream import Downstream
from corpproxy.net.run import Run
from corpproxy.net.upstream import Upstream
from tests.service.case import PEOPLE, SIGN_IN, ServiceCase
from tests.service.client import Client

RULES = """
rules:
  - {name: no bets, what: {domain: bets.test}, do: block}
  - {name: everything else, do: allow}
"""
CLIENTS = 8
ROUNDS = 25
MAX_PIPES = 100


class LeakTests(ServiceCase):
    """A service that is used badly."""

    timeout = 120
    people = PEOPLE
    policy = SIGN_IN + RULES

    async def test_flat(self):
        """Connections, exchanges and descriptors are gone when clients are."""
        await self.get(user="amir")
        await self.closed(1)
        await self.until(lambda: not self.service.accounts.ledger)
        await self.pause(0.2)
        await self.until(lambda: not self.service.proxy.admission.connections)
        self.service.proxy.pool.close()
        await self.pause(0.2)
        descriptors = self.descriptors()
        # What was before does not count, and other tests may have left something.
        gc.collect()
        gc.freeze()
        work = [self.thread(self.misuse, number) for number in range(CLIENTS)]
        for one in work:
            await one
        self.origin.release()
        await self.until(lambda: not self.service.proxy.admission.connections)
        self.service.proxy.pool.close()
        await self.until(lambda: self.descriptors() <= descriptors, "as many sockets as before")
        # Some pipes are kept for the next long content.
        self.assertLess(self.descriptors("pipe:"), MAX_PIPES)
        await self.pause(0.3)
        gc.collect()
        left = [one for one in gc.get_objects() if isinstance(one, Downstream | Upstream | Run)]
        # That of which the others are copies was never one of them.
        left = [one for one in left if not isinstance(one, Upstream) or hasattr(one, "deadlines")]
        self.assertEqual(left, [])
        self.assertEqual(len(self.service.accounts), 0)
        admission = self.service.proxy.admission
        self.assertEqual(
            (len(admission.tunnels), len(admission._by_address), len(admission._by_person)), (0, 0, 0)
        )
        self.assertEqual(len(self.service.proxy.pool._lines), 0)
        if self.service.engine is not None:
            self.assertEqual(len(self.service.engine), 2)

    def descriptors(self, kind: str = "socket:") -> int:
        """Open descriptors of this process; those of clients and origin are gone with theirs."""
        found = 0
        for descriptor in os.listdir("/proc/self/fd"):
            with contextlib.suppress(FileNotFoundError):
                found += os.readlink(f"/proc/self/fd/{descriptor}").startswith(kind)
        return found

    def misuse(self, number: int) -> None:
        """What one bad client does."""
        dice = random.Random(number)
        for _ in range(ROUNDS):
            client = Client(self.forward, "amir", PEOPLE["amir"]).connect()
            try:
                dice.choice([self.whole, self.cut_off, self.half_head, self.tunnel, self.noise, self.early])(
                    client, dice
                )
            except (OSError, ConnectionError):
                pass
            if dice.random() < 0.5:
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()

    def whole(self, client, dice):
        for _ in range(10):
            client.ask("GET", self.url(dice.choice(["origin.test", "bets.test"])))

    def cut_off(self, client, dice):
        client.send_request("GET", self.url(path="/octets/3000000"))
        client.more()

    def half_head(self, client, dice):
        client.send(b"GET http://origin.test/ HTTP/1.1\r\nHo")

    def tunnel(self, client, dice):
        if client.ask("CONNECT", f"origin.test:{self.origin.echo_port}").status == 200:
            client.echoes(dice.randbytes(20_000))
            client.send(dice.randbytes(200_000))

    def noise(self, client, dice):
        client.send(dice.randbytes(300) + b"\r\n\r\n")
        client.more()

    def early(self, client, dice):
        host = f"origin.test:{self.origin.port}"
        head = f"POST {self.url()} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100000\r\n\r\n"
        client.send(head.encode() + b"x" * 50_000)


class LeakOnTwistedTests(LeakTests):
    """The same on the transports of Twisted."""

    transports = "twisted"
