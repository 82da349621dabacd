"""The load and the far end of tunnels, against a server that knows what to expect."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from threading import Thread
from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.load import Load, Seen, counted
from benchmarks.origin import compiled
from benchmarks.place import Place
from benchmarks.programs import Program, status_of
from corpproxy.preface.client_hello import hello_message, server_name

ANSWER = b"HTTP/1.1 %d %s\r\nContent-Length: 200\r\n%s\r\n" + b"x" * 200


def free_port(address: str) -> int:
    """A port on which nobody listens."""
    with socket.create_server((address, 0)) as spare:
        port: int = spare.getsockname()[1]
        return port


class Answering:
    """A proxy of a few lines, in threads; keeps the heads it was sent."""

    def __init__(
        self, status: int = 200, *, fields: bytes = b"", chunked: bool = False, keeps: bool = True
    ) -> None:
        self.answer = ANSWER % (status, b"Said", fields)
        if chunked:
            self.answer = (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nc8\r\n" + b"x" * 200 + b"\r\n0\r\n\r\n"
            )
        self.keeps = keeps
        self.heads: list[bytes] = []
        self.tunnel_to: int | None = None
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                wire, _ = self._listener.accept()
            except OSError:
                return
            Thread(target=self._serve, args=(wire,), daemon=True).start()

    def _serve(self, wire: socket.socket) -> None:
        held = b""
        # At its end the load leaves answers unread.
        with wire, contextlib.suppress(ConnectionError):
            while True:
                while b"\r\n\r\n" not in held:
                    if not (got := wire.recv(65536)):
                        return
                    held += got
                head, _, held = held.partition(b"\r\n\r\n")
                self.heads.append(head)
                if head.startswith(b"CONNECT") and self.tunnel_to is not None:
                    self._tunnel(wire)
                    return
                wire.sendall(self.answer)
                if not self.keeps:
                    return

    def _tunnel(self, wire: socket.socket) -> None:
        assert self.tunnel_to is not None
        wire.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        with socket.create_connection(("127.0.1.1", self.tunnel_to)) as far:
            hello = wire.recv(65536)
            self.heads.append(hello)
            far.sendall(hello)
            while got := far.recv(65536):
                try:
                    wire.sendall(got)
                except OSError:
                    return

    def stop(self) -> None:
        """Take no more connections."""
        self._listener.close()


class LoadCase(SynchronousTestCase):
    """The programs are compiled once for all tests."""

    folder: ClassVar[Path | None] = None
    skip = None if shutil.which("cc") or shutil.which("gcc") else "no C compiler"

    def setUp(self) -> None:
        if LoadCase.folder is None:
            LoadCase.folder = Path(tempfile.mkdtemp(prefix="corpproxy-bench-test-"))
            for name in ("load", "tunnel_origin"):
                compiled(name, LoadCase.folder)
        self.programs = LoadCase.folder
        self.place = Place(self.programs, private=False, proxy_core=None, load_core=None)

    def proxy(self, *arguments: int, **how: object) -> Answering:
        """A proxy for one test."""
        proxy = Answering(*arguments, **how)  # type: ignore[arg-type]
        self.addCleanup(proxy.stop)
        return proxy

    def loaded(self, proxy: int, **options: object) -> Seen:
        """What the load sees in a fifth of a second."""
        chosen = {"secs": 0.2, "warm": 0, "conns": 4, "port": 8081, **options}
        return counted(Load(self.programs / "load", self.place, proxy, chosen), lambda: None)[0]


class LoadTests(LoadCase):
    """What is asked, and what is counted."""

    def test_kept(self) -> None:
        """Requests go over kept connections, to hosts in turn, with the fields of a browser."""
        proxy = self.proxy()
        seen = self.loaded(proxy.port, hosts=2)
        self.assertEqual((seen.lost, seen.refused, seen.opened), (0, 0, 4))
        self.assertGreater(seen.count, 4)
        # Octets of heads count, too; an answer on each connection may be on its way at the end.
        self.assertGreaterEqual(seen.octets, seen.count * len(proxy.answer))
        self.assertLessEqual(seen.octets, (seen.count + 4) * len(proxy.answer))
        self.assertEqual(len({head.partition(b"\r\n")[0] for head in proxy.heads}), 2)
        self.assertIn(
            b"GET http://h00.bench.test:8081/s200 HTTP/1.1",
            {head.partition(b"\r\n")[0] for head in proxy.heads},
        )
        self.assertIn(b"\r\nUser-Agent: Mozilla", proxy.heads[0])

    def test_close(self) -> None:
        """With close=1 every request has a connection of its own."""
        seen = self.loaded(self.proxy(keeps=False).port, close=1)
        self.assertEqual(seen.lost, 0)
        self.assertLess(abs(seen.opened - seen.count), 6)

    def test_stale(self) -> None:
        """A kept connection that the proxy closed is no error: the request goes again on a new one."""
        seen = self.loaded(self.proxy(keeps=False).port)
        self.assertEqual(seen.lost, 0)
        self.assertGreater(seen.stale + seen.opened, 4)

    def test_chunked(self) -> None:
        """An answer in chunks is whole at its last chunk."""
        seen = self.loaded(self.proxy(chunked=True).port)
        self.assertEqual((seen.lost, seen.opened), (0, 4))

    def test_refused(self) -> None:
        """403 is counted apart: some people are barred."""
        seen = self.loaded(self.proxy(403).port)
        self.assertEqual((seen.lost, seen.count), (0, 0))
        self.assertGreater(seen.refused, 4)

    def test_wrong_status(self) -> None:
        """Any other status is an error."""
        seen = self.loaded(self.proxy(502).port)
        self.assertEqual((seen.count, seen.refused), (0, 0))
        self.assertGreater(seen.errors["status"], 0)

    def test_nobody_there(self) -> None:
        """Where nobody listens, every connection is an error."""
        seen = self.loaded(free_port("127.0.0.1"))
        self.assertEqual((seen.count, seen.errors["connect"]), (0, seen.lost))
        self.assertGreater(seen.lost, 0)

    def test_credentials(self) -> None:
        """Each connection signs in as the next person of the file."""
        people = self.programs / "people"
        people.write_text("amir:one\nbeth:two words\n")
        proxy = self.proxy()
        self.loaded(proxy.port, users=people, conns=2)
        sent = {line for head in proxy.heads for line in head.split(b"\r\n") if b"Proxy-Auth" in line}
        self.assertEqual(
            sent,
            {b"Proxy-Authorization: Basic YW1pcjpvbmU=", b"Proxy-Authorization: Basic YmV0aDp0d28gd29yZHM="},
        )

    def test_pace(self) -> None:
        """A paced load keeps its rate, and tells latencies."""
        seen = self.loaded(self.proxy().port, rate=200, secs=0.5)
        self.assertLess(abs(seen.count - 100), 25)
        self.assertGreater(seen.p99_ms, 0)
        self.assertLessEqual(seen.p50_ms, seen.p99_ms)

    def test_busy(self) -> None:
        """Of many connections only so many wait for an answer at a time, and all have their turn."""
        proxy = self.proxy()
        seen = self.loaded(proxy.port, conns=20, busy=2)
        self.assertEqual((seen.lost, seen.opened), (0, 20))

    def test_hold(self) -> None:
        """Held connections stay until the load is told to end."""
        load = Load(
            self.programs / "load", self.place, self.proxy().port, {"conns": 30, "hold": 1, "warm": 0}
        )
        self.addCleanup(load.stop)
        self.assertEqual(load.line(), {"held": 30})
        self.assertEqual((load.end().count, load.program.root.wait(5)), (30, 0))

    def test_only_loopback(self) -> None:
        """An address that is not loopback is never connected to."""
        words = [str(self.programs / "load"), "proxy=192.0.2.1:80"]
        said = subprocess.run(words, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        self.assertEqual(said.returncode, 2)
        self.assertIn("only loopback", said.stderr)

    def test_bounds(self) -> None:
        """Connections and seconds are bounded, and an option that does not exist is refused."""
        for word in ("conns=1000000", "secs=100000", "hosts=0", "colour=red", "act=steal"):
            words = [str(self.programs / "load"), "proxy=127.0.0.1:1", word]
            said = subprocess.run(
                words, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
            )
            self.assertEqual(said.returncode, 2, word)


class TunnelTests(LoadCase):
    """Tunnels begin as TLS does, and carry what they ask for."""

    def setUp(self) -> None:
        super().setUp()
        content = self.programs / "content"
        content.write_bytes(bytes(range(256)) * 40)
        port = free_port("127.0.1.1")
        origin = Program(
            [str(self.programs / "tunnel_origin"), str(port), str(content)], None, self.programs / "log"
        )
        self.addCleanup(origin.stop)
        self.await_listener(port)
        self.far = self.proxy()
        self.far.tunnel_to = port

    def await_listener(self, port: int) -> None:
        """Come back when somebody listens."""
        for _ in range(200):
            with socket.socket() as wire:
                wire.settimeout(0.05)
                if not wire.connect_ex(("127.0.1.1", port)):
                    return
            time.sleep(0.02)
        self.fail("the far end of tunnels does not listen")

    def test_tunnels(self) -> None:
        """A tunnel asks for so many octets and gets them."""
        seen = self.loaded(self.far.port, act="tunnel", answer=1000, port=443)
        self.assertEqual(seen.lost, 0)
        self.assertGreater(seen.count, 2)
        self.assertIn(b"CONNECT h00.bench.test:443 HTTP/1.1", {head[:35] for head in self.far.heads})

    def test_long(self) -> None:
        """What is asked for may be longer than what the far end has: it is given again and again."""
        seen = self.loaded(self.far.port, act="tunnel", answer=100_000, port=443, conns=1)
        self.assertEqual(seen.lost, 0)
        self.assertGreater(seen.octets / max(1, seen.count), 100_000)

    def test_client_hello(self) -> None:
        """Our own reader of first octets sees TLS that names the host of the tunnel."""
        self.loaded(self.far.port, act="tunnel", answer=10, port=443, conns=1, hosts=1)
        hello = next(head for head in self.far.heads if head.startswith(b"\x16\x03\x01"))
        self.assertEqual(len(hello), 517)
        message = hello_message(hello)
        assert message is not None
        self.assertEqual(server_name(message), "h00.bench.test")


class ProgramTests(SynchronousTestCase):
    """Programs are counted with all that they start."""

    def test_members(self) -> None:
        """Children count, and nothing is left after the end."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        program = Program(["sh", "-c", "sleep 50 & sleep 50"], None, folder / "log")
        try:
            for _ in range(500):
                if len(program.members()) == 3:
                    break
            pids = [status.pid for status in program.members()]
            self.assertEqual(len(pids), 3)
            self.assertGreater(program.octets(), 0)
        finally:
            program.stop()
        self.assertEqual(program.members(), [])
        self.assertFalse(program.runs())
        self.assertFalse([pid for pid in pids if (status := status_of(pid)) and status.state != "Z"])
