"""proxy.py: forwards and logs, with one worker."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.peers.peer import Peer


class ProxyPy(Peer):
    """Another one in Python; it knows one person only, so it is measured without sign-in."""

    name = "proxy.py"
    program = "proxy"
    package = "pip install proxy.py"
    port = 3134

    def prepare(self) -> None:
        pass

    def command(self) -> Sequence[str]:
        # fmt: off
        return [
            self.found() or "", "--hostname", "127.0.0.1", "--port", str(self.port),
            "--num-workers", "1", "--num-acceptors", "1", "--enable-conn-pool", "--backlog", "1024",
            "--timeout", "600", "--log-level", "i", "--log-file", str(self.folder / "access.log"),
        ]
        # fmt: on

    def records(self) -> Iterable[Path]:
        return self.folder.glob("access.log")
