"""tinyproxy: a thread for each connection, which is closed after one answer; no list of this length."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.peers.peer import Peer

SETTINGS = """
Port {port}
Listen 127.0.0.1
Timeout 600
LogFile "{folder}/access.log"
LogLevel Connect
MaxClients 10000
Allow 127.0.0.0/8
ViaProxyName "bench"
ConnectPort {tunnel_port}
"""


class Tinyproxy(Peer):
    """A small one; its sign-in takes one line of configuration for each person."""

    name = "tinyproxy"
    program = "tinyproxy"
    package = "tinyproxy"
    port = 3133
    can_login = True
    wrong_password_gives = 401

    @classmethod
    def version(cls) -> str:
        # It knows -v only.
        return "tinyproxy"

    def prepare(self) -> None:
        text = SETTINGS.format(port=self.port, folder=self.folder, tunnel_port=self.place.tunnel_port)
        if self.duties.login:
            people = self.fixtures.everyone.read_text().split()
            text += "".join("BasicAuth {} {}\n".format(*person.split(":")) for person in people)
        (self.folder / "tinyproxy.conf").write_text(text)
        self.folder.chmod(0o777)

    def command(self) -> Sequence[str]:
        return [self.found() or "", "-d", "-c", str(self.folder / "tinyproxy.conf")]

    def records(self) -> Iterable[Path]:
        return [self.folder / "access.log"]
