"""How the interpreter is set: when it collects, how long a thread may keep the others waiting."""

from __future__ import annotations

import gc
import sys

from corpproxy.resident import give_back_free

# An exchange leaves no cycles behind; connections leave a few, and wait for a collection.  The default would
# look at the young objects after each seven hundred new ones, which is every tenth exchange.
GC_THRESHOLDS = (20_000, 20, 20)
# A supervisor has no exchanges.  What its threads do leaves a dozen objects a second in cycles: by the above
# they would be looked for each half an hour.
SUPERVISOR_THRESHOLDS = (2_000, 20, 20)

# How long the thread that writes records, or another one, may go on when the loop has something to do.  By
# default it is ten times as long, and a client waits so long each time that the loop has slept.
SWITCH_SECONDS = 0.0005


def set_interpreter(thresholds: tuple[int, int, int] = GC_THRESHOLDS) -> None:
    """Set it for a service whose parts are made."""
    # What was made until now stays: the collector need not look at it, not even once.
    gc.freeze()
    gc.set_threshold(*thresholds)
    sys.setswitchinterval(SWITCH_SECONDS)


def settle_memory() -> None:
    """
    Much was taken up that stays: the collector need not look at it, and what it took to read is free again.

    Nothing is collected: that would look at all of it once more, and keep others waiting.
    """
    gc.freeze()
    give_back_free()
