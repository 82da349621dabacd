"""Workers as processes begun from nothing: a new interpreter, which imports all that a worker needs."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

import corpproxy
from corpproxy.supervisor.employment import LINK_DESCRIPTOR, Process, Watcher, in_words

_ROOT = str(Path(corpproxy.__file__).resolve().parent.parent)


class Spawner:
    """Begins each worker with a program of its own, which takes about a second."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def make(self, watcher: Watcher, parcels: Path, descriptors: Sequence[int]) -> Process:
        """Begin one; see `Maker`."""
        process = _Spawned(watcher)
        nothing = os.open(os.devnull, os.O_RDWR)
        try:
            numbers: dict[int, Any] = {0: nothing, 1: "r", 2: "r"}
            numbers.update(enumerate(descriptors, LINK_DESCRIPTOR))
            argv, environment = worker_command(parcels)
            self._reactor.spawnProcess(process, argv[0], argv, environment, childFDs=numbers)
        finally:
            os.close(nothing)
        return process


class _Spawned(ProcessProtocol):
    transport: Any

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher

    @property
    def pid(self) -> int:
        return int(getattr(self.transport, "pid", 0) or 0)

    def signal(self, name: str) -> None:
        try:
            self.transport.signalProcess(name)
        except ProcessExitedAlready:
            pass

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        self._watcher.said(childFD, data)

    def processEnded(self, reason: Failure) -> None:
        number, code = getattr(reason.value, "signal", None), getattr(reason.value, "exitCode", None)
        self._watcher.over(in_words(-number if number else code or 0))


def worker_command(parcels: Path) -> tuple[list[str], Mapping[str, str]]:
    """
    Give the arguments and the environment of a worker.

    It finds the same corpproxy as we are, and nothing in the folder where it happens to be started.
    """
    before = os.environ.get("PYTHONPATH")
    search = os.pathsep.join([_ROOT, before] if before else [_ROOT])
    argv = [sys.executable, "-P", "-m", "corpproxy.worker", str(parcels)]
    return argv, {**os.environ, "PYTHONPATH": search}
