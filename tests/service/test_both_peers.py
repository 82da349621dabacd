"""
What the ledger says is what both peers count.

Clients and servers count their octets themselves, in exchanges of every kind, made up by hypothesis.  Those
that end cleanly are counted to the octet; of those that are cut off, by the client or the server, at any
stage, the ledger may be wrong by what was on its way in the buffers of two kernels, and by no more.

A run is short by default; ``CORPPROXY_PLANS=1000`` makes it long.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from typing import Any, ClassVar

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.report import By, UsageQuestion, UsageSum
from corpproxy.accounting.store_address import STORE_FILE
from corpproxy.audit.results import Kind
from corpproxy.backends.store.interface import StoreError
from corpproxy.backends.store.sqlite import report_from
from tests.service.counting_origin import CountingOrigin, abort
from tests.support.running import RunningProxy

PLANS = int(os.environ.get("CORPPROXY_PLANS", "4"))
PATIENCE_SECONDS = 60.0
# The pipe of a long content or a tunnel, and what is read before there is one.
PIPES = 2 * 256 * 1024
POLICY = """
transports: {transports}
safety: {{addresses: [public, loopback], connect_ports: [443, 80, {clean}, {cut}], tunnel_content: any}}
names: {{hosts: {{origin.test: 127.0.0.1, bets.test: 127.0.0.1}}}}
rules:
  - {{name: no bets, what: {{domain: [bets.test]}}, do: block}}
  - {{name: everything else, do: allow}}
"""

PIECE = 65536
# Within one piece, within a pipe, and beyond what a pipe holds.
SIZES = st.one_of(st.sampled_from([0, 1]), st.integers(2, 20_000), st.integers(100_000, 600_000))


@dataclass
class Peer:
    """A client at an address of its own, which counts."""

    port: int
    origin: CountingOrigin
    address: str
    sent: int = 0
    received: int = 0
    exchanges: int = 0
    socket: Any = field(default=None, repr=False)

    def connect(self) -> None:
        """Open a connection, unless there is one."""
        if self.socket is None:
            self.socket = socket.create_connection(
                ("127.0.0.1", self.port), PATIENCE_SECONDS, source_address=(self.address, 0)
            )

    def close(self) -> None:
        """Close it."""
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    def send(self, octets: bytes) -> None:
        """Send octets."""
        self.connect()
        view = memoryview(octets)
        while view:
            sent = self.socket.send(view)
            self.sent += sent
            view = view[sent:]

    def read(self, octets: int = 2**62) -> bytes:
        """Read so many, or until the end."""
        got = bytearray()
        while len(got) < octets:
            more = self.socket.recv(min(65536, octets - len(got)))
            if not more:
                break
            self.received += len(more)
            got += more
        return bytes(got)

    def read_head(self) -> bytes:
        """Read the head of an answer."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            octet = self.read(1)
            if not octet:
                raise ConnectionError(f"no answer, but {head!r}")
            head += octet
        return head

    def read_answer(self, method: str = "GET") -> None:
        """Read a whole answer; the connection is closed where it ends with it."""
        head = self.read_head().lower()
        status = head.split(b" ")[1]
        if method == "HEAD" or status in {b"204", b"304"}:
            pass
        elif b"transfer-encoding: chunked" in head:
            while (size := int(self.read_line(), 16)) > 0:
                self.read(size + 2)
            self.read_line()
        elif b"content-length: " in head:
            self.read(int(head.partition(b"content-length: ")[2].split(b"\r\n")[0]))
        else:
            self.read()
        if b"connection: close" in head:
            self.read()
            self.close()

    def read_line(self) -> bytes:
        """Read a line."""
        line = b""
        while not line.endswith(b"\r\n"):
            line += self.read(1)
        return line

    def request(self, method: str, path: str, *lines: str, host: str = "origin.test") -> bytes:
        """A request head."""
        at = f"{host}:{self.origin.port}"
        return "\r\n".join([f"{method} http://{at}{path} HTTP/1.1", f"Host: {at}", *lines, "", ""]).encode()

    def open_tunnel(self) -> None:
        """Ask for a tunnel."""
        self.close()
        at = f"origin.test:{self.origin.port}"
        self.send(f"CONNECT {at} HTTP/1.1\r\nHost: {at}\r\n\r\n".encode())
        self.read_head()

    def open_upgrade(self) -> None:
        """Ask for another protocol."""
        self.close()
        self.send(self.request("GET", "/upgrade/0", "Connection: upgrade", "Upgrade: websocket"))
        self.read_head()

    def exchange_echo(self, octets: int) -> None:
        """Send octets and read as many, never so many at once that both sides wait to be read from."""
        while octets:
            piece = min(octets, PIECE)
            self.send(b"y" * piece)
            self.read(piece)
            octets -= piece

    def end(self) -> None:
        """Say that no more comes, and read what still does."""
        self.socket.shutdown(socket.SHUT_WR)
        self.read()
        self.close()


Step = Callable[[Peer], None]


def asked(kind: str, octets: int, method: str) -> Step:
    """A request without content, on a connection that is kept."""

    def step(peer: Peer) -> None:
        peer.exchanges += 1
        peer.send(peer.request(method, f"/{kind}/{octets}"))
        peer.read_answer(method)

    return step


def pipelined(many: int) -> Step:
    """Several requests at once."""

    def step(peer: Peer) -> None:
        peer.close()
        peer.exchanges += many
        peer.send(peer.request("GET", "/length/100") * many)
        for _ in range(many):
            peer.read_answer()

    return step


def uploaded(octets: int, is_chunked: bool, answer: int) -> Step:
    """A request with content."""

    def step(peer: Peer) -> None:
        peer.exchanges += 1
        framing = "Transfer-Encoding: chunked" if is_chunked else f"Content-Length: {octets}"
        content = b"x" * octets
        if is_chunked:
            content = (b"%x\r\n%s\r\n" % (octets, content) if octets else b"") + b"0\r\n\r\n"
        peer.send(peer.request("POST", f"/length/{answer}", framing) + content)
        peer.read_answer()

    return step


def refused(octets: int) -> Step:
    """A request that a rule refuses, with content or without."""

    def step(peer: Peer) -> None:
        peer.close()
        peer.exchanges += 1
        peer.send(peer.request("POST", "/", f"Content-Length: {octets}", host="bets.test") + b"x" * octets)
        peer.read_answer()
        peer.close()

    return step


def malformed() -> Step:
    """What is no request."""

    def step(peer: Peer) -> None:
        peer.close()
        peer.exchanges += 1
        peer.send(b"GET http://origin.test/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        peer.read_answer()
        peer.close()

    return step


def echoed(is_tunnel: bool, sizes: list[int]) -> Step:
    """A tunnel or an upgraded connection that both sides end."""

    def step(peer: Peer) -> None:
        peer.exchanges += 1
        peer.open_tunnel() if is_tunnel else peer.open_upgrade()
        for octets in sizes:
            peer.exchange_echo(octets)
        peer.end()

    return step


def cut_request(octets: int, content: int, resets: bool) -> Step:
    """A client that leaves within its request."""

    def step(peer: Peer) -> None:
        peer.close()
        peer.exchanges += 1
        whole = peer.request("POST", "/length/10", f"Content-Length: {content}") + b"x" * content
        peer.send(whole[: 1 + octets % (len(whole) - 1)])
        leave(peer, resets=resets)

    return step


def cut_answer(kind: str, content: int, octets: int, resets: bool) -> Step:
    """A client that leaves within the answer."""

    def step(peer: Peer) -> None:
        peer.close()
        peer.exchanges += 1
        peer.send(peer.request("GET", f"/{kind}/{content}"))
        peer.read(1 + octets % (content + 50))
        leave(peer, resets=resets)

    return step


def cut_tunnel(is_tunnel: bool, sent: int, unread: int, resets: bool) -> Step:
    """A client that leaves a tunnel without a word."""

    def step(peer: Peer) -> None:
        peer.exchanges += 1
        peer.open_tunnel() if is_tunnel else peer.open_upgrade()
        peer.exchange_echo(sent)
        peer.send(b"y" * min(unread, PIECE))
        leave(peer, resets=resets)

    return step


def cut_by_server(kind: str, octets: int) -> Step:
    """A server that ends within its answer."""

    def step(peer: Peer) -> None:
        peer.close()
        peer.exchanges += 1
        peer.send(peer.request("GET", f"/{kind}/{octets}"))
        with contextlib.suppress(ConnectionError):
            peer.read()
        peer.close()

    return step


def leave(peer: Peer, *, resets: bool) -> None:
    """Close a connection, or reset it."""
    if resets:
        abort(peer.socket)
    peer.close()


CLEAN = st.one_of(
    st.builds(
        asked,
        st.sampled_from(["length", "chunked", "close", "none", "same"]),
        SIZES,
        st.sampled_from(["GET", "HEAD"]),
    ),
    st.builds(pipelined, st.integers(1, 5)),
    st.builds(uploaded, SIZES, st.booleans(), SIZES),
    st.builds(refused, st.integers(0, 2000)),
    st.builds(malformed),
    st.builds(echoed, st.booleans(), st.lists(SIZES, max_size=4)),
)
CUT = st.one_of(
    st.builds(cut_request, st.integers(0, 700_000), SIZES, st.booleans()),
    st.builds(
        cut_answer,
        st.sampled_from(["length", "chunked", "close"]),
        SIZES,
        st.integers(0, 700_000),
        st.booleans(),
    ),
    st.builds(cut_tunnel, st.booleans(), SIZES, SIZES, st.booleans()),
    st.builds(cut_by_server, st.sampled_from(["short", "reset"]), SIZES),
)


class PeersCase(SynchronousTestCase):
    """One service, a server for what ends cleanly and one for what does not."""

    timeout = 600
    transports: ClassVar[str] = "engine"
    _running: ClassVar[dict[str, tuple[RunningProxy, CountingOrigin, CountingOrigin]]] = {}
    _numbers: ClassVar[Any] = itertools.count(1)

    def setUp(self) -> None:
        if self.transports not in self._running:
            clean, cut = CountingOrigin(), CountingOrigin()
            policy = POLICY.format(transports=self.transports, clean=clean.port, cut=cut.port)
            self._running[self.transports] = RunningProxy(policy), clean, cut
        self.proxy, self.clean, self.cut = self._running[self.transports]

    def peer(self, origin: CountingOrigin) -> Peer:
        """A client that nobody else is."""
        number = next(self._numbers)
        return Peer(self.proxy.forward, origin, f"127.1.{number // 250}.{number % 250 + 1}")

    def counted(self, peer: Peer) -> UsageSum:
        """What the ledger has of a client, when all its exchanges are in it."""
        ends = time.monotonic() + PATIENCE_SECONDS
        asked = UsageQuestion(By.DEVICE, UTC, device=peer.address)
        total = UsageSum("", 0, 0, 0)
        while total.exchanges < peer.exchanges and time.monotonic() < ends:
            time.sleep(0.1)
            with contextlib.suppress(StoreError):
                total = report_from(self.proxy.folder / "state" / STORE_FILE, asked).total
        self.assertEqual(total.exchanges, peer.exchanges, self.told_of(peer))
        return total

    def told_of(self, peer: Peer) -> str:
        """What the record says of a client."""
        return "\n".join(
            f"{one.kind} {one.method} {one.host}{one.path} {one.result} {one.status} {one.failure} "
            f"{one.received}/{one.sent}"
            for one in self.proxy.records()
            if one.client == peer.address
        )

    def assert_bound(self, peer: Peer, total: UsageSum, cuts: int) -> None:
        """What one side counted alone fits into the buffers of two kernels and a pipe."""
        bound = cuts * (most("wmem") + most("rmem") + PIPES)
        self.assertTrue(0 <= peer.sent - total.received <= bound, (peer, total))
        self.assertTrue(0 <= total.sent - peer.received <= bound, (peer, total))


class BothPeersTests(PeersCase):
    """Exchanges of every kind."""

    def test_plans(self) -> None:
        """Clean exchanges count to the octet, others within the bound; toward servers, too."""

        @settings(
            max_examples=PLANS,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        )
        @given(st.lists(CLEAN, min_size=4, max_size=10), st.lists(CUT, min_size=2, max_size=6))
        def plan(clean: list[Step], cut: list[Step]) -> None:
            whole, hasty = self.peer(self.clean), self.peer(self.cut)
            for step in clean:
                step(whole)
            whole.close()
            for step in cut:
                step(hasty)
            total = self.counted(whole)
            self.assertEqual((total.received, total.sent), (whole.sent, whole.received))
            self.assert_bound(hasty, self.counted(hasty), len(cut))

        plan()
        self.assert_servers_agree()

    def assert_servers_agree(self) -> None:
        """What records say of the way to the server is what the server counted."""
        ends = time.monotonic() + PATIENCE_SECONDS
        recorded = (0, 0)
        while recorded != (self.clean.received, self.clean.sent) and time.monotonic() < ends:
            time.sleep(0.2)
            over = [one for one in self.proxy.records() if one.kind in {Kind.EXCHANGE, Kind.CLOSING}]
            own = [one for one in over if one.port == self.clean.port]
            recorded = sum(one.up_sent for one in own), sum(one.up_received for one in own)
        self.assertEqual(recorded, (self.clean.received, self.clean.sent))

    def test_great_answer_cut(self) -> None:
        """Of an answer that is given up only what had left the proxy counts, not what was asked for."""
        peer = self.peer(self.cut)
        cut_answer("length", 100_000_000, 100_000, True)(peer)
        total = self.counted(peer)
        self.assert_bound(peer, total, 1)
        self.assertLess(total.sent, 50_000_000)

    def test_server_stalls(self) -> None:
        """An answer of which nothing but the head came counts that head, when the client has had enough."""
        peer = self.peer(self.cut)
        peer.exchanges += 1
        peer.send(peer.request("GET", "/stall/1000"))
        peer.read_head()
        leave(peer, resets=False)
        total = self.counted(peer)
        self.assertEqual((total.received, total.sent), (peer.sent, peer.received))


class BothPeersOnTwistedTests(BothPeersTests):
    """The same on the transports of Twisted."""

    transports = "twisted"


def most(way: str) -> int:
    """The most that the kernel keeps of a connection on one side."""
    return int(Path(f"/proc/sys/net/ipv4/tcp_{way}").read_text().split()[2])
