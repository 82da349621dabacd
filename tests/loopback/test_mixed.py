"""
Some thousand mixed exchanges over real sockets (slow): nothing is lost, counted twice, or left behind.

HYPOTHESIS_PROFILE=thorough makes it ten times as many.
"""

from __future__ import annotations

import os
import random
import socket
import time

from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from corpproxy.audit.results import ResultCode
from tests.support.loopback import ORIGIN, Client, LoopbackSite, Origin, in_thread, reset

TIMES = 10 if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else 1
CLIENTS = 8
EXCHANGES = 250 * TIMES
CLEAN, ROUGH = "127.0.0.1", "127.0.0.2"
SIZES = (0, 1, 1000, 20_000, 300_000)


class MixedCase(TestCase):
    """Clients in threads, a proxy in the reactor."""

    timeout = 240
    engine = False

    def setUp(self):
        self.origin = Origin()
        self.site = LoopbackSite(engine=self.engine)
        self.addCleanup(self.origin.close)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.site.stop()))

    def wire(self, method, path, *fields, content=b""):
        authority = f"{ORIGIN}:{self.origin.port}"
        target = authority if method == "CONNECT" else f"http://{authority}{path}"
        lines = [f"{method} {target} HTTP/1.1", f"Host: {authority}", *fields]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + content

    def connect(self, bound=CLEAN):
        return Client(self.site.address, bound)


class Mixed:
    """The tests, for both kinds of transports."""

    def test_clean(self):
        """Exchanges that end well: a record for each, and octets equal on both sides."""
        return Deferred.fromCoroutine(self.check_clean())

    async def check_clean(self):
        counts = await gatherResults([in_thread(self.clean, seed) for seed in range(CLIENTS)])
        await self.site.quiet()
        records = self.site.records
        self.assertEqual(len(records), sum(one[0] for one in counts))
        self.assertEqual(len(records), self.site.references.made)
        wrong = [one for one in records if one.result not in (ResultCode.FORWARDED, ResultCode.TUNNELLED)]
        self.assertEqual(wrong, [])
        self.assertEqual(sum(one.received for one in records), sum(one[1] for one in counts))
        self.assertEqual(sum(one.sent for one in records), sum(one[2] for one in counts))

    def clean(self, seed):
        """Many exchanges of one client; gives how many, and the octets each way."""
        dice = random.Random(seed)
        exchanges = sent = received = 0
        while exchanges < EXCHANGES:
            client = self.connect()
            if dice.random() < 0.2:
                self.tunnel(client, dice.choice(SIZES))
                exchanges += 1
            else:
                exchanges += self.requests(client, dice)
            client.close()
            sent += client.sent
            received += client.received
        return exchanges, sent, received

    def requests(self, client, dice):
        for number in range(dice.randrange(1, 8)):
            kind = dice.choice(("length", "chunked", "close", "echo", "echo-chunked", "pipelined"))
            size = dice.choice(SIZES)
            if kind == "pipelined":
                client.send(self.wire("GET", f"/length/{size}") + self.wire("HEAD", "/length/0"))
                assert len(client.answer()[1]) == size
                # The answer to HEAD has no content: what it announces is 0 here.
                assert client.answer()[1] == b""
                return number + 2
            if kind.startswith("echo"):
                self.upload(client, os.urandom(size), kind.endswith("chunked"))
                continue
            client.send(self.wire("GET", f"/{kind}/{size}"))
            assert client.answer()[1].count(b"x") == size
        return number + 1

    def upload(self, client, content, chunked):
        if chunked and content:
            framed = b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content)
            client.send(self.wire("POST", "/echo", "Transfer-Encoding: chunked", content=framed))
        else:
            client.send(self.wire("POST", "/echo", f"Content-Length: {len(content)}", content=content))
        assert client.answer()[1] == content

    def tunnel(self, client, size):
        """A tunnel that the client half-closes, with the answer arriving behind."""
        client.send(self.wire("CONNECT", ""))
        octets = b""
        while not octets.endswith(b"\r\n\r\n"):
            octets += client.more()
        client.send(b"hello\n" + b"y" * min(size, 30_000))
        client.socket.shutdown(socket.SHUT_WR)
        assert client.rest() == b"hello\n" + b"y" * min(size, 30_000) + b"the end"

    def test_rough(self):
        """Exchanges that break in every way: a record for each, and nothing stays open."""
        return Deferred.fromCoroutine(self.check_rough())

    async def check_rough(self):
        await gatherResults([in_thread(self.rough, seed) for seed in range(CLIENTS)])
        await self.site.quiet()
        records = self.site.records
        self.assertEqual(len(records), self.site.references.made)
        self.assertEqual([one for one in records if one.result is ResultCode.FAILED], [])
        admission = self.site.proxy.admission
        self.assertEqual((admission.connections, admission.tunnels), ({}, {}))
        self.assertEqual(self.site.pool.in_use, 0)
        self.assertEqual(len(self.site.books.accounts), 0)

    def rough(self, seed):
        dice = random.Random(seed)
        uploads = (self.early, self.leave_upload)
        ways = (self.cut, *uploads, self.leave_download, self.leave_tunnel, self.nonsense)
        for _ in range(EXCHANGES // 3):
            client = self.connect(ROUGH)
            try:
                dice.choice(ways)(client, dice)
            except (OSError, EOFError):
                pass
            client.close()

    def cut(self, client, dice):
        client.send(self.wire("GET", dice.choice(("/cut/1000", "/cut/300000", "/reset"))))
        client.answer()

    def early(self, client, dice):
        """An answer before the content is over is read to its end."""
        client.send(self.wire("POST", "/early", "Content-Length: 1000000", content=b"x" * 200_000))
        head, content = client.answer()
        assert head.startswith(b"HTTP/1.1 413 "), head
        assert content == b"no"

    def leave_upload(self, client, dice):
        client.send(self.wire("POST", "/echo", "Content-Length: 1000000", content=b"x" * dice.choice(SIZES)))
        self.leave(client, dice)

    def leave_download(self, client, dice):
        client.send(self.wire("GET", f"/length/{dice.choice((300_000, 3_000_000))}"))
        client.more()
        self.leave(client, dice)

    def leave_tunnel(self, client, dice):
        client.send(self.wire("CONNECT", "", content=b"ahead"))
        client.more()
        client.send(b"x" * dice.choice(SIZES))
        self.leave(client, dice)

    def nonsense(self, client, dice):
        client.send(os.urandom(dice.choice((1, 100, 5000))))
        client.socket.settimeout(0.2)
        client.rest()

    def leave(self, client, dice):
        if dice.random() < 0.5:
            reset(client.socket)
        else:
            client.close()

    def test_reset_arrives(self):
        """A reset of either side of a tunnel arrives at the other as a reset."""
        return in_thread(self.check_reset)

    def check_reset(self):
        listening = socket.create_server(("127.0.0.1", 0))
        for ours in (True, False):
            client = self.connect()
            wire = self.wire("CONNECT", "").replace(
                b":%d" % self.origin.port, b":%d" % listening.getsockname()[1]
            )
            client.send(wire)
            server, _ = listening.accept()
            client.more()
            client.send(b"hello")
            assert server.recv(100) == b"hello"
            one, other = (client.socket, server) if ours else (server, client.socket)
            reset(one)
            other.settimeout(5)
            self.assertRaises(ConnectionResetError, other.recv, 100)
            other.close()
        listening.close()

    def test_cut_answer_to_old_client(self):
        """HTTP/1.0 sees by a reset that an answer in chunks broke off."""
        return in_thread(self.check_cut)

    def check_cut(self):
        listening = socket.create_server(("127.0.0.1", 0))
        client = self.connect()
        wire = self.wire("GET", "/").replace(b":%d" % self.origin.port, b":%d" % listening.getsockname()[1])
        client.send(wire.replace(b"HTTP/1.1", b"HTTP/1.0"))
        server, _ = listening.accept()
        server.recv(1000)
        server.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        time.sleep(0.1)
        server.close()
        self.assertRaises(ConnectionResetError, client.rest)
        listening.close()
        client.close()


class StockTransportTests(Mixed, MixedCase):
    """On transports of the reactor."""


class EngineTransportTests(Mixed, MixedCase):
    """On transports of our own."""

    engine = True
