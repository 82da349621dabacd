"""A network of machines on one: each is a network namespace, with a cable to this one."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess

# What is wrong where there can be none; CI is root.
NO_NETWORK = (
    "only root can make network namespaces"
    if os.geteuid() != 0
    else None
    if shutil.which("ip")
    else "not installed: iproute2; 'make test-deps' installs it"
)


class Machine:
    """
    A machine of its own.

    :ivar address: where it is reached from here; ``here`` is how it reaches us.
    :ivar inside: what stands before a command that is to run there.
    """

    def __init__(self, number: int) -> None:
        self._name = f"corpproxy-{os.getpid()}-{number}"
        cable = f"cp{os.getpid() % 1_000_000}n{number}"
        # For benchmarks of networks (RFC 2544): nobody has these.
        network = f"198.18.{(os.getpid() * 4 + number) % 250}"
        self.here, self.address = f"{network}.1", f"{network}.2"
        self.inside = ("ip", "netns", "exec", self._name)
        atexit.register(self.remove)
        _ip("netns", "add", self._name)
        _ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", self._name)
        _ip("address", "add", f"{self.here}/24", "dev", cable)
        _ip("link", "set", cable, "up")
        _ip("-n", self._name, "address", "add", f"{self.address}/24", "dev", "eth0")
        _ip("-n", self._name, "link", "set", "eth0", "up")
        _ip("-n", self._name, "link", "set", "lo", "up")

    def remove(self) -> None:
        """It is there no more."""
        atexit.unregister(self.remove)
        subprocess.run(["ip", "netns", "delete", self._name], check=False, capture_output=True)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
