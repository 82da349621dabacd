"""e2guardian with the list of domains; passwords it leaves to a proxy behind it."""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.peers.peer import Peer

SYSTEM = Path("/etc/e2guardian")


class E2guardian(Peer):
    """A content filter, with its looking into content switched off: only addresses are filtered."""

    name = "e2guardian"
    program = "e2guardian"
    package = "e2guardian"
    port = 3132
    can_list = True
    # Its block page comes as if it were what was asked for.
    refuses_with = 200

    @classmethod
    def version(cls) -> str:
        return super().version() or "e2guardian"

    @property
    def _settings(self) -> dict[str, str]:
        return {
            "filterip": "127.0.0.1",
            "filterports": str(self.port),
            "httpworkers": "500",
            "nodaemon": "on",
            "transparenthttpsport": "0",
            "weightedphrasemode": "0",
            "loglocation": f"'{self.folder}/log/access.log'",
        }

    def list_file(self) -> Path:
        return self.folder / "domains"

    def prepare(self) -> None:
        etc = self.folder / "etc"
        shutil.copytree(SYSTEM, etc)
        (self.folder / "log").mkdir()
        # The whole tree of its files names the place where Debian put it.
        for path in etc.rglob("*"):
            if path.is_file() and "lists" not in path.parts:
                text = path.read_text(errors="surrogateescape").replace(str(SYSTEM), str(etc))
                path.write_text(text, errors="surrogateescape")
        main = etc / "e2guardian.conf"
        kept = [
            line
            for line in main.read_text().splitlines()
            if not re.match(rf"\s*({'|'.join(self._settings)})\s*=", line)
        ]
        main.write_text(
            "\n".join([*kept, *(f"{key} = {value}" for key, value in self._settings.items()), ""])
        )
        banned = ""
        if self.duties.listed:
            self.list_file().write_bytes(self.fixtures.domains.read_bytes())
            banned = f".Include<{self.list_file()}>\n"
        (etc / "lists" / "bannedsitelist").write_text(banned)
        self.folder.chmod(0o755)
        for path in self.folder.rglob("*"):
            path.chmod(path.stat().st_mode | (0o777 if path.is_dir() else 0o666))

    def command(self) -> Sequence[str]:
        return [self.found() or "", "-N", "-c", str(self.folder / "etc" / "e2guardian.conf")]

    def records(self) -> Iterable[Path]:
        return (self.folder / "log").glob("access.log")

    def reload(self) -> None:
        os.kill(self.runs.root.pid, signal.SIGHUP)
