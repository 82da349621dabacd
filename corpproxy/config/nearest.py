"""The nearest right name for a wrong one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

# Below this share of equal characters a name is another word, not a slip of the finger.
LIKENESS = 0.6

# UT1 has 70 categories and a school a few hundred groups; comparing with thousands would take seconds.
MAX_COMPARED = 1_000


def nearest(written: str, known: Iterable[str]) -> str:
    """The known name that is most like ``written``, or nothing when none is."""
    names = sorted(known)[:MAX_COMPARED]
    by_small_letters = {name.lower(): name for name in names}
    found = difflib.get_close_matches(written.lower()[:100], by_small_letters, n=1, cutoff=LIKENESS)
    return by_small_letters[found[0]] if found else ""


def did_you_mean(written: str, known: Iterable[str]) -> str:
    """The end of a message that offers the nearest right name, or nothing."""
    name = nearest(written, known)
    return f"; did you mean '{name}'?" if name else ""
