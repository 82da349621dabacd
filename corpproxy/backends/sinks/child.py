"""The process of the sinks as the service sees it: it is started, heard, started again, and told to end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall, IProcessTransport
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from corpproxy.audit.sinks import SinkSettings, SinksJob, SinkState
from corpproxy.backends.lists.files import build_command
from corpproxy.counted import counted

POSITIONS_FOLDER = "sinks"

# A process that ended is started again after a while that doubles each time.
FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 60.0
# One that does not end when it is told is killed.
END_SECONDS = 8.0

_MAX_SAID_OCTETS = 16 * 1024
_STATES = msgspec.json.Decoder(list[SinkState])
_COUNTS = ("delivered", "dropped", "refused", "checkpoints")


class _Child(ProcessProtocol):
    """One process."""

    transport: IProcessTransport

    def __init__(self, heard: Callable[[list[SinkState]], None], over: Callable[[str, str], None]) -> None:
        self._heard = heard
        self._over = over
        self._line = b""
        self._said = b""

    def outReceived(self, data: bytes) -> None:
        """Take what it tells."""
        *lines, self._line = (self._line + data).split(b"\n")
        if lines:
            self._heard(_STATES.decode(lines[-1]))

    def errReceived(self, data: bytes) -> None:
        """Keep the end of what it complains of."""
        self._said = (self._said + data)[-_MAX_SAID_OCTETS:]

    def processEnded(self, reason: Failure) -> None:
        """Say what it complained of last, and how it ended."""
        self._over(self._said.decode("utf-8", "replace").strip(), _how(reason))


class Sinks:
    """
    The sinks of a service.

    ``records`` is the folder of the segments, ``state`` that of the service.  Call `use` with the sinks of
    the policy in force; without any, nothing runs.

    :ivar ends: how often the process ended without being told to.
    """

    _log = Logger()

    def __init__(self, reactor: Any, records: Path, state: Path, program: str, host: str) -> None:
        self._reactor = reactor
        self._records = records
        self._positions = state / POSITIONS_FOLDER
        self._program = program
        self._host = host
        self._settings: tuple[SinkSettings, ...] = ()
        self._child: _Child | None = None
        self._wait = FIRST_WAIT_SECONDS
        self._starting: IDelayedCall | None = None
        self._killing: IDelayedCall | None = None
        self._ended: list[Deferred[None]] = []
        self._is_closed = False
        self._is_told = False
        self.ends = 0
        # What earlier processes counted, and what the one that runs has told last.
        self._before: dict[str, SinkState] = {}
        self._now: dict[str, SinkState] = {}

    @property
    def states(self) -> Mapping[str, SinkState]:
        """How each sink does, with what was counted since the service began."""
        return {
            one.name: _sum(self._before.get(one.name), self._now.get(one.name), one.name)
            for one in self._settings
        }

    def use(self, settings: tuple[SinkSettings, ...]) -> None:
        """Deliver to these from now on."""
        if settings == self._settings:
            return
        self._settings = settings
        if self._child is not None:
            self._tell_to_end()
        else:
            self._start()

    def close(self) -> Deferred[None]:
        """End the process once it has delivered what is there, or after some seconds."""
        self._is_closed = True
        if self._starting is not None:
            self._starting.cancel()
            self._starting = None
        if self._child is None:
            return succeed(None)
        self._tell_to_end()
        ended: Deferred[None] = Deferred()
        self._ended.append(ended)
        return ended

    def problems(self) -> list[str]:
        """What somebody should look at, in sentences."""
        return [
            f"sink '{one.name}' takes nothing: {one.reason}"
            for one in self.states.values()
            if one.failing_since
        ]

    def _start(self) -> None:
        self._starting = None
        if self._is_closed or not self._settings:
            return
        job = SinksJob(str(self._records), str(self._positions), self._settings, self._program, self._host)
        self._is_told = False
        self._child = _Child(self._take, self._over)
        argv, environment = build_command("sinks.process")
        self._reactor.spawnProcess(self._child, argv[0], argv, environment)
        self._child.transport.writeToChild(0, msgspec.json.encode(job) + b"\n")

    def _tell_to_end(self) -> None:
        assert self._child is not None
        self._is_told = True
        self._child.transport.closeStdin()
        if self._killing is None:
            self._killing = self._reactor.callLater(END_SECONDS, self._kill)

    def _kill(self) -> None:
        self._killing = None
        if self._child is not None:
            try:
                self._child.transport.signalProcess("KILL")
            except ProcessExitedAlready:
                pass

    def _take(self, states: list[SinkState]) -> None:
        self._wait = FIRST_WAIT_SECONDS
        for state in states:
            self._tell(self._now.get(state.name) or SinkState(name=state.name), state)
        self._now = {state.name: state for state in states}

    def _tell(self, before: SinkState, state: SinkState) -> None:
        """Tell the log what changed with a sink."""
        if state.failing_since and not before.failing_since:
            said = "sink {name} takes nothing: {reason}; records wait in their files, and it is tried again"
            self._log.error(said, name=state.name, reason=state.reason)
        elif before.failing_since and not state.failing_since:
            self._log.warn("sink {name} takes records again", name=state.name)
        if state.dropped > before.dropped:
            said = "{records} will never reach sink {name}, which is too far behind; the files have them"
            count = state.dropped - before.dropped
            self._log.critical(said, records=counted(count, "record"), count=count, name=state.name)
        if state.refused > before.refused:
            said = "{records} refused by sink {name} for good"
            count = state.refused - before.refused
            records = counted(count, "record was", "records were")
            self._log.error(said, records=records, count=count, name=state.name)

    def _over(self, said: str, how: str) -> None:
        self._child = None
        if self._killing is not None:
            self._killing.cancel()
            self._killing = None
        for name, state in self._now.items():
            self._before[name] = _sum(self._before.get(name), state, name)
        self._now = {}
        if self._is_closed:
            for one in self._ended:
                one.callback(None)
            return
        if not self._is_told:
            self.ends += 1
            text = (
                "the process of the sinks ended ({how}) and is started again; each goes on where it was, "
                "what was on its way may come twice"
            )
            self._log.error(text + (": {said}" if said else ""), how=how, said=said.rpartition("\n")[2])
        self._starting = self._reactor.callLater(0 if self._is_told else self._wait, self._start)
        self._wait = min(LONGEST_WAIT_SECONDS, self._wait * 2)


def _how(reason: Failure) -> str:
    """How a process ended, in words."""
    signal = getattr(reason.value, "signal", None)
    if signal is not None:
        return f"killed by signal {signal}"
    return f"exit code {getattr(reason.value, 'exitCode', None) or 0}"


def _sum(before: SinkState | None, now: SinkState | None, name: str) -> SinkState:
    state = msgspec.structs.replace(now) if now is not None else SinkState(name=name)
    if before is not None:
        for count in _COUNTS:
            setattr(state, count, getattr(state, count) + getattr(before, count))
    return state
