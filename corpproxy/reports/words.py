"""How reports write names, numbers and changes."""

from __future__ import annotations

from collections.abc import Sequence

from corpproxy.accounting.ledger import OTHER_HOSTS
from corpproxy.audit.line import printable

NOBODY = "(not signed in)"
NO_GROUP = "(no group)"
NO_CATEGORY = "(no category)"
NO_HOST = "(no host)"
NO_RULE = "(no rule)"


def shown(name: str, nameless: str) -> str:
    """A name as people read it: what does not print is spelled out, and what is no name is said."""
    return "(other hosts)" if name == OTHER_HOSTS else printable(name) or nameless


def others(count: int) -> str:
    """Those that are not named, as the last row of a table."""
    return f"({number(count)} {'other' if count == 1 else 'others'})"


def number(value: int) -> str:
    """A number with its thousands set apart."""
    return f"{value:,}"


def share(part: int, whole: int) -> str:
    """A part of a whole in percent; nothing of nothing is a dash."""
    if not whole:
        return "–"
    percent = 100 * part / whole
    return f"{percent:.0f} %" if percent >= 10 or not part else f"{percent:.1f} %"


def change(now: int, before: int) -> str:
    """What became of a number since the period before, in words short enough for a table."""
    if now == before:
        return "the same" if now else "–"
    if not before:
        return "new"
    percent = 100 * (now - before) / before
    if not round(percent):
        return "the same"
    if percent > 999:
        return f"{now / before:.0f} times"
    return f"{percent:+.0f} %".replace("-", "−")


def spark(trend: Sequence[int]) -> str:
    """Draw a trend with signs as high as its numbers; one that is nought has a point."""
    most = max(trend, default=0)
    return "".join(
        _BARS[max(1, round(value / most * (len(_BARS) - 1)))] if value else _BARS[0] for value in trend
    )


_BARS = "\u00b7\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"
