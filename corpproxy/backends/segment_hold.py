"""Who writes to a segment holds it (flock): nobody else changes it, whatever becomes of the process."""

from __future__ import annotations

import fcntl


def hold(descriptor: int) -> None:
    """Hold a segment that is written to, for as long as its file is open."""
    fcntl.flock(descriptor, fcntl.LOCK_EX)


def is_held(descriptor: int) -> bool:
    """Whether somebody else holds a segment."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
