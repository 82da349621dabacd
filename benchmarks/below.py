"""
What limits cost an exchange that is below them: ``python -m benchmarks.below``.

The same exchange, on the road without the kernel (`benchmarks.road`), without limits and with them, in one
run: with a quota, with a rate, with both, and with quotas and rates of user, group and site.  Its part of
what is done between, a few times a second, is in it; the lender of quotas is in this process, and is not
counted.

The least and the middle of many turns are told, and how much more they are than without limits.  In each turn
all of them have theirs, so that what else the machine does is the same for all.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from twisted.internet.task import Clock

from benchmarks.lending import LIMITS, Lending
from benchmarks.road import make_proxy, run

# Exchanges between two looks at what moved, and of a turn.
BETWEEN, OF_A_TURN = 250, 1_000


class Played:
    """A proxy with limits, on a simulated clock."""

    def __init__(self, folder: Path, limits: str) -> None:
        folder.mkdir()
        self.clock = Clock()
        self.proxy = make_proxy(folder, limits, self.clock)
        self._lending = Lending(self.proxy, self.clock)
        # What the first exchanges are lent comes a moment later.
        for _ in range(20):
            self.play(2)
        self.play(BETWEEN)

    def play(self, exchanges: int) -> float:
        """So many exchanges, and what is done after them; gives microseconds for each."""
        microseconds = run(self.proxy, exchanges)
        return microseconds + self._lending.turn() * 1e6 / exchanges

    def turn(self) -> float:
        """Microseconds of an exchange."""
        count = OF_A_TURN // BETWEEN
        return sum(self.play(BETWEEN) for _ in range(count)) / count


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.below", description=__doc__)
    parser.add_argument("--turns", type=int, default=60, help="how often each is played")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="corpproxy-below-") as name:
        played = {
            limits: Played(Path(name) / str(n), text) for n, (limits, text) in enumerate(LIMITS.items())
        }
        found: dict[str, list[float]] = {limits: [] for limits in played}
        for _ in range(options.turns):
            for limits, one in played.items():
                found[limits].append(one.turn())
    base = found["none"]
    print("limits                  least, more    middle, more   microseconds of an exchange")
    for limits, times in found.items():
        least, middle = min(times), statistics.median(times)
        more, usual = least - min(base), middle - statistics.median(base)
        print(f"{limits:22}  {least:5.1f} {more:5.1f}    {middle:6.1f} {usual:5.1f}")


if __name__ == "__main__":
    main()
