"""
Parts of which there are two: one that was compiled where corpproxy was installed, and its twin in Python.

Both do the same, octet for octet; the twin in Python is the one to read, and the one that says what is wrong
with what the compiled one does not take.  Nothing needs a compiler: without one, or without the headers that
a part is built with, the twin in Python runs.  ``CORPPROXY_PURE=1`` in the environment leaves all compiled
parts out, for tests and for comparisons.
"""

from __future__ import annotations

import os
from importlib import import_module
from types import ModuleType

PURE = "CORPPROXY_PURE"

# What is expected of the parts: ``native/form.h`` has the same number.
FORM = 8

# The ``__slots__`` of a class that says what is done with members, where these are named by those below it:
# by the one that is all Python, and in C.
BELOW: tuple[str, ...] = ()


def _compiled(name: str) -> ModuleType | None:
    if os.environ.get(PURE, "0") not in ("", "0"):
        return None
    try:
        part = import_module(f"corpproxy.{name}")
    except ImportError:
        return None
    # One that was compiled from other sources, in a checkout that went on since, would do as those said.
    return part if getattr(part, "FORM", 0) == FORM else None


# Begins exchanges, sends requests ahead of their road, and takes their answers.
ahead = _compiled("_ahead")
# Checks passwords of htpasswd files that were hashed as apr1.
apr1 = _compiled("_apr1")
# Names, counts and records exchanges like one before.
books = _compiled("_books")
# Makes objects by copying one that was made before.
born = _compiled("_born")
# Links records to their chain; it needs the headers of OpenSSL.
chain = _compiled("_chain")
# Reads heads of requests and answers.
heads = _compiled("_heads")
# Reads the server name off the first octets of a tunnel.
preface = _compiled("_preface")
# Puts the memory of the template of workers aside; it has no twin, without it that memory stays.  For Linux.
rest = _compiled("_rest")
# Drives exchanges on their road.
road = _compiled("_road")
# Looks into sections that came for the first time.
section = _compiled("_section")
# Moves the octets of tunnels.
tunnel = _compiled("_tunnel")
# The transport of a socket; it is for Linux, as the engine is.
wire = _compiled("_wire")

PARTS = {
    "ahead": ahead,
    "apr1": apr1,
    "books": books,
    "born": born,
    "chain": chain,
    "heads": heads,
    "preface": preface,
    "rest": rest,
    "road": road,
    "section": section,
    "tunnel": tunnel,
    "wire": wire,
}


def running() -> tuple[str, ...]:
    """The names of the compiled parts that run."""
    return tuple(name for name, part in PARTS.items() if part is not None)


def described() -> str:
    """Which twins run, in words for people."""
    there = running()
    if len(there) == len(PARTS):
        return "with all compiled parts"
    if there:
        lacking = ", ".join(name for name in PARTS if name not in there)
        return f"with the compiled parts {', '.join(there)}; without {lacking}"
    return "without compiled parts"


def measured() -> dict[str, float]:
    """Which parts run, for the metrics."""
    return {name: float(part is not None) for name, part in PARTS.items()}
