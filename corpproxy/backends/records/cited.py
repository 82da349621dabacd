"""What kept records may still name: policies and versions of lists stay as long as records cite them."""

from __future__ import annotations

import math
from pathlib import Path

from corpproxy.backends.records.segments import RECORDS_FOLDER, segment_names

# How long after its last day a version may still come into records: a tunnel is recorded when it ends, under
# what it began with.
OUTLIVED_SECONDS = 31 * 86_400.0


def recorded_since(state: Path) -> float:
    """When the oldest kept segment of records begins, POSIX seconds; the end of time where there is none."""
    try:
        segments = segment_names(state / RECORDS_FOLDER)
    except FileNotFoundError:
        return math.inf
    except OSError:
        # What cannot be seen may name everything.
        return -math.inf
    return segments[0].begun_at if segments else math.inf


def may_be_cited(ended: float, since: float) -> bool:
    """Whether records that begin at ``since`` may name what was in force until ``ended``."""
    return ended + OUTLIVED_SECONDS > since
