"""Keeps the limits that administrators set: over restarts, in all processes, until their time is over."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from corpproxy.backends.atomic_file import read_whole, replace_file
from corpproxy.policy.set_limits import SetLimit, without

if TYPE_CHECKING:
    from corpproxy.service import CorpproxyService

log = Logger()

LIMITS_FILE = "limits.json"
# The longest that a timer waits; then it is set again.
MOST_SECONDS = 3600.0


class LimitKeeper:
    """Has the limits that are set put into force, and ended."""

    def __init__(self, service: CorpproxyService) -> None:
        self._service = service
        self._path = service.state / LIMITS_FILE
        self._call: IDelayedCall | None = None

    @property
    def entries(self) -> tuple[SetLimit, ...]:
        """Those that are set now."""
        return self._service.lasting.set_limits.entries

    def start(self) -> None:
        """Bring back what was set before; a file that cannot be read is told, and sets nothing."""
        try:
            octets = read_whole(self._path)
            entries = msgspec.json.decode(octets, type=tuple[SetLimit, ...]) if octets else ()
        except (OSError, msgspec.DecodeError) as problem:
            said = "{path} cannot be read, and the limits that were set by hand do not hold: {problem}"
            log.critical(said, path=str(self._path), problem=str(problem))
            return
        if entries:
            self._put_in_force(entries)

    def stop(self) -> None:
        """End nothing more."""
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None

    def set(self, entry: SetLimit) -> None:
        """Put a limit into force, in the place of one of the same name."""
        self._take((*without(self.entries, entry.name), entry))

    def clear(self, name: str) -> None:
        """Take a limit back."""
        self._take(without(self.entries, name))

    def _take(self, entries: tuple[SetLimit, ...]) -> None:
        self._keep(self._put_in_force(entries))

    def _put_in_force(self, entries: tuple[SetLimit, ...]) -> tuple[SetLimit, ...]:
        """Put those that hold now into force, until the first of them ends; gives these."""
        now = self._service.now()
        entries = tuple(one for one in entries if one.holds(now))
        self._service.take_limits(entries)
        self.stop()
        end = self._service.lasting.set_limits.next_end()
        if end < math.inf:
            self._call = self._service.reactor.callLater(min(max(end - now, 0.0), MOST_SECONDS), self._end)
        return entries

    def _end(self) -> None:
        self._take(self.entries)

    def _keep(self, entries: tuple[SetLimit, ...]) -> None:
        try:
            replace_file(self._path, msgspec.json.encode(entries) + b"\n")
        except OSError as problem:
            said = "limits that were set hold, and will be forgotten with a restart: {problem}"
            log.critical(said, problem=str(problem))
