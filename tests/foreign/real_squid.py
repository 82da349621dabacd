"""
A real Squid on loopback that is asked what it decides.

Its configuration is the one under test, without the lines that say how Squid itself runs; every request that
it lets through goes to a parent of ours, which says yes to all.  Clients speak the PROXY protocol, so that
they can come from any address and to any port.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import signal
import socket
import socketserver
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from passlib.hash import apr_md5_crypt

from tests.foreign.other_clock import at_that_time, forget_clock

START_SECONDS = 30
ANSWER_SECONDS = 20
AT_ONCE = 8

# How Squid itself runs is for the test to say; these change no decision.
_OPERATIONAL = re.compile(
    r"\s*(http_port|https_port|icp_port|htcp_port|snmp_port|cache_(?!access).*|access_log|coredump_dir|"
    r"always_direct|never_direct|prefer_direct|redirect_\w+|url_rewrite_\w+|pid_filename|visible_hostname|"
    r"hierarchy_stoplist|icap_\w+|adaptation_\w+|ssl_bump|sslproxy_\w+|sslcrtd_\w+|debug_options|dns_\w+|"
    r"htcp_access|icp_access|shutdown_lifetime|hosts_file|maximum_object_size\w*)\s"
)
_RUNNING = """
visible_hostname squid.test
pid_filename none
cache_log {folder}/cache.log
access_log none
coredump_dir {folder}
cache deny all
cache_mem 8 MB
shutdown_lifetime 0 seconds
pinger_enable off
hosts_file {folder}/hosts
dns_timeout 50 milliseconds
dns_retransmit_interval 20 milliseconds
dns_nameservers 127.0.0.1
cache_peer 127.0.0.1 parent {parent} 0 no-query no-digest no-netdb-exchange default
never_direct allow all
proxy_protocol_access allow all
"""
# What a request wants its answer to be.
WISH = "X-Answer"
# Passwords are checked by the helper of this machine, against those of the test.
HELPER = "/usr/lib/squid/basic_ncsa_auth"
_HELPER = re.compile(r"^(\s*auth_param\s+basic\s+program)\s+\S*ncsa_auth\s+\S+", re.MULTILINE)
_PORT = "http_port 127.0.0.1:{number} require-proxy-header name={name}\n"


@dataclass(frozen=True, slots=True)
class Asked:
    """
    One request as both are asked it; ``url`` is host and port for CONNECT.

    ``answered`` is the Content-Type of the answer, if it gets so far.
    """

    url: str
    method: str = "GET"
    client: str = "192.0.2.7"
    user: str = ""
    listener: str = ""
    agent: str = "curl/8"
    answered: str = ""


def is_here() -> bool:
    """Whether Squid is installed."""
    return shutil.which("squid", path=f"{os.environ.get('PATH', '')}:/usr/sbin") is not None


class RealSquid:
    """
    Runs Squid on a configuration.

    ``names`` are looked up in a hosts file; ``listeners`` are its ports by name, as clients are to believe
    them; ``passwords`` are those of the people; ``beside`` is the folder of the files that it names below
    ``/etc/squid``; ``at`` is the local time that Squid believes it is, where libfaketime is installed.
    """

    def __init__(
        self,
        text: str,
        *,
        listeners: Mapping[str, int] | None = None,
        names: dict[str, str] | None = None,
        passwords: dict[str, str] | None = None,
        beside: Path | None = None,
        at: str = "",
        time_zone: str = "UTC",
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="corpproxy-squid-"))
        self.passwords = passwords or {}
        self._parent = Parent()
        self._believed = dict(listeners or {"3128": 3128})
        self._ports = dict(zip(self._believed, free_ports(len(self._believed)), strict=True))
        hosts = "".join(f"{address} {name}\n" for name, address in (names or {}).items())
        (self.folder / "hosts").write_text(f"127.0.0.1 localhost\n{hosts}")
        (self.folder / "passwords").write_text("".join(_hashed(*one) for one in self.passwords.items()))
        text = _HELPER.sub(rf"\1 {HELPER} {self.folder}/passwords", text)
        text = text.replace("/etc/squid/", f"{self.folder}/etc/")
        kept = [line for line in text.splitlines() if not _OPERATIONAL.match(line + " ")]
        ports = "".join(_PORT.format(name=name, number=number) for name, number in self._ports.items())
        running = _RUNNING.format(folder=self.folder, parent=self._parent.port)
        (self.folder / "squid.conf").write_text("\n".join([*kept, running, ports]))
        if beside is not None:
            shutil.copytree(beside, self.folder / "etc")
        if os.geteuid() == 0:
            for path in (self.folder, *self.folder.rglob("*")):
                shutil.chown(path, "proxy")
        command = [shutil.which("squid") or "/usr/sbin/squid", "-N", "-f", str(self.folder / "squid.conf")]
        environment = dict(os.environ, TZ=time_zone)
        self._process = subprocess.Popen(
            at_that_time(at, command),
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._wait()

    def ask(self, asked: Sequence[Asked]) -> list[str]:
        """What Squid decides on each: allow, block, challenge, redirect, or what went wrong."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(self._ask, asked))

    def log(self) -> str:
        """What it said of itself."""
        path = self.folder / "cache.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def stop(self) -> None:
        """End it, and take its folder away."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        forget_clock(self._process.pid)
        self._parent.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _wait(self) -> None:
        until = time.monotonic() + START_SECONDS
        for number in self._ports.values():
            while True:
                try:
                    socket.create_connection(("127.0.0.1", number), 1).close()
                    break
                except OSError:
                    if time.monotonic() > until or self._process.poll() is not None:
                        said = self.log()[-2000:]
                        self.stop()
                        raise AssertionError(f"Squid does not start: {said}") from None
                    time.sleep(0.02)

    def _ask(self, asked: Asked) -> str:
        listener = asked.listener or next(iter(self._ports))
        with socket.create_connection(("127.0.0.1", self._ports[listener]), ANSWER_SECONDS) as connection:
            connection.settimeout(ANSWER_SECONDS)
            connection.sendall(self._head(asked, self._believed[listener]))
            return _outcome(_answer_head(connection))

    def _head(self, asked: Asked, port: int) -> bytes:
        family, here = ("TCP6", "::1") if ":" in asked.client else ("TCP4", "127.0.0.1")
        host = asked.url.partition("://")[2].partition("/")[0] or asked.url
        lines = [
            f"PROXY {family} {asked.client} {here} 40000 {port}",
            f"{asked.method} {asked.url} HTTP/1.1",
            f"Host: {host}",
            f"User-Agent: {asked.agent}",
            "Connection: close",
            *([f"{WISH}: {asked.answered}"] if asked.answered else ()),
        ]
        if asked.user:
            credentials = f"{asked.user}:{self.passwords[asked.user]}".encode()
            lines.append(f"Proxy-Authorization: Basic {base64.b64encode(credentials).decode()}")
        if asked.method in ("POST", "PUT"):
            lines.append("Content-Length: 0")
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _hashed(name: str, password: str) -> str:
    """A line of a password file as the helper reads it."""
    return f"{name}:{apr_md5_crypt.hash(password)}\n"


def _answer_head(connection: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        piece = connection.recv(8192)
        if not piece:
            break
        head += piece
    return head


def _outcome(head: bytes) -> str:
    status = head[9:12].decode("latin-1")
    if status == "407":
        return "challenge"
    if (status == "403" and b"ERR_ACCESS_DENIED" in head) or b"X-Squid-Error: TCP_RESET" in head:
        return "block"
    if status.startswith("30"):
        return "redirect"
    if status == "200":
        return "allow"
    return f"{status} {re.findall(rb'X-Squid-Error: (.*)', head)}"


class _Yes(socketserver.StreamRequestHandler):
    """Answers one request: 200, with the Content-Type that it asks for, or nothing in it."""

    def handle(self) -> None:
        wish = b""
        while (line := self.rfile.readline(65536)) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            if name.lower() == WISH.lower().encode():
                wish = value.strip()
        stated = b"Content-Type: %b\r\nContent-Length: 2\r\n" % wish if wish else b"Content-Length: 0\r\n"
        self.wfile.write(b"HTTP/1.1 200 OK\r\n%bConnection: close\r\n\r\n" % stated)
        if wish:
            self.wfile.write(b"ok")


class _Server(socketserver.ThreadingTCPServer):
    request_queue_size = 128
    daemon_threads = True


class Parent:
    """The parent proxy to which Squid sends what it lets through."""

    def __init__(self) -> None:
        self._server = _Server(("127.0.0.1", 0), _Yes)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()


def free_ports(count: int) -> list[int]:
    """So many ports that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
