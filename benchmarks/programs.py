"""Programs that a run starts: pinned, preferred, counted, and ended again."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.place import NICE

TICKS = os.sysconf("SC_CLK_TCK")
# Who takes less than a tenth of the processor for so long has settled; one that never does is waited for no
# longer than this.
SETTLE_SECONDS = 0.5
MOST_SETTLE_SECONDS = 30.0
CORES_LINE = re.compile(r"^cpu\d+ (.*)$", re.M)


@dataclass(frozen=True, slots=True)
class Status:
    """What /proc/PID/stat tells of a process; ``seconds`` with those of its dead children."""

    pid: int
    parent: int
    session: int
    state: str
    seconds: float


def status_of(pid: int) -> Status | None:
    """The status of a process, or None when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name, in brackets, may hold spaces and brackets.
    fields = text.rpartition(")")[2].split()
    return Status(pid, int(fields[1]), int(fields[3]), fields[0], sum(map(int, fields[11:15])) / TICKS)


def _statuses() -> Iterator[Status]:
    for name in os.listdir("/proc"):
        if name.isdigit() and (status := status_of(int(name))) is not None:
            yield status


def busy_seconds() -> float:
    """Seconds that all cores together have been busy since the machine started."""
    total = 0
    for line in CORES_LINE.findall(Path("/proc/stat").read_text()):
        user, nice, system, _idle, _wait, *others = map(int, line.split()[:8])
        total += user + nice + system + sum(others)
    return total / TICKS


class Program:
    """A program and everything it starts, in a session of its own."""

    def __init__(
        self,
        command: Sequence[str],
        core: int | None,
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        **pipes: int,
    ) -> None:
        def prefer() -> None:
            if core is not None:
                os.sched_setaffinity(0, {core})
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, 0, NICE)
                # Where sessions are scheduled against each other, niceness counts only inside of one.
                Path("/proc/self/autogroup").write_text(str(NICE))

        with log.open("ab") as output:
            streams = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output, **pipes}
            self.began = time.monotonic()
            self.root = subprocess.Popen(
                command,
                cwd=log.parent,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
                preexec_fn=prefer,  # noqa: PLW1509 - no threads here
                **streams,  # type: ignore[call-overload]
            )

    def members(self) -> list[Status]:
        """All living processes of the program: those of its session, and all that descend from them."""
        alive = [status for status in _statuses() if status.state != "Z"]
        ours = {status.pid for status in alive if self.root.pid in (status.pid, status.session)}
        while more := {status.pid for status in alive if status.parent in ours} - ours:
            ours |= more
        return [status for status in alive if status.pid in ours]

    def seconds(self) -> float:
        """Processor time so far."""
        return sum(status.seconds for status in self.members())

    def settle(self) -> None:
        """
        Wait until it does nothing any more of its own accord.

        What follows a start, such as keeping the version of a list that was built, is not to be charged to
        whatever is measured first.
        """
        until = time.monotonic() + MOST_SETTLE_SECONDS
        while time.monotonic() < until:
            before = self.seconds()
            time.sleep(SETTLE_SECONDS)
            if self.seconds() - before < SETTLE_SECONDS / 10:
                return

    def octets(self) -> int:
        """Memory: what is shared counts for each process by its share (PSS)."""
        total = 0
        for status in self.members():
            with contextlib.suppress(OSError, AttributeError):
                text = Path(f"/proc/{status.pid}/smaps_rollup").read_text()
                total += int(re.search(r"^Pss:\s+(\d+)", text, re.M)[1]) * 1024  # type: ignore[index]
        return total

    def runs(self) -> bool:
        """Whether the program has not ended."""
        return self.root.poll() is None

    def stop(self) -> None:
        """End it, kindly first."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            for status in self.members():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(status.pid, number)
            until = time.monotonic() + 4
            while time.monotonic() < until:
                if self.root.poll() is not None and not self.members():
                    return
                time.sleep(0.02)
