"""
Parts of which there are two: one that was compiled where corpproxy was installed, and its twin in Python.

Both do the same, octet for octet; the twin in Python is the one to read, and the one that says what is wrong
with what the compiled one does not take.  Nothing needs a compiler: without one, or without the headers that
a part is built with, the twin in Python runs.  ``CORPPROXY_PURE=1`` in the environment leaves all compiled
parts out, for tests and for comparisons.  A part that was compiled from other sources than those that lie
here is left out, too (``form.py``).
"""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from types import ModuleType

from corpproxy.form import expected_form

PURE = "CORPPROXY_PURE"

# The ``__slots__`` of a class that says what is done with members, where these are named by those below it:
# by the one that is all Python, and in C.
BELOW: tuple[str, ...] = ()


IS_PURE = os.environ.get(PURE, "0") not in ("", "0")

# What is expected of the parts; nothing of them is looked at where they are left out.
FORM = "" if IS_PURE else expected_form(Path(__file__).parent)

# Parts that are there, but were compiled from other sources.
STALE: set[str] = set()


def _compiled(name: str) -> ModuleType | None:
    if IS_PURE:
        return None
    try:
        part = import_module(f"corpproxy.{name}")
    except ImportError:
        return None
    except (AttributeError, TypeError):
        # It wants names of Python's that are no longer there.
        part = None
    if part is None or not FORM or getattr(part, "FORM", None) != FORM:
        STALE.add(name.removeprefix("_"))
        return None
    return part


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


def advice() -> str:
    """What runs slower than it could, and what to do about it; ``""`` where nothing does."""
    if IS_PURE:
        return f"{PURE} is set: all parts run as their twins in Python, which is slower"
    lacking = [name for name in PARTS if PARTS[name] is None]
    said = []
    if absent := [name for name in lacking if name not in STALE]:
        said.append(
            f"not compiled: {', '.join(absent)}; install a C compiler (gcc), python3-dev and libssl-dev, "
            "then corpproxy again"
        )
    if stale := [name for name in lacking if name in STALE]:
        said.append(f"compiled from other sources: {', '.join(stale)}; install corpproxy again")
    return f"twins in Python run, which is slower ({'. '.join(said)})" if said else ""


def measured() -> dict[str, float]:
    """Which parts run, for the metrics."""
    return {name: float(part is not None) for name, part in PARTS.items()}
