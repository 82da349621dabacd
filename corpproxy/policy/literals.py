"""
Text that a regular expression cannot be found without: what is searched for is looked for first.

To see that some octets are not there takes a tenth of what RE2 needs to begin.  What is read here errs to one
side alone: of an expression that is anything but plain nothing is said.
"""

from __future__ import annotations

import re

# Less is found by chance too often to be worth it.
MIN_OCTETS = 3
# So much of it tells enough; many expressions begin alike.
MAX_OCTETS = 8

# Letters, digits, and signs that mean themselves, plain or behind a backslash.
_LITERAL = r"(?P<literal>[A-Za-z0-9 _/:=&@,;!#%~\"'<>-]|\\[!-/:-@\[-^`{-~])"
# What stands for other text, or for none: a class or a group of no others, an anchor, any character.
_OTHER = r"[.^$]|\\[bBdDsSwWAz]|\[(?!\^?\])[^\[\]\\]+\]|\((?:\?:)?(?!\?)[^()\[\]\\]*\)"
_REPEATED = r"(?P<repeated>(?:[*+?]|\{[0-9]+(?:,[0-9]*)?\})\??)"
_PIECE = re.compile(f"{_LITERAL}|{_REPEATED}|{_OTHER}")


def literal_of(written: str) -> bytes:
    """Give text that is in everything that an expression is found in; empty where none can be told."""
    runs, run, at = [""], "", 0
    while at < len(written):
        piece = _PIECE.match(written, at)
        if piece is None:
            # An alternative, flags, a group of groups, an escape that takes what follows it.
            return b""
        at = piece.end()
        if piece["literal"]:
            run += piece["literal"][-1]
            continue
        # What is repeated may be there no time at all.
        runs.append(run[:-1] if piece["repeated"] else run)
        run = ""
    longest = max([*runs, run], key=len)
    return longest[:MAX_OCTETS].encode() if len(longest) >= MIN_OCTETS else b""
