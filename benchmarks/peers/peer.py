"""What the benchmark knows of a proxy."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

from benchmarks.duties import SOMEBODY, Duties, Neglected, fetch
from benchmarks.fixtures import Fixtures
from benchmarks.place import Place, host_name
from benchmarks.programs import Program
from benchmarks.workloads import Kind, Workload

# Debian keeps servers out of the path of those who are not root.
SEARCHED = ":/usr/sbin:/usr/local/sbin"


class Peer:
    """
    A proxy in one set of duties: configured, started, asked to load its list again, ended.

    ``can_login``, ``can_list`` and ``can_rule`` say which duties it has at all; those that it has not, it is
    measured without, and the table says so.
    """

    name: ClassVar[str]
    program: ClassVar[str]
    package: ClassVar[str]
    port: ClassVar[int]
    can_login: ClassVar[bool] = False
    can_list: ClassVar[bool] = False
    can_rule: ClassVar[bool] = False
    refuses_with: ClassVar[int] = 403
    wrong_password_gives: ClassVar[int] = 407
    # Some find their names only in /etc/hosts, which is ours in a namespace alone.
    needs_private: ClassVar[bool] = True
    ready_seconds: ClassVar[float] = 60

    def __init__(self, place: Place, fixtures: Fixtures, duties: Duties) -> None:
        self.place = place
        self.fixtures = fixtures
        self.duties = duties
        self.folder = place.folder / f"{self.name}-{duties.name}"
        self.running: Program | None = None

    @classmethod
    def found(cls) -> str | None:
        """Where its program is, or None when it is not installed."""
        return shutil.which(cls.program, path=os.environ.get("PATH", os.defpath) + SEARCHED)

    @classmethod
    def version(cls) -> str:
        """What it says it is."""
        shown = subprocess.run([cls.found() or "", "--version"], capture_output=True, text=True, check=False)
        return (shown.stdout or shown.stderr).strip().partition("\n")[0]

    def prepare(self) -> None:
        """Write its configuration into ``folder``, and do what is done once before a start."""
        raise NotImplementedError

    def command(self) -> Sequence[str]:
        """How it is started, in the foreground."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        """What is added to its environment."""
        return {}

    def records(self) -> Iterable[Path]:
        """The files in which it records requests."""
        raise NotImplementedError

    def reload(self) -> None:
        """Make it take up a list that changed."""
        raise NotImplementedError

    def list_file(self) -> Path:
        """The list that it reads."""
        raise NotImplementedError

    def list_line(self, name: str) -> str:
        """How a name is written there."""
        return f"{name}\n"

    def stands(self, workload: Workload) -> bool:
        """Whether a workload makes sense with this proxy."""
        if workload.everyone:
            return self.can_login and self.can_rule
        return self.can_list or workload.kind not in (Kind.START, Kind.RELOAD)

    def lay_out(self) -> None:
        """Make the folder with everything in it."""
        self.folder.mkdir(parents=True)
        self.prepare()

    def start(self) -> float:
        """Start it; gives the seconds until its first answer.  Raises Neglected when there is none."""
        log = self.folder / "output"
        self.running = Program(self.command(), self.place.proxy_core, log, environment=self.environment())
        user = SOMEBODY if self.duties.login and self.can_login else ""
        answered = ""
        while (waited := time.monotonic() - self.running.began) < self.ready_seconds:
            try:
                status = fetch(self.port, host_name(0), self.place, user)
                if status == 200:
                    return time.monotonic() - self.running.began
                answered = f"status {status}"
            except OSError as error:
                answered = str(error)
            if not self.running.runs() and waited > 2:
                break
            time.sleep(0.01)
        said = log.read_text(errors="replace")[-2000:]
        self.stop()
        raise Neglected(f"{self.name} does not answer ({answered}):\n{said}")

    def stop(self) -> None:
        """End it."""
        if self.running is not None:
            self.running.stop()
            self.running = None

    @property
    def runs(self) -> Program:
        """The running program.  Raises Neglected when it does not run."""
        if self.running is None or not self.running.runs():
            raise Neglected(f"{self.name} has ended")
        return self.running
