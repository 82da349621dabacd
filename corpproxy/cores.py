"""How many workers a machine gets where the policy names no number."""

from __future__ import annotations

import os
import sys


def workers_for(asked: int | None) -> int:
    """
    Give the number of workers: what the policy asks for, or one for each core that this process may use.

    Only Linux spreads connections over the sockets of several workers; elsewhere one process does everything.
    """
    if asked is not None:
        return asked
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else 0
