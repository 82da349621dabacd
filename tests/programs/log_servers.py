"""rsyslog and PostgreSQL of this machine, on ports of their own, started by tests and ended by them."""

from __future__ import annotations

import glob
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import trustme

from tests.support.running import free_ports

PATIENCE_SECONDS = 30.0

RSYSLOG = shutil.which("rsyslogd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
POSTGRESQL = next(iter(sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)), None)

_RSYSLOG_CONFIGURATION = """
global(workDirectory="{folder}" maxMessageSize="64k"
       defaultNetstreamDriver="ossl" defaultNetstreamDriverCAFile="{folder}/ca.pem"
       defaultNetstreamDriverCertFile="{folder}/server.pem"
       defaultNetstreamDriverKeyFile="{folder}/server.key")
module(load="imtcp" streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="x509/certvalid")
input(type="imtcp" address="127.0.0.1" port="{port}")
template(name="said" type="string" string="%msg%\\n")
template(name="head" type="string"
         string="%pri% %timereported:::date-rfc3339% %hostname% %app-name% %msgid%\\n")
action(type="omfile" file="{folder}/said" template="said")
action(type="omfile" file="{folder}/heads" template="head")
"""


def listens(port: int) -> bool:
    """Whether somebody listens there."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def _until_it_listens(port: int, process: subprocess.Popen[bytes]) -> None:
    ends = time.monotonic() + PATIENCE_SECONDS
    while not listens(port):
        if process.poll() is not None or time.monotonic() > ends:
            raise AssertionError(f"it does not listen: {process.args}")
        time.sleep(0.05)


class Rsyslog:
    """rsyslog behind TLS; it wants a certificate of its clients."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (self.port,) = free_ports(1)
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        for name, host in (("server", "localhost"), ("client", "proxy.example")):
            issued = authority.issue_cert(host)
            issued.cert_chain_pems[0].write_to_path(str(folder / f"{name}.pem"))
            issued.private_key_pem.write_to_path(str(folder / f"{name}.key"))
        (folder / "rsyslog.conf").write_text(_RSYSLOG_CONFIGURATION.format(folder=folder, port=self.port))
        self.start()

    def start(self) -> None:
        """Start it, once more after it was killed."""
        command = [
            str(RSYSLOG),
            "-n",
            "-f",
            str(self.folder / "rsyslog.conf"),
            "-i",
            str(self.folder / "pid"),
        ]
        with (self.folder / "rsyslog.out").open("ab") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out)
        _until_it_listens(self.port, self.process)

    def kill(self) -> None:
        """Kill it: what it had in memory is gone."""
        self.process.kill()
        self.process.wait()
        (self.folder / "pid").unlink(missing_ok=True)

    def lines(self, name: str = "said") -> list[bytes]:
        """What it has written, without half a line that it was killed over."""
        path = self.folder / name
        octets = path.read_bytes() if path.exists() else b""
        return [line.strip() for line in octets.split(b"\n")[:-1]]


class Postgresql:
    """PostgreSQL with a database that is empty; ``also`` are addresses besides loopback that it has."""

    def __init__(self, *also: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="corpproxy-postgresql-"))
        # It does not run as root.
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user:
            shutil.chown(self.folder, self._user)
        (self.port,) = free_ports(1)
        self.address = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        folder = str(self.folder / "data")
        self._run("initdb", "-D", folder, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
        self._listens = ",".join(["127.0.0.1", *also])
        with (self.folder / "data" / "pg_hba.conf").open("a") as hosts:
            hosts.writelines(f"host all all {address}/24 trust\n" for address in also)
        self.start()

    def _run(self, program: str, *arguments: str) -> None:
        command = [f"{POSTGRESQL}/{program}", *arguments]
        subprocess.run(command, check=True, capture_output=True, user=self._user, cwd=self.folder)

    def start(self) -> None:
        """Start it, once more after it was killed."""
        command = [
            f"{POSTGRESQL}/postgres", "-D", str(self.folder / "data"), "-p", str(self.port), "-k", "",
            "-c", f"listen_addresses={self._listens}",
            "-c", "shared_buffers=16MB", "-c", "max_connections=20",
            # The machine does not lose its power here.
            "-c", "fsync=off",
        ]  # fmt: skip
        self._begin(command)
        ends = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                self.rows("SELECT 1")
                return
            except Exception:
                if time.monotonic() > ends:
                    raise
                time.sleep(0.05)
                if self.process.poll() is not None:
                    # What was killed before has processes that are not gone yet.
                    self._begin(command)

    def _begin(self, command: list[str]) -> None:
        with (self.folder / "out").open("ab") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out, user=self._user, cwd=self.folder)

    def kill(self, *, hard: bool = False) -> None:
        """
        End it at once, as a machine that loses its power; it recovers at its next start.

        With ``hard`` it is killed: its processes for connections see that a moment later.
        """
        self.process.send_signal(signal.SIGKILL if hard else signal.SIGQUIT)
        self.process.wait(PATIENCE_SECONDS)

    def stop(self) -> None:
        """End it for good."""
        if self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def rows(self, statement: str) -> list[tuple]:
        """What a question comes to."""
        import psycopg

        with psycopg.connect(self.address, connect_timeout=5) as connection:
            return connection.execute(statement).fetchall()
