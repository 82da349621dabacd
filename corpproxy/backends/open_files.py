"""How many files this process may have open: each connection is one, and each exchange has two of them."""

from __future__ import annotations

import resource

# Shells and service managers begin with 1,024, which five hundred tunnels use up.  What the limit for all
# connections (``connections: total``) needs, both sides, with pipes, lists and records beside them.
WANTED = 65_536


def raise_open_files(wanted: int = WANTED) -> int:
    """
    Raise the limit of open files to ``wanted``, or as far as a process may by itself; never lower it.

    Gives the limit that now holds.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def open_files_limit() -> int:
    """How many files this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return WANTED if soft == resource.RLIM_INFINITY else soft
