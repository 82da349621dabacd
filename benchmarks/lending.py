"""
Limits that nobody reaches, for benchmarks without the kernel: their policies, and who lends of their quotas.

The clock of such a benchmark is simulated: what is done between exchanges, a few times a second, is done when
it says so.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

from twisted.internet.task import Clock

from corpproxy.accounting.quotas import Asked, Quotas
from corpproxy.net.proxy import Proxy

QUOTA = "  - {name: day, volume: 99GiB, every: day}\n"
RATE = "  - {name: each, rate: 900MiB/s}\n"
TREE = """\
  - {name: class, per: group, volume: 999GiB, every: day}
  - {name: month, per: site, volume: 9999GiB, every: month}
  - {name: room, per: group, rate: 950MiB/s}
  - {name: line, per: site, rate: 999MiB/s}
"""
WHOLE = "user in group in site"
LIMITS = {
    "none": "",
    "quota": f"limits:\n{QUOTA}",
    "rate": f"limits:\n{RATE}",
    "both": f"limits:\n{QUOTA}{RATE}",
    WHOLE: f"limits:\n{QUOTA}{RATE}{TREE}",
}
# As much time goes by between two looks at what moved.
SECONDS = 0.3


class Lending:
    """Lends to the proxy of a benchmark what it asks for, and counts how long that takes."""

    def __init__(self, proxy: Proxy, clock: Clock) -> None:
        self._proxy = proxy
        self._clock = clock
        self._quotas = Quotas()
        self.seconds = 0.0
        limiting = proxy.in_force.limiting
        if limiting is not None:
            self._quotas.define(limiting)
        proxy.borrowing.send = self._lend
        proxy.counter.send = proxy.borrowing.count  # type: ignore[assignment]

    def turn(self) -> float:
        """Let time go by; gives the seconds of the processor that this took, without the lending."""
        self.seconds, began = 0.0, time.process_time()
        self._clock.advance(SECONDS)
        return time.process_time() - began - self.seconds

    def _lend(self, asked: Any) -> None:
        began = time.process_time()
        lent = [self._lent(one) for one in asked]
        self.seconds += time.process_time() - began
        self._proxy.borrowing.take(lent)

    def _lent(self, one: Asked) -> Any:
        return self._quotas.lend("here", one, time.time(), self._clock.seconds())


def offer_limits(parser: argparse.ArgumentParser) -> None:
    """Let who starts a benchmark say below which limits it is played."""
    about = f"play it below limits that nobody reaches: {', '.join(LIMITS)} (the last, if none is named)"
    parser.add_argument("--limits", nargs="?", const=WHOLE, default="", choices=list(LIMITS), help=about)
