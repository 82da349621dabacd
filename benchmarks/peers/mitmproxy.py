"""mitmproxy: looks into everything, for one person at a time; here only as a forward proxy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.peers.peer import Peer

SETTINGS = (
    "flow_detail=1",
    "stream_large_bodies=1m",
    "store_streamed_bodies=false",
    "connection_strategy=lazy",
)


class Mitmproxy(Peer):
    """Another one in Python; tunnels are passed through unread."""

    name = "mitmproxy"
    program = "mitmdump"
    package = "pip install mitmproxy"
    port = 3135

    def prepare(self) -> None:
        pass

    def command(self) -> Sequence[str]:
        settings = [*SETTINGS, f"confdir={self.folder}", "ignore_hosts=.*:443$"]
        words = [word for setting in settings for word in ("--set", setting)]
        return [self.found() or "", "--listen-host", "127.0.0.1", "-p", str(self.port), *words]

    def records(self) -> Iterable[Path]:
        return [self.folder / "output"]
