"""What is done again and again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.task import LoopingCall
from twisted.logger import Logger

log = Logger()


def every(seconds: float, work: Callable[[], Any], reactor: Any) -> LoopingCall:
    """Do something again and again; a bug in it is logged, and does not end what comes after."""

    def guarded() -> None:
        try:
            work()
        except Exception:
            log.failure("what is done every {seconds:.0f} s failed", seconds=seconds)

    loop = LoopingCall(guarded)
    loop.clock = reactor
    loop.start(seconds, now=False)
    return loop
