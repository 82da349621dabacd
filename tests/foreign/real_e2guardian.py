"""A real e2guardian on loopback that is asked what it decides."""

from __future__ import annotations

import base64
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.foreign.other_clock import at_that_time, forget_clock
from tests.foreign.real_squid import ANSWER_SECONDS, AT_ONCE, START_SECONDS, WISH, Asked, Parent, free_ports

_OURS = re.compile(
    r"\s*(filterip|filterports|nodaemon|httpworkers|transparenthttpsport|proxyip|proxyport|loglocation|"
    r"pidfilename|ipcfilename|urlipcfilename|daemonuser|daemongroup|checkip|downloadmanager|"
    r"usecustombanned\w+)\s*="
)
_RUNNING = """
filterip = 127.0.0.1
filterports = {port}
nodaemon = on
httpworkers = 20
proxyip = 127.0.0.1
proxyport = {parent}
loglocation = '{folder}/access.log'
pidfilename = '{folder}/pid'
ipcfilename = '{folder}/ipc'
urlipcfilename = '{folder}/urlipc'
daemonuser = '{user}'
usecustombannedimage = off
usecustombannedflash = off
daemongroup = '{user}'
downloadmanager = '/etc/e2guardian/downloadmanagers/default.conf'
"""
_BLOCKED = b"E2Guardian - Access Denied"


def is_here() -> bool:
    """Whether e2guardian is installed."""
    return shutil.which("e2guardian", path=f"{os.environ.get('PATH', '')}:/usr/sbin") is not None


class RealE2guardian:
    """
    Runs e2guardian on a copy of a folder, whose paths are brought to where the copy is.

    ``written`` is where the configuration believes to be; ``at`` is the local time that it believes it is.
    """

    def __init__(self, configuration: Path, *, written: str = "/etc/e2guardian", at: str = "") -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="corpproxy-e2guardian-"))
        self._parent = Parent()
        (self._port,) = free_ports(1)
        copied = self.folder / "etc"
        shutil.copytree(configuration, copied)
        for path in copied.rglob("*"):
            if path.is_file():
                text = path.read_text(encoding="latin-1")
                path.write_text(text.replace(written, str(copied)), encoding="latin-1")
        main = copied / "e2guardian.conf"
        kept = [line for line in main.read_text(encoding="latin-1").splitlines() if not _OURS.match(line)]
        running = _RUNNING.format(
            folder=self.folder, port=self._port, parent=self._parent.port, user=os.environ.get("USER", "root")
        )
        main.write_text("\n".join([*kept, running]), encoding="latin-1")
        command = [shutil.which("e2guardian") or "/usr/sbin/e2guardian", "-N", "-c", str(main)]
        self._process = subprocess.Popen(
            at_that_time(at, command),
            env=dict(os.environ, TZ="UTC"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._wait()

    def ask(self, asked: Sequence[Asked]) -> list[str]:
        """What it decides on each: allow, or block."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(self._ask, asked))

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
        while True:
            try:
                if self._ask(Asked("http://ready.example/")) in ("allow", "block"):
                    return
            except OSError:
                pass
            if time.monotonic() > until or self._process.poll() is not None:
                self.stop()
                raise AssertionError("e2guardian does not start")
            time.sleep(0.05)

    def _ask(self, asked: Asked) -> str:
        with socket.socket() as connection:
            connection.settimeout(ANSWER_SECONDS)
            # Clients are told apart by their loopback addresses.
            if asked.client.startswith("127."):
                connection.bind((asked.client, 0))
            connection.connect(("127.0.0.1", self._port))
            host = asked.url.partition("://")[2].partition("/")[0] or asked.url
            lines = [f"{asked.method} {asked.url} HTTP/1.1", f"Host: {host}", f"User-Agent: {asked.agent}"]
            if asked.answered:
                lines.append(f"{WISH}: {asked.answered}")
            if asked.user:
                credentials = base64.b64encode(f"{asked.user}:x".encode()).decode()
                lines.append(f"Proxy-Authorization: Basic {credentials}")
            connection.sendall(("\r\n".join([*lines, "Connection: close"]) + "\r\n\r\n").encode())
            return _outcome(_answer(connection), asked.method == "CONNECT")


def _answer(connection: socket.socket) -> bytes:
    """An answer as far as it tells the page of a refusal from another."""
    answer = b""
    while len(answer) < 65536 and _BLOCKED not in answer and not answer.endswith(b"\r\n\r\nok"):
        piece = connection.recv(8192)
        if not piece:
            break
        answer += piece
        if answer.startswith(b"HTTP/1.1 200 OK\r\n") and b"\r\n\r\n" in answer:
            break
    return answer


def _outcome(answer: bytes, is_tunnel: bool) -> str:
    status = answer[9:12]
    if is_tunnel:
        return "allow" if status == b"200" and _BLOCKED not in answer else "block"
    return "block" if _BLOCKED in answer or status in (b"302", b"403") else "allow"
