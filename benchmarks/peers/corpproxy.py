"""corpproxy, with all its duties: sign-in, list, rules, safety, accounts, records."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from compileall import compile_dir
from pathlib import Path

import corpproxy
from benchmarks.duties import CALENDARS, Neglected, Rule, rules
from benchmarks.fixtures import members
from benchmarks.peers.peer import Peer
from benchmarks.place import SERVERS, host_address, host_name
from corpproxy import __version__

# JSON is YAML; what is written here is what an administrator would write, in brackets.
LIMITS = {
    "total": 20_000,
    "per_address": 20_000,
    "per_person": 20_000,
    "tunnels_per_address": 20_000,
    "tunnels_per_person": 20_000,
}


class Corpproxy(Peer):
    """Ourselves."""

    name = "corpproxy"
    program = "twistd"
    package = "corpproxy"
    port = 3129
    can_login = can_list = can_rule = True
    needs_private = False

    @classmethod
    def found(cls) -> str | None:
        return str(Path(sys.executable).parent / cls.program)

    @classmethod
    def version(cls) -> str:
        return f"corpproxy {__version__}, Python {sys.version.split()[0]}"

    @property
    def policy(self) -> Path:
        return self.folder / "policy.yaml"

    def list_file(self) -> Path:
        return self.folder / "domains"

    def prepare(self) -> None:
        # As pip leaves it: a checkout whose interpreter keeps no bytecode would be compiled at each start.
        compile_dir(Path(corpproxy.__file__).parent, quiet=2)
        if self.duties.listed:
            self.list_file().write_bytes(self.fixtures.domains.read_bytes())
        if self.duties.login:
            users = self.folder / "users.htpasswd"
            users.write_bytes(self.fixtures.htpasswd.read_bytes())
            users.chmod(0o600)
        self.policy.write_text(json.dumps(self.tables(), indent=1))
        if self.duties.listed:
            self._build()

    def _build(self) -> None:
        self._told("lists", "--policy", str(self.policy), "build")

    def _told(self, *words: str) -> None:
        """Give a command of our own; raises Neglected when it fails."""
        command = [str(Path(sys.executable).parent / "corpproxy"), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Neglected(f"corpproxy {' '.join(words)}: {done.stderr.strip()[-1000:]}")

    def tables(self) -> dict[str, object]:
        """The policy."""
        duties = self.duties
        tables: dict[str, object] = {
            "site": "Benchmark",
            "time_zone": "Europe/London",
            "state": "state",
            "listen": [{"name": "rooms", "forward": f"127.0.0.1:{self.port}"}],
            "safety": {
                "addresses": ["public", "loopback"],
                "connect_ports": sorted({80, 443, self.place.tunnel_port}),
            },
            "connections": LIMITS,
            "calendars": {name: {"days": d, "hours": h} for name, (d, h) in CALENDARS.items()},
            "rules": [self._rule(rule) for rule in rules(duties)],
        }
        if duties.login:
            groups = {group: members(group) for group in ("pupils", "staff", "barred")}
            methods = [{"basic": {"htpasswd": "users.htpasswd"}}]
            tables["identity"] = {"realm": "bench", "methods": methods, "groups": groups}
        if duties.listed:
            tables["categories"] = {"lists": [{"name": "listed", "format": "names", "path": "domains"}]}
        if not self.place.private:
            hosts = {host_name(number): host_address(number) for number in range(SERVERS)}
            tables["names"] = {"hosts": hosts}
        return tables

    def _rule(self, rule: Rule) -> dict[str, object]:
        def asked(*keys: str) -> dict[str, object]:
            return {key: getattr(rule, key) for key in keys if getattr(rule, key)}

        who = asked("group", "user", "network")
        what = asked("domain", "expression", "method", "port")
        if rule.listed:
            what["category"] = "listed"
        written: dict[str, object] = {"name": rule.name, "do": rule.effect}
        if who:
            written["who"] = who
        if what:
            written["what"] = what
        if rule.calendar:
            written["when"] = rule.calendar
        return written

    def command(self) -> Sequence[str]:
        return [self.found() or "", "-n", "--pidfile=", "corpproxy", "--policy", str(self.policy)]

    def records(self) -> Iterable[Path]:
        return (self.folder / "state").glob("records/records-*.jsonl")

    def reload(self) -> None:
        self._told("reload", "--policy", str(self.policy))
