"""Squid with the same sign-in, list, rules and log."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.duties import CALENDARS, Rule, rules
from benchmarks.fixtures import members
from benchmarks.peers.peer import Peer
from benchmarks.place import SERVERS, hosts_text

# cache deny all: a filter is measured, not a cache.  Everything that is not named is as Squid has it.
BASE = """
http_port 127.0.0.1:{port}
visible_hostname bench.test
pid_filename none
cache_log {folder}/cache.log
coredump_dir {folder}
access_log stdio:{folder}/access.log squid
cache deny all
cache_mem 8 MB
max_filedescriptors {files}
shutdown_lifetime 0 seconds
pinger_enable off
forwarded_for delete
"""
LOGIN = """
auth_param basic program {ncsa} {htpasswd}
auth_param basic children 5 startup=5 idle=1
auth_param basic realm bench
acl signed_in proxy_auth REQUIRED
"""
DAYS = {"mon-fri": "MTWHF", "mon-sun": "SMTWHFA"}
HELPERS = ("/usr/lib/squid", "/usr/lib64/squid", "/usr/libexec/squid", "/usr/local/squid/libexec")


class Squid(Peer):
    """The one to be compared with."""

    name = "squid"
    program = "squid"
    package = "squid-openssl"
    port = 3130
    can_login = can_list = can_rule = True
    needs_private = False
    # It reads a million names in the first seconds.
    ready_seconds = 120

    @classmethod
    def version(cls) -> str:
        return super().version().replace("Cache: Version ", "")

    def list_file(self) -> Path:
        return self.folder / "domains"

    def list_line(self, name: str) -> str:
        return f".{name}\n"

    def prepare(self) -> None:
        if self.duties.listed:
            self.list_file().write_bytes(self.fixtures.dotted.read_bytes())
        for group in ("pupils", "staff", "barred"):
            (self.folder / group).write_text("".join(f"{name}\n" for name in members(group)))
        (self.folder / "squid.conf").write_text("\n".join(self.lines()))
        if os.geteuid() == 0:
            # Started by root, it goes on as a user of its own.
            for path in (self.folder, *self.folder.iterdir()):
                shutil.chown(path, "proxy")

    def lines(self) -> list[str]:
        """The configuration."""
        files = os.sysconf("SC_OPEN_MAX")
        lines = [BASE.format(port=self.port, folder=self.folder, files=files)]
        if not self.place.private:
            (self.folder / "hosts").write_text(hosts_text(SERVERS))
            lines.append(f"hosts_file {self.folder}/hosts")
        if self.duties.login:
            ncsa = shutil.which("basic_ncsa_auth", path=":".join(HELPERS))
            lines.append(LOGIN.format(ncsa=ncsa, htpasswd=self.fixtures.htpasswd))
        ports = " ".join(map(str, sorted({80, 443, self.place.tunnel_port})))
        lines += [f"acl tunnel_ports port {ports}", "http_access deny CONNECT !tunnel_ports"]
        if self.duties.login:
            lines.append("http_access deny !signed_in")
        for number, rule in enumerate(rules(self.duties)):
            lines += self._rule(rule, number)
        return [*lines, "http_access deny all", ""]

    def _rule(self, rule: Rule, number: int) -> Iterable[str]:
        days, hours = CALENDARS.get(rule.calendar, ("", ""))
        domains = " ".join("." + name for name in rule.domain)
        conditions = {
            "src": rule.network,
            "method": rule.method,
            "port": str(rule.port or ""),
            "time": f"{DAYS[days]} {hours}" if days else "",
            "dstdomain": f'"{self.list_file()}"' if rule.listed else domains,
            "url_regex": f"-i {rule.expression}" if rule.expression else "",
            "proxy_auth": f'"{self.folder}/{rule.group}"' if rule.group else rule.user,
        }
        asked = {kind: value for kind, value in conditions.items() if value}
        yield from (f"acl r{number}_{kind} {kind} {value}" for kind, value in asked.items())
        names = "".join(f" r{number}_{kind}" for kind in asked)
        # Without the last 'all', whoever is refused by name would be asked to sign in again.
        yield f"http_access {'allow' if rule.effect == 'allow' else 'deny'}{names} all"

    def command(self) -> Sequence[str]:
        return [self.found() or "", "-N", "-f", str(self.folder / "squid.conf")]

    def records(self) -> Iterable[Path]:
        return [self.folder / "access.log"]

    def reload(self) -> None:
        os.kill(self.runs.root.pid, signal.SIGHUP)
