"""Apache Traffic Server as a forward proxy: it forwards and logs; sign-in and lists it does not have."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.peers.peer import Peer

USER = "trafficserver"
SYSTEM = Path("/etc/trafficserver")

# One thread for events: what one core does is compared.
RECORDS = """
CONFIG proxy.config.admin.user_id STRING {user}
CONFIG proxy.config.exec_thread.autoconfig INT 0
CONFIG proxy.config.exec_thread.limit INT 1
CONFIG proxy.config.accept_threads INT 0
CONFIG proxy.config.task_threads INT 1
CONFIG proxy.config.http.server_ports STRING {port}
CONFIG proxy.config.http.connect_ports STRING {tunnel_port} 443
CONFIG proxy.config.http.cache.http INT 0
CONFIG proxy.config.url_remap.remap_required INT 0
CONFIG proxy.config.reverse_proxy.enabled INT 0
CONFIG proxy.config.hostdb.host_file.path STRING /etc/hosts
CONFIG proxy.config.net.connections_throttle INT 19500
CONFIG proxy.config.net.max_connections_in INT 19500
CONFIG proxy.config.http.transaction_no_activity_timeout_in INT 600
CONFIG proxy.config.http.transaction_no_activity_timeout_out INT 600
CONFIG proxy.config.log.logging_enabled INT 3
CONFIG proxy.config.log.max_secs_per_buffer INT 1
"""
LOGGING = """
logging:
  formats:
    - name: line
      format: '%<cqtq> %<chi> %<pssc> %<cqhm> %<cquc> %<pscl>'
  logs:
    - filename: access
      format: line
"""
ALLOW = """
ip_allow:
  - apply: in
    ip_addrs: 127.0.0.0/8
    action: allow
    methods: ALL
"""
RUNROOT = {
    "prefix": "{folder}",
    "exec_prefix": "/usr",
    "bindir": "/usr/bin",
    "sbindir": "/usr/sbin",
    "sysconfdir": "{folder}/etc",
    "datadir": "{folder}/cache",
    "includedir": "/usr/include",
    "libdir": "/usr/lib/trafficserver",
    "libexecdir": "/usr/lib/trafficserver/modules",
    "localstatedir": "{folder}/run",
    "runtimedir": "{folder}/run",
    "logdir": "{folder}/log",
    "cachedir": "{folder}/cache",
}


class TrafficServer(Peer):
    """The quickest of those that only forward."""

    name = "trafficserver"
    program = "traffic_server"
    package = "trafficserver"
    port = 3131

    @classmethod
    def version(cls) -> str:
        # With the day and the machine that it was built on.
        return " ".join(super().version().split()[:3])

    def prepare(self) -> None:
        for name in ("etc", "run", "log", "cache"):
            (self.folder / name).mkdir()
        shutil.copytree(SYSTEM, self.folder / "etc", dirs_exist_ok=True)
        texts = {
            "etc/records.config": RECORDS.format(
                port=self.port, tunnel_port=self.place.tunnel_port, user=USER
            ),
            "etc/logging.yaml": LOGGING,
            "etc/ip_allow.yaml": ALLOW,
            "etc/storage.config": f"{self.folder}/cache 128M\n",
            "runroot.yaml": "".join(
                f"{key}: {value.format(folder=self.folder)}\n" for key, value in RUNROOT.items()
            ),
        }
        for name, text in texts.items():
            (self.folder / name).write_text(text)
        # Started by root, it goes on as a user of its own.
        for path in (self.folder, *self.folder.rglob("*")):
            shutil.chown(path, USER)

    def command(self) -> Sequence[str]:
        return [self.found() or ""]

    def environment(self) -> dict[str, str]:
        return {"TS_RUNROOT": str(self.folder / "runroot.yaml")}

    def records(self) -> Iterable[Path]:
        return (self.folder / "log").glob("access.log*")
