"""Signals of a running service beside those that end it: SIGHUP reloads, SIGUSR1 begins new record files."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any


class Signals:
    """Calls on the reactor's thread what stands for a signal; what was there before comes back at the end."""

    def __init__(self, reactor: Any, calls: dict[signal.Signals, Callable[[], Any]]) -> None:
        self._reactor = reactor
        self._calls = calls
        self._before: dict[signal.Signals, Any] = {}

    def start(self) -> None:
        """Listen to the signals; only a main thread can."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in self._calls:
            self._before[number] = signal.signal(number, self._came)

    def stop(self) -> None:
        """Leave them to whoever had them."""
        for number, before in self._before.items():
            signal.signal(number, before)
        self._before.clear()

    def _came(self, number: int, frame: object) -> None:
        # The interpreter may be anywhere: the reactor calls when nothing else runs.
        self._reactor.callFromThread(self._calls[signal.Signals(number)])
