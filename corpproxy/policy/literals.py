"""
Texts of which a regular expression must find one: what is searched for is looked for first.

To see that some octets are not there takes a tenth of what RE2 needs to begin.  What is read here errs to one
side alone: of an expression that is anything but plain nothing is said.
"""

from __future__ import annotations

import re

# Less is found by chance too often to be worth it.
MIN_OCTETS = 3
# So much of it tells enough; many expressions begin alike.
MAX_OCTETS = 8
# Of more alternatives none is looked for: together they take as long as RE2.
MAX_ALTERNATIVES = 6

# Letters, digits, and signs that mean themselves, plain or behind a backslash.
_SIGN = r"(?:[A-Za-z0-9 _/:=&@,;!#%~\"'<>-]|\\[!-/:-@\[-^`{-~])"
_ALTERNATIVES = rf"\((?:\?:)?(?P<alternatives>{_SIGN}+(?:\|{_SIGN}+)*)\)"
# What stands for other text, or for none: a class or a group of no others, an anchor, any character.
_OTHER = r"[.^$]|\\[bBdDsSwWAz]|\[(?!\^?\])[^\[\]\\]+\]|\((?:\?:)?(?!\?)[^()\[\]\\]*\)"
_REPEATED = r"(?P<repeated>(?:[*+?]|\{[0-9]+(?:,[0-9]*)?\})\??)"
_PIECE = re.compile(f"(?P<sign>{_SIGN})|{_REPEATED}|{_ALTERNATIVES}|{_OTHER}")

# What stands at one place of an expression, in each of its alternatives.
_Run = list[str]


def literals_of(written: str) -> tuple[bytes, ...]:
    """Give texts of which one is wherever an expression is found; none where none can be told."""
    runs = _runs(written)
    best = max(runs, key=lambda run: min(map(len, run)), default=[""])
    if min(map(len, best)) < MIN_OCTETS:
        return ()
    return tuple(sorted({text[:MAX_OCTETS].encode() for text in best}))


def _runs(written: str) -> list[_Run]:
    """Give the runs of plain text that are in everything that is found; none where that cannot be told."""
    runs: list[_Run] = []
    run, before, at = [""], [""], 0
    while at < len(written):
        piece = _PIECE.match(written, at)
        if piece is None:
            # An alternative, flags, a group of groups, an escape that takes what follows it.
            return []
        at = piece.end()
        more = _plain(piece)
        if more and len(run) * len(more) <= MAX_ALTERNATIVES:
            before, run = run, [begun + text for begun in run for text in more]
            continue
        # What is repeated may be there no time at all.
        runs.append(before if piece["repeated"] else run)
        run = before = [""]
    return [*runs, run]


def _plain(piece: re.Match[str]) -> list[str]:
    """The texts that a piece stands for, if it stands for a few plain ones."""
    if piece["sign"]:
        return [piece["sign"][-1]]
    if piece["alternatives"]:
        return [re.sub(r"\\(.)", r"\1", text) for text in _split(piece["alternatives"])]
    return []


def _split(alternatives: str) -> list[str]:
    """Split at the bars that are not escaped."""
    return re.findall(rf"{_SIGN}+", alternatives)
