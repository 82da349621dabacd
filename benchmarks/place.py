"""Where a run takes place: the namespace, the cores, the ports, the folder, and the machine it was."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

INSIDE = "CORPPROXY_BENCH_INSIDE"
HOSTS = 50_000
SERVERS = 16

# Work that runs beside a measurement yields to it; only root may ask for that.
NICE = -15


@dataclass(frozen=True, slots=True)
class Place:
    """
    What a run knows of its surroundings.

    ``private``: loopback, ports, /etc/hosts and /dev/shm are our own, and nothing can be reached but
    ourselves.  Without it names are known to the proxies only, and the ports are high ones.
    A core is None on a machine that has only one.
    """

    folder: Path
    private: bool
    proxy_core: int | None
    load_core: int | None

    @property
    def web_port(self) -> int:
        """The port of the origin of plain requests."""
        return 80 if self.private else 18_081

    @property
    def tunnel_port(self) -> int:
        """The port of the far end of tunnels."""
        return 443 if self.private else 18_443


def host_name(number: int) -> str:
    """The name of a host of the benchmark, as load.c writes it."""
    return f"h{number:02d}.bench.test"


def host_address(number: int) -> str:
    """Its address: the servers take turns."""
    return f"127.0.1.{number % SERVERS + 1}"


def can_be_private() -> bool:
    """Whether we may make a namespace of our own."""
    return os.geteuid() == 0 and all(map(shutil.which, ("unshare", "ip", "mount")))


def go_private(words: Sequence[str]) -> None:
    """Run the same command again inside a private network and mount namespace; does not come back."""
    command = ["unshare", "-n", "-m", sys.executable, "-m", "benchmarks", *words]
    os.execvpe("unshare", command, {**os.environ, INSIDE: "1"})


def _cores() -> tuple[int | None, int | None]:
    allowed = sorted(os.sched_getaffinity(0))
    return (allowed[0], allowed[1]) if len(allowed) > 1 else (None, None)


def enter(folder: Path) -> Place:
    """Take the place: in a namespace, with names, ports and shared memory of its own."""
    private = INSIDE in os.environ
    proxy_core, load_core = _cores()
    place = Place(folder, private, proxy_core, load_core)
    folder.chmod(0o755)
    if load_core is not None:
        os.sched_setaffinity(0, {load_core})
    if private:
        _furnish(folder)
    return place


def hosts_text(hosts: int) -> str:
    """The text of a hosts file."""
    ours = "".join(f"{host_address(number)} {host_name(number)}\n" for number in range(hosts))
    return f"127.0.0.1 localhost {socket.gethostname()}\n{ours}"


def name_hosts(place: Place, hosts: int) -> None:
    """Name so many hosts: with many, programs that read /etc/hosts for each request are slow."""
    if place.private:
        # Written in place: the file is mounted.
        (place.folder / "hosts").write_text(hosts_text(hosts))


def _furnish(folder: Path) -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    # Thousands of new connections a second leave as many ports waiting.
    Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("10000 65000")
    texts = {
        "/etc/hosts": hosts_text(SERVERS),
        "/etc/resolv.conf": "nameserver 127.0.0.1\noptions timeout:1\n",
    }
    for there, text in texts.items():
        ours = folder / Path(there).name
        ours.write_text(text)
        subprocess.run(["mount", "--bind", str(ours), os.path.realpath(there)], check=True)
    # Squid leaves segments behind, and does not start over them.
    subprocess.run(["mount", "-t", "tmpfs", "none", "/dev/shm"], check=True)


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    text = Path("/proc/cpuinfo").read_text()
    model = next((line.partition(":")[2].strip() for line in text.splitlines() if "model name" in line), "?")
    kind = " virtual machine" if "hypervisor" in text else ""
    article = "an" if model[:1] in "AEIO" else "a"
    memory = int(Path("/proc/meminfo").read_text().split()[1]) // (1 << 20)
    return {
        "cpu": f"{os.cpu_count()} cores of {article} {model}{kind}",
        "memory": f"{memory} GiB",
        "kernel": ".".join(os.uname().release.split(".")[:2]),
        "python": sys.version.split()[0],
    }
