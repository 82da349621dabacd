"""The service as a process that can be killed and started again in the same folder."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from tests.service.case import NAMES, REACH
from tests.service.origin import Origin
from tests.support.running import STOP_SECONDS, RunningProxy


def policy_for(origin: Origin, rules: str) -> str:
    """A policy by which the origin can be reached."""
    hosts = ", ".join(f"{name}: [127.0.0.1]" for name in NAMES)
    reach = REACH.format(port=origin.port, echo=origin.echo_port, hosts=hosts, forward="{forward}")
    return reach + rules


class WholeService(RunningProxy):
    """A `RunningProxy` with several lives."""

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait()

    def start_again(self) -> None:
        """Start it on what the last life left."""
        self.process = self._start()

    def ended(self, number: signal.Signals) -> int:
        """Send a signal, wait for the end, and give the exit code."""
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)

    @property
    def state(self) -> Path:
        """Its state folder."""
        return self.folder / "state"

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command of the command line, as a process."""
        command = [sys.executable, "-m", "corpproxy", "--policy", str(self.policy), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
